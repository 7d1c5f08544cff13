"""The sweeper settles holds whose time is over, in bounded steps. Decisions are exact without it."""

import asyncio
import logging
from contextlib import suppress

from creditgate.domain.errors import CreditError
from creditgate.store.constants import SWEEP_REFERENCES_MAX
from creditgate.store.observer import StoreObserver
from creditgate.store.redis_store import RedisCreditStore

_log = logging.getLogger(__name__)


class Sweeper:
    """Goes through all partitions every `interval_s` seconds.

    Several services may sweep at once: each step is atomic.
    """

    def __init__(self, store: RedisCreditStore, observer: StoreObserver, interval_s: float) -> None:
        self._store = store
        self._observer = observer
        self._interval_s = interval_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to sweep in the background."""
        self._task = asyncio.create_task(self._run(), name="creditgate-sweeper")

    async def stop(self) -> None:
        """End sweeping; a step under way is carried out by Redis all the same."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def sweep_once(self) -> int:
        """Settle everything that is due now in every partition, and return how many holds that were.

        Raises:
            CreditError: STORE_UNAVAILABLE, when a partition is away; the others have been swept.

        """
        settled = lag_s = 0
        away: list[CreditError] = []
        for partition in range(self._store.partitions):
            looked_at = 1
            while looked_at:
                try:
                    step = await self._store.sweep(partition, SWEEP_REFERENCES_MAX)
                except CreditError as error:
                    away.append(error)
                    break
                looked_at = step.looked_at
                settled += step.settled
                lag_s = max(lag_s, step.lag_s)
        if len(away) < self._store.partitions:
            self._observer.swept(settled, lag_s)
        if away:
            raise away[0]
        return settled

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            if not self._store.ready:
                continue
            try:
                await self.sweep_once()
            except CreditError as error:
                _log.warning("sweeping stopped early and goes on at the next turn: %s", error.message)
