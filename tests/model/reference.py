"""The credit gate in plain Python: what every operation must answer, given the store's clock.

Written from the contract (the protos and the design), one account at a time and by summing over all orders; nothing
here is shared with the store, so that a mistake has to be made twice to go unseen. Where several faults apply at once,
the checks stand in the order in which the gate reports them.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, fields, replace
from datetime import date
from typing import Any, Final, NamedTuple, TypeAlias

from creditgate.domain.account import AccountStatus
from creditgate.domain.decision import Action, Outcome, ReasonCode
from creditgate.domain.errors import ErrorReason
from creditgate.domain.operations import (
    AmendReservation,
    CheckCredit,
    CloseAccount,
    CommitReservation,
    GetAccount,
    GetReservation,
    ImportOpenItem,
    Operation,
    PostReceivable,
    PutAccount,
    RecordCreditNote,
    RecordPayment,
    ReleaseReservation,
    ReserveCredit,
    SetBlock,
    SetManualLimit,
    UpdateAging,
)
from creditgate.domain.reservation import Etag, ReservationState
from tests.model.rules import BUCKETS, DEFAULT_RULEBOOK, Rulebook, Seen, judge

_OPEN: Final = frozenset({ReservationState.HELD, ReservationState.PENDING_REVIEW})

AMOUNT_MAX_MINOR: Final = 9_007_199_254_740_991
"""2^53-1, spelled here because the model must not follow the code if that changes."""

MS: Final = 1000

HOLD_DEFAULT_S: Final = 30 * 86_400
"""How long an order is held that does not say."""
DAY_MS: Final = 86_400 * MS


class Balances(NamedTuple):
    """An account's exposure; `available_minor` is None without a limit."""

    limit_minor: int | None
    unlimited: bool
    reserved_minor: int
    receivable_minor: int
    pending_minor: int
    available_minor: int | None


class ReasonAnswer(NamedTuple):
    """A rule, what it does, and the numbers it saw."""

    code: ReasonCode
    action: Action
    observed: int
    threshold: int


class DecisionAnswer(NamedTuple):
    """A decision; `passed` are the rules that did not fire, when they were asked for."""

    outcome: Outcome
    reasons: tuple[ReasonAnswer, ...]
    shadow: tuple[ReasonAnswer, ...]
    passed: frozenset[ReasonCode]
    balances: Balances
    limit_version: int
    decide_time_ms: int


class ReservationAnswer(NamedTuple):
    """A reservation as it reads now."""

    order_id: str
    state: ReservationState
    currency_code: str
    amount_minor: int
    secured_minor: int
    committed_minor: int
    remaining_minor: int
    exposure_minor: int
    pending_amount_minor: int
    create_time_ms: int
    expire_time_s: int
    etag: Etag
    decision: DecisionAnswer


class AgingAnswer(NamedTuple):
    """What is overdue, as of an instant."""

    overdue_minor: int
    disputed_minor: int
    oldest_due_date: date | None
    as_of_ms: int


class AccountAnswer(NamedTuple):
    """An account as it reads now; `aging` is None before the first."""

    currency_code: str
    status: AccountStatus
    base_limit_minor: int | None
    block_reason: str | None
    balances: Balances
    secured_receivable_minor: int
    aging: AgingAnswer | None
    create_time_ms: int


class ReserveAnswer(NamedTuple):
    """Answer to an order."""

    decision: DecisionAnswer
    reservation: ReservationAnswer | None
    replayed: bool


class AmendAnswer(NamedTuple):
    """Answer to a change of an order."""

    decision: DecisionAnswer
    reservation: ReservationAnswer
    replayed: bool


class CommitAnswer(NamedTuple):
    """Answer to a commit."""

    reservation: ReservationAnswer
    over_committed_minor: int
    late: bool
    replayed: bool


class ReleaseAnswer(NamedTuple):
    """Answer to a release."""

    reservation: ReservationAnswer
    replayed: bool


class RecordedAnswer(NamedTuple):
    """Answer to a payment, an invoice or a credit note."""

    account: AccountAnswer
    replayed: bool


class ImportAnswer(NamedTuple):
    """Answer to an open item; the stream that takes them does not show the account."""

    replayed: bool


class AgingUpdateAnswer(NamedTuple):
    """Answer to an ageing."""

    account: AccountAnswer
    replayed: bool
    ignored: bool


class PutAnswer(NamedTuple):
    """Answer to a change of an account."""

    account: AccountAnswer
    created: bool


class Fault(NamedTuple):
    """The error an operation ends with."""

    reason: ErrorReason


