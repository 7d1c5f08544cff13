"""`ImportOpenItems`, chunk by chunk: what both clients keep to tell what became of the items, and to send some again.

A chunk is a stream of its own: it has a deadline like any call, and what it owes is known when it ends.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

import grpc

from creditgate.client.errors import CreditCallError, error_of_status, stream_ended_error
from creditgate.client.repeats import REPEATED_CODES, Repeats
from creditgate.domain.bounds import BATCH_SIZE_MAX
from creditgate.v1.receivables_service_pb2 import ImportOpenItemsRequest, ImportOpenItemsResponse, OpenItem

ATTEMPTS_MAX: Final = 8
"""How often a chunk or an item is sent; the waits between come to about six seconds, as long as a restart takes."""

FAILURES_KEPT_MAX: Final = 100

_PASSING_CODES: Final = REPEATED_CODES | {grpc.StatusCode.DEADLINE_EXCEEDED}
"""What ends a chunk or an item without saying anything about it."""


class OpenItemFailure(NamedTuple):
    """An item that could not be taken over. `position`: its place among the items, from 0."""

    position: int
    item: OpenItem
    error: CreditCallError


@dataclass(slots=True)
class ImportSummary:
    """What became of the items so far.

    Attributes:
        imported: items recorded now.
        replayed: items that had been recorded before, also by an attempt of this import whose answer was lost.
        failed: items that could not be recorded.
        failures: the first of them, at most 100.

    """

    imported: int = 0
    replayed: int = 0
    failed: int = 0
    failures: list[OpenItemFailure] = field(default_factory=list)

    @property
    def received(self) -> int:
        """Items of which is known what became of them."""
        return self.imported + self.replayed + self.failed


class _NumberedItem(NamedTuple):
    position: int
    item: OpenItem


class ImportRun:
    """The chunks of an import, one after the other.

    Args:
        items: drawn chunk by chunk.
        on_progress: is told the summary so far after each answer.
        on_failure: is told each item that could not be taken over.

    """

    def __init__(
        self,
        items: Iterable[OpenItem],
        on_progress: Callable[[ImportSummary], object] | None,
        on_failure: Callable[[OpenItemFailure], object] | None,
    ) -> None:
        self._items: Iterator[_NumberedItem] = (_NumberedItem(position, item) for position, item in enumerate(items))
        self._on_progress = on_progress
        self._on_failure = on_failure
        self._chunk: list[_NumberedItem] = []
        self._reached = False
        self._repeats = Repeats(ATTEMPTS_MAX, _PASSING_CODES)
        self.summary = ImportSummary()

    def next_chunk(self) -> ImportOpenItemsRequest | None:
        """Return what to send next: items that have to be sent again, else the next ones; None at the end."""
        if not self._chunk:
            self._chunk = list(islice(self._items, BATCH_SIZE_MAX))
            self._reached = False
            self._repeats.succeeded()
        return ImportOpenItemsRequest(items=[each.item for each in self._chunk]) if self._chunk else None

    def not_answered(self, error: CreditCallError) -> float:
        """Return how many seconds to wait before the chunk is sent again; raise the error when it is not to be."""
        return self._repeats.wait_after(error)

    def answered(self, responses: list[ImportOpenItemsResponse]) -> float:
        """Count what became of the chunk; return how many seconds to wait before the next one.

        Raises CreditCallError when not one of its items could be carried out, however often they were sent: the store
        stays away.
        """
        if not responses:
            return self.not_answered(stream_ended_error())
        answer = responses[0]
        failures = [
            OpenItemFailure(*self._chunk[failure.index], error_of_status(failure.error)) for failure in answer.failures
        ]
        again = [failure for failure in failures if failure.error.code in _PASSING_CODES]
        self._reached = self._reached or len(again) < len(self._chunk)
        wait_s = 0.0
        if again:
            try:
                wait_s = self._repeats.wait_after(again[0].error)
            except CreditCallError:
                if not self._reached:
                    raise
                again = []
        sent_again = {failure.position for failure in again}
        self._count(answer, [failure for failure in failures if failure.position not in sent_again])
        self._chunk = [_NumberedItem(failure.position, failure.item) for failure in again]
        return wait_s

    def _count(self, answer: ImportOpenItemsResponse, failures: list[OpenItemFailure]) -> None:
        summary = self.summary
        summary.imported += answer.progress.imported
        summary.replayed += answer.progress.replayed
        summary.failed += len(failures)
        summary.failures += failures[: FAILURES_KEPT_MAX - len(summary.failures)]
        for failure in failures:
            if self._on_failure is not None:
                self._on_failure(failure)
        if self._on_progress is not None:
            self._on_progress(summary)
