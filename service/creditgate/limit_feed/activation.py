"""Puts a batch in force."""

import time
from dataclasses import dataclass

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.limit_batch import UNDO_BATCHES_MAX, LimitBatch, LimitBatchState
from creditgate.domain.policy import GuardRails
from creditgate.domain.ports import LimitBatchStore
from creditgate.limit_feed.batches import activated_batches
from creditgate.limit_feed.measuring import fields_of, judge, rows_lost, why_failed
from creditgate.limit_feed.observer import LimitFeedObserver, Step
from creditgate.limit_feed.records import BatchLeftError, WorkedBatch, require_state, work_deadline

_DROPPED_AGAIN = 3
"""Batches behind those that can be rolled back whose rows are dropped at each activation: a server may have been killed
before it did so at an earlier one."""


@dataclass(frozen=True, slots=True)
class Activation:
    """A person's wish that a batch be in force, with `force` in spite of its guard rails."""

    actor: str
    comment: str
    force: bool = False


def check_can_activate(batch: LimitBatch, activation: Activation) -> None:
    """Raise LIMIT_BATCH_STATE or LIMIT_BATCH_QUARANTINED unless a batch may be activated."""
    require_state(batch, LimitBatchState.STAGED, LimitBatchState.QUARANTINED, action="activated")
    if batch.state is LimitBatchState.QUARANTINED and not activation.force:
        raise quarantined(batch)


def quarantined(batch: LimitBatch) -> CreditError:
    """Return the fault of an activation that a guard rail holds back."""
    rails = "; ".join(f"{report.guard_rail.name}: {report.message}" for report in batch.guard_rails)
    what = f"batch {batch.batch_id} is held back by its guard rails; to activate it, use force"
    return CreditError(ErrorReason.LIMIT_BATCH_QUARANTINED, f"{what}: {rails}")


async def begin_activation(
    store: LimitBatchStore, worked: WorkedBatch, activation: Activation, rails: GuardRails, observer: LimitFeedObserver
) -> LimitBatch:
    """Measure a batch anew and write that it is being activated.

    Raises LIMIT_BATCH_QUARANTINED when the accounts have changed so that a guard rail trips now, LIMIT_BATCH_STATE when
    one wrong row keeps all from taking effect, when rows are lost, or when somebody else has ended the batch meanwhile.
    """
    batch = worked.batch
    try:
        judged = await judge(store, worked, rails, observer)
        fields = fields_of(worked, judged)
        if comment := why_failed(batch, judged):
            failed = await worked.write(state=LimitBatchState.FAILED, comment=comment, **fields)
            await store.drop_rows(batch.batch_id, work_deadline())
            require_state(failed, LimitBatchState.STAGED, action="activated")
        if judged.reports and not activation.force:
            raise quarantined(await worked.write(state=LimitBatchState.QUARANTINED, **fields))
        return await worked.write(
            state=LimitBatchState.ACTIVATING,
            actor=activation.actor,
            comment=activation.comment,
            forced=bool(judged.reports),
            **fields,
        )
    except BatchLeftError as left:
        if left.batch.state in (LimitBatchState.ACTIVATING, LimitBatchState.ACTIVE):
            return left.batch
        require_state(left.batch, LimitBatchState.STAGED, LimitBatchState.QUARANTINED, action="activated")
        raise CreditError(
            ErrorReason.LIMIT_BATCH_CHANGED, f"batch {batch.batch_id} has just changed; ask again"
        ) from None


async def put_in_force(store: LimitBatchStore, worked: WorkedBatch, observer: LimitFeedObserver) -> None:
    """Apply the rows that are not, and write that all are. Raises BatchLeftError.

    The counts are taken from what the store has marked as done, so that they are exact whoever did it. A batch of which
    rows are neither in force nor refused has failed: the store has lost them.
    """
    started = time.monotonic()
    batch = worked.batch
    applied_rows = batch.applied_rows
    async for part in store.apply_rows(batch, work_deadline()):
        applied_rows += part.applied_rows
        await worked.tell_progress(applied_rows=min(applied_rows, batch.received_rows))
    counts = await store.count_applied(batch.batch_id, work_deadline())
    rejected_rows = batch.received_errors + counts.refused_rows
    lost_rows = batch.received_rows - counts.applied_rows - counts.skipped_rows - rejected_rows
    end_time_ms = await store.read_clock(work_deadline())
    ended = await worked.write(
        state=LimitBatchState.FAILED if lost_rows > 0 else LimitBatchState.ACTIVE,
        comment=rows_lost(batch, lost_rows, counts.applied_rows) if lost_rows > 0 else batch.comment,
        applied_rows=counts.applied_rows,
        scheduled_rows=counts.scheduled_rows,
        created_accounts=counts.created_accounts,
        skipped_rows=counts.skipped_rows,
        rejected_rows=rejected_rows,
        released_reviews=counts.released_reviews,
        over_limit_count=counts.over_limit_count,
        over_limit_accounts=counts.over_limit_accounts,
        row_errors=counts.errors,
        activate_time_ms=end_time_ms,
    )
    if ended.state is LimitBatchState.ACTIVE:
        observer.activated(ended)
    observer.step_finished(Step.ACTIVATE, time.monotonic() - started)
    await drop_old_rows(store)


async def drop_old_rows(store: LimitBatchStore) -> None:
    """Drop the rows of the batches that can no longer be rolled back."""
    activated = await activated_batches(store)
    for batch in activated[UNDO_BATCHES_MAX : UNDO_BATCHES_MAX + _DROPPED_AGAIN]:
        if batch.state is LimitBatchState.ROLLING_BACK:
            continue  # its rows are in use
        await store.drop_rows(batch.batch_id, work_deadline())
