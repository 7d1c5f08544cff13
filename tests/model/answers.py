"""The gate's answers in the model's words, so that one `==` compares everything that is predicted."""

from collections.abc import Iterator
from functools import singledispatch

from creditgate.domain.account import Account, Aging
from creditgate.domain.decision import Action, Decision, Exposure
from creditgate.domain.errors import CreditError
from creditgate.domain.operations import AccountPut, AgingUpdated, Amended, Committed, Recorded, Released, Reserved
from creditgate.domain.reservation import Reservation
from tests.model.words import (
    AccountAnswer,
    AgingAnswer,
    AgingUpdateAnswer,
    AmendAnswer,
    Answer,
    Balances,
    CommitAnswer,
    DecisionAnswer,
    Fault,
    ImportAnswer,
    PutAnswer,
    ReasonAnswer,
    RecordedAnswer,
    ReleaseAnswer,
    ReservationAnswer,
    ReserveAnswer,
)


@singledispatch
def in_the_models_words(answer: object) -> Answer:
    """Return what the gate answered, or the error it ended with, for comparison."""
    raise AssertionError(answer)


@in_the_models_words.register
def _(error: CreditError) -> Answer:
    return Fault(error.reason)


@in_the_models_words.register
def _decision(decision: Decision) -> DecisionAnswer:
    assert decision.policy_version
    assert {reason.currency_code for reason in decision.reasons} <= {"", decision.exposure.currency_code}
    assert {reason.action for reason in decision.passed_rules} <= {Action.OFF}
    return DecisionAnswer(
        decision.outcome,
        tuple(ReasonAnswer(*reason[:4]) for reason in decision.reasons),
        tuple(ReasonAnswer(*reason[:4]) for reason in decision.shadow_reasons),
        frozenset(reason.code for reason in decision.passed_rules),
        _balances(decision.exposure),
        decision.limit_version,
        decision.decide_time_ms,
    )


@in_the_models_words.register
def _reservation(reservation: Reservation) -> ReservationAnswer:
    return ReservationAnswer(
        reservation.order_id,
        reservation.state,
        reservation.currency_code,
        reservation.amount_minor,
        reservation.secured_minor,
        reservation.committed_minor,
        reservation.remaining_minor,
        reservation.exposure_minor,
        reservation.pending_amount_minor,
        reservation.create_time_ms,
        reservation.expire_time_s,
        reservation.etag,
        _decision(reservation.decision),
    )


@in_the_models_words.register
def _account(account: Account) -> AccountAnswer:
    assert account.exposure.currency_code == account.currency_code
    return AccountAnswer(
        account.currency_code,
        account.status,
        account.base_limit_minor,
        account.block.reason if account.block is not None else None,
        _balances(account.exposure),
        account.secured_receivable_minor,
        _aging(account.aging) if account.aging is not None else None,
        account.create_time_ms,
    )


def _aging(aging: Aging) -> AgingAnswer:
    return AgingAnswer(aging.overdue_minor, aging.disputed_minor, aging.oldest_due_date, aging.as_of_ms)


@in_the_models_words.register
def _(reserved: Reserved) -> Answer:
    reservation = _reservation(reserved.reservation) if reserved.reservation is not None else None
    return ReserveAnswer(_decision(reserved.decision), reservation, reserved.replayed)


@in_the_models_words.register
def _(amended: Amended) -> Answer:
    return AmendAnswer(_decision(amended.decision), _reservation(amended.reservation), amended.replayed)


@in_the_models_words.register
def _(committed: Committed) -> Answer:
    reservation = _reservation(committed.reservation)
    return CommitAnswer(reservation, committed.over_committed_minor, committed.late, committed.replayed)


@in_the_models_words.register
def _(released: Released) -> Answer:
    return ReleaseAnswer(_reservation(released.reservation), released.replayed)


@in_the_models_words.register
def _(recorded: Recorded) -> Answer:
    return RecordedAnswer(_account(recorded.account), recorded.replayed)


@in_the_models_words.register
def _(imported: ImportAnswer) -> Answer:
    return imported  # what a gate makes of an open item's progress


@in_the_models_words.register
def _(updated: AgingUpdated) -> Answer:
    return AgingUpdateAnswer(_account(updated.account), updated.replayed, updated.ignored)


@in_the_models_words.register
def _(put: AccountPut) -> Answer:
    return PutAnswer(_account(put.account), put.created)


def _balances(exposure: Exposure) -> Balances:
    return Balances(
        exposure.limit_minor,
        exposure.unlimited,
        exposure.reserved_minor,
        exposure.receivable_minor,
        exposure.pending_review_minor,
        exposure.available_minor,
    )


def times_in(answer: Answer) -> Iterator[int]:
    """Return the instants at which an answer says that something was done, in milliseconds."""
    match answer:
        case DecisionAnswer():
            yield answer.decide_time_ms
        case ReserveAnswer() | AmendAnswer():
            yield answer.decision.decide_time_ms
        case PutAnswer():
            yield answer.account.create_time_ms


def reservation_in(answer: Answer) -> ReservationAnswer | None:
    """Return the reservation that an answer shows, if any."""
    match answer:
        case ReservationAnswer():
            return answer
        case ReserveAnswer() | AmendAnswer() | CommitAnswer() | ReleaseAnswer():
            return answer.reservation
        case _:
            return None
