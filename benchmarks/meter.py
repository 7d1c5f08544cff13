"""Wall and CPU time of a stretch of a run: of this process, of the servers it uses, and of everything else."""

import ctypes
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_STAT: Final = Path("/proc/stat")
_IDLE: Final = frozenset({3, 4})
"""Places of idle and iowait in the first line of /proc/stat, after its name."""
_STAT_FIELDS: Final = 8
"""user, nice, system, idle, iowait, irq, softirq, steal; what follows is counted in them already."""


class Meter:
    """Measures while its context lasts.

    Attributes:
        wall_s: how long it lasted.
        load_cpu_s: CPU time of this process, which makes the calls.
        server_cpu_s: CPU time of the service, 0 without one.
        redis_cpu_s: CPU time of the redis-server, 0 without one.
        elsewhere_cpu_s: CPU time that went to none of them, or that the host of a virtual machine kept.

    """

    def __init__(self, server_pid: int | None, redis_pid: int | None) -> None:
        self._server_pid = server_pid
        self._redis_pid = redis_pid
        self.wall_s = self.load_cpu_s = self.server_cpu_s = self.redis_cpu_s = self.elsewhere_cpu_s = 0.0

    def __enter__(self) -> Self:
        self._before = self._read()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.wall_s, self.load_cpu_s, self.server_cpu_s, self.redis_cpu_s, busy_s = (
            after - before for before, after in zip(self._before, self._read(), strict=True)
        )
        self.elsewhere_cpu_s = max(0.0, busy_s - self.load_cpu_s - self.server_cpu_s - self.redis_cpu_s)

    def _read(self) -> tuple[float, float, float, float, float]:
        return (
            time.perf_counter(),
            time.process_time(),
            _cpu_s(self._server_pid),
            _cpu_s(self._redis_pid),
            _busy_cpu_s(),
        )


def _cpu_s(pid: int | None) -> float:
    """Return the CPU time, user and system, that a process has used so far; 0 for none.

    By its clock, which tells more than the hundredths of a second of /proc/PID/stat.
    """
    if pid is None:
        return 0.0
    clock = ctypes.c_int()
    error = ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock))
    if error:
        raise OSError(error, os.strerror(error))
    return time.clock_gettime(clock.value)


def _busy_cpu_s() -> float:
    """Return the CPU time that all cores together were not idle so far."""
    with _STAT.open(encoding="utf-8") as stat:
        fields = stat.readline().split()[1 : 1 + _STAT_FIELDS]
    return sum(int(ticks) for place, ticks in enumerate(fields) if place not in _IDLE) / _TICKS_PER_S
