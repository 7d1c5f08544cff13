"""Finds batches whose work has stopped, because its server was ended or lost the store, and carries them on."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from creditgate.domain.errors import CreditError
from creditgate.domain.limit_batch import LimitBatchState
from creditgate.domain.ports import LimitBatchStore
from creditgate.limit_feed.batches import all_batches
from creditgate.limit_feed.finisher import Finisher, needs_no_sender
from creditgate.limit_feed.observer import LimitFeedObserver
from creditgate.limit_feed.records import soon

LOOK_INTERVAL_S: Final = 2.0
"""How often the batches that are under way are looked at."""

STANDSTILL_S: Final = 5.0
"""A batch whose record has not changed for so long is carried on; whoever works on one writes it every second."""

COUNT_INTERVAL_S: Final = 30.0
"""How often all batches are counted, for the metrics."""

_OVER: Final = frozenset({LimitBatchState.CANCELLED, LimitBatchState.FAILED, LimitBatchState.ROLLED_BACK})
_DROPPED_AGAIN_MAX: Final = 20
_UNDER_WAY: Final = frozenset({LimitBatchState.RECEIVING, LimitBatchState.ACTIVATING, LimitBatchState.ROLLING_BACK})

_log = logging.getLogger(__name__)


class _Seen(NamedTuple):
    """A record's revision, and since when it has been that one by `time.monotonic()`."""

    revision: int
    since: float


class Resumer:
    """Looks at the batches every few seconds, when the store is ready. Several servers may do so at once."""

    def __init__(
        self,
        store: LimitBatchStore,
        finisher: Finisher,
        observer: LimitFeedObserver,
        is_ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self._store = store
        self._is_ready = is_ready
        self._finisher = finisher
        self._observer = observer
        self._seen: dict[str, _Seen] = {}
        self._dropped: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look in the background."""
        self._task = asyncio.create_task(self._run(), name="creditgate-limit-batches")

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def look(self, now: float) -> None:
        """Look once, at an instant of `time.monotonic()`; carry on what has stood still.

        Raises what the store raises.
        """
        seen: dict[str, _Seen] = {}
        async for batch in all_batches(self._store, _UNDER_WAY):
            if not needs_no_sender(batch):
                continue
            before = self._seen.get(batch.batch_id)
            if before is None or before.revision != batch.revision:
                before = _Seen(batch.revision, now)
            seen[batch.batch_id] = before
            if now - before.since >= STANDSTILL_S and not self._finisher.is_at_work(batch.batch_id):
                _log.info("carrying on with limit batch %s, which is %s", batch.batch_id, batch.state.name)
                self._finisher.carry_on(batch.batch_id)
        self._seen = seen

    async def count(self) -> None:
        """Tell the observer how many batches are in each state, and drop rows of those that are over.

        Raises what the store raises.
        """
        by_state: Counter[LimitBatchState] = Counter()
        newest_ms = 0
        over: list[str] = []
        async for batch in all_batches(self._store, frozenset()):
            by_state[batch.state] += 1
            if batch.state is LimitBatchState.ACTIVE:
                newest_ms = max(newest_ms, batch.activate_time_ms)
            elif batch.state in _OVER:
                over.append(batch.batch_id)
        await self._drop_leftovers(over[:_DROPPED_AGAIN_MAX])
        self._observer.batches_counted(by_state, newest_ms)

    async def _drop_leftovers(self, over: Sequence[str]) -> None:
        """Drop the rows of batches that are over, once: a server may have been killed before it did so."""
        for batch_id in over:
            if batch_id not in self._dropped:
                await self._store.drop_rows(batch_id, soon())
                self._dropped.add(batch_id)
        self._dropped.intersection_update(over)

    async def _run(self) -> None:
        count_at = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_INTERVAL_S)
            if not self._is_ready():
                continue
            now = time.monotonic()
            try:
                await self.look(now)
                if now >= count_at:
                    await self.count()
                    count_at = now + COUNT_INTERVAL_S
            except CreditError as error:
                _log.warning("limit batches can't be looked at now: %s", error.message)
