"""Whether calls that were under way together can be explained by some order in which they took effect."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from creditgate.domain.operations import Operation
from tests.model.answers import times_in
from tests.model.reference import MS, Answer, ReferenceGate


class Call(NamedTuple):
    """A call with its answer, and the store's clock before it was made and after it was answered."""

    operation: Operation[object]
    answer: Answer
    before_ms: int
    after_ms: int


def explained(model: ReferenceGate, calls: Sequence[Call], since_ms: int = 0) -> ReferenceGate | None:
    """Return the model after the calls, in the first order found that gives every call its answer; None: there is none.

    All calls are about one account. A call that was answered before another was made comes before it.
    """
    if not calls:
        return model
    for index, call in enumerate(calls):
        rest = [*calls[:index], *calls[index + 1 :]]
        if any(other.after_ms < call.before_ms for other in rest):
            continue
        for now_ms in _instants(call, since_ms):
            trial = model.copy_of(call.operation.account_id)
            if trial.answer(call.operation, now_ms) == call.answer:
                found = explained(trial, rest, now_ms)
                if found is not None:
                    return found
    return None


def _instants(call: Call, since_ms: int) -> Iterator[int]:
    """Yield the instants that can make a difference: those in the answer, and the first of each second."""
    begin_ms = max(call.before_ms, since_ms)
    for time_ms in times_in(call.answer):
        if begin_ms <= time_ms <= call.after_ms:
            yield time_ms
    if begin_ms <= call.after_ms:
        yield begin_ms
    for second in range(begin_ms // MS + 1, call.after_ms // MS + 1):
        yield second * MS