Answer: TypeAlias = (
    DecisionAnswer
    | ReservationAnswer
    | AccountAnswer
    | ReserveAnswer
    | AmendAnswer
    | CommitAnswer
    | ReleaseAnswer
    | RecordedAnswer
    | ImportAnswer
    | AgingUpdateAnswer
    | PutAnswer
    | Fault
)


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


class ReferenceGate:
    """All accounts. `answer` carries an operation out at an instant of the store's clock, in milliseconds."""

    def __init__(self, rules: Rulebook = DEFAULT_RULEBOOK, *, releases_reviews: bool = False) -> None:
        self.accounts: dict[str, AccountModel] = {}
        self.rules = rules
        self.releases_reviews = releases_reviews

    def copy(self) -> "ReferenceGate":
        """Return an independent gate with all accounts."""
        gate = self._empty()
        gate.accounts = {account_id: account.copy() for account_id, account in self.accounts.items()}
        return gate

    def copy_of(self, account_id: str) -> "ReferenceGate":
        """Return a gate with that account alone, to see what an operation would answer."""
        gate = self._empty()
        if account_id in self.accounts:
            gate.accounts[account_id] = self.accounts[account_id].copy()
        return gate

    def _empty(self) -> "ReferenceGate":
        return ReferenceGate(self.rules, releases_reviews=self.releases_reviews)

    def answer(self, operation: Operation[object], now_ms: int) -> Answer:
        """Return what the gate must answer, and remember what it must have done."""
        if isinstance(operation, PutAccount):
            return self._put(operation, now_ms)
        account = self.accounts.get(operation.account_id)
        if account is None:
            return Fault(ErrorReason.ACCOUNT_NOT_FOUND)
        return _ANSWERS[type(operation)](account, operation, now_ms)

    def _put(self, operation: PutAccount, now_ms: int) -> Answer:
        account = self.accounts.get(operation.account_id)
        created = account is None
        if account is None:
            if not operation.currency_code:
                return Fault(ErrorReason.INVALID_FIELD)
            account = AccountModel(
                operation.currency_code, now_ms, rules=self.rules, releases_reviews=self.releases_reviews
            )
        elif operation.currency_code not in {"", account.currency_code}:
            return Fault(ErrorReason.ACCOUNT_EXISTS_WITH_DIFFERENT_CURRENCY)
        self.accounts[operation.account_id] = account
        if operation.status is not None:
            account.status = operation.status
        if operation.base_limit is not None:
            account.base_limit_minor = operation.base_limit.limit_minor
        if operation.unlimited is not None:
            account.unlimited = operation.unlimited
        if operation.block is not None:
            account.block_reason = operation.block.block.reason if operation.block.block else None
        account.limit_changed(now_ms)
        return PutAnswer(account.reads(now_ms // MS), created)


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


def hold_end_s(now_ms: int, hold_s: int) -> int:
    """The second at which a hold ends: never less time than was asked for."""
    return -(-now_ms // MS) + hold_s


def _check(account: AccountModel, operation: CheckCredit, now_ms: int) -> Answer:
    added_minor = net(operation.amount_minor, operation.secured_minor)
    judged = account.judge(
        operation.currency_code, added_minor, operation.amount_minor, operation.payment_terms_days, now_ms
    )
    return judged if isinstance(judged, Fault) or operation.explain else judged._replace(passed=frozenset())


def _reserve(account: AccountModel, operation: ReserveCredit, now_ms: int) -> Answer:
    now_s = now_ms // MS
    known = account.orders.get(operation.order_id)
    if known is not None and known.state_at(now_s) is not ReservationState.EXPIRED:
        asked = (
            operation.amount_minor,
            operation.currency_code,
            operation.secured_minor,
            operation.payment_terms_days,
        )
        if asked != (known.first_amount_minor, known.currency_code, known.secured_minor, known.terms_days):
            return Fault(ErrorReason.ORDER_EXISTS_WITH_DIFFERENT_DETAILS)
        return ReserveAnswer(known.decision, reads(known, now_s), replayed=True)
    committed_minor = known.committed_minor if known is not None else 0
    if known is not None and committed_minor:
        # Invoices are covered as the order said when they were posted.
        invoiced_as = (known.secured_minor, known.currency_code)
        if (operation.secured_minor, operation.currency_code) != invoiced_as:
            return Fault(ErrorReason.ORDER_EXISTS_WITH_DIFFERENT_DETAILS)
    added_minor = unsecured(operation.amount_minor, committed_minor, operation.secured_minor)
    judged = account.judge(
        operation.currency_code, added_minor, operation.amount_minor, operation.payment_terms_days, now_ms
    )
    if isinstance(judged, Fault):
        return judged
    judged = judged._replace(passed=frozenset())
    if judged.outcome is Outcome.REJECTED:
        return ReserveAnswer(judged, None, replayed=False)
    # What is fully invoiced already has nothing left to hold.
    waits = judged.outcome is Outcome.PENDING_REVIEW
    held = operation.amount_minor > committed_minor or waits
    state = ReservationState.PENDING_REVIEW if waits else ReservationState.HELD
    if not waits:
        account.approve(added_minor, now_ms)
    order = Order(
        order_id=operation.order_id,
        currency_code=operation.currency_code,
        first_amount_minor=operation.amount_minor,
        amount_minor=operation.amount_minor,
        secured_minor=operation.secured_minor,
        terms_days=operation.payment_terms_days,
        state=state if held else ReservationState.COMMITTED,
        committed_minor=committed_minor,
        create_time_ms=now_ms,
        expire_time_s=hold_end_s(now_ms, operation.hold_s or HOLD_DEFAULT_S) if held else 0,
        decision=judged,
        revision=known.revision + 1 if known is not None else 1,
        waits_since_ms=now_ms,
    )
    account.orders[order.order_id] = order
    return ReserveAnswer(judged, reads(order, now_s), replayed=False)


def _order_of(account: AccountModel, operation: AmendReservation | CommitReservation) -> Order | Fault:
    order = account.orders.get(operation.order_id)
    if order is None:
        return Fault(ErrorReason.RESERVATION_NOT_FOUND)
    return order if operation.currency_code == order.currency_code else Fault(ErrorReason.CURRENCY_MISMATCH)


def _amend(account: AccountModel, operation: AmendReservation, now_ms: int) -> Answer:
    order = _order_of(account, operation)
    if isinstance(order, Fault):
        return order
    known = account.amends.get((operation.order_id, operation.request_id))
    if known is not None:
        if (operation.amount_minor, operation.hold_s) != (known.amount_minor, known.hold_s):
            return Fault(ErrorReason.REQUEST_EXISTS_WITH_DIFFERENT_DETAILS)
        return AmendAnswer(known.decision, reads(order, now_ms // MS), replayed=True)
    if operation.etag not in {None, order.etag}:
        return Fault(ErrorReason.ETAG_MISMATCH)
    if order.state_at(now_ms // MS) is not ReservationState.HELD:
        return Fault(ErrorReason.RESERVATION_NOT_HELD)
    return _change(account, order, operation, now_ms)


def _change(account: AccountModel, order: Order, operation: AmendReservation, now_ms: int) -> Answer:
    """Judge what a held order takes more, and change it."""
    now_s = now_ms // MS
    added_minor = unsecured(operation.amount_minor, order.committed_minor, order.secured_minor) - order.held_minor(
        now_s
    )
    decision = DecisionAnswer(Outcome.APPROVED, (), (), frozenset(), account.balances(now_s), 0, now_ms)
    if added_minor > 0:
        judged = account.judge(order.currency_code, added_minor, operation.amount_minor, order.terms_days, now_ms)
        if isinstance(judged, Fault):
            return judged
        decision = judged._replace(passed=frozenset())
    if decision.outcome is Outcome.REJECTED:
        return AmendAnswer(decision, reads(order, now_s), replayed=False)
    if decision.outcome is Outcome.PENDING_REVIEW:
        # It stays held at its old total.
        amended = replace(
            order,
            waiting_minor=operation.amount_minor,
            waiting_more_minor=added_minor,
            waits_since_ms=now_ms,
            revision=order.revision + 1,
        )
    else:
        account.approve(added_minor, now_ms)
        amended = _amended(order, operation, now_ms)
    account.orders[order.order_id] = amended
    if operation.request_id:
        account.amends[operation.order_id, operation.request_id] = Amend(
            operation.amount_minor, operation.hold_s, decision
        )
    return AmendAnswer(decision, reads(amended, now_s), replayed=False)


def _amended(order: Order, operation: AmendReservation, now_ms: int) -> Order:
    amended = replace(
        order,
        amount_minor=operation.amount_minor,
        waiting_minor=0,
        waiting_more_minor=0,
        revision=order.revision + 1,
    )
    if operation.amount_minor <= order.committed_minor:
        # All of it is invoiced already: nothing remains to be held.
        amended = replace(amended, state=ReservationState.COMMITTED)
    elif operation.hold_s is not None:
        amended = replace(amended, expire_time_s=hold_end_s(now_ms, operation.hold_s))
    return amended


def _commit(account: AccountModel, operation: CommitReservation, now_ms: int) -> Answer:
    now_s = now_ms // MS
    order = _order_of(account, operation)
    if isinstance(order, Fault):
        return order
    known_document = account.documents.get(operation.document_id)
    waits = order.state_at(now_s) is ReservationState.PENDING_REVIEW
    if waits and (known_document is None or known_document.commit is None):
        differs = known_document is not None and known_document.amount_minor != operation.amount_minor
        return Fault(
            ErrorReason.DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS if differs else ErrorReason.RESERVATION_NOT_HELD
        )
    return _commit_held(account, order, operation, now_s)


def _commit_held(account: AccountModel, order: Order, operation: CommitReservation, now_s: int) -> Answer:
    """Invoice an order that is held, or was."""
    document = account.documents.get(operation.document_id)
    if document is not None and document.amount_minor != operation.amount_minor:
        return Fault(ErrorReason.DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS)
    if document is not None and document.commit is not None:
        known = document.commit
        if (operation.order_id, operation.final) != (known.order_id, known.final):
            return Fault(ErrorReason.DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS)
        return CommitAnswer(reads(order, now_s), known.over_committed_minor, known.late, replayed=True)
    late = order.state_at(now_s) is not ReservationState.HELD
    committed_minor = order.committed_minor + operation.amount_minor
    over_minor = max(0, committed_minor - order.amount_minor) - max(0, order.committed_minor - order.amount_minor)
    owed_minor = net(committed_minor, order.secured_minor) - net(order.committed_minor, order.secured_minor)
    ends = late or operation.final or committed_minor >= order.amount_minor
    committed = replace(
        order,
        committed_minor=committed_minor,
        state=ReservationState.COMMITTED if ends else ReservationState.HELD,
        waiting_minor=0 if ends else order.waiting_minor,
        waiting_more_minor=0 if ends else order.waiting_more_minor,
        revision=order.revision + 1,
    )
    # What the ERP has recorded already is owed already: only what security covers of it moves over.
    recorded_minor = operation.amount_minor if document is not None else 0
    receivable_minor = account.receivable_minor + owed_minor - recorded_minor
    secured_minor = account.secured_receivable_minor + operation.amount_minor - owed_minor
    reserved_minor = account.reserved_minor(now_s) - order.held_minor(now_s) + committed.held_minor(now_s)
    pending_minor = account.balances(now_s).pending_minor - order.pending_minor(now_s) + committed.pending_minor(now_s)
    exposure_minor = reserved_minor + max(0, receivable_minor) + pending_minor
    sums = (committed_minor, -receivable_minor, secured_minor, exposure_minor)
    if max(sums) > AMOUNT_MAX_MINOR:
        return Fault(ErrorReason.SUM_OUT_OF_RANGE)
    account.orders[order.order_id] = committed
    account.receivable_minor = receivable_minor
    account.secured_receivable_minor = secured_minor
    account.documents[operation.document_id] = Document(
        operation.amount_minor, Commit(operation.order_id, operation.final, over_minor, late)
    )
    return CommitAnswer(reads(committed, now_s), over_minor, late, replayed=document is not None)


def _release(account: AccountModel, operation: ReleaseReservation, now_ms: int) -> Answer:
    now_s = now_ms // MS
    order = account.orders.get(operation.order_id)
    if order is None:
        return Fault(ErrorReason.RESERVATION_NOT_FOUND)
    if order.state is ReservationState.RELEASED:
        return ReleaseAnswer(reads(order, now_s), replayed=True)
    if operation.etag not in {None, order.etag}:
        return Fault(ErrorReason.ETAG_MISMATCH)
    if order.state is ReservationState.COMMITTED:
        return Fault(ErrorReason.RESERVATION_NOT_HELD)
    released = replace(order, state=ReservationState.RELEASED, revision=order.revision + 1)
    account.orders[order.order_id] = released
    return ReleaseAnswer(reads(released, now_s), replayed=False)


def _pay(account: AccountModel, operation: RecordPayment, now_ms: int) -> Answer:
    now_s = now_ms // MS
    if operation.currency_code != account.currency_code:
        return Fault(ErrorReason.CURRENCY_MISMATCH)
    paid_minor = account.payments.get(operation.payment_id)
    if paid_minor is not None:
        if paid_minor != operation.amount_minor:
            return Fault(ErrorReason.PAYMENT_EXISTS_WITH_DIFFERENT_DETAILS)
        return RecordedAnswer(account.reads(now_s), replayed=True)
    if not account.owe(-operation.amount_minor, now_s):
        return Fault(ErrorReason.SUM_OUT_OF_RANGE)
    account.payments[operation.payment_id] = operation.amount_minor
    if account.aging is not None:
        overdue_minor = max(0, account.aging.overdue_minor - operation.amount_minor)
        due_date = account.aging.oldest_due_date if overdue_minor else None
        account.aging = account.aging._replace(overdue_minor=overdue_minor, oldest_due_date=due_date)
    return RecordedAnswer(account.reads(now_s), replayed=False)


def _post(account: AccountModel, operation: PostReceivable, now_ms: int) -> Answer:
    return _record_document(account, operation, operation.amount_minor, now_ms)


def _credit(account: AccountModel, operation: RecordCreditNote, now_ms: int) -> Answer:
    return _record_document(account, operation, -operation.amount_minor, now_ms)


def _import(account: AccountModel, operation: ImportOpenItem, now_ms: int) -> Answer:
    answer = _record_document(account, operation, operation.amount_minor, now_ms)
    return answer if isinstance(answer, Fault) else ImportAnswer(answer.replayed)


def _record_document(
    account: AccountModel, operation: PostReceivable | RecordCreditNote | ImportOpenItem, amount_minor: int, now_ms: int
) -> RecordedAnswer | Fault:
    now_s = now_ms // MS
    if operation.currency_code != account.currency_code:
        return Fault(ErrorReason.CURRENCY_MISMATCH)
    document = account.documents.get(operation.document_id)
    if document is not None:
        if document.amount_minor != amount_minor:
            return Fault(ErrorReason.DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS)
        return RecordedAnswer(account.reads(now_s), replayed=True)
    if not account.owe(amount_minor, now_s):
        return Fault(ErrorReason.SUM_OUT_OF_RANGE)
    account.documents[operation.document_id] = Document(amount_minor, None)
    return RecordedAnswer(account.reads(now_s), replayed=False)


def _age(account: AccountModel, operation: UpdateAging, now_ms: int) -> Answer:
    now_s = now_ms // MS
    if operation.as_of_ms > now_ms + DAY_MS:
        return Fault(ErrorReason.INVALID_FIELD)
    reported = AgingAnswer(
        operation.overdue_minor, operation.disputed_minor, operation.oldest_due_date, operation.as_of_ms
    )
    known = account.reported_aging
    ignored = known is not None and reported.as_of_ms < known.as_of_ms
    replayed = reported == known
    if not ignored and not replayed:
        account.aging = account.reported_aging = reported
    return AgingUpdateAnswer(account.reads(now_s), replayed, ignored)


def _close(account: AccountModel, _: CloseAccount, now_ms: int) -> Answer:
    account.status = AccountStatus.CLOSED
    return account.reads(now_ms // MS)


def _set_manual_limit(account: AccountModel, operation: SetManualLimit, now_ms: int) -> Answer:
    if operation.manual_limit is not None and operation.currency_code != account.currency_code:
        return Fault(ErrorReason.CURRENCY_MISMATCH)
    account.manual_limit_minor = operation.manual_limit.limit_minor if operation.manual_limit is not None else None
    account.limit_changed(now_ms)
    return account.reads(now_ms // MS)


def _set_block(account: AccountModel, operation: SetBlock, now_ms: int) -> Answer:
    account.block_reason = operation.reason if operation.block is not None else None
    return account.reads(now_ms // MS)


def _get_account(account: AccountModel, _: GetAccount, now_ms: int) -> Answer:
    return account.reads(now_ms // MS)


def _get_reservation(account: AccountModel, operation: GetReservation, now_ms: int) -> Answer:
    order = account.orders.get(operation.order_id)
    return reads(order, now_ms // MS) if order is not None else Fault(ErrorReason.RESERVATION_NOT_FOUND)


_ANSWERS: Final[dict[type, Callable[[AccountModel, Any, int], Answer]]] = {
    CheckCredit: _check,
    ReserveCredit: _reserve,
    AmendReservation: _amend,
    CommitReservation: _commit,
    ReleaseReservation: _release,
    RecordPayment: _pay,
    PostReceivable: _post,
    RecordCreditNote: _credit,
    ImportOpenItem: _import,
    UpdateAging: _age,
    CloseAccount: _close,
    SetManualLimit: _set_manual_limit,
    SetBlock: _set_block,
    GetAccount: _get_account,
    GetReservation: _get_reservation,
}
