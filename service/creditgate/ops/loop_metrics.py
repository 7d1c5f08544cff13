"""Counters and histograms that only the event loop changes, for what every call counts.

Those of prometheus_client take a lock for each of their values, which costs a call more than decoding it.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_TOTAL: Final = "_total"


class Count:
    """The value of a counter under its labels."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def inc(self, amount: int = 1) -> None:
        """Count so many more."""
        self.value += amount


class Distribution:
    """The values of a histogram under its labels."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Add what was observed to what is shown."""
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        family.add_metric(labels, list(zip(names, accumulate(self._counts), strict=True)), self._sum)


class LoopCounter(Collector):
    """A counter with labels, as `prometheus_client.Counter` but for one thread."""

    def __init__(self, name: str, documentation: str, label_names: Sequence[str], registry: CollectorRegistry) -> None:
        self.name = name.removesuffix(_TOTAL)
        self.label_names = tuple(label_names)
        self._documentation = documentation
        self._counts: dict[tuple[str, ...], Count] = {}
        registry.register(self)

    def labels(self, *values: str) -> Count:
        """Return what counts under these labels."""
        return self._counts.setdefault(values, Count())

    def collect(self) -> Iterable[Metric]:
        """Return the family, as a registry wants it."""
        family = CounterMetricFamily(self.name, self._documentation, labels=self.label_names)
        for values, count in tuple(self._counts.items()):
            family.add_metric(values, count.value)
        yield family


class LoopHistogram(Collector):
    """A histogram with labels, as `prometheus_client.Histogram` but for one thread."""

    def __init__(
        self,
        name: str,
        documentation: str,
        label_names: Sequence[str],
        bounds: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self.name = name
        self.label_names = tuple(label_names)
        self._documentation = documentation
        self._bounds = tuple(bounds)
        self._distributions: dict[tuple[str, ...], Distribution] = {}
        registry.register(self)

    def labels(self, *values: str) -> Distribution:
        """Return what observes under these labels."""
        return self._distributions.setdefault(values, Distribution(self._bounds))

    def collect(self) -> Iterable[Metric]:
        """Return the family, as a registry wants it."""
        family = HistogramMetricFamily(self.name, self._documentation, labels=self.label_names)
        for values, distribution in tuple(self._distributions.items()):
            distribution.add_to(family, values)
        yield family
