"""Takes an active batch back."""

import time

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.limit_batch import UNDO_BATCHES_MAX, LimitBatch, LimitBatchState
from creditgate.domain.ports import LimitBatchStore
from creditgate.limit_feed.batches import activated_batches
from creditgate.limit_feed.observer import LimitFeedObserver, Step
from creditgate.limit_feed.records import WorkedBatch, require_state, work_deadline


async def check_can_roll_back(store: LimitBatchStore, batch: LimitBatch) -> None:
    """Raise LIMIT_BATCH_STATE unless a batch is active and what would undo it is kept."""
    require_state(batch, LimitBatchState.ACTIVE, action="rolled back")
    newest = (await activated_batches(store))[:UNDO_BATCHES_MAX]
    if all(each.batch_id != batch.batch_id for each in newest):
        raise CreditError(
            ErrorReason.LIMIT_BATCH_STATE,
            f"batch {batch.batch_id} can no longer be rolled back: what would undo it is kept for the "
            f"{UNDO_BATCHES_MAX} batches that were activated last",
        )


async def restore(store: LimitBatchStore, worked: WorkedBatch, observer: LimitFeedObserver) -> None:
    """Restore the limits before a batch that have not been changed since, and write that. Raises BatchLeftError."""
    started = time.monotonic()
    batch = worked.batch
    restored_rows = batch.restored_rows
    async for part in store.restore_rows(batch, work_deadline()):
        restored_rows += part.restored_rows
        await worked.tell_progress(restored_rows=min(restored_rows, batch.applied_rows))
    counts = await store.count_restored(batch.batch_id, work_deadline())
    rolled_back = await worked.write(
        state=LimitBatchState.ROLLED_BACK,
        restored_rows=counts.restored_rows,
        kept_count=batch.applied_rows - counts.restored_rows,
        kept_changes=counts.kept_changes,
    )
    observer.rolled_back(rolled_back)
    observer.step_finished(Step.ROLL_BACK, time.monotonic() - started)
    await store.drop_rows(batch.batch_id, work_deadline())
