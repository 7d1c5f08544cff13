"""Keeps a number of workers running: starts, restarts, replaces and stops them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import structlog

from creditgate.ops.joined_metrics import EndedProcesses, ProcessSamples
from creditgate.workers.link import Order
from creditgate.workers.process import WorkerProcess

RESTART_DELAY_MIN_S: Final = 0.1
RESTART_DELAY_MAX_S: Final = 5.0
STABLE_AFTER_S: Final = 10.0
"""A worker that ran this long is started again at once; one that ended sooner after a growing delay."""

REPLACEMENT_READY_S_MAX: Final = 60.0
"""A replacement that does not answer calls by then is given up, and its predecessor stays."""

METRICS_S_MAX: Final = 1.0
"""Wait for the metrics of all workers; those that do not answer in time count with what they told before."""

_KILLED_S_MAX: Final = 5.0
_log = structlog.get_logger(__name__)

StartProcess = Callable[[int], Awaitable[WorkerProcess]]


class WorkerStartError(Exception):
    """A worker ended before it listened; says how."""


def longer_delay_s(delay_s: float) -> float:
    """Return how long to wait before the start that follows one before which `delay_s` was waited in vain."""
    return min(max(2 * delay_s, RESTART_DELAY_MIN_S), RESTART_DELAY_MAX_S)


class WorkerSupervisor:
    """The workers of one parent.

    Args:
        count: how many.
        start_process: starts the process of a worker by its number; raises OSError.
        stop_s_max: how long a worker may take to stop in order; then it is killed.
        on_restart: called for each worker that is started again because it had ended by itself.

    """

    def __init__(
        self, count: int, start_process: StartProcess, *, stop_s_max: float, on_restart: Callable[[], object]
    ) -> None:
        self._count = count
        self._start_process = start_process
        self._stop_s_max = stop_s_max
        self._on_restart = on_restart
        self._serving: dict[int, WorkerProcess] = {}
        self._alive: set[WorkerProcess] = set()
        self._watches: set[asyncio.Task[None]] = set()
        self._revivals: set[asyncio.Task[None]] = set()
        self._restart_delays_s = dict.fromkeys(range(count), 0.0)
        self._ended = EndedProcesses()
        self._stopping = asyncio.Event()

    # --- what they are; may be asked from any thread

    @property
    def ready_count(self) -> int:
        """How many workers answer calls."""
        return sum(1 for process in tuple(self._serving.values()) if not process.unready_reason)

    def unready_reason(self) -> str:
        """Return why no worker answers calls, in a sentence, or an empty text when one does."""
        reasons = [process.unready_reason for process in tuple(self._serving.values())]
        return min(reasons, key=bool) if reasons else "the workers are starting"

    def ready_text(self) -> str:
        """Return how many workers answer calls, in words."""
        return f"{self.ready_count} of {self._count} workers answer calls"

    def stuck_reason(self) -> str:
        """Return which worker's event loop does not come round, in a sentence, or an empty text."""
        stuck = [process.number for process in tuple(self._serving.values()) if process.is_stuck]
        return f"the event loop of worker {stuck[0]} is stuck" if stuck else ""

    # --- what is done with them

    async def start(self) -> None:
        """Start all of them and wait until they listen. Raises WorkerStartError, OSError."""
        for number in range(self._count):
            self._serving[number] = await self._start(number)
        for process in tuple(self._serving.values()):
            if not await process.wait_heard():
                raise WorkerStartError(f"worker {process.number} ended before it listened: {process.how_it_ended}")

    async def replace_each(self) -> None:
        """Replace one after another: the new one answers calls before the old one stops.

        If one can't be replaced, it and those after it stay.
        """
        for number in range(self._count):
            replacement = await self._start(number)
            with suppress(TimeoutError):
                async with asyncio.timeout(REPLACEMENT_READY_S_MAX):
                    await replacement.wait_ready()
            if replacement.unready_reason:
                why = replacement.how_it_ended or replacement.unready_reason
                _log.error("workers are not replaced: the new one does not answer calls", worker=number, reason=why)
                await self._stop_process(replacement)
                return
            replaced, self._serving[number] = self._serving[number], replacement
            await self._stop_process(replaced)
            _log.info("replaced a worker", worker=number, pid=replacement.pid, replaced_pid=replaced.pid)

    async def stop(self, skip_wait: asyncio.Event) -> None:
        """Stop all of them in order; once `skip_wait` is set, without waiting for load balancers."""
        self._stopping.set()
        await asyncio.gather(*self._revivals)
        hurrying = asyncio.create_task(self._hurry(skip_wait), name="creditgate-hurry")
        await asyncio.gather(*(self._stop_process(process) for process in tuple(self._alive)))
        hurrying.cancel()
        for watch in tuple(self._watches):
            watch.cancel()

    async def take_samples(self) -> list[ProcessSamples]:
        """Return the metrics of all workers, and of those that have ended, as of now or as last told."""
        with suppress(TimeoutError):
            async with asyncio.timeout(METRICS_S_MAX):
                await asyncio.gather(*(process.refresh_samples() for process in tuple(self._alive)))
        told = [
            ProcessSamples(process.number if self._serving.get(process.number) is process else None, process.samples)
            for process in self._alive
        ]
        return [self._ended.sums(), *told]

    # --- how

    async def _start(self, number: int) -> WorkerProcess:
        process = await self._start_process(number)
        _log.info("started a worker", worker=number, pid=process.pid)
        self._alive.add(process)
        watch = asyncio.create_task(self._watch(process), name=f"creditgate-watch-{number}")
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        return process

    async def _watch(self, process: WorkerProcess) -> None:
        """Wait for the end of a process; if it was a worker's, the worker goes on as another one."""
        await process.wait_ended()
        self._alive.discard(process)
        self._ended.add(process.samples)
        if not self._stopping.is_set() and self._serving.get(process.number) is process:
            revival = asyncio.create_task(self._revive(process), name=f"creditgate-revive-{process.number}")
            self._revivals.add(revival)
            revival.add_done_callback(self._revivals.discard)

    async def _revive(self, ended: WorkerProcess) -> None:
        number = ended.number
        lived_s = time.monotonic() - ended.started_at
        delay_s = 0.0 if lived_s >= STABLE_AFTER_S else self._restart_delays_s[number]
        _log.error("a worker has ended: starting it again", worker=number, pid=ended.pid, ended_by=ended.how_it_ended)
        while True:
            self._restart_delays_s[number] = longer_delay_s(delay_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._stopping.wait()
            delay_s = self._restart_delays_s[number]
            if self._stopping.is_set() or self._serving[number] is not ended:
                return
            try:
                started = await self._start(number)
            except OSError as error:
                _log.error("a worker was not started again", worker=number, reason=str(error))
                continue
            if self._serving[number] is ended:
                self._serving[number] = started
                self._on_restart()
            else:
                started.order(Order.STOP)
            return

    async def _stop_process(self, process: WorkerProcess) -> None:
        """Let a process stop in order, within bounds."""
        process.order(Order.STOP)
        for bound_s in (self._stop_s_max, _KILLED_S_MAX):
            with suppress(TimeoutError):
                async with asyncio.timeout(bound_s):
                    await process.wait_ended()
            if process.has_ended:
                return
            _log.error("a worker does not stop and is killed", worker=process.number, pid=process.pid)
            process.kill()

    async def _hurry(self, skip_wait: asyncio.Event) -> None:
        await skip_wait.wait()
        for process in self._alive:
            process.order(Order.SKIP_WAIT)
