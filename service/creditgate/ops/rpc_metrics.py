"""Metrics of the RPCs."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from creditgate.ops.loop_metrics import LoopCounter, LoopHistogram

_DURATION_BUCKETS_S: Final = (
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
)  # fmt: skip


class MethodMetrics:
    """Metrics of one RPC, with its label values looked up once.

    Attributes:
        in_flight: how many calls are being served; a plain number, read when the metrics are.

    """

    def __init__(self, finished: LoopCounter, duration: LoopHistogram, method: str, codes: Iterable[str]) -> None:
        self.in_flight = 0
        self._finished = {code: finished.labels(method, code) for code in codes}
        self._duration = duration.labels(method)

    def call_finished(self, code: str, duration_s: float) -> None:
        """One call has ended with a status code's name after so many seconds."""
        self._finished[code].inc()
        self._duration.observe(duration_s)


class RpcMetrics:
    """Counts, times and calls in flight, by RPC."""

    def __init__(self, registry: CollectorRegistry, codes: Iterable[str]) -> None:
        self._codes = tuple(codes)
        self._finished = LoopCounter(
            "creditgate_rpcs_total", "Calls that have ended, by status code.", ("method", "code"), registry
        )
        self._duration = LoopHistogram(
            "creditgate_rpc_duration_seconds",
            "Time from the request's arrival to its answer.",
            ("method",),
            _DURATION_BUCKETS_S,
            registry,
        )
        self._in_flight = Gauge(
            "creditgate_rpcs_in_flight", "Calls that are being served.", ("method",), registry=registry
        )

    def of_method(self, method: str) -> MethodMetrics:
        """Return the metrics of one RPC, named `creditgate.v1.CreditService/ReserveCredit`."""
        metrics = MethodMetrics(self._finished, self._duration, method, self._codes)
        self._in_flight.labels(method).set_function(lambda: metrics.in_flight)
        return metrics
