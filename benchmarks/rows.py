"""The rows of the result: each a figure and, where it has one, its ratio to a baseline of the same run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final, Literal, NamedTuple

from benchmarks.sampling import Sample

_US_PER_S: Final = 1_000_000


class Target(NamedTuple):
    """What a row is to reach: its figure, or its ratio, is to be at least or at most a value."""

    of: Literal["figure", "ratio"]
    bound: Literal["at least", "at most"]
    value: float

    def is_met(self, reached: float) -> bool:
        """Return whether a figure or ratio reaches the target."""
        return reached >= self.value if self.bound == "at least" else reached <= self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the result; None stands for what was not measured.

    Attributes:
        group: rows that were measured in turns with each other, or belong together.
        name: what was measured; unique.
        unit: of `figure`.
        figure: the median of `samples`.
        samples: the figure of each round.
        p50_ms: median time of one call, which may be a batch.
        p99_ms: the time that one call in a hundred exceeds.
        server_cpu_us: CPU time of the service for one of what `figure` counts.
        redis_cpu_us: CPU time of Redis for one of them.
        load_cpu_us: CPU time for one of them in the process that made the calls.
        load_share: how much of a core the process that made the calls used.
        elsewhere_share: how many cores something else used, other programs above all; should be near 0.
        baseline: the name of the row that the ratio refers to.
        ratio: the figure divided by the baseline's, the median over the rounds.
        targets: what is to be reached.
        note: what one should know.

    """

    group: str
    name: str
    unit: str
    figure: float | None = None
    samples: tuple[float, ...] = ()
    p50_ms: float | None = None
    p99_ms: float | None = None
    server_cpu_us: float | None = None
    redis_cpu_us: float | None = None
    load_cpu_us: float | None = None
    load_share: float | None = None
    elsewhere_share: float | None = None
    baseline: str | None = None
    ratio: float | None = None
    targets: tuple[Target, ...] = ()
    note: str = ""

    @property
    def missed(self) -> tuple[Target, ...]:
        """The targets that were measured and not reached."""
        reached = {"figure": self.figure, "ratio": self.ratio}
        return tuple(
            target for target in self.targets if (value := reached[target.of]) is not None and not target.is_met(value)
        )


def row_of(group: str, name: str, unit: str, samples: Sequence[Sample]) -> Row:
    """Return the row of a contender: medians over its samples."""
    return Row(
        group=group,
        name=name,
        unit=unit,
        figure=median(sample.rate for sample in samples),
        samples=tuple(sample.rate for sample in samples),
        p50_ms=_median_known([sample.p50_ms for sample in samples]),
        p99_ms=_median_known([sample.p99_ms for sample in samples]),
        server_cpu_us=_cpu_us(samples, [sample.server_cpu_s for sample in samples]),
        redis_cpu_us=_cpu_us(samples, [sample.redis_cpu_s for sample in samples]),
        load_cpu_us=_cpu_us(samples, [sample.load_cpu_s for sample in samples]),
        load_share=_share(samples, [sample.load_cpu_s for sample in samples]),
        elsewhere_share=_share(samples, [sample.elsewhere_cpu_s for sample in samples]),
    )


def against(row: Row, baseline: Row, *targets: Target) -> Row:
    """Return the row with its ratio to a baseline whose rounds took turns with its own."""
    ratios = [ours / theirs for ours, theirs in zip(row.samples, baseline.samples, strict=True)]
    return replace(row, baseline=baseline.name, ratio=median(ratios), targets=targets)


def _median_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _cpu_us(samples: Sequence[Sample], cpu_s: Sequence[float]) -> float | None:
    """Return the median CPU time for one of what was counted; None where no such process took part."""
    if not any(cpu_s):
        return None
    return median(used_s / sample.count for sample, used_s in zip(samples, cpu_s, strict=True)) * _US_PER_S


def _share(samples: Sequence[Sample], cpu_s: Sequence[float]) -> float | None:
    """Return the median of how many cores were used; None where that was not measured."""
    if not any(sample.load_cpu_s for sample in samples):
        return None
    return median(used_s / sample.wall_s for sample, used_s in zip(samples, cpu_s, strict=True))
