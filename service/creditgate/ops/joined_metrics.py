"""One view of the metrics of several processes: what /metrics of a service with workers shows."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

WORKER_LABEL: Final = "worker"

_OWN_PREFIX: Final = "creditgate_"

_OF_PARENT: Final = frozenset(
    {
        "creditgate_build_info",
        "creditgate_embedded_redis_restarts",
        "creditgate_worker_restarts",
        "creditgate_workers_ready",
    }
)
"""Families that the parent alone knows."""

_JOINED_BY: Final[Mapping[str, Callable[[Iterable[float]], float]]] = {
    "creditgate_limit_batch_newest_active_age_seconds": max,
    "creditgate_policy_file_usable": min,
    "creditgate_store_ready": min,
    "creditgate_sweeper_lag_seconds": max,
    "creditgate_sweeper_retention_lag_seconds": max,
}
"""How gauges are joined that are not a sum."""

_COUNTED: Final = ("_total", "_bucket", "_count", "_sum")
"""How values of counters and histograms end, which outlive their process."""

Labels = tuple[tuple[str, str], ...]


class MetricSample(NamedTuple):
    """One value of a family: `creditgate_rpcs_total` with its labels, belonging to `creditgate_rpcs`."""

    family: str
    name: str
    labels: Labels
    value: float


class ProcessSamples(NamedTuple):
    """What one process tells, or what ended ones have told.

    Attributes:
        worker: its number; None for one that is being replaced, replaces one, or has ended.
        samples: its values.

    """

    worker: int | None
    samples: Sequence[MetricSample]


def take_samples(registry: CollectorRegistry) -> list[MetricSample]:
    """Return all values of a process."""
    return [
        MetricSample(family.name, sample.name, tuple(sample.labels.items()), sample.value)
        for family in registry.collect()
        for sample in family.samples
    ]


class EndedProcesses:
    """Keeps what processes have counted that are no more, so that no sum ever falls."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str, Labels], float] = {}

    def add(self, samples: Sequence[MetricSample]) -> None:
        """Add what a process has counted."""
        for family, name, labels, value in samples:
            if family.startswith(_OWN_PREFIX) and name.endswith(_COUNTED):
                key = (family, name, labels)
                self._sums[key] = self._sums.get(key, 0.0) + value

    def sums(self) -> ProcessSamples:
        """Return the sums."""
        return ProcessSamples(None, [MetricSample(*key, value) for key, value in self._sums.items()])


class JoinedMetrics(Collector):
    """The metrics of a parent and its workers, under the names that a single process has.

    The service's own metrics are joined: counters, histograms and most gauges are added up. Those of a process or an
    interpreter stand beside the parent's with a label for the worker.

    Args:
        own: the parent's metrics, which has all families.
        ask_processes: returns what all processes but the parent tell now; called from threads.

    """

    def __init__(self, own: CollectorRegistry, ask_processes: Callable[[], Sequence[ProcessSamples]]) -> None:
        self._own = own
        self._ask_processes = ask_processes

    def collect(self) -> Iterable[Metric]:
        """Return the joined families."""
        joined: dict[str, dict[tuple[str, Labels], list[float]]] = defaultdict(lambda: defaultdict(list))
        beside: dict[str, list[MetricSample]] = defaultdict(list)
        for worker, samples in self._ask_processes():
            for sample in samples:
                if not sample.family.startswith(_OWN_PREFIX):
                    if worker is not None:
                        labels = (*sample.labels, (WORKER_LABEL, str(worker)))
                        beside[sample.family].append(sample._replace(labels=labels))
                elif worker is not None or sample.family not in _JOINED_BY:
                    joined[sample.family][sample.name, sample.labels].append(sample.value)
        for family in self._own.collect():
            if family.name not in _OF_PARENT:
                _join(family, joined[family.name])
            for sample in beside[family.name]:
                family.add_sample(sample.name, dict(sample.labels), sample.value)
            yield family


def _join(family: Metric, told: Mapping[tuple[str, Labels], Sequence[float]]) -> None:
    """Put joined values in the place of the parent's, who serves no calls; what nobody tells stays."""
    join = _JOINED_BY.get(family.name, sum)
    family.samples = [each for each in family.samples if (each.name, tuple(each.labels.items())) not in told]
    for (name, labels), values in told.items():
        family.add_sample(name, dict(labels), join(values))
