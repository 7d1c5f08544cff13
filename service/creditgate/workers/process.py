"""One worker, as its parent sees it."""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, Self

from creditgate.ops.joined_metrics import MetricSample
from creditgate.workers.link import Order, Report, open_link, parse_report

START_S_MAX: Final = 60.0
"""From its start to its first report; a worker that takes longer counts as stuck."""

SILENT_S_MAX: Final = 5.0
"""Between two reports, of which there are two a second; a worker that is silent for longer counts as stuck."""


class WorkerProcess:
    """A worker from its start to its end.

    Attributes:
        number: of the worker whose part it plays; its successor has the same.
        pid: the process.
        started_at: when, as a value of `time.monotonic()`.
        samples: its metrics when they were last told.

    """

    def __init__(self, number: int, process: asyncio.subprocess.Process) -> None:
        self.number = number
        self.pid = process.pid
        self.started_at = time.monotonic()
        self.samples: Sequence[MetricSample] = ()
        self._process = process
        self._writer: asyncio.StreamWriter | None = None
        self._following: asyncio.Task[None] | None = None
        self._unready_reason = f"worker {number} is starting"
        self._heard_at: float | None = None
        self._heard = asyncio.Event()
        self._ready = asyncio.Event()
        self._told_metrics = asyncio.Event()
        self._ended = asyncio.Event()

    @classmethod
    async def start(cls, number: int, module: str, environment: Mapping[str, str]) -> Self:
        """Start a worker, in a session of its own, so that Ctrl-C reaches its parent alone.

        It runs `module` of the parent's interpreter with the file descriptor of its end of the link and its number as
        arguments. Raises OSError.
        """
        parents_end, workers_end = socket.socketpair()
        try:
            with workers_end:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-P",  # the directory that it is started in has no say in what is imported
                    "-m",
                    module,
                    str(workers_end.fileno()),
                    str(number),
                    env=dict(environment),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=(workers_end.fileno(),),
                    start_new_session=True,
                )
            worker = cls(number, process)
            reader, worker._writer = await open_link(parents_end)
        except BaseException:  # a worker that has begun sees the end of the link, and ends
            parents_end.close()
            raise
        worker._following = asyncio.create_task(worker._follow(reader), name=f"creditgate-worker-{number}")
        return worker

    # --- what it is

    @property
    def unready_reason(self) -> str:
        """Why it does not answer calls, in a sentence; empty when it does. May be asked from any thread."""
        return self._unready_reason

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._ended.is_set()

    @property
    def how_it_ended(self) -> str:
        """In words; empty while it runs."""
        code = self._process.returncode
        if code is None:
            return ""
        return f"exit code {code}" if code >= 0 else f"signal {-code} ({signal.strsignal(-code)})"

    @property
    def is_stuck(self) -> bool:
        """Whether it has not been heard of for too long. May be asked from any thread."""
        heard_at = self._heard_at
        if heard_at is None:
            return time.monotonic() - self.started_at > START_S_MAX
        return time.monotonic() - heard_at > SILENT_S_MAX

    # --- what is wanted of it

    def order(self, order: Order) -> None:
        """Tell the worker what is wanted; one that is ending does not hear it."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(f"{order}\n".encode())

    def kill(self) -> None:
        """End the process at once."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)

    async def wait_heard(self) -> bool:
        """Wait until it listens; return False if it has ended before."""
        return await self._first_of(self._heard)

    async def wait_ready(self) -> bool:
        """Wait until it answers calls; return False if it has ended before."""
        return await self._first_of(self._ready)

    async def refresh_samples(self) -> None:
        """Ask for its metrics and wait until they are told, or it has ended; one that is starting has none."""
        if not self._heard.is_set():
            return
        self._told_metrics.clear()
        self.order(Order.TELL_METRICS)
        await self._first_of(self._told_metrics)

    async def wait_ended(self) -> None:
        """Wait until the process is gone, and all that it has told has been heard."""
        await self._ended.wait()

    # --- hearing it

    async def _first_of(self, event: asyncio.Event) -> bool:
        waits = [asyncio.create_task(each.wait()) for each in (event, self._ended)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return event.is_set()

    async def _follow(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            while line := await reader.readline():
                self._hear(parse_report(line))
        await self._process.wait()
        self._unready_reason = f"worker {self.number} has ended"
        self._ready.clear()
        if self._writer is not None:
            self._writer.close()
        self._ended.set()

    def _hear(self, report: Report) -> None:
        self._heard_at = time.monotonic()
        self._heard.set()
        if report.metrics is not None:
            self.samples = report.metrics
            self._told_metrics.set()
        if report.unready_reason != self._unready_reason:
            self._unready_reason = report.unready_reason
            (self._ready.clear if report.unready_reason else self._ready.set)()
