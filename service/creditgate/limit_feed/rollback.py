"""Takes an active batch back."""

import time
from typing import Final

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.limit_batch import UNDO_BATCHES_MAX, LimitBatch, LimitBatchState
from creditgate.domain.ports import LimitBatchStore
from creditgate.limit_feed.batches import activated_batches, all_batches
from creditgate.limit_feed.observer import LimitFeedObserver, Step
from creditgate.limit_feed.records import WorkedBatch, require_state, work_deadline

_MS_PER_SECOND: Final = 1000
_SETS_LIMITS: Final = frozenset(
    {LimitBatchState.ACTIVATING, LimitBatchState.ACTIVE, LimitBatchState.ROLLING_BACK, LimitBatchState.FAILED}
)
"""States of batches whose limits may be in force; one that has failed may have lost the others."""


async def check_can_roll_back(store: LimitBatchStore, batch: LimitBatch) -> None:
    """Raise LIMIT_BATCH_STATE unless a batch is active and what would undo it is kept."""
    require_state(batch, LimitBatchState.ACTIVE, action="rolled back")
    await check_undo_is_kept(store, batch.batch_id)


async def check_undo_is_kept(store: LimitBatchStore, batch_id: str) -> None:
    """Raise LIMIT_BATCH_STATE unless a batch is among those whose rows are not dropped."""
    newest = (await activated_batches(store))[:UNDO_BATCHES_MAX]
    if all(each.batch_id != batch_id for each in newest):
        raise CreditError(
            ErrorReason.LIMIT_BATCH_STATE,
            f"batch {batch_id} can no longer be rolled back: what would undo it is kept for the "
            f"{UNDO_BATCHES_MAX} batches that were activated last",
        )


async def restore(store: LimitBatchStore, worked: WorkedBatch, observer: LimitFeedObserver) -> None:
    """Restore the limits before a batch that have not been changed since, and write that. Raises BatchLeftError.

    A batch of which nothing is left that would undo it stays active.
    """
    started = time.monotonic()
    batch = worked.batch
    restored_rows = batch.restored_rows
    async for part in store.restore_rows(batch, work_deadline(), await _in_force_s(store, batch)):
        restored_rows += part.restored_rows
        await worked.tell_progress(restored_rows=min(restored_rows, batch.applied_rows))
    counts = await store.count_restored(batch.batch_id, work_deadline())
    lost_rows = max(batch.applied_rows - counts.restored_rows - counts.kept_rows, 0)
    if lost_rows and lost_rows == batch.applied_rows:
        await worked.write(state=LimitBatchState.ACTIVE, comment="not rolled back: what would undo it is gone")
        return
    rolled_back = await worked.write(
        state=LimitBatchState.ROLLED_BACK,
        comment=_with_lost(batch.comment, lost_rows),
        restored_rows=counts.restored_rows,
        kept_count=counts.kept_rows,
        kept_changes=counts.kept_changes,
    )
    observer.rolled_back(rolled_back)
    observer.step_finished(Step.ROLL_BACK, time.monotonic() - started)
    await store.drop_rows(batch.batch_id, work_deadline())


async def _in_force_s(store: LimitBatchStore, batch: LimitBatch) -> int:
    """Return the second by which a batch's limits were in force; 0 when another one has set limits around then.

    Those of a batch that was rolled back do not count: so batches can be taken back one behind the other.
    """
    in_force_s = batch.activate_time_ms // _MS_PER_SECOND
    async for other in all_batches(store, _SETS_LIMITS):
        if other.batch_id == batch.batch_id or (other.state is LimitBatchState.FAILED and not other.applied_rows):
            continue
        was_done_before = 0 < other.activate_time_ms < batch.receive_time_ms
        if not was_done_before and other.receive_time_ms // _MS_PER_SECOND <= in_force_s:
            return 0
    return in_force_s


def _with_lost(comment: str, lost_rows: int) -> str:
    if not lost_rows:
        return comment
    return f"{comment} ({lost_rows} rows are still in force: what would undo them is gone)"
