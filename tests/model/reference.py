"""The credit gate in plain Python: what every operation must answer, given the store's clock.

Written from the contract (the protos and the design), one account at a time and by summing over all orders; nothing
here is shared with the store, so that a mistake has to be made twice to go unseen. Where several faults apply at once,
the checks stand in the order in which the gate reports them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, TypeAlias

from creditgate.domain.account import AccountStatus
from creditgate.domain.decision import Outcome, ReasonCode
from creditgate.domain.errors import ErrorReason
from creditgate.domain.operations import (
    CheckCredit,
    CloseAccount,
    CommitReservation,
    GetAccount,
    GetReservation,
    Operation,
    PutAccount,
    RecordPayment,
    ReleaseReservation,
    ReserveCredit,
)
from creditgate.domain.reservation import ReservationState

AMOUNT_MAX_MINOR: Final = 9_007_199_254_740_991
"""2^53-1, spelled here because the model must not follow the code if that changes."""

MS: Final = 1000


class Balances(NamedTuple):
    """An account's exposure; `available_minor` is None without a limit."""

    limit_minor: int | None
    unlimited: bool
    reserved_minor: int
    receivable_minor: int
    available_minor: int | None


class ReasonAnswer(NamedTuple):
    """A rule and the numbers it saw."""

    code: ReasonCode
    observed: int
    threshold: int


class DecisionAnswer(NamedTuple):
    """A decision; `passed` are the rules that did not fire, when they were asked for."""

    outcome: Outcome
    reasons: tuple[ReasonAnswer, ...]
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
    create_time_ms: int
    expire_time_s: int
    decision: DecisionAnswer


class AccountAnswer(NamedTuple):
    """An account as it reads now."""

    currency_code: str
    status: AccountStatus
    base_limit_minor: int | None
    block_reason: str | None
    balances: Balances
    secured_receivable_minor: int
    create_time_ms: int


class ReserveAnswer(NamedTuple):
    """Answer to an order."""

    decision: DecisionAnswer
    reservation: ReservationAnswer | None
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


class PaymentAnswer(NamedTuple):
    """Answer to a payment."""

    account: AccountAnswer
    replayed: bool


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
    | CommitAnswer
    | ReleaseAnswer
    | PaymentAnswer
    | PutAnswer
    | Fault
)


@dataclass(frozen=True, slots=True)
class Order:
    """An approved order. `state` never is EXPIRED: that is a HELD order whose second has come."""

    order_id: str
    currency_code: str
    amount_minor: int
    secured_minor: int
    terms_days: int
    state: ReservationState
    committed_minor: int
    create_time_ms: int
    expire_time_s: int
    decision: DecisionAnswer
    revision: int

    def state_at(self, now_s: int) -> ReservationState:
        """The state it reads as."""
        lapsed = self.state is ReservationState.HELD and now_s >= self.expire_time_s
        return ReservationState.EXPIRED if lapsed else self.state

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


class Document(NamedTuple):
    """A commit that was recorded, and what it answered."""

    order_id: str
    amount_minor: int
    final: bool
    over_committed_minor: int
    late: bool


