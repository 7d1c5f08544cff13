"""An observer of the store for tests that look at answers."""

from collections import Counter


class QuietObserver:
    """Keeps what a test may ask for."""

    def __init__(self) -> None:
        self.ready = False
        self.settled = 0
        self.lag_s = 0
        self.cleaned_up = 0
        self.retention_lag_s = 0
        self.calls: list[tuple[str, int]] = []
        self.ended: Counter[tuple[str, str]] = Counter()

    def call_finished(self, function: str, operations: int, duration_s: float, *, failed: bool) -> None:  # noqa: ARG002 - the port's names
        self.calls.append((function, operations))

    def queue_changed(self, depth: int) -> None:
        """Nothing to note."""

    def swept(self, settled: int, lag_s: int) -> None:
        self.settled += settled
        self.lag_s = lag_s

    def retired(self, count: int, lag_s: int) -> None:
        self.cleaned_up += count
        self.retention_lag_s = lag_s

    def readiness_changed(self, *, ready: bool, why: str) -> None:  # noqa: ARG002 - the port's names
        self.ready = ready

    def operation_finished(self, operation: str, result: str) -> None:
        self.ended[operation, result] += 1
