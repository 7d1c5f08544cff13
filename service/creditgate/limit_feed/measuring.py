"""Measures a batch, and says what is to become of it."""

import time
from dataclasses import dataclass

from creditgate.domain.guard_rails import judge_batch
from creditgate.domain.limit_batch import GuardRailReport, LimitBatch, LimitBatchMode, LimitBatchState
from creditgate.domain.policy import GuardRails, Policy
from creditgate.domain.ports import LimitBatchStore
from creditgate.limit_feed.batches import newest_active
from creditgate.limit_feed.gathering import Gathered, still_holds
from creditgate.limit_feed.measurer import Measured, Measurer
from creditgate.limit_feed.observer import LimitFeedObserver, Step
from creditgate.limit_feed.records import WorkedBatch, work_deadline

PREVIEW_COMMENT = "a preview is not kept"


@dataclass(frozen=True, slots=True)
class Judged:
    """A batch as measured, and the rails that it trips."""

    measured: Measured
    reports: tuple[GuardRailReport, ...]


async def judge(store: LimitBatchStore, worked: WorkedBatch, rails: GuardRails, observer: LimitFeedObserver) -> Judged:
    """Measure a batch against the accounts as they are, and the guard rails as they are when this begins."""
    started = time.monotonic()
    measurer = Measurer(rails)
    async for effect in store.measure_rows(worked.batch, measurer.noteworthy, work_deadline()):
        measurer.add(effect)
        await worked.tell_progress()
    judged = await _judge_measured(store, worked, rails, measurer.measured())
    observer.step_finished(Step.MEASURE, time.monotonic() - started)
    return judged


async def judge_gathered(
    store: LimitBatchStore, worked: WorkedBatch, policy: Policy, observer: LimitFeedObserver, gathered: Gathered | None
) -> Judged:
    """Judge a batch by what was measured on receipt of its rows; measure it where that does not hold any more."""
    started = time.monotonic()
    if gathered is None or not await still_holds(store, worked.batch, gathered, policy):
        return await judge(store, worked, policy.guard_rails, observer)
    judged = await _judge_measured(store, worked, policy.guard_rails, gathered.measured)
    observer.step_finished(Step.MEASURE, time.monotonic() - started)
    return judged


async def complete(
    store: LimitBatchStore, worked: WorkedBatch, policy: Policy, observer: LimitFeedObserver, gathered: Gathered | None
) -> None:
    """Write what becomes of a batch whose rows are all there; measure it, unless that was done on receipt.

    Raises BatchLeftError.
    """
    await store.drop_received(worked.batch.batch_id, work_deadline())
    judged = await judge_gathered(store, worked, policy, observer, gathered)
    state, comment = _next_state(worked, judged)
    await worked.write(state=state, comment=comment, **fields_of(worked, judged))
    if state in (LimitBatchState.CANCELLED, LimitBatchState.FAILED):
        await store.drop_rows(worked.batch.batch_id, work_deadline())


async def _judge_measured(store: LimitBatchStore, worked: WorkedBatch, rails: GuardRails, measured: Measured) -> Judged:
    last_active = await newest_active(store)
    return Judged(measured, judge_batch(rails, worked.batch, measured.seen, last_active))


def _next_state(worked: WorkedBatch, judged: Judged) -> tuple[LimitBatchState, str]:
    header = worked.batch.header
    if lost_rows := _lost_rows(worked.batch, judged.measured):
        return LimitBatchState.FAILED, rows_lost(worked.batch, lost_rows)
    if header.mode is LimitBatchMode.PREVIEW:
        return LimitBatchState.CANCELLED, PREVIEW_COMMENT
    if comment := why_failed(worked.batch, judged):
        return LimitBatchState.FAILED, comment
    if judged.reports:
        return LimitBatchState.QUARANTINED, ""
    return (LimitBatchState.STAGED if header.mode is LimitBatchMode.STAGE else LimitBatchState.ACTIVATING), ""


def why_failed(batch: LimitBatch, judged: Judged) -> str:
    """Return why no row of a batch may be put in force, whatever its guard rails say; empty when they may."""
    if lost_rows := _lost_rows(batch, judged.measured):
        return rows_lost(batch, lost_rows)
    rejected_rows = batch.received_errors + judged.measured.rejected_rows
    if batch.header.all_or_nothing and rejected_rows:
        return f"all or nothing, and {rejected_rows} rows are wrong"
    return ""


def rows_lost(batch: LimitBatch, lost_rows: int, applied_rows: int = 0) -> str:
    """Return what there is to say of a batch of which rows are gone that the store had acknowledged.

    Those in force have their versions: the same rows under another id put the others in force.
    """
    what = f"the store has lost {lost_rows} of {batch.received_rows} rows, and {applied_rows} are in force"
    return f"{what}; push the same rows again under another batch_id"


def _lost_rows(batch: LimitBatch, measured: Measured) -> int:
    found_rows = measured.seen.accounts + measured.skipped_rows + measured.rejected_rows
    return max(batch.received_rows - batch.received_errors - found_rows, 0)


def fields_of(worked: WorkedBatch, judged: Judged) -> dict[str, object]:
    """Return what a batch's record tells of its measure."""
    measured = judged.measured
    return {
        "effect": measured.effect,
        "guard_rails": judged.reports,
        "skipped_rows": measured.skipped_rows,
        "rejected_rows": worked.batch.received_errors + measured.rejected_rows,
        "row_errors": measured.errors,
    }
