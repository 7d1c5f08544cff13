"""What the figures were measured on, and how much CPU a process has used."""

import os
import platform
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

from creditgate.store.embedded import RedisBinary

_CPU_INFO: Final = Path("/proc/cpuinfo")
_MOUNTS: Final = Path("/proc/self/mounts")
_LOOP_ROUNDS: Final = 500_000
_NS_PER_S: Final = 1_000_000_000


class UnsupportedSystemError(Exception):
    """This system does not say how much CPU a process uses in the way that the benchmark reads it."""


class Machine(NamedTuple):
    """The machine and the versions of what runs on it; `file_system` is where append-only files are written."""

    time: str
    cpu_model: str
    cores: int
    memory_bytes: int
    kernel: str
    python: str
    grpcio: str
    redis: str
    creditgate: str
    file_system: str
    load_average: float


def require_linux() -> None:
    """Raise UnsupportedSystemError where there is no /proc."""
    if sys.platform != "linux":
        raise UnsupportedSystemError("the benchmark reads CPU times from /proc, which only Linux has")


def describe_machine(redis: RedisBinary, data_dir: Path) -> Machine:
    """Return what the figures are measured on; `load_average` is that of the minute before."""
    return Machine(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        cpu_model=_cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=platform.release(),
        python=platform.python_version(),
        grpcio=version("grpcio"),
        redis=f"{redis.product.value} {redis.version}",
        creditgate=version("creditgate"),
        file_system=file_system_of(data_dir),
        load_average=round(os.getloadavg()[0], 2),
    )


def _cpu_model() -> str:
    for line in _CPU_INFO.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def loop_ns() -> float:
    """Return the CPU time of one round of a fixed Python loop, in nanoseconds: how fast the machine is at this moment.

    Virtual machines are faster and slower by half within minutes; figures of different runs compare after scaling.
    """
    started = time.process_time()
    total = 0
    for number in range(_LOOP_ROUNDS):
        total += number * number
    return (time.process_time() - started) / _LOOP_ROUNDS * _NS_PER_S


def file_system_of(path: Path) -> str:
    """Return the type of the file system that a path lies on, `ext4` or `tmpfs`."""
    real = path.resolve()
    found_at, found = Path(), "unknown"
    for line in _MOUNTS.read_text(encoding="utf-8").splitlines():
        _, place, kind = line.split(" ")[:3]
        mount = Path(place)
        if real.is_relative_to(mount) and len(mount.parts) >= len(found_at.parts):
            found_at, found = mount, kind
    return found
