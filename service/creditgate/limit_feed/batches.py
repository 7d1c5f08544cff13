"""Questions about all batches that are kept."""

from collections.abc import AsyncIterator
from typing import Final

from creditgate.domain.limit_batch import LimitBatch, LimitBatchState
from creditgate.domain.ports import LimitBatchStore
from creditgate.limit_feed.records import soon

_PAGE_SIZE: Final = 100
_ACTIVATED: Final = frozenset({LimitBatchState.ACTIVE, LimitBatchState.ROLLING_BACK, LimitBatchState.ROLLED_BACK})


async def all_batches(store: LimitBatchStore, states: frozenset[LimitBatchState]) -> AsyncIterator[LimitBatch]:
    """Yield the batches in the given states (empty: all), newest first."""
    token = ""
    while True:
        page = await store.list_batches(states, _PAGE_SIZE, token, soon())
        for batch in page.items:
            yield batch
        token = page.next_page_token
        if not token:
            return


async def newest_active(store: LimitBatchStore) -> LimitBatch | None:
    """Return the active batch that was activated last; one of which no row is in force says nothing of the next."""
    active = [batch async for batch in all_batches(store, frozenset({LimitBatchState.ACTIVE})) if batch.applied_rows]
    return max(active, key=_activation, default=None)


async def activated_batches(store: LimitBatchStore) -> list[LimitBatch]:
    """Return the batches that were activated, the last one first, whether they are still in force or not.

    Only the first `UNDO_BATCHES_MAX` of them can be rolled back: so a batch that once can't never can again.
    """
    activated = [batch async for batch in all_batches(store, _ACTIVATED)]
    return sorted(activated, key=_activation, reverse=True)


def _activation(batch: LimitBatch) -> tuple[int, str]:
    return batch.activate_time_ms, batch.batch_id
