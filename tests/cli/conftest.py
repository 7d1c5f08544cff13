"""What the tests of the command line share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from creditgate.cli.application import app
from creditgate.v1.limit_feed_service_pb2 import ListLimitBatchesResponse
from tests.cli.served import ServedService
from tests.client.scripted_service import ScriptedService

Invoke = Callable[..., Result]


@pytest.fixture(scope="session")
def served(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedService]:
    service = ServedService(redis_url, tmp_path_factory.mktemp("served") / "log")
    service.start()
    yield service
    service.stop()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run a command without a service; time is shown in UTC."""
    monkeypatch.setenv("TZ", "UTC")
    runner = CliRunner(env={"CREDITGATE_LISTEN": "127.0.0.1:1", "LOGNAME": "ann", "FORCE_COLOR": None})
    return lambda *words: runner.invoke(app, [str(word) for word in words], prog_name="creditgate")


@pytest.fixture
def creditgate(served: ServedService, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run a command against the service."""
    monkeypatch.setenv("TZ", "UTC")
    runner = CliRunner(env={"CREDITGATE_LISTEN": served.address, "LOGNAME": "ann", "FORCE_COLOR": None})
    return lambda *words: runner.invoke(app, [str(word) for word in words], prog_name="creditgate")


POLICY = """
default:
  rules:
    near_limit: {action: flag, percent: 80}
    order_too_large: {action: review, amount: {EUR: 500.00}}
    terms_too_long: {action: shadow, days: 30}
risk_classes:
  gold:
    rules:
      near_limit: {action: off}
      terms_too_long: {action: off}
      order_too_large: {action: review, amount: {USD: 900.00}}
"""


@pytest.fixture(scope="session")
def policy_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "policy.yaml"
    path.write_text(POLICY)
    return path


@pytest.fixture(scope="session")
def served_with_policy(
    redis_url: str, policy_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedService]:
    service = ServedService(redis_url, tmp_path_factory.mktemp("served") / "log", POLICY_FILE=str(policy_file))
    service.start()
    yield service
    service.stop()


@pytest.fixture
def by_policy(served_with_policy: ServedService, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run a command against the service that decides by a policy file."""
    monkeypatch.setenv("TZ", "UTC")
    runner = CliRunner(env={"CREDITGATE_LISTEN": served_with_policy.address, "LOGNAME": "ann", "FORCE_COLOR": None})
    return lambda *words: runner.invoke(app, [str(word) for word in words], prog_name="creditgate")


@pytest.fixture
def scripted() -> Iterator[ScriptedService]:
    service = ScriptedService()
    yield service
    service.stop()


@pytest.fixture
def account(creditgate: Invoke, account_id: str) -> str:
    """An account with a limit of 1,000.00 USD."""
    result = creditgate("account", "put", account_id, "--limit", "1000.00 USD")
    assert result.exit_code == 0, result.output
    return account_id


@pytest.fixture
def limits(scripted: ScriptedService, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run a command of `creditgate limits` against the scripted service."""
    monkeypatch.setenv("TZ", "UTC")
    scripted.script("ListLimitBatches", ListLimitBatchesResponse())
    runner = CliRunner(env={"CREDITGATE_LISTEN": scripted.address, "LOGNAME": "ann", "FORCE_COLOR": None})

    def invoke(*words: object) -> Result:
        return runner.invoke(app, ["limits", *(str(word) for word in words)], prog_name="creditgate")

    return invoke
