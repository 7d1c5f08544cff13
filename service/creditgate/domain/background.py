"""Work of a service that goes on beside its calls until it is stopped."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

AGAIN_AFTER_S: Final = 1.0
"""Seconds until work that has met a defect begins again."""

_log = logging.getLogger(__name__)


class Background:
    """Work that has no end of its own.

    What it is expected to meet, it handles itself. An exception that it lets through is a defect; that is logged, and
    the work begins again: nobody waits for its result, so that without it holds would not be swept, or a policy not be
    read again, and no call would fail.

    Args:
        name: what the work is, for the log.
        work: begins it; called again after a defect.
        again_after_s: seconds until then.

    """

    def __init__(self, name: str, work: Callable[[], Awaitable[None]], again_after_s: float = AGAIN_AFTER_S) -> None:
        self._name = name
        self._work = work
        self._again_after_s = again_after_s
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether the work has been started and not been stopped."""
        return self._task is not None

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._task = asyncio.create_task(self._run(), name=f"creditgate {self._name}")

    async def stop(self) -> None:
        """End the work, which is cancelled; does nothing when it does not run."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._work()
            except Exception:  # noqa: BLE001 - logged; see the class
                _log.exception("the %s met a defect and begins again", self._name)
            await asyncio.sleep(self._again_after_s)
