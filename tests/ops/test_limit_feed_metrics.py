"""What the limit feed's engine tells, as it is shown."""

import time

import pytest
from prometheus_client import CollectorRegistry

from creditgate.domain.limit_batch import LimitBatch, LimitBatchHeader, LimitBatchMode, LimitBatchState
from creditgate.limit_feed import LimitFeedObserver, Step
from creditgate.ops.limit_feed_metrics import LimitFeedMetrics

AGE = "creditgate_limit_batch_newest_active_age_seconds"


def batch(**fields: int) -> LimitBatch:
    header = LimitBatchHeader("b1", "scorer", "1", 1, LimitBatchMode.APPLY)
    return LimitBatch(header, LimitBatchState.ACTIVE, **fields)  # type: ignore[arg-type]  # fields by name


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> LimitFeedObserver:
    return LimitFeedMetrics(registry)


def test_rows_by_what_became_of_them(metrics: LimitFeedObserver, registry: CollectorRegistry) -> None:
    metrics.activated(batch(applied_rows=5, skipped_rows=2, rejected_rows=1))
    metrics.rolled_back(batch(applied_rows=5, restored_rows=4, kept_count=1))
    shown = {
        result: registry.get_sample_value("creditgate_limit_feed_rows_total", {"result": result})
        for result in ("APPLIED", "SKIPPED", "REJECTED", "RESTORED", "KEPT")
    }
    assert shown == {"APPLIED": 5, "SKIPPED": 2, "REJECTED": 1, "RESTORED": 4, "KEPT": 1}


def test_batches_by_state(metrics: LimitFeedObserver, registry: CollectorRegistry) -> None:
    metrics.batches_counted({LimitBatchState.ACTIVE: 3, LimitBatchState.QUARANTINED: 1}, 0)
    metrics.batches_counted({LimitBatchState.ACTIVE: 4}, 0)
    shown = [
        registry.get_sample_value("creditgate_limit_batches", {"state": state})
        for state in ("ACTIVE", "QUARANTINED", "STAGED")
    ]
    assert shown == [4, 0, 0]


def test_the_age_of_what_is_in_force(metrics: LimitFeedObserver, registry: CollectorRegistry) -> None:
    assert registry.get_sample_value(AGE) == 0
    metrics.batches_counted({}, int((time.time() - 1000) * 1000))
    assert 1000 <= (registry.get_sample_value(AGE) or 0) < 2000
    metrics.activated(batch(activate_time_ms=int(time.time() * 1000)))
    assert 0 <= (registry.get_sample_value(AGE) or 0) < 500
    metrics.batches_counted({}, 0)
    assert registry.get_sample_value(AGE) == 0


def test_steps_are_timed(metrics: LimitFeedObserver, registry: CollectorRegistry) -> None:
    metrics.step_finished(Step.MEASURE, 2.0)
    name = "creditgate_limit_feed_step_duration_seconds"
    assert registry.get_sample_value(f"{name}_bucket", {"step": "measure", "le": "3.0"}) == 1
    assert registry.get_sample_value(f"{name}_bucket", {"step": "measure", "le": "1.0"}) == 0
    assert registry.get_sample_value(f"{name}_count", {"step": "activate"}) == 0
