"""`creditgate demo`, with an embedded Redis of its own."""

import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from creditgate.cli import demo
from creditgate.client import CreditClient
from creditgate.domain.bounds import HOLD_MAX_S
from creditgate.domain.operations import PutAccount
from creditgate.samples import sample_accounts
from tests.cli.served import CREDITGATE, environment, running
from tests.patience import PATIENCE_S, PATIENT_REDIS_S
from tests.private_redis import PrivateRedis

RUN_S_MAX = 4 * PATIENCE_S
pytestmark = pytest.mark.timeout(3 * RUN_S_MAX)  # thousands of orders are played


def first_account() -> PutAccount:
    return sample_accounts()[0].settings


def line_after(lines: list[str], word: str) -> str:
    (line,) = (each for each in lines if each.strip().startswith(word))
    return line.split()[1]


@pytest.mark.parametrize(("setting", "kept_s"), [(None, HOLD_MAX_S), ("3600", 3600)])
def test_what_was_played_is_remembered_as_long_as_can_be_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, setting: str | None, kept_s: int
) -> None:
    if setting is not None:
        monkeypatch.setenv("CREDITGATE_IDEMPOTENCY_RETENTION", setting)
    assert demo._demo_settings().idempotency_retention_s == kept_s  # noqa: SLF001 - no run of a demo takes a week


def test_the_demo_plays_keeps_its_data_and_serves_on(tmp_path: Path) -> None:
    settings = {
        "DATA_DIR": str(tmp_path),
        "REDIS_TIMEOUT": str(PATIENT_REDIS_S),
        "LISTEN": "127.0.0.1:0",
        "METRICS_LISTEN": "127.0.0.1:0",
    }
    once = subprocess.run(
        [CREDITGATE, "demo", "--once"],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )
    assert once.returncode == 0, once.stderr
    assert "200 created" in once.stdout
    assert "3,000 of 3,000" in once.stdout
    batches = [line.split()[1:] for line in once.stdout.splitlines() if line.startswith("sample-limits-")]
    assert [(batch[0], batch[-1]) for batch in batches] == [("198", "ACTIVE"), ("198", "ACTIVE"), ("0", "QUARANTINED")]
    assert "accounts lose more than 20 % of their limit" in once.stdout
    for reason in ("APPROVED", "LIMIT_EXCEEDED", "ACCOUNT_BLOCKED", "ACCOUNT_CLOSED", "LIMIT_NOT_SET"):
        assert reason in once.stdout
    assert "Serving until" not in once.stdout
    assert all(line.startswith("Playing sample orders: ") for line in once.stderr.splitlines()), once.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]

    lines = []
    with running("demo", **settings) as serving:
        assert serving.stdout is not None
        for line in serving.stdout:
            lines.append(line)
            if "account list" in line:
                break
        address = line_after(lines, "gRPC")
        with CreditClient(address, timeout_s=PATIENCE_S) as client:
            account = client.get_account(first_account().account_id).account
        assert account.display_name == first_account().display_name
        serving.send_signal(signal.SIGINT)
        stdout, _ = serving.communicate(timeout=RUN_S_MAX)
    assert serving.returncode == 0
    assert stdout.endswith("Stopped.\n")
    text = "".join(lines)
    assert "200 unchanged" in text
    assert "everything had been played before, and nothing has changed" in text
    assert f"check {first_account().account_id} " in text
    assert f"--address {address}" in text


@pytest.mark.parametrize("setting", ["LISTEN", "METRICS_LISTEN"])
def test_an_address_in_use_is_told_with_what_to_set(tmp_path: Path, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        addresses = {"LISTEN": "127.0.0.1:0", "METRICS_LISTEN": "127.0.0.1:0", setting: address}
        demo = subprocess.run(
            [CREDITGATE, "demo", "--once"],
            env=environment(DATA_DIR=str(tmp_path), **addresses),
            capture_output=True,
            text=True,
            timeout=RUN_S_MAX,
            check=False,
        )
    assert demo.returncode == 2
    assert f"CREDITGATE_{setting}" in demo.stderr
    assert address in demo.stderr
    assert len(demo.stderr.splitlines()) == 1
    assert demo.stdout == ""


def test_ctrl_c_while_playing_prints_the_summary_so_far(tmp_path: Path, own_redis: Callable[..., PrivateRedis]) -> None:
    redis = own_redis()
    settings = {"REDIS_URL": redis.url, "DATA_DIR": str(tmp_path)}
    with running("demo", **settings, LISTEN="127.0.0.1:0", METRICS_LISTEN="127.0.0.1:0") as playing:
        assert playing.stderr is not None
        assert "steps" in playing.stderr.readline()
        playing.send_signal(signal.SIGTERM)
        stdout, stderr = playing.communicate(timeout=RUN_S_MAX)
    assert playing.returncode == 130, stderr
    assert "play it again to carry on" in stdout
    assert "Serving until" not in stdout
