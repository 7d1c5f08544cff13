"""A service as its own program: from the first line of its log to the last, with signals."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import Protocol

import structlog
import uvloop

from creditgate.bootstrap.garbage import set_aside_started
from creditgate.bootstrap.parent import running_workers
from creditgate.bootstrap.service import running_service
from creditgate.ops.listen_address import ListenAddress
from creditgate.ops.logs import configure_logs
from creditgate.settings import Settings

_log = structlog.get_logger(__name__)


class _Served(Protocol):
    """What the log tells of a started service."""

    @property
    def address(self) -> ListenAddress: ...

    @property
    def metrics_address(self) -> ListenAddress: ...


def run(settings: Settings) -> None:
    """Set logs up and serve until a signal stops the process. Raises ServiceStartError."""
    configure_logs(settings.log_format, settings.log_level)
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then stop in order; a second signal skips the wait. Raises ServiceStartError.

    With workers, SIGHUP replaces them one after another.
    """
    stop, skip_wait, replace = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def on_stop_signal() -> None:
        (skip_wait if stop.is_set() else stop).set()

    reactions: dict[signal.Signals, Callable[[], object]] = {
        signal.SIGTERM: on_stop_signal,
        signal.SIGINT: on_stop_signal,
    }
    service: AbstractAsyncContextManager[_Served]
    if settings.workers > 1:
        reactions[signal.SIGHUP] = replace.set
        service = running_workers(settings, skip_wait, replace)
    else:
        service = running_service(settings, skip_wait)
    loop = asyncio.get_running_loop()
    for signal_number, react in reactions.items():
        loop.add_signal_handler(signal_number, react)
    try:
        await _serve_until(stop, service)
    finally:
        for signal_number in reactions:
            loop.remove_signal_handler(signal_number)
    _log.info("stopped")


async def _serve_until(stop: asyncio.Event, service: AbstractAsyncContextManager[_Served]) -> None:
    """Serve until told to stop, which may be before the start is complete: an embedded Redis may have much to read."""
    async with AsyncExitStack() as stack:
        starting = asyncio.create_task(stack.enter_async_context(service), name="creditgate-start")
        stopping = asyncio.create_task(stop.wait(), name="creditgate-stop")
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            with suppress(asyncio.CancelledError):
                await starting
            return
        try:
            started = starting.result()
            set_aside_started()
            _log.info("serving", address=str(started.address), metrics_address=str(started.metrics_address))
            await stopping
        finally:
            stopping.cancel()
