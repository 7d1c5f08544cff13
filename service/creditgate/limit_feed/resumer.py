"""Finds batches whose work has stopped, because its server was ended or lost the store, and carries them on."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from creditgate.domain.background import Background
from creditgate.domain.bounds import SECONDS_PER_DAY
from creditgate.domain.errors import CreditError
from creditgate.domain.limit_batch import LimitBatch, LimitBatchState
from creditgate.domain.ports import LimitBatchStore
from creditgate.limit_feed.batches import all_batches
from creditgate.limit_feed.finisher import Finisher, needs_no_sender
from creditgate.limit_feed.observer import LimitFeedObserver
from creditgate.limit_feed.records import change_batch, soon, work_deadline

LOOK_INTERVAL_S: Final = 2.0
"""How often the batches that are under way are looked at."""

STANDSTILL_S: Final = 5.0
"""A batch whose record has not changed for so long is carried on; whoever works on one writes it every second."""

COUNT_INTERVAL_S: Final = 30.0
"""How often all batches are counted, for the metrics."""

ABANDONED_S: Final = 7 * SECONDS_PER_DAY
"""A batch of which no row has come for so long is given up: nobody sends the rest of last week's limits."""

_OVER: Final = frozenset({LimitBatchState.CANCELLED, LimitBatchState.FAILED, LimitBatchState.ROLLED_BACK})
_DROPPED_AGAIN_MAX: Final = 20
_MS_PER_SECOND: Final = 1000
_UNDER_WAY: Final = frozenset({LimitBatchState.RECEIVING, LimitBatchState.ACTIVATING, LimitBatchState.ROLLING_BACK})

_log = logging.getLogger(__name__)


def _waits_for_sender(batch: LimitBatch) -> bool:
    return batch.state is LimitBatchState.RECEIVING and not needs_no_sender(batch)


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
        self._background = Background("look at limit batches", self._run)

    def start(self) -> None:
        """Begin to look in the background."""
        self._background.start()

    async def stop(self) -> None:
        """Look no more."""
        await self._background.stop()

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
        """Tell the observer how many batches are in each state, and drop rows of those that are over or abandoned.

        Raises what the store raises.
        """
        by_state: Counter[LimitBatchState] = Counter()
        newest_ms = 0
        over: list[str] = []
        abandoned_ms = await self._store.read_clock(soon()) - ABANDONED_S * _MS_PER_SECOND
        async for batch in all_batches(self._store, frozenset()):
            by_state[batch.state] += 1
            if batch.state is LimitBatchState.ACTIVE:
                newest_ms = max(newest_ms, batch.activate_time_ms)
            elif batch.state in _OVER:
                over.append(batch.batch_id)
            elif _waits_for_sender(batch) and batch.update_time_ms < abandoned_ms:
                await self._give_up(batch.batch_id, batch.revision)
        await self._drop_leftovers(over[:_DROPPED_AGAIN_MAX])
        await self._store.drop_gone(work_deadline())
        self._observer.batches_counted(by_state, newest_ms)

    async def _give_up(self, batch_id: str, revision: int) -> None:
        """Cancel a batch of which no more rows come; its rows go with the next count."""

        def cancel(found: LimitBatch) -> LimitBatch:
            if found.revision != revision:
                return found
            comment = f"no row has come for {ABANDONED_S // SECONDS_PER_DAY} days"
            return replace(found, state=LimitBatchState.CANCELLED, actor="", comment=comment, row_errors=())

        batch = await change_batch(self._store, batch_id, cancel, soon())
        _log.info("limit batch %s is %s: %s", batch_id, batch.state.name, batch.comment)

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