class Judgement(NamedTuple):
    """A decision, and the exposure an approval adds."""

    decision: DecisionAnswer
    added_minor: int


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
    orders: dict[str, Order] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    payments: dict[str, int] = field(default_factory=dict)

    def copy(self) -> "AccountModel":
        """Return an independent account: the same one in another future."""
        return replace(self, orders=dict(self.orders), documents=dict(self.documents), payments=dict(self.payments))

    def reserved_minor(self, now_s: int) -> int:
        """Exposure held at a second."""
        return sum(order.held_minor(now_s) for order in self.orders.values())

    def balances(self, now_s: int) -> Balances:
        """Where the account stands at a second."""
        limit_minor = None if self.unlimited else self.base_limit_minor
        reserved_minor = self.reserved_minor(now_s)
        exposure_minor = reserved_minor + max(0, self.receivable_minor)
        return Balances(
            limit_minor,
            self.unlimited,
            reserved_minor,
            self.receivable_minor,
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
            self.create_time_ms,
        )

    def judge(self, operation: CheckCredit | ReserveCredit, committed_minor: int, now_ms: int) -> Judgement | Fault:
        """Decide about an order of which something may already have been invoiced."""
        if operation.currency_code != self.currency_code:
            return Fault(ErrorReason.EXCHANGE_RATE_NOT_FOUND)
        balances = self.balances(now_ms // MS)
        added_minor = unsecured(operation.amount_minor, committed_minor, operation.secured_minor)
        exposure_minor = balances.reserved_minor + max(0, balances.receivable_minor) + added_minor
        if exposure_minor > AMOUNT_MAX_MINOR:
            return Fault(ErrorReason.SUM_OUT_OF_RANGE)
        limit_minor = balances.limit_minor
        fired = []
        if self.block_reason is not None:
            fired.append(ReasonAnswer(ReasonCode.ACCOUNT_BLOCKED, 1, 0))
        if self.status is AccountStatus.CLOSED:
            fired.append(ReasonAnswer(ReasonCode.ACCOUNT_CLOSED, 1, 0))
        if limit_minor is None and not self.unlimited:
            fired.append(ReasonAnswer(ReasonCode.LIMIT_NOT_SET, 0, 0))
        if limit_minor is not None and added_minor > 0 and exposure_minor > limit_minor:
            fired.append(ReasonAnswer(ReasonCode.LIMIT_EXCEEDED, exposure_minor, limit_minor))
        passed: frozenset[ReasonCode] = frozenset()
        if isinstance(operation, CheckCredit) and operation.explain:
            passed = frozenset(ReasonCode) - {reason.code for reason in fired}
        outcome = Outcome.REJECTED if fired else Outcome.APPROVED
        return Judgement(DecisionAnswer(outcome, tuple(fired), passed, balances, 0, now_ms), added_minor)


class ReferenceGate:
    """All accounts. `answer` carries an operation out at an instant of the store's clock, in milliseconds."""

    def __init__(self) -> None:
        self.accounts: dict[str, AccountModel] = {}

    def copy_of(self, account_id: str) -> "ReferenceGate":
        """Return a gate with that account alone, to see what an operation would answer."""
        gate = ReferenceGate()
        if account_id in self.accounts:
            gate.accounts[account_id] = self.accounts[account_id].copy()
        return gate

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
            account = AccountModel(operation.currency_code, now_ms)
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
        order.create_time_ms,
        order.expire_time_s,
        order.decision,
    )


