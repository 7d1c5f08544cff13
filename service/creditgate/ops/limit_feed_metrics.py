"""Metrics of the limit feed: what `creditgate.limit_feed.LimitFeedObserver` is told."""

import time
from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from creditgate.domain.limit_batch import LimitBatch, LimitBatchState
from creditgate.limit_feed import Step
from creditgate.ops.loop_metrics import LoopCounter, LoopHistogram

_DURATION_BUCKETS_S: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
_MS_PER_SECOND: Final = 1000
_APPLIED: Final = "APPLIED"
_SKIPPED: Final = "SKIPPED"
_REJECTED: Final = "REJECTED"
_RESTORED: Final = "RESTORED"
_KEPT: Final = "KEPT"

ROW_RESULTS: Final = (_APPLIED, _SKIPPED, _REJECTED, _RESTORED, _KEPT)
"""What can become of a row of a batch that was put in force."""


class LimitFeedMetrics:
    """Batches by state, rows by result, how long steps take, and the age of what is in force."""

    def __init__(self, registry: CollectorRegistry) -> None:
        rows = LoopCounter(
            "creditgate_limit_feed_rows_total",
            "Rows of batches that were put in force or taken back by this process, by what became of them.",
            ("result",),
            registry,
        )
        self._rows = {result: rows.labels(result) for result in ROW_RESULTS}
        duration = LoopHistogram(
            "creditgate_limit_feed_step_duration_seconds",
            "Time of one step with a whole batch: measuring it, putting it in force, taking it back.",
            ("step",),
            _DURATION_BUCKETS_S,
            registry,
        )
        self._durations = {step: duration.labels(step.value) for step in Step}
        batches = Gauge(
            "creditgate_limit_batches",
            "Batches that are kept, by state, as counted by one process of a service every half minute.",
            ("state",),
            registry=registry,
        )
        self._batches = {state: batches.labels(state.name) for state in LimitBatchState}
        self._newest_s = 0.0
        age = Gauge(
            "creditgate_limit_batch_newest_active_age_seconds",
            "How long ago the newest active batch was in force; 0 without one.",
            registry=registry,
        )
        age.set_function(self._age_s)

    def activated(self, batch: LimitBatch) -> None:
        """All limits of a batch are in force."""
        self._rows[_APPLIED].inc(batch.applied_rows)
        self._rows[_SKIPPED].inc(batch.skipped_rows)
        self._rows[_REJECTED].inc(batch.rejected_rows)
        self._newest_s = max(self._newest_s, batch.activate_time_ms / _MS_PER_SECOND)

    def rolled_back(self, batch: LimitBatch) -> None:
        """The limits before a batch are in force again."""
        self._rows[_RESTORED].inc(batch.restored_rows)
        self._rows[_KEPT].inc(batch.kept_count)

    def step_finished(self, step: Step, duration_s: float) -> None:
        """A step has been done in so many seconds."""
        self._durations[step].observe(duration_s)

    def batches_counted(self, by_state: Mapping[LimitBatchState, int], newest_activate_time_ms: int) -> None:
        """So many batches are in each state; the newest active one was in force at that instant, 0 without one."""
        for state, gauge in self._batches.items():
            gauge.set(by_state.get(state, 0))
        self._newest_s = newest_activate_time_ms / _MS_PER_SECOND

    def _age_s(self) -> float:
        return max(0.0, time.time() - self._newest_s) if self._newest_s else 0.0
