"""Whether calls that were under way together can be explained by some order in which they took effect."""

from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

from creditgate.domain.operations import Operation
from tests.model.account import MS
from tests.model.answers import times_in
from tests.model.reference import ReferenceGate
from tests.model.words import Answer


class Call(NamedTuple):
    """A call with its answer, and the store's clock before it was made and after it was answered."""

    operation: Operation[object]
    answer: Answer
    before_ms: int
    after_ms: int


def explained(model: ReferenceGate, calls: Sequence[Call]) -> ReferenceGate | None:
    """Return the model after the calls, in the first order found that gives every call its answer; None: there is none.

    All calls are about one account. A call that was answered before another was made comes before it.
    """
    return _Search(calls).explain(model, range(len(calls)), 0)


class _Search:
    """Tries the calls in every order, but no state again from which the same calls led nowhere."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls = calls
        self._dead_from_ms: dict[Hashable, int] = {}

    def explain(self, model: ReferenceGate, rest: Sequence[int], since_ms: int) -> ReferenceGate | None:
        """Return the model after the rest of the calls, none of them earlier than an instant, or None."""
        if not rest:
            return model
        state = (tuple(rest), frozenset((name, account.state()) for name, account in model.accounts.items()))
        if since_ms >= self._dead_from_ms.get(state, since_ms + 1):
            return None
        for index in rest:
            call = self._calls[index]
            others = [other for other in rest if other != index]
            if any(self._calls[other].after_ms < call.before_ms for other in others):
                continue
            for now_ms in _instants(call, since_ms):
                trial = model.copy_of(call.operation.account_id)
                if trial.answer(call.operation, now_ms) == call.answer:
                    found = self.explain(trial, others, now_ms)
                    if found is not None:
                        return found
        self._dead_from_ms[state] = since_ms
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
