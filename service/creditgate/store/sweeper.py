"""The sweeper does in the background, in bounded steps, what no call of anybody's does.

It settles holds whose time is over, judges anew what waits for a person where a limit has changed by itself or a
group's was raised, and cleans up what has been kept long enough. Decisions are exact without it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

from creditgate.domain.background import Background
from creditgate.domain.bounds import RETENTION_DEFAULT_S
from creditgate.domain.errors import CreditError
from creditgate.store.constants import MOVE_PATIENCE_S, SWEEP_REFERENCES_MAX
from creditgate.store.observer import StoreObserver
from creditgate.store.redis_store import QueueStep, RedisCreditStore

_log = logging.getLogger(__name__)


class Swept(NamedTuple):
    """What a round did: holds settled, and orders, markers and entries cleaned up."""

    settled: int
    retired: int


class Sweeper:
    """Goes through all partitions every `interval_s` seconds; what ended is kept for `retention_s` seconds.

    Several services may sweep at once: each step is atomic.
    """

    def __init__(
        self,
        store: RedisCreditStore,
        observer: StoreObserver,
        interval_s: float,
        retention_s: int = RETENTION_DEFAULT_S,
    ) -> None:
        self._store = store
        self._observer = observer
        self._interval_s = interval_s
        self._retention_s = retention_s
        self._background = Background("sweeper", self._run)

    def start(self) -> None:
        """Begin to sweep in the background."""
        self._background.start()

    async def stop(self) -> None:
        """End sweeping; a step under way is carried out by Redis all the same."""
        await self._background.stop()

    async def sweep_once(self) -> Swept:
        """Settle and judge everything that is due now in every partition, and clean up what has been kept long enough.

        Raises:
            CreditError: STORE_UNAVAILABLE, when a partition is away; the others have been swept.

        """
        settled = retired = lag_s = retention_lag_s = 0
        away: list[CreditError] = []
        for partition in range(self._store.partitions):
            try:
                done = await _work_off(partial(self._store.sweep, partition, SWEEP_REFERENCES_MAX))
                settled, lag_s = settled + done.settled, max(lag_s, done.lag_s)
                await _work_off(partial(self._store.judge_waiting, partition, SWEEP_REFERENCES_MAX))
                done = await _work_off(partial(self._store.retire, partition, SWEEP_REFERENCES_MAX, self._retention_s))
                retired, retention_lag_s = retired + done.settled, max(retention_lag_s, done.lag_s)
                await self._store.resume_moves(partition, MOVE_PATIENCE_S)
            except CreditError as error:
                away.append(error)
        if len(away) < self._store.partitions:
            self._observer.swept(settled, lag_s)
            self._observer.retired(retired, retention_lag_s)
        if away:
            raise away[0]
        return Swept(settled, retired)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            if not self._store.ready:
                continue
            try:
                await self.sweep_once()
            except CreditError as error:
                _log.warning("sweeping stopped early and goes on at the next turn: %s", error.message)


async def _work_off(step: Callable[[], Awaitable[QueueStep]]) -> QueueStep:
    """Repeat a step until nothing is due, and return what all of them did."""
    settled = looked_at = lag_s = 0
    while True:
        done = await step()
        settled, looked_at, lag_s = settled + done.settled, looked_at + done.looked_at, max(lag_s, done.lag_s)
        if not done.looked_at:
            return QueueStep(settled, looked_at, lag_s)
