"""Metrics of the store: what `creditgate.store.StoreObserver` is told."""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from creditgate.domain.errors import ErrorReason
from creditgate.domain.operations import OPERATIONS
from creditgate.ops.loop_metrics import Count, Distribution, LoopCounter, LoopHistogram

_DURATION_BUCKETS_S: Final = (
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
)  # fmt: skip
_OPERATIONS_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128)
_OK: Final = "OK"

WATCHED_RESULTS: Final = (
    _OK,
    *(
        reason.name
        for reason in (
            ErrorReason.INTERNAL,
            ErrorReason.STORE_FULL,
            ErrorReason.OVERLOADED,
            ErrorReason.STORE_UNAVAILABLE,
            ErrorReason.DEADLINE_EXCEEDED,
            ErrorReason.EXCHANGE_RATE_NOT_FOUND,
        )
    ),
)
"""Results that alerts look at: of every operation they are there from the start, since Prometheus takes no notice of a
series that begins with its first event."""


class _FunctionMetrics:
    """Metrics of one library function, with its label value looked up once."""

    def __init__(self, duration: Distribution, operations: Distribution, failures: Count) -> None:
        self.duration = duration
        self.operations = operations
        self.failures = failures


class StoreMetrics:
    """Library calls, the queue, the sweeper and readiness; `on_readiness` is called when readiness has changed."""

    def __init__(self, registry: CollectorRegistry, on_readiness: Callable[[], object]) -> None:
        self._on_readiness = on_readiness
        self._duration = LoopHistogram(
            "creditgate_store_call_duration_seconds",
            "Time of one call of a library function, from sending it to its answer.",
            ("function",),
            _DURATION_BUCKETS_S,
            registry,
        )
        self._operations = LoopHistogram(
            "creditgate_store_call_operations",
            "Operations carried by one call of a library function.",
            ("function",),
            _OPERATIONS_BUCKETS,
            registry,
        )
        self._failures = LoopCounter(
            "creditgate_store_call_failures_total",
            "Calls of a library function that Redis did not answer, or answered with an error.",
            ("function",),
            registry,
        )
        self._ended = LoopCounter(
            "creditgate_store_operations_total",
            "Operations that have ended, by result: OK or the reason of the error.",
            ("operation", "result"),
            registry,
        )
        self._settled = Counter(
            "creditgate_sweeper_settled_holds_total",
            "Holds settled by the sweeper because their time was over.",
            registry=registry,
        )
        self._sweep_lag = Gauge(
            "creditgate_sweeper_lag_seconds",
            "How long the oldest hold that the last round settled had been over.",
            registry=registry,
        )
        self._retired = Counter(
            "creditgate_sweeper_retired_total",
            "Ended orders, markers and receivable entries cleaned up because they had been kept long enough.",
            registry=registry,
        )
        self._retention_lag = Gauge(
            "creditgate_sweeper_retention_lag_seconds",
            "How long ago the oldest that the last round cleaned up could have gone.",
            registry=registry,
        )
        self._queue = Gauge(
            "creditgate_store_queue_operations", "Operations that wait for a call of the store.", registry=registry
        )
        self._ready = Gauge(
            "creditgate_store_ready", "1 while the store can carry out operations, else 0.", registry=registry
        )
        self._queue_depth = 0
        self._queue.set_function(lambda: self._queue_depth)
        self._functions: dict[str, _FunctionMetrics] = {}
        self._results: dict[tuple[str, str], Count] = {
            (operation.__name__, result): self._ended.labels(operation.__name__, result)
            for operation in OPERATIONS
            for result in WATCHED_RESULTS
        }

    def call_finished(self, function: str, operations: int, duration_s: float, *, failed: bool) -> None:
        """One call of a library function has been answered (or has failed) after `duration_s` seconds."""
        metrics = self._functions.get(function) or self._add_function(function)
        metrics.duration.observe(duration_s)
        metrics.operations.observe(operations)
        if failed:
            metrics.failures.inc()

    def queue_changed(self, depth: int) -> None:
        """So many operations now wait for a call."""
        self._queue_depth = depth

    def swept(self, settled: int, lag_s: int) -> None:
        """A round of the sweeper has settled so many holds; the oldest had been over for `lag_s` seconds."""
        self._sweep_lag.set(lag_s)
        self._settled.inc(settled)

    def retired(self, count: int, lag_s: int) -> None:
        """A round of the sweeper has cleaned up so many; the oldest could have gone `lag_s` seconds before."""
        self._retention_lag.set(lag_s)
        self._retired.inc(count)

    def readiness_changed(self, *, ready: bool, why: str) -> None:  # noqa: ARG002 - the observer's signature
        """The store can or can't answer from now on."""
        self._ready.set(1 if ready else 0)
        self._on_readiness()

    def operation_finished(self, operation: str, result: str) -> None:
        """One operation has ended with OK or the reason of its error."""
        key = (operation, result)
        counter = self._results.get(key)
        if counter is None:
            counter = self._results[key] = self._ended.labels(operation, result)
        counter.inc()

    def _add_function(self, function: str) -> _FunctionMetrics:
        metrics = self._functions[function] = _FunctionMetrics(
            self._duration.labels(function), self._operations.labels(function), self._failures.labels(function)
        )
        return metrics
