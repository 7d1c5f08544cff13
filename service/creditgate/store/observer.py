"""What the store tells those who watch it; the metrics implement it."""

from typing import Protocol


class StoreObserver(Protocol):
    """Is told what the store does. Its methods are called on the event loop and must not block or raise."""

    def call_finished(self, function: str, operations: int, duration_s: float, *, failed: bool) -> None:
        """One call of a library function has been answered (or has failed) after `duration_s` seconds."""

    def queue_changed(self, depth: int) -> None:
        """So many operations now wait for a call."""

    def swept(self, settled: int, lag_s: int) -> None:
        """A round of the sweeper has settled so many holds; the oldest had been over for `lag_s` seconds."""

    def retired(self, count: int, lag_s: int) -> None:
        """A round of the sweeper has cleaned up so many; the oldest could have gone `lag_s` seconds before."""

    def readiness_changed(self, *, ready: bool, why: str) -> None:
        """The store can or can't answer from now on; `why` is one sentence, empty when ready."""

    def operation_finished(self, operation: str, result: str) -> None:
        """One operation has ended: its type's name and OK or the reason of its `CreditError`."""
