"""All metrics of one service, on a registry of its own; docs/metrics.md lists them."""

from collections.abc import Callable, Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.gc_collector import GCCollector

from creditgate.ops.counted_store import DecisionMetrics
from creditgate.ops.limit_feed_metrics import LimitFeedMetrics
from creditgate.ops.rpc_metrics import RpcMetrics
from creditgate.ops.store_metrics import StoreMetrics


class Metrics:
    """The metrics, grouped by who tells them.

    Args:
        codes: names of the status codes that calls can end with.
        version: of creditgate.
        library_version: of the function library that this creditgate needs.
        on_readiness: called when the store becomes ready or unready.

    Attributes:
        registry: what `/metrics` shows.
        rpcs: told by the server.
        store: told by the store; implements its observer.
        decisions: told by the store that counts.
        limit_feed: told by the limit feed's engine; implements its observer.
        worker_restarts: counts each worker that had to be started again.

    """

    def __init__(
        self, *, codes: Iterable[str], version: str, library_version: int, on_readiness: Callable[[], object]
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # a gauge beside each counter, which nobody asks for
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        build = Gauge(
            "creditgate_build_info",
            "Always 1; the labels say which creditgate runs and which function library it needs.",
            ("version", "library_version"),
            registry=self.registry,
        )
        build.labels(version, str(library_version)).set(1)
        self.rpcs = RpcMetrics(self.registry, codes)
        self.store = StoreMetrics(self.registry, on_readiness)
        self.decisions = DecisionMetrics(self.registry)
        self.limit_feed = LimitFeedMetrics(self.registry)
        self._restarts = Gauge(
            "creditgate_embedded_redis_restarts",
            "How often the embedded Redis was started again because it had ended; 0 with an external one.",
            registry=self.registry,
        )
        self._workers = Gauge(
            "creditgate_workers_ready",
            "Processes that answer calls; a service without workers is one.",
            registry=self.registry,
        )
        self.worker_restarts = Counter(
            "creditgate_worker_restarts_total",
            "How often a worker was started again because it had ended by itself; 0 without workers.",
            registry=self.registry,
        )
        self._policy_usable = Gauge(
            "creditgate_policy_file_usable",
            "1 while the policy file as it is now decides, 0 while an earlier one does; 1 without a file.",
            registry=self.registry,
        )
        self._policy_usable.set(1)
        reads = Counter(
            "creditgate_policy_reads_total",
            "Versions of the policy file that were read, by whether they could be used.",
            ("usable",),
            registry=self.registry,
        )
        self._policy_reads = {True: reads.labels("true"), False: reads.labels("false")}

    def policy_read(self, *, usable: bool) -> None:
        """A version of the policy file was read, and can be used or not."""
        self._policy_usable.set(1 if usable else 0)
        self._policy_reads[usable].inc()

    def watch_workers(self, ready: Callable[[], int]) -> None:
        """Show from now on how many processes answer calls."""
        self._workers.set_function(ready)

    def watch_restarts(self, restarts: Callable[[], int]) -> None:
        """Show the embedded Redis's count of restarts from now on."""
        self._restarts.set_function(restarts)
