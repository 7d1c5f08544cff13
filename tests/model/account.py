"""One account of the model, with everything that ever happened to it; sums are made by going through all of that."""

from collections.abc import Hashable
from dataclasses import dataclass, field, fields, replace
from datetime import date
from typing import Final, NamedTuple

from creditgate.domain.account import AccountStatus
from creditgate.domain.decision import Outcome, ReasonCode
from creditgate.domain.errors import ErrorReason
from creditgate.domain.reservation import Etag, ReservationState
from tests.model.rules import BUCKETS, DEFAULT_RULEBOOK, Rulebook, Seen, judge
from tests.model.words import (
    AccountAnswer,
    AgingAnswer,
    Balances,
    DecisionAnswer,
    Fault,
    ReasonAnswer,
    ReservationAnswer,
)

_OPEN: Final = frozenset({ReservationState.HELD, ReservationState.PENDING_REVIEW})

AMOUNT_MAX_MINOR: Final = 9_007_199_254_740_991
"""2^53-1, spelled here because the model must not follow the code if that changes."""

MS: Final = 1000

HOLD_DEFAULT_S: Final = 30 * 86_400
"""How long an order is held that does not say."""
DAY_MS: Final = 86_400 * MS


@dataclass(frozen=True, slots=True)
class Order:
    """An order that was not rejected. `state` never is EXPIRED: that is an open order whose second has come.

    `first_amount_minor` is what it was asked for with, `waiting_minor` the total of an amend that waits for a person
    (0: none does), `waits_since_ms` when what waits began to, `revision` how many changes it has seen.
    """

    order_id: str
    currency_code: str
    first_amount_minor: int
    amount_minor: int
    secured_minor: int
    terms_days: int
    state: ReservationState
    committed_minor: int
    create_time_ms: int
    expire_time_s: int
    decision: DecisionAnswer
    revision: int
    waiting_minor: int = 0
    waiting_more_minor: int = 0
    waits_since_ms: int = 0

    @property
    def etag(self) -> Etag:
        """What changes with every change of it."""
        return Etag(self.create_time_ms, self.revision)

    def state_at(self, now_s: int) -> ReservationState:
        """The state it reads as."""
        lapsed = self.state in _OPEN and now_s >= self.expire_time_s
        return ReservationState.EXPIRED if lapsed else self.state

    def waits_at(self, now_s: int) -> bool:
        """Whether it, or an amend of it, waits for a person."""
        state = self.state_at(now_s)
        return state is ReservationState.PENDING_REVIEW or (state is ReservationState.HELD and self.waiting_minor > 0)

    def pending_minor(self, now_s: int) -> int:
        """What of it waits for a person now: all of it, or what an amend would hold more."""
        state = self.state_at(now_s)
        if state is ReservationState.PENDING_REVIEW:
            return unsecured(self.amount_minor, self.committed_minor, self.secured_minor)
        if state is ReservationState.HELD and self.waiting_minor:
            return self.waiting_more_minor
        return 0

    def held_minor(self, now_s: int) -> int:
        """Exposure it takes now: the unsecured rest."""
        if self.state_at(now_s) is not ReservationState.HELD:
            return 0
        return unsecured(self.amount_minor, self.committed_minor, self.secured_minor)


def net(amount_minor: int, secured_minor: int) -> int:
    """The part of an amount that no security covers; security covers what is invoiced first."""
    return max(0, amount_minor - secured_minor)


def unsecured(amount_minor: int, committed_minor: int, secured_minor: int) -> int:
    """The part of what is not yet invoiced that no security covers."""
    return max(0, net(amount_minor, secured_minor) - net(committed_minor, secured_minor))


class Commit(NamedTuple):
    """What a document was committed as, and what that answered."""

    order_id: str
    final: bool
    over_committed_minor: int
    late: bool


class Document(NamedTuple):
    """An invoice (above 0), a credit note or an open item; `commit` is None until it is that of an order."""

    amount_minor: int
    commit: Commit | None


class Amend(NamedTuple):
    """A change of an order under the caller's id, and what was decided about it."""

    amount_minor: int
    hold_s: int | None
    decision: DecisionAnswer


