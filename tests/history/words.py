"""Readings in words, short enough to be read side by side."""

from collections.abc import Iterator
from typing import Final

from google.protobuf.message import Message

from creditgate.v1.decision_pb2 import Outcome
from creditgate.v1.reservation_pb2 import ReservationState
from tests.history.calls import Call, Fault, Imported
from tests.history.readings import (
    AccountReading,
    AnswerReading,
    DecisionReading,
    Happened,
    OrderReading,
    Refused,
    ReservationReading,
    read_answer,
)

_OUTCOMES: Final[dict[int, str]] = {int(number): name.removeprefix("OUTCOME_") for name, number in Outcome.items()}
_STATES: Final[dict[int, str]] = {
    int(number): name.removeprefix("RESERVATION_STATE_") for name, number in ReservationState.items()
}


def request_words(request: Message) -> str:
    """Return what was asked, in one line."""
    return f"{type(request).__name__} {' '.join(str(request).split())}"


def end_words(call: Call) -> str:
    """Return how a call ended."""
    if call.answer is None:
        return "no answer"
    if isinstance(call.answer, Fault):
        return f"{call.answer.reason or call.answer.code.name}{', effect unknown' if call.unanswered else ''}"
    return answer_words(read_answer(call.answer))


def answer_words(answer: AnswerReading) -> str:
    """Return what was answered."""
    if isinstance(answer, Refused):
        return answer.reason
    if isinstance(answer, Imported):
        return "recorded, now or before"
    parts = {"": answer} if isinstance(answer, ReservationReading | AccountReading) else answer._asdict()
    return "; ".join(_part(name, part) for name, part in parts.items() if part)


def _part(name: str, part: object) -> str:
    match part:
        case DecisionReading():
            return _decision(part)
        case ReservationReading():
            return _reservation(part)
        case AccountReading():
            return _account(part)
        case _:
            return name if part is True else f"{name} {part}"


def effect_words(happened: Happened) -> str:
    """Return what an effect did."""
    words = [f"{happened.kind.name} {happened.name} {happened.of}".rstrip()]
    if happened.order is not None:
        words.append(_order(happened.order))
    if happened.entry is not None:
        entry = happened.entry
        flags = "".join(f", {name}" for name in ("late", "final", "posted") if getattr(entry, name))
        words.append(f"entry {entry.amount_minor}, owed {entry.change_minor}{flags}")
    if happened.amend is not None:
        words.append(f"to {happened.amend.amount_minor}, {_decision(happened.amend.decision)}")
    if happened.account is not None:
        words.append(_account(happened.account))
    if happened.sums is not None:
        sums = happened.sums
        words.append(
            f"now reserved {sums.reserved_minor}, receivable {sums.receivable_minor}, "
            f"secured {sums.secured_receivable_minor}"
        )
    return "; ".join(words)


def differences(found: object, wanted: object, path: str = "") -> Iterator[str]:
    """Yield each part of a reading that is not what it should be."""
    fields = getattr(found, "_fields", ())
    if fields and type(found) is type(wanted):
        for name in fields:
            yield from differences(getattr(found, name), getattr(wanted, name), f"{path}.{name}".lstrip("."))
    elif found != wanted:
        yield f"{path or type(found).__name__} is {found}, should be {wanted}"


def _decision(decision: DecisionReading) -> str:
    return (
        f"{_OUTCOMES[decision.outcome]} at reserved {decision.reserved_minor}, receivable {decision.receivable_minor}, "
        f"limit {decision.limit_minor}"
    )


def _order(order: OrderReading) -> str:
    return (
        f"{_STATES[order.state]} {order.amount_minor}, committed {order.committed_minor}, held {order.held_minor} "
        f"until {order.expire_s}, revision {order.revision}"
    )


def _reservation(reservation: ReservationReading) -> str:
    return (
        f"{_STATES[reservation.state]} {reservation.amount_minor}, committed {reservation.committed_minor}, held "
        f"{reservation.exposure_minor} until {reservation.expire_s}, etag {reservation.etag}"
    )


def _account(account: AccountReading) -> str:
    return (
        f"reserved {account.reserved_minor}, receivable {account.receivable_minor}, secured "
        f"{account.secured_receivable_minor}, limit {account.limit_minor}"
    )