def _check(account: AccountModel, operation: CheckCredit, now_ms: int) -> Answer:
    judged = account.judge(operation, 0, now_ms)
    return judged if isinstance(judged, Fault) else judged.decision


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
        if asked != (known.amount_minor, known.currency_code, known.secured_minor, known.terms_days):
            return Fault(ErrorReason.ORDER_EXISTS_WITH_DIFFERENT_DETAILS)
        return ReserveAnswer(known.decision, reads(known, now_s), replayed=True)
    committed_minor = known.committed_minor if known is not None else 0
    if known is not None and committed_minor:
        # Invoices are covered as the order said when they were posted.
        invoiced_as = (known.secured_minor, known.currency_code)
        if (operation.secured_minor, operation.currency_code) != invoiced_as:
            return Fault(ErrorReason.ORDER_EXISTS_WITH_DIFFERENT_DETAILS)
    judged = account.judge(operation, committed_minor, now_ms)
    if isinstance(judged, Fault):
        return judged
    if judged.decision.outcome is Outcome.REJECTED:
        return ReserveAnswer(judged.decision, None, replayed=False)
    # What is fully invoiced already has nothing left to hold.
    held = operation.amount_minor > committed_minor
    order = Order(
        order_id=operation.order_id,
        currency_code=operation.currency_code,
        amount_minor=operation.amount_minor,
        secured_minor=operation.secured_minor,
        terms_days=operation.payment_terms_days,
        state=ReservationState.HELD if held else ReservationState.COMMITTED,
        committed_minor=committed_minor,
        create_time_ms=now_ms,
        # A whole second, and never less time than was asked for.
        expire_time_s=-(-now_ms // MS) + (operation.hold_s or 0) if held else 0,
        decision=judged.decision,
        revision=known.revision + 1 if known is not None else 1,
    )
    account.orders[order.order_id] = order
    return ReserveAnswer(judged.decision, reads(order, now_s), replayed=False)


def _commit(account: AccountModel, operation: CommitReservation, now_ms: int) -> Answer:
    now_s = now_ms // MS
    order = account.orders.get(operation.order_id)
    if order is None:
        return Fault(ErrorReason.RESERVATION_NOT_FOUND)
    if operation.currency_code != order.currency_code:
        return Fault(ErrorReason.CURRENCY_MISMATCH)
    document = account.documents.get(operation.document_id)
    if document is not None:
        if (operation.order_id, operation.amount_minor, operation.final) != document[:3]:
            return Fault(ErrorReason.DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS)
        return CommitAnswer(reads(order, now_s), document.over_committed_minor, document.late, replayed=True)
    late = order.state_at(now_s) is not ReservationState.HELD
    committed_minor = order.committed_minor + operation.amount_minor
    over_minor = max(0, committed_minor - order.amount_minor) - max(0, order.committed_minor - order.amount_minor)
    owed_minor = net(committed_minor, order.secured_minor) - net(order.committed_minor, order.secured_minor)
    ends = late or operation.final or committed_minor >= order.amount_minor
    committed = replace(
        order,
        committed_minor=committed_minor,
        state=ReservationState.COMMITTED if ends else ReservationState.HELD,
        revision=order.revision + 1,
    )
    receivable_minor = account.receivable_minor + owed_minor
    secured_minor = account.secured_receivable_minor + operation.amount_minor - owed_minor
    reserved_minor = account.reserved_minor(now_s) - order.held_minor(now_s) + committed.held_minor(now_s)
    if (
        max(committed_minor, receivable_minor, secured_minor, reserved_minor + max(0, receivable_minor))
        > AMOUNT_MAX_MINOR
    ):
        return Fault(ErrorReason.SUM_OUT_OF_RANGE)
    account.orders[order.order_id] = committed
    account.receivable_minor = receivable_minor
    account.secured_receivable_minor = secured_minor
    account.documents[operation.document_id] = Document(
        operation.order_id, operation.amount_minor, operation.final, over_minor, late
    )
    return CommitAnswer(reads(committed, now_s), over_minor, late, replayed=False)


def _release(account: AccountModel, operation: ReleaseReservation, now_ms: int) -> Answer:
    now_s = now_ms // MS
    order = account.orders.get(operation.order_id)
    if order is None:
        return Fault(ErrorReason.RESERVATION_NOT_FOUND)
    if order.state is ReservationState.COMMITTED:
        return Fault(ErrorReason.RESERVATION_NOT_HELD)
    if order.state is ReservationState.RELEASED:
        return ReleaseAnswer(reads(order, now_s), replayed=True)
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
        return PaymentAnswer(account.reads(now_s), replayed=True)
    # Security is used up by payments first: what it covered never took credit.
    covered_minor = min(account.secured_receivable_minor, operation.amount_minor)
    receivable_minor = account.receivable_minor - (operation.amount_minor - covered_minor)
    if receivable_minor < -AMOUNT_MAX_MINOR:
        return Fault(ErrorReason.SUM_OUT_OF_RANGE)
    account.receivable_minor = receivable_minor
    account.secured_receivable_minor -= covered_minor
    account.payments[operation.payment_id] = operation.amount_minor
    return PaymentAnswer(account.reads(now_s), replayed=False)


def _close(account: AccountModel, _: CloseAccount, now_ms: int) -> Answer:
    account.status = AccountStatus.CLOSED
    return account.reads(now_ms // MS)


def _get_account(account: AccountModel, _: GetAccount, now_ms: int) -> Answer:
    return account.reads(now_ms // MS)


def _get_reservation(account: AccountModel, operation: GetReservation, now_ms: int) -> Answer:
    order = account.orders.get(operation.order_id)
    return reads(order, now_ms // MS) if order is not None else Fault(ErrorReason.RESERVATION_NOT_FOUND)


_ANSWERS: Final[dict[type, Callable[[AccountModel, Any, int], Answer]]] = {
    CheckCredit: _check,
    ReserveCredit: _reserve,
    CommitReservation: _commit,
    ReleaseReservation: _release,
    RecordPayment: _pay,
    CloseAccount: _close,
    GetAccount: _get_account,
    GetReservation: _get_reservation,
}
