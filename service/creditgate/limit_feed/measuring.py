"""Measures a batch, and says what is to become of it."""

import time
from dataclasses import dataclass

from creditgate.domain.guard_rails import judge_batch
from creditgate.domain.limit_batch import GuardRailReport, LimitBatchMode, LimitBatchState
from creditgate.domain.policy import GuardRails
from creditgate.domain.ports import LimitBatchStore
from creditgate.limit_feed.batches import newest_active
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
    async for effects in store.measure_rows(worked.batch, work_deadline()):
        measurer.add(effects)
        await worked.tell_progress()
    measured = measurer.measured()
    last_active = await newest_active(store)
    reports = judge_batch(rails, worked.batch, measured.seen, last_active)
    observer.step_finished(Step.MEASURE, time.monotonic() - started)
    return Judged(measured, reports)


async def complete(store: LimitBatchStore, worked: WorkedBatch, rails: GuardRails, observer: LimitFeedObserver) -> None:
    """Measure a batch whose rows are all there, and write what becomes of it. Raises BatchLeftError."""
    await store.drop_received(worked.batch.batch_id, work_deadline())
    judged = await judge(store, worked, rails, observer)
    state, comment = _next_state(worked, judged)
    await worked.write(state=state, comment=comment, **fields_of(worked, judged))
    if state in (LimitBatchState.CANCELLED, LimitBatchState.FAILED):
        await store.drop_rows(worked.batch.batch_id, work_deadline())


def _next_state(worked: WorkedBatch, judged: Judged) -> tuple[LimitBatchState, str]:
    header = worked.batch.header
    rejected_rows = worked.batch.received_errors + judged.measured.rejected_rows
    if header.mode is LimitBatchMode.PREVIEW:
        return LimitBatchState.CANCELLED, PREVIEW_COMMENT
    if header.all_or_nothing and rejected_rows:
        return LimitBatchState.FAILED, f"all or nothing, and {rejected_rows} rows are wrong"
    if judged.reports:
        return LimitBatchState.QUARANTINED, ""
    return (LimitBatchState.STAGED if header.mode is LimitBatchMode.STAGE else LimitBatchState.ACTIVATING), ""


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
