"""The program of a worker: `python -m creditgate.bootstrap.worker LINK NUMBER`, started by its parent alone."""

import asyncio
import os
import select
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Final

import structlog
import uvloop

from creditgate.bootstrap.calls import STORE_DRAIN_MIN_S, CallsOptions, answering_calls
from creditgate.bootstrap.garbage import set_aside_started
from creditgate.bootstrap.policy import LAST_GOOD
from creditgate.bootstrap.service import new_metrics
from creditgate.bootstrap.start_errors import ServiceStartError
from creditgate.ops.joined_metrics import take_samples
from creditgate.ops.logs import configure_logs
from creditgate.ops.metrics import Metrics
from creditgate.ops.readiness import Readiness
from creditgate.settings import Settings, read_settings
from creditgate.workers.link import Order, Report, open_link

_REPORT_INTERVAL_S: Final = 0.5
_SWEEPING_WORKER: Final = 0
_ORPHAN_MARGIN_S: Final = 5.0
_ORPHANED: Final = 70
"""The exit code of a worker that could not stop in order after its parent's end; nobody reads it."""

_log = structlog.get_logger(__name__)


def main() -> None:
    """Serve calls until the parent, its end or a signal says to stop."""
    link = socket.socket(fileno=int(sys.argv[1]))
    number = int(sys.argv[2])
    settings = read_settings()
    configure_logs(settings.log_format, settings.log_level)
    structlog.contextvars.bind_contextvars(worker=number)
    longest_stop_s = settings.drain_grace_s + STORE_DRAIN_MIN_S + _ORPHAN_MARGIN_S
    threading.Thread(target=_end_with_parent, args=(link.fileno(), longest_stop_s), daemon=True).start()
    try:
        uvloop.run(_Worker(settings, number).work(link))
    except ServiceStartError as error:
        _log.error("the worker can't start", reason=str(error))
        sys.exit(1)


def _end_with_parent(link_fd: int, longest_stop_s: float) -> None:
    """End the process some time after its parent, should its event loop be too stuck to do so."""
    poll = select.poll()
    poll.register(link_fd, 0)  # the hang-up is told without being asked for
    poll.poll()
    time.sleep(longest_stop_s)
    os._exit(_ORPHANED)


class _Worker:
    """One of several processes that answer calls on one address."""

    def __init__(self, settings: Settings, number: int) -> None:
        self._settings = settings
        self._number = number
        self._stop = asyncio.Event()
        self._skip_wait = asyncio.Event()
        self._readiness = Readiness()
        self._metrics: Metrics = new_metrics(self._readiness)

    async def work(self, link: socket.socket) -> None:
        """Answer calls until told to stop, then stop in order."""
        loop = asyncio.get_running_loop()
        for stop_signal in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(stop_signal, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, str)  # meant for the parent, but sent to all
        reader, self._writer = await open_link(link)
        obeying = asyncio.create_task(self._obey(reader), name="creditgate-orders")
        options = CallsOptions(
            on_readiness=lambda _: self._report(),
            skip_wait=self._skip_wait,
            shares_port=True,
            sweeps=self._number == _SWEEPING_WORKER,
            last_good_policy=os.environ.get(LAST_GOOD),
        )
        redis_url = self._settings.redis_url
        if redis_url is None:
            raise ValueError("a worker is told which Redis to use")
        async with answering_calls(self._settings, redis_url, self._metrics, self._readiness, options):
            set_aside_started()
            reporting = asyncio.create_task(self._report_regularly(), name="creditgate-report")
            await self._stop.wait()
        reporting.cancel()
        obeying.cancel()
        await self._report_metrics()
        _log.info("stopped")

    async def _obey(self, reader: asyncio.StreamReader) -> None:
        """Do what the parent wants; its end is an order to stop at once."""
        with suppress(ConnectionError):
            while line := await reader.readline():
                order = Order(line.decode().strip())
                if order is Order.STOP:
                    self._stop.set()
                elif order is Order.SKIP_WAIT:
                    self._skip_wait.set()
                else:
                    await self._report_metrics()
        _log.warning("the parent has ended")
        self._skip_wait.set()
        self._stop.set()

    async def _report_regularly(self) -> None:
        """Let the parent see that this event loop comes round."""
        while True:
            self._report()
            await asyncio.sleep(_REPORT_INTERVAL_S)

    def _report(self) -> None:
        self._send(Report(self._readiness.unready_reason()))

    async def _report_metrics(self) -> None:
        samples = await asyncio.to_thread(take_samples, self._metrics.registry)
        self._send(Report(self._readiness.unready_reason(), samples))
        with suppress(ConnectionError):
            await self._writer.drain()

    def _send(self, report: Report) -> None:
        if not self._writer.is_closing():
            self._writer.write(report.render())


if __name__ == "__main__":
    main()
