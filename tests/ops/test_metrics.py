"""The registry against docs/metrics.md, and what counts as what."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics import MetricWrapperBase

from creditgate.domain import operations
from creditgate.domain.decision import Action, Decision, Exposure, Outcome, Reason, ReasonCode
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import (
    OPERATIONS,
    CheckCredit,
    CommitReservation,
    Committed,
    GroupOperation,
    Operation,
    Released,
    ReleaseReservation,
    ReserveCredit,
    Reserved,
)
from creditgate.domain.ports import CreditStore
from creditgate.domain.reservation import Reservation, ReservationState
from creditgate.ops.counted_store import CountedStore, DecisionMetrics
from creditgate.ops.loop_metrics import LoopCounter, LoopHistogram
from creditgate.ops.metrics import Metrics
from creditgate.ops.store_metrics import WATCHED_RESULTS, StoreMetrics
from creditgate.v1 import admin_service_pb2, credit_desk_service_pb2, credit_service_pb2, receivables_service_pb2

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
TABLE = ROOT / "docs" / "metrics.md"

EXPOSURE = Exposure("USD", 10, unlimited=False, reserved_minor=0, receivable_minor=0, pending_review_minor=0)
APPROVED = Decision(Outcome.APPROVED, (), (), (), EXPOSURE, "v", 0, 0)
REJECTED = APPROVED._replace(
    outcome=Outcome.REJECTED,
    reasons=(Reason(ReasonCode.LIMIT_EXCEEDED, Action.REJECT, 11, 10),),
    shadow_reasons=(Reason(ReasonCode.ACCOUNT_BLOCKED, Action.SHADOW, 1, 0),),
)
RESERVATION = Reservation("A1", "o", ReservationState.HELD, "USD", 1, 0, 0, 1, 1, "1", 0, 0, 0, 1, APPROVED)
RESERVE = ReserveCredit("A1", "o", 1, "USD", 60)


def nothing() -> None:
    """Readiness is of no interest here."""


def documented() -> set[tuple[str, str, tuple[str, ...], str]]:
    rows = re.findall(r"^\| `(creditgate_\w+)` \| (\w+) \| (.*?) ?\| (.+) \|$", TABLE.read_text(), re.MULTILINE)
    return {(name, kind, tuple(re.findall(r"`(\w+)`", labels)), meaning) for name, kind, labels, meaning in rows}


def registered(registry: CollectorRegistry) -> set[tuple[str, str, tuple[str, ...], str]]:
    labels = {
        collector._name: collector._labelnames  # noqa: SLF001 - the library shows a metric's labels only with values
        for collector in registry._collector_to_names  # noqa: SLF001 - as above
        if isinstance(collector, MetricWrapperBase)
    }
    labels |= {
        collector.name: collector.label_names
        for collector in registry._collector_to_names  # noqa: SLF001 - as above
        if isinstance(collector, LoopCounter | LoopHistogram)
    }
    return {
        (
            f"{family.name}_total" if family.type == "counter" else family.name,
            family.type,
            labels[family.name],
            family.documentation,
        )
        for family in registry.collect()
        if family.name.startswith("creditgate_")
    }


def test_the_table_and_the_registry_agree() -> None:
    metrics = Metrics(codes=("OK",), version="1", library_version=1, on_readiness=nothing)
    assert registered(metrics.registry) == documented()


def test_the_page_shows_nothing_else_of_ours() -> None:
    metrics = Metrics(codes=("OK",), version="1", library_version=1, on_readiness=nothing)
    shown = re.findall(r"^# TYPE (creditgate_\w+)", generate_latest(metrics.registry).decode(), re.MULTILINE)
    assert set(shown) == {name for name, *_ in documented()}


def test_results_of_operations_that_alerts_look_at_are_there_from_the_start() -> None:
    """An increase from nothing to one is none to Prometheus."""
    metrics = Metrics(codes=("OK",), version="1", library_version=1, on_readiness=nothing)
    asked_for = {result for rule in ALERTS.read_text().splitlines() for result in alerting_results(rule)}
    assert asked_for <= set(WATCHED_RESULTS)
    for operation in OPERATIONS:
        for result in WATCHED_RESULTS:
            labels = {"operation": operation.__name__, "result": result}
            assert metrics.registry.get_sample_value("creditgate_store_operations_total", labels) == 0


def alerting_results(line: str) -> list[str]:
    found = re.search(r'creditgate_store_operations_total\{[^}]*result=~?"([A-Z_|]+)"', line)
    return found[1].split("|") if found else []


def test_every_kind_of_operation_is_listed() -> None:
    kinds = {kind for kind in vars(operations).values() if isinstance(kind, type) and issubclass(kind, Operation)}
    assert set(OPERATIONS) == kinds - {Operation, GroupOperation}


def test_the_page_names_operations_that_are_no_rpcs() -> None:
    services = (admin_service_pb2, credit_service_pb2, credit_desk_service_pb2, receivables_service_pb2)
    rpcs = {
        method.name
        for module in services
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    unnamed = {kind.__name__ for kind in OPERATIONS} - rpcs
    assert unnamed == {"ImportOpenItem", "SetBlock"}
    assert [name for name in unnamed if f"`{name}`" not in TABLE.read_text()] == []


def test_the_build_is_named() -> None:
    metrics = Metrics(codes=("OK",), version="1.2.3", library_version=1001, on_readiness=nothing)
    labels = {"version": "1.2.3", "library_version": "1001"}
    assert metrics.registry.get_sample_value("creditgate_build_info", labels) == 1


def test_the_process_is_measured() -> None:
    metrics = Metrics(codes=("OK",), version="1", library_version=1, on_readiness=nothing)
    assert metrics.registry.get_sample_value("process_start_time_seconds")


def test_restarts_of_the_embedded_redis() -> None:
    metrics = Metrics(codes=("OK",), version="1", library_version=1, on_readiness=nothing)
    assert metrics.registry.get_sample_value("creditgate_embedded_redis_restarts") == 0
    metrics.watch_restarts(lambda: 3)
    assert metrics.registry.get_sample_value("creditgate_embedded_redis_restarts") == 3


class AnsweringStore:
    """Answers what it is given."""

    def __init__(self, *answers: object) -> None:
        self.answers = answers

    async def run(self, operation: object, deadline: float) -> object:  # noqa: ARG002 - the port's signature
        (answer,) = self.answers
        return answer

    async def run_each(self, operations: Sequence[object], deadline: float) -> list[object]:  # noqa: ARG002 - as above
        return list(self.answers)


class Counted:
    """A counting store around one that answers what it is given."""

    def __init__(self, *answers: object) -> None:
        self.registry = CollectorRegistry()
        inner = cast("CreditStore", AnsweringStore(*answers))
        self.store = CountedStore(inner, DecisionMetrics(self.registry))

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"creditgate_{name}_total", labels)


async def test_decisions_and_reasons_are_counted() -> None:
    answers = (
        Reserved(APPROVED, RESERVATION, replayed=False),
        Reserved(REJECTED, None, replayed=False),
        CreditError(ErrorReason.ACCOUNT_NOT_FOUND, ""),
    )
    counted = Counted(*answers)
    assert await counted.store.run_each([RESERVE] * 3, 0) == list(answers)
    assert counted.value("decisions", operation="ReserveCredit", outcome="APPROVED") == 1
    assert counted.value("decisions", operation="ReserveCredit", outcome="REJECTED") == 1
    assert counted.value("decisions", operation="CheckCredit", outcome="REJECTED") == 0
    assert counted.value("decision_reasons", code="LIMIT_EXCEEDED", action="REJECT") == 1
    assert counted.value("decision_reasons", code="ACCOUNT_BLOCKED", action="SHADOW") == 1
    assert counted.value("decision_reasons", code="ACCOUNT_CLOSED", action="REJECT") == 0


async def test_a_replayed_decision_is_not_counted_again() -> None:
    counted = Counted(Reserved(APPROVED, RESERVATION, replayed=True))
    await counted.store.run(RESERVE, 0)
    assert counted.value("decisions", operation="ReserveCredit", outcome="APPROVED") == 0
    assert counted.value("replays", operation="ReserveCredit") == 1


async def test_checks_are_counted_apart() -> None:
    counted = Counted(REJECTED)
    await counted.store.run(CheckCredit("A1", 1, "USD"), 0)
    assert counted.value("decisions", operation="CheckCredit", outcome="REJECTED") == 1
    assert counted.value("decision_reasons", code="LIMIT_EXCEEDED", action="REJECT") == 0


@pytest.mark.parametrize(
    ("over_minor", "late", "replayed", "expected"),
    [
        (0, False, False, (0, 0, 0)),
        (5, False, False, (0, 1, 0)),
        (0, True, False, (1, 0, 0)),
        (5, True, True, (0, 0, 1)),
    ],
)
async def test_commits(*, over_minor: int, late: bool, replayed: bool, expected: tuple[int, int, int]) -> None:
    counted = Counted(Committed(RESERVATION, over_minor, late, replayed))
    await counted.store.run(CommitReservation("A1", "o", 1, "USD", "d", final=True), 0)
    replays = counted.value("replays", operation="CommitReservation")
    assert (counted.value("late_commits"), counted.value("over_commits"), replays) == expected


async def test_replayed_releases() -> None:
    counted = Counted(Released(RESERVATION, replayed=True))
    await counted.store.run(ReleaseReservation("A1", "o"), 0)
    assert counted.value("replays", operation="ReleaseReservation") == 1


def test_versions_of_the_policy_file_are_counted() -> None:
    metrics = Metrics(codes=("OK",), version="1", library_version=1, on_readiness=nothing)
    value = metrics.registry.get_sample_value
    reads = "creditgate_policy_reads_total"
    assert value("creditgate_policy_file_usable") == 1
    assert (value(reads, {"usable": "true"}), value(reads, {"usable": "false"})) == (0, 0)
    metrics.policy_read(usable=True)
    metrics.policy_read(usable=False)
    assert value("creditgate_policy_file_usable") == 0
    metrics.policy_read(usable=True)
    assert value("creditgate_policy_file_usable") == 1
    assert (value(reads, {"usable": "true"}), value(reads, {"usable": "false"})) == (2, 1)


def test_what_the_store_tells() -> None:
    registry = CollectorRegistry()
    told: list[str] = []
    metrics = StoreMetrics(registry, lambda: told.append("changed"))
    value = registry.get_sample_value
    metrics.call_finished("f", 128, 0.01, failed=False)
    metrics.call_finished("f", 2, 0.01, failed=True)
    assert value("creditgate_store_call_duration_seconds_count", {"function": "f"}) == 2
    assert value("creditgate_store_call_operations_sum", {"function": "f"}) == 130
    assert value("creditgate_store_call_failures_total", {"function": "f"}) == 1
    metrics.queue_changed(7)
    assert value("creditgate_store_queue_operations") == 7
    metrics.swept(3, 2)
    assert value("creditgate_sweeper_lag_seconds") == 2
    assert value("creditgate_sweeper_settled_holds_total") == 3
    metrics.operation_finished("ReserveCredit", "OVERLOADED")
    labels = {"operation": "ReserveCredit", "result": "OVERLOADED"}
    assert value("creditgate_store_operations_total", labels) == 1
    assert value("creditgate_store_ready") == 0
    metrics.readiness_changed(ready=True, why="")
    assert value("creditgate_store_ready") == 1
    metrics.readiness_changed(ready=False, why="gone")
    assert value("creditgate_store_ready") == 0
    assert told == ["changed", "changed"]