@dataclass(slots=True)
class AccountModel:
    """One account with everything that ever happened to it."""

    currency_code: str
    create_time_ms: int
    status: AccountStatus = AccountStatus.OPEN
    base_limit_minor: int | None = None
    unlimited: bool = False
    block_reason: str | None = None
    receivable_minor: int = 0
    secured_receivable_minor: int = 0
    manual_limit_minor: int | None = None
    rules: Rulebook = field(default_factory=lambda: DEFAULT_RULEBOOK)
    releases_reviews: bool = False
    approvals: tuple[tuple[int, int], ...] = ()
    aging: AgingAnswer | None = None
    reported_aging: AgingAnswer | None = None
    orders: dict[str, Order] = field(default_factory=dict)
    amends: dict[tuple[str, str], Amend] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    payments: dict[str, int] = field(default_factory=dict)

    def copy(self) -> "AccountModel":
        """Return an independent account: the same one in another future."""
        return replace(
            self,
            orders=dict(self.orders),
            amends=dict(self.amends),
            documents=dict(self.documents),
            payments=dict(self.payments),
        )

    def state(self) -> Hashable:
        """Return what makes this account answer as it does: equal for accounts that answer alike."""
        values = (getattr(self, each.name) for each in fields(self))
        return tuple(frozenset(value.items()) if isinstance(value, dict) else value for value in values)

    def reserved_minor(self, now_s: int) -> int:
        """Exposure held at a second."""
        return sum(order.held_minor(now_s) for order in self.orders.values())

    def balances(self, now_s: int) -> Balances:
        """Where the account stands at a second."""
        unlimited = self.unlimited and self.manual_limit_minor is None
        limit_minor = None if unlimited else self.base_limit_minor
        if self.manual_limit_minor is not None:
            limit_minor = self.manual_limit_minor
        reserved_minor = self.reserved_minor(now_s)
        exposure_minor = reserved_minor + max(0, self.receivable_minor)
        return Balances(
            limit_minor,
            unlimited,
            reserved_minor,
            self.receivable_minor,
            sum(order.pending_minor(now_s) for order in self.orders.values()),
            None if limit_minor is None else limit_minor - exposure_minor,
        )

    def reads(self, now_s: int) -> AccountAnswer:
        """Return the account as it reads at a second."""
        return AccountAnswer(
            self.currency_code,
            self.status,
            self.base_limit_minor,
            self.block_reason,
            self.balances(now_s),
            self.secured_receivable_minor,
            self.aging,
            self.create_time_ms,
        )

    def judge(
        self, currency_code: str, added_minor: int, amount_minor: int, terms_days: int, now_ms: int
    ) -> DecisionAnswer | Fault:
        """Decide about so much more exposure, of an order of a total."""
        if currency_code != self.currency_code:
            return Fault(ErrorReason.EXCHANGE_RATE_NOT_FOUND)
        balances = self.balances(now_ms // MS)
        exposure_minor = balances.reserved_minor + max(0, balances.receivable_minor) + added_minor
        if exposure_minor + balances.pending_minor > AMOUNT_MAX_MINOR:
            return Fault(ErrorReason.SUM_OUT_OF_RANGE)
        seen = Seen(
            self.block_reason is not None,
            self.status is AccountStatus.CLOSED,
            balances.limit_minor,
            balances.unlimited,
            exposure_minor,
            added_minor,
            amount_minor,
            terms_days,
            *self._overdue(now_ms),
            self.approved_minor(now_ms // MS),
        )
        judged = judge(self.rules, seen)
        reasons = tuple(ReasonAnswer(*reason) for reason in judged.fired)
        shadow = tuple(ReasonAnswer(*reason) for reason in judged.shadow)
        return DecisionAnswer(judged.outcome, reasons, shadow, judged.passed, balances, 0, now_ms)

    def _overdue(self, now_ms: int) -> tuple[int, int]:
        """What is overdue and not disputed, and for how many days of UTC."""
        aging = self.aging
        if aging is None:
            return 0, 0
        days = 0
        if aging.oldest_due_date is not None:
            days = max(0, now_ms // DAY_MS - (aging.oldest_due_date - date(1970, 1, 1)).days)
        return max(0, aging.overdue_minor - aging.disputed_minor), days

    def approved_minor(self, now_s: int) -> int:
        """What was approved within the velocity rule's window: in the present 24th of it and the 24 before."""
        rule = self.rules.get(ReasonCode.VELOCITY_EXCEEDED)
        if rule is None:
            return 0
        width_s = -(-rule.number // BUCKETS)
        first = now_s // width_s - BUCKETS
        return sum(amount_minor for second, amount_minor in self.approvals if second // width_s >= first)

    def approve(self, amount_minor: int, now_ms: int) -> None:
        """Count what was approved."""
        if amount_minor > 0:
            self.approvals = (*self.approvals, (now_ms // MS, amount_minor))

    def limit_changed(self, now_ms: int) -> None:
        """Judge what waits anew, the oldest first; hold what passes now, and leave the rest waiting."""
        if not self.releases_reviews:
            return
        now_s = now_ms // MS
        waiting = [order for order in self.orders.values() if order.waits_at(now_s)]
        for order in sorted(waiting, key=lambda order: (order.waits_since_ms, order.order_id)):
            total_minor = order.waiting_minor or order.amount_minor
            held_minor = unsecured(total_minor, order.committed_minor, order.secured_minor)
            added_minor = held_minor - order.held_minor(now_s)
            judged = self.judge(order.currency_code, added_minor, total_minor, order.terms_days, now_ms)
            if isinstance(judged, Fault) or judged.outcome not in {Outcome.APPROVED, Outcome.FLAGGED}:
                continue
            self.approve(added_minor, now_ms)
            self.orders[order.order_id] = replace(
                order,
                state=ReservationState.HELD,
                amount_minor=total_minor,
                waiting_minor=0,
                waiting_more_minor=0,
                revision=order.revision + 1,
            )

    def owe(self, amount_minor: int, now_s: int) -> bool:
        """Take up what is owed (above 0) or settled without an order; return whether the sums could be counted."""
        # Security is used up first by what is settled: what it covered never took credit.
        covered_minor = min(self.secured_receivable_minor, max(0, -amount_minor))
        receivable_minor = self.receivable_minor + amount_minor + covered_minor
        balances = self.balances(now_s)
        exposure_minor = balances.reserved_minor + max(0, receivable_minor) + balances.pending_minor
        if receivable_minor < -AMOUNT_MAX_MINOR or exposure_minor > AMOUNT_MAX_MINOR:
            return False
        self.receivable_minor = receivable_minor
        self.secured_receivable_minor -= covered_minor
        return True


def reads(order: Order, now_s: int) -> ReservationAnswer:
    """Return a reservation as it reads at a second."""
    state = order.state_at(now_s)
    held = state is ReservationState.HELD
    return ReservationAnswer(
        order.order_id,
        state,
        order.currency_code,
        order.amount_minor,
        order.secured_minor,
        order.committed_minor,
        max(0, order.amount_minor - order.committed_minor) if held else 0,
        order.held_minor(now_s),
        order.waiting_minor if held else 0,
        order.create_time_ms,
        order.expire_time_s,
        order.etag,
        order.decision,
    )
