"""Latency percentiles in bounded memory."""

from dataclasses import dataclass
from typing import Final

_STEP_BITS: Final = 6
_STEPS: Final = 1 << _STEP_BITS
_US_PER_S: Final = 1_000_000
_LATENCY_MAX_US: Final = 3600 * _US_PER_S
_PERMILLE: Final = 1000


@dataclass(frozen=True, slots=True)
class LatencyFigures:
    """How long the calls of one kind took, in seconds."""

    count: int
    p50_s: float
    p90_s: float
    p99_s: float
    max_s: float


class LatencyHistogram:
    """Counts latencies in classes 1/64 of their size wide: a percentile is at most 1.6 % above the true one."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._count = 0
        self._max_us = 0

    def add(self, latency_s: float) -> None:
        """Count one latency; above an hour, it counts as an hour."""
        latency_us = min(max(0, round(latency_s * _US_PER_S)), _LATENCY_MAX_US)
        position = _class_of(latency_us)
        self._counts[position] = self._counts.get(position, 0) + 1
        self._count += 1
        self._max_us = max(self._max_us, latency_us)

    def figures(self) -> LatencyFigures:
        """Return the percentiles of what was added; all 0 when nothing was."""
        p50_s, p90_s, p99_s = (self._percentile_us(permille) / _US_PER_S for permille in (500, 900, 990))
        return LatencyFigures(self._count, p50_s, p90_s, p99_s, self._max_us / _US_PER_S)

    def _percentile_us(self, permille: int) -> int:
        rank = -(-self._count * permille // _PERMILLE)
        passed = 0
        for position in sorted(self._counts):
            passed += self._counts[position]
            if passed >= rank:
                return min(_class_end_us(position), self._max_us)
        return 0


def _class_of(latency_us: int) -> int:
    """Return the class: exact below 128 µs, then 64 classes for each doubling."""
    shift = max(0, latency_us.bit_length() - _STEP_BITS - 1)
    return (shift << _STEP_BITS) + (latency_us >> shift)


def _class_end_us(position: int) -> int:
    shift = max(0, (position >> _STEP_BITS) - 1)
    return ((position - (shift << _STEP_BITS) + 1) << shift) - 1
