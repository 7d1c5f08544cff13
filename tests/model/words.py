"""What the model says: every answer in its own words, whoever gives it."""

from datetime import date
from typing import NamedTuple, TypeAlias

from creditgate.domain.account import AccountStatus
from creditgate.domain.decision import Action, Outcome, ReasonCode
from creditgate.domain.errors import ErrorReason
from creditgate.domain.reservation import Etag, ReservationState


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
