"""deploy/prometheus: what it scrapes, and alerts whose metrics, labels and runbook sections exist."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prometheus_client import CollectorRegistry

from creditgate.domain.decision import Outcome
from creditgate.domain.errors import ErrorReason
from creditgate.domain.limit_batch import LimitBatchState
from creditgate.domain.operations import OPERATIONS
from creditgate.ops.joined_metrics import WORKER_LABEL
from creditgate.ops.limit_feed_metrics import ROW_RESULTS
from creditgate.ops.metrics import Metrics
from creditgate.server.interceptors.metrics import CODES
from creditgate.settings import Settings
from creditgate.store.library import render_library
from creditgate.v1 import credit_service_pb2

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
METHODS = [
    f"{service.full_name}/{method.name}"
    for service in credit_service_pb2.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
OF_PROMETHEUS = {"up": {"job", "instance"}}
OF_EVERY_TARGET = {"job", "instance"}
OF_WORKERS = {WORKER_LABEL}

SELECTOR = re.compile(r"\b(?P<metric>up|process_\w+|creditgate_\w+)\b(?:\{(?P<matchers>[^}]*)\})?")
MATCHER = re.compile(r"(?P<label>\w+)\s*=~?\s*\"(?P<value>[^\"]*)\"")
GROUPING = re.compile(r"\b(?:by|on|without)\s*\((?P<labels>[^)]*)\)")
THRESHOLD = re.compile(r"[><=]\s*(?P<value>[\d.]+)$")


class Selector(NamedTuple):
    metric: str
    matchers: list[tuple[str, str]]


def read_yaml(path: Path) -> Any:  # noqa: ANN401 - the shape of a YAML file is what these tests look at
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def read_alerts() -> list[dict[str, Any]]:
    return [rule for group in read_yaml(PROMETHEUS / "alerts.yml")["groups"] for rule in group["rules"]]


def selectors_of(expression: str) -> list[Selector]:
    return [
        Selector(found["metric"], MATCHER.findall(found["matchers"] or "")) for found in SELECTOR.finditer(expression)
    ]


def exported_labels(registry: CollectorRegistry) -> dict[str, set[str]]:
    """The label names of each exported time series, by its name."""
    labels: dict[str, set[str]] = {}
    for family in registry.collect():
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


def used_registry() -> CollectorRegistry:
    """What /metrics of a service shows that has answered a call."""
    metrics = Metrics(codes=CODES, version="1", library_version=1, on_readiness=lambda: None)
    metrics.rpcs.of_method(METHODS[0]).call_finished("OK", 0.1)
    metrics.store.call_finished("creditgate_sweep", 1, 0.1, failed=False)
    metrics.store.operation_finished("ReserveCredit", "OK")
    return metrics.registry


@pytest.fixture(scope="module")
def exported() -> dict[str, set[str]]:
    """The label names of each time series that an alert can use."""
    labels = exported_labels(used_registry()) | OF_PROMETHEUS
    return {name: names | OF_WORKERS if name.startswith("process_") else names for name, names in labels.items()}


@pytest.fixture(scope="module")
def label_values() -> dict[str, list[str]]:
    """The values that a label can have, of all metrics or of one."""
    return {
        "job": [job["job_name"] for job in read_yaml(PROMETHEUS / "prometheus.yml")["scrape_configs"]],
        "code": list(CODES),
        "result": ["OK", *ErrorReason.__members__],
        "creditgate_limit_feed_rows_total.result": list(ROW_RESULTS),
        WORKER_LABEL: [""],
        "operation": [operation.__name__ for operation in OPERATIONS],
        "outcome": list(Outcome.__members__),
        "state": list(LimitBatchState.__members__),
        "method": METHODS,
        "function": re.findall(r"'(creditgate_\w+)'", render_library()),
    }


@pytest.fixture(params=read_alerts(), ids=lambda alert: alert["alert"])
def alert(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(request.param)


def test_scrapes_with_the_rules_beside_it() -> None:
    configuration = read_yaml(PROMETHEUS / "prometheus.yml")
    assert configuration["rule_files"] == ["alerts.yml"]
    assert (PROMETHEUS / "alerts.yml").is_file()
    assert configuration["global"]["scrape_interval"] == "15s"  # the ranges of the alerts hold several scrapes


def test_every_name_stands_once() -> None:
    names = [rule["alert"] for rule in read_alerts()]
    assert len(names) == len(set(names)) > 0


def test_an_alert_says_what_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    assert set(alert) <= {"alert", "expr", "for", "labels", "annotations"}
    assert alert["labels"] in ({"severity": "critical"}, {"severity": "warning"})
    assert set(alert["annotations"]) == {"summary", "description", "runbook"}
    assert all(text.strip() for text in alert["annotations"].values())
    assert "\n" not in alert["annotations"]["summary"]
    assert re.fullmatch(r"\d+[smh]", alert.get("for", "0s"))


def test_an_alert_uses_metrics_and_labels_that_exist(
    alert: dict[str, Any], exported: dict[str, set[str]], label_values: dict[str, list[str]]
) -> None:
    selectors = selectors_of(alert["expr"])
    assert selectors
    assert [found.metric for found in selectors if found.metric not in exported] == []
    known = OF_EVERY_TARGET.union(*(exported[found.metric] for found in selectors))
    for found in selectors:
        for label, value in found.matchers:
            assert label in exported[found.metric] | OF_EVERY_TARGET
            alternatives = [value] if "(" in value else value.split("|")
            for each in alternatives:
                values = label_values.get(f"{found.metric}.{label}") or label_values[label]
                assert any(re.fullmatch(each, candidate) for candidate in values), f"{label}={each}"
    grouped_by = {label.strip() for found in GROUPING.finditer(alert["expr"]) for label in found["labels"].split(",")}
    assert grouped_by <= known


def test_an_alert_has_its_section_in_the_runbook(alert: dict[str, Any]) -> None:
    page, _, anchor = alert["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^### (\w+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor == alert["alert"].lower()
    assert headings.count(alert["alert"]) == 1


def test_the_runbook_has_no_section_of_an_alert_that_is_gone() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^### (Creditgate\w+)$", page, re.MULTILINE)) == {rule["alert"] for rule in read_alerts()}


def test_the_queue_alerts_when_half_of_what_may_wait_does() -> None:
    (rule,) = (rule for rule in read_alerts() if rule["alert"] == "CreditgateQueueGrows")
    threshold = THRESHOLD.search(rule["expr"])
    assert threshold
    assert float(threshold["value"]) == Settings.model_fields["queue_max"].default / 2


def expression_of(alert_name: str) -> str:
    (rule,) = (rule for rule in read_alerts() if rule["alert"] == alert_name)
    return str(rule["expr"])


def test_faults_inside_batches_and_streams_alert_as_those_of_calls_do() -> None:
    calls, operations = expression_of("CreditgateCallsFail").split(" or ")
    (codes,) = (value for found in selectors_of(calls) for label, value in found.matchers if label == "code")
    (results,) = (value for found in selectors_of(operations) for label, value in found.matchers if label == "result")
    assert {ErrorReason[result].kind.name for result in results.split("|")} == set(codes.split("|"))


def test_a_worker_that_keeps_ending_is_no_server_that_is_started_again() -> None:
    assert ("worker", "") in selectors_of(expression_of("CreditgateRestarts"))[0].matchers
    assert "creditgate_worker_restarts_total" in expression_of("CreditgateWorkerRestarts")


@pytest.mark.parametrize(("alert_name", "metric"), [
    ("CreditgateSlow", "creditgate_rpc_duration_seconds"),
    ("CreditgateRedisSlow", "creditgate_store_call_duration_seconds"),
])  # fmt: skip
def test_a_time_alerts_at_a_bucket_of_its_histogram(alert_name: str, metric: str) -> None:
    """Between two buckets, a quantile is a guess."""
    samples = [sample for family in used_registry().collect() for sample in family.samples]
    buckets = {float(sample.labels["le"]) for sample in samples if sample.name == f"{metric}_bucket"}
    (rule,) = (rule for rule in read_alerts() if rule["alert"] == alert_name)
    threshold = THRESHOLD.search(rule["expr"])
    assert threshold
    assert float(threshold["value"]) in buckets
