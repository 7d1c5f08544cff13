"""A timed run, and contenders that take turns: what drifts, drifts for all of them."""

import itertools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.meter import Meter

_WARM_UP_S: Final = 0.3
_FIRST_COUNT: Final = 100
_MS_PER_S: Final = 1000

_runs = itertools.count(1)


def next_run() -> int:
    """Return the number of a run, unlike that of every other."""
    return next(_runs)


class FailedRunError(Exception):
    """Calls of a run failed or decided otherwise than they must; the figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One timed run.

    Attributes:
        count: decisions (or calls, where nothing is decided).
        wall_s: how long they took all together.
        p50_ms: median time of a call, of all its decisions together; None where single calls are not timed.
        p99_ms: the time that one call in a hundred exceeds; None as above.
        load_cpu_s: CPU time of the process that made the calls.
        server_cpu_s: CPU time of the service, or of what stands in its place; 0 where there is none.
        redis_cpu_s: CPU time of the redis-server; 0 where there is none.
        elsewhere_cpu_s: CPU time that none of them got.

    """

    count: int
    wall_s: float
    p50_ms: float | None
    p99_ms: float | None
    load_cpu_s: float
    server_cpu_s: float
    redis_cpu_s: float
    elsewhere_cpu_s: float

    @classmethod
    def of(cls, count: int, meter: Meter, latencies_s: Iterable[float]) -> "Sample":
        """Return what a meter has measured, with the times of the single calls."""
        in_order = sorted(latencies_s)
        return cls(
            count=count,
            wall_s=meter.wall_s,
            p50_ms=_percentile_ms(in_order, 0.50),
            p99_ms=_percentile_ms(in_order, 0.99),
            load_cpu_s=meter.load_cpu_s,
            server_cpu_s=meter.server_cpu_s,
            redis_cpu_s=meter.redis_cpu_s,
            elsewhere_cpu_s=meter.elsewhere_cpu_s,
        )

    @property
    def rate(self) -> float:
        """Decisions (or calls) a second."""
        return self.count / self.wall_s


@dataclass(frozen=True, slots=True)
class Contender:
    """Something that is measured: `run` places so many orders, numbered by the run, and returns what that took."""

    name: str
    run: Callable[[int, int], Awaitable[Sample]]


async def take_turns(contenders: Sequence[Contender], rounds: int, seconds: float) -> dict[str, list[Sample]]:
    """Run all contenders in turn, `rounds` times, each for about `seconds`; return each one's samples by its name.

    Before the first round each has a short turn that isn't counted, which also tells how many orders fill the time.
    """
    rates = {contender.name: await _first_rate(contender) for contender in contenders}
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    for turn in range(rounds):
        order = contenders if turn % 2 == 0 else contenders[::-1]
        for contender in order:
            count = max(1, round(rates[contender.name] * seconds))
            sample = await contender.run(next_run(), count)
            samples[contender.name].append(sample)
            rates[contender.name] = sample.rate
    return samples


async def _first_rate(contender: Contender) -> float:
    cold = await contender.run(next_run(), _FIRST_COUNT)
    warm = await contender.run(next_run(), max(_FIRST_COUNT, round(cold.rate * _WARM_UP_S)))
    return warm.rate


def _percentile_ms(in_order: Sequence[float], share: float) -> float:
    """Return, in milliseconds, the time that `share` of the calls did not exceed."""
    return in_order[min(len(in_order) - 1, int(len(in_order) * share))] * _MS_PER_S
