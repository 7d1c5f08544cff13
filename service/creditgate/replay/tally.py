"""Adds up the answers of a play, in the order of the play, whatever order they came in."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from creditgate.domain.operations import CommitReservation, RecordPayment, ReleaseReservation, ReserveCredit
from creditgate.replay.answers import (
    APPROVED_OUTCOMES,
    AccountChange,
    AccountsVerified,
    Answer,
    BatchPushed,
    Difference,
    OrderDecided,
    RejectedBefore,
    StepDone,
    StepFailed,
    StepLeftOut,
)
from creditgate.replay.latency import LatencyHistogram
from creditgate.replay.schedule import Event

FAILURES_SHOWN_MAX: Final = 10
DIFFERENCES_SHOWN_MAX: Final = 10
PUSH_LIMITS: Final = "PushLimits"
PUT_ACCOUNT: Final = "PutAccount"
VERIFY_ACCOUNTS: Final = "VerifyAccounts"


class Failure(NamedTuple):
    """A call that ended with an error. `step_id`: the order, document, payment or batch; else empty."""

    call: str
    account_id: str
    step_id: str
    reason: str
    message: str


@dataclass(slots=True)
class CurrencySums:
    """Sums in one currency, in its minor units.

    `planned` is what the file (or the samples) hold, `left_out` what was not asked since its order was not approved.
    """

    planned_orders: int = 0
    planned_invoiced_minor: int = 0
    planned_paid_minor: int = 0
    invoiced_minor: int = 0
    paid_minor: int = 0
    left_out_invoiced_minor: int = 0
    left_out_paid_minor: int = 0
    peak_exposure_minor: int = 0


@dataclass(slots=True)
class AccountLevel:
    """An account's exposure as the play follows it, and the highest it has been after one of the play's orders."""

    currency_code: str
    exposure_minor: int = 0
    peak_minor: int = 0


@dataclass(slots=True)
class Tally:
    """What a play has come to so far.

    Exposure is followed like this. Each approved order sets its account's: what the decision found, plus the order's
    amount (a play has no secured orders). Until the account's next order, a payment lowers it by its amount, and so
    does what a release or a final commit gives back; a commit beyond the order's total raises it. An account's peak is
    its highest exposure after one of its orders; a currency's peak is the highest sum over its accounts after any step.
    Since a repeated order is answered with the decision it first got, playing a file again gives the same peaks.
    """

    accounts: Counter[AccountChange] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    rejected_before: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    replayed: Counter[str] = field(default_factory=Counter)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    currencies: dict[str, CurrencySums] = field(default_factory=dict)
    levels: dict[str, AccountLevel] = field(default_factory=dict)
    latencies: dict[str, LatencyHistogram] = field(default_factory=dict)
    batches: list[BatchPushed] = field(default_factory=list)
    verified_accounts: int = 0
    differing_sums: int = 0
    differences: list[Difference] = field(default_factory=list)
    _totals: Counter[str] = field(default_factory=Counter)

    def plan(self, events: Iterable[Event]) -> None:
        """Add up what there is to play."""
        for event in events:
            operation = event.operation
            if isinstance(operation, ReleaseReservation):
                continue
            sums = self._sums(operation.currency_code)
            if isinstance(operation, ReserveCredit):
                sums.planned_orders += 1
                self.levels.setdefault(operation.account_id, AccountLevel(operation.currency_code))
            elif isinstance(operation, CommitReservation):
                sums.planned_invoiced_minor += operation.amount_minor
            else:
                sums.planned_paid_minor += operation.amount_minor

    def time_call(self, call: str, latency_s: float) -> None:
        """Count how long a call took, whatever came of it."""
        self.latencies.setdefault(call, LatencyHistogram()).add(latency_s)

    def account_put(self, change: AccountChange) -> None:
        """Count an account that has its settings now."""
        self.accounts[change] += 1

    def account_failed(self, account_id: str, failure: StepFailed) -> None:
        """Count an account whose settings could not be written."""
        self._fail(Failure(PUT_ACCOUNT, account_id, "", failure.reason, failure.message))

    def batch_pushed(self, batch: BatchPushed) -> None:
        """Keep what a limit batch has ended up as."""
        self.batches.append(batch)

    def batch_failed(self, batch_id: str, failure: StepFailed) -> None:
        """Count a limit batch that could not be pushed."""
        self._fail(Failure(PUSH_LIMITS, "", batch_id, failure.reason, failure.message))

    def verified(self, verified: AccountsVerified) -> None:
        """Count accounts that were verified after the play, and keep the first sums that differ."""
        self.verified_accounts += verified.accounts
        self.differing_sums += len(verified.differences)
        self.differences += verified.differences[: DIFFERENCES_SHOWN_MAX - len(self.differences)]

    def verify_failed(self, account_id: str, failure: StepFailed) -> None:
        """Count a call that could not verify its accounts, of which one is named."""
        self._fail(Failure(VERIFY_ACCOUNTS, account_id, "", failure.reason, failure.message))

    def record(self, event: Event, answer: Answer) -> None:
        """Count the answer to a step."""
        operation = event.operation
        call = type(operation).__name__
        if isinstance(answer, StepFailed):
            self._fail(Failure(call, operation.account_id, _step_id(event), answer.reason, answer.message))
        elif isinstance(answer, StepLeftOut):
            self._leave_out(event)
        elif isinstance(answer, RejectedBefore):
            self.rejected_before += 1
        else:
            self.asked[call] += 1
            self.replayed[call] += answer.replayed
            if isinstance(answer, OrderDecided):
                self._decide(event, answer)
            else:
                self._add_step(event, answer)

    def _decide(self, event: Event, answer: OrderDecided) -> None:
        order = event.operation
        self.outcomes[answer.outcome] += 1
        for reason in answer.reasons:
            self.reasons[answer.outcome, reason] += 1
        if isinstance(order, ReserveCredit) and answer.outcome in APPROVED_OUTCOMES:
            level = self.levels[order.account_id]
            self._set_level(level, answer.found_minor + order.amount_minor)
            level.peak_minor = max(level.peak_minor, level.exposure_minor)

    def _add_step(self, event: Event, answer: StepDone) -> None:
        operation = event.operation
        if isinstance(operation, CommitReservation):
            self._sums(operation.currency_code).invoiced_minor += operation.amount_minor
        elif isinstance(operation, RecordPayment):
            self._sums(operation.currency_code).paid_minor += operation.amount_minor
        level = self.levels[operation.account_id]
        self._set_level(level, max(0, level.exposure_minor + answer.exposure_change_minor))

    def _leave_out(self, event: Event) -> None:
        operation = event.operation
        if isinstance(operation, CommitReservation):
            self._sums(operation.currency_code).left_out_invoiced_minor += operation.amount_minor
        elif isinstance(operation, RecordPayment):
            self._sums(operation.currency_code).left_out_paid_minor += operation.amount_minor

    def _set_level(self, level: AccountLevel, exposure_minor: int) -> None:
        self._totals[level.currency_code] += exposure_minor - level.exposure_minor
        level.exposure_minor = exposure_minor
        sums = self._sums(level.currency_code)
        sums.peak_exposure_minor = max(sums.peak_exposure_minor, self._totals[level.currency_code])

    def _sums(self, currency_code: str) -> CurrencySums:
        return self.currencies.setdefault(currency_code, CurrencySums())

    def _fail(self, failure: Failure) -> None:
        self.errors[failure.call, failure.reason] += 1
        if len(self.failures) < FAILURES_SHOWN_MAX:
            self.failures.append(failure)


def _step_id(event: Event) -> str:
    operation = event.operation
    if isinstance(operation, CommitReservation):
        return operation.document_id
    return operation.payment_id if isinstance(operation, RecordPayment) else operation.order_id
