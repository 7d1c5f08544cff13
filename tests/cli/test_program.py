"""The program as a whole: help, exit codes of a real process, signals, pipes, settings, library."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import creditgate as package
from creditgate.settings import Settings
from creditgate.store.library import LIBRARY_VERSION
from tests.cli.conftest import Invoke
from tests.cli.served import CREDITGATE, ServedService, environment, running
from tests.client.scripted_service import ScriptedService, Wait
from tests.patience import PATIENCE_S
from tests.private_redis import PrivateRedis

FIRST_SCREEN = [
    "Usage: creditgate [OPTIONS] COMMAND [ARGS]...",
    "Real-time credit check: may I sell this order to this customer on credit?",
    "─ Service ─",
    "serve        Run the service until it is stopped with Ctrl-C or SIGTERM.",
    "config       List the settings of the service: value, default and meaning.",
    "library      Load or check the function library of a Redis.",
    "policy       Check, show and explain the policy.",
    "─ Orders ─",
    "check        Say what would be decided about an order; hold nothing.",
    "reserve      Decide about an order and hold its exposure.",
    "amend        Change the total of an order that is held.",
    "commit       Turn (part of) a reservation into receivable.",
    "release      Give back what is still held for an order.",
    "─ Receivables ─",
    "post         Record an invoice that has no order.",
    "credit-note  Record a credit note.",
    "pay          Record that a customer has paid.",
    "aging        Say what a customer has overdue.",
    "import       Take over a file of open items.",
    "─ Credit management ─",
    "block        Stop an account.",
    "unblock      End an account's block.",
    "limit        Set and clear limits that a person decides.",
    "limits       Push, preview and take back batches of the scorer's limits.",
    "group        Create, change, show and list credit groups.",
    "rates        Put exchange rates.",
    "─ Accounts and reservations ─",
    "verify       Check that every sum is what its orders and entries add up to.",
    "account      Create, change, show, list and close accounts.",
    "reservation  Show and list reservations.",
    "Exit codes: 0 done, 1 refused by the gate, 2 error.",
]


def unstyled(text: str) -> str:
    """Return the text as it is without colours, which a CI system may ask for."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def run(*words: str, address: str = "127.0.0.1:1") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CREDITGATE, *words],
        env=environment(LISTEN=address),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.mark.parametrize("words", [[], ["--help"]], ids=["no arguments", "--help"])
def test_the_first_screen_tells_what_there_is(offline: Invoke, words: list[str]) -> None:
    result = offline(*words)
    assert result.exit_code == 0
    position = 0
    for phrase in FIRST_SCREEN:
        position = unstyled(result.output).find(phrase, position)
        assert position >= 0, phrase


def test_a_group_without_a_command_shows_its_help(offline: Invoke) -> None:
    result = offline("account")
    assert result.exit_code == 0
    assert "Create an account, or change what the options name." in result.output


@pytest.mark.parametrize(
    "words",
    [
        *("check", "reserve", "amend", "commit", "release"),
        *("post", "credit-note", "pay", "aging", "import"),
        *("verify", "account put", "reservation show", "library load", "policy check", "policy show"),
        *(
            "policy explain",
            "limit set",
            "limit temporary",
            "limit clear",
            "limits push",
            "limits preview",
            "limits batches",
            "limits show",
            "limits activate",
            "limits cancel",
            "limits rollback",
            "block",
            "unblock",
            "group put",
            "rates put",
        ),
    ],
)
def test_the_help_of_a_command_has_an_example(offline: Invoke, words: str) -> None:
    result = offline(*words.split(), "--help")
    assert result.exit_code == 0
    assert f"creditgate {words} " in unstyled(result.output).split("Example", 1)[1]


def test_help_imports_neither_grpc_nor_redis() -> None:
    program = (
        "import sys, creditgate.cli.application as a\n"
        "try: a.app(['--help'], prog_name='creditgate')\n"
        "except SystemExit: pass\n"
        "print(sorted({'grpc', 'google.protobuf', 'redis', 'pydantic_settings', 'iso4217'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    assert ended.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("words", [["--version"], ["version"]])
def test_the_version_is_told(offline: Invoke, words: list[str]) -> None:
    assert offline(*words).stdout == f"creditgate {package.__version__}\n"


def test_the_version_is_json_too(offline: Invoke) -> None:
    assert json.loads(offline("version", "--json").stdout) == {"version": package.__version__}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_serve_says_what_is_wrong_with_the_policy_file(tmp_path: Path, workers: str) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("default:\n  rules:\n    near_limit: {action: flg}\n    overdue_days: {days: -1}\n")
    ended = subprocess.run(
        [CREDITGATE, "serve", "--workers", workers],
        env=environment(
            POLICY_FILE=str(policy),
            DATA_DIR=str(tmp_path / "data"),
            LISTEN="127.0.0.1:0",
            METRICS_LISTEN="127.0.0.1:0",
        ),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == (
        f"creditgate: CREDITGATE_POLICY_FILE is {policy}, which can't be used: "
        "line 3: default.rules.near_limit.action must be off, shadow, flag, review or reject, was 'flg'; "
        "line 4: default.rules.overdue_days must have an action: off, shadow, flag, review or reject; "
        "line 4: default.rules.overdue_days.days must be a whole number of days from 0 to 3650, was -1; "
        "`creditgate config` lists the settings\n"
    )
    assert not (tmp_path / "data").exists()


def test_exit_codes_of_a_process(served: ServedService, account: str) -> None:
    assert run("check", account, "1000.00 USD", address=served.address).returncode == 0
    assert run("check", account, "1000.01 USD", address=served.address).returncode == 1
    unreachable = run("check", account, "1 USD")
    assert unreachable.returncode == 2
    assert "Traceback" not in unreachable.stderr
    assert run("check").returncode == 2


def test_ctrl_c_ends_a_command_quietly(scripted: ScriptedService) -> None:
    scripted.script("GetAccount", Wait())
    with running("account", "show", "acme", "--timeout", "60", LISTEN=scripted.address) as process:
        scripted.wait_for_requests(1)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert (output, errors) == ("", "")


def test_a_reader_that_stops_reading_ends_a_command_quietly(served: ServedService, account: str) -> None:
    for options in (["--json"], []):
        with running("account", "show", account, *options, LISTEN=served.address) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert process.stderr.read() == ""
            assert process.wait(PATIENCE_S) == 141


@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_in_order_when_it_is_told_to(redis_url: str, tmp_path: Path, stop_signal: signal.Signals) -> None:
    service = ServedService(redis_url, tmp_path / "log")
    service.start()
    assert service.stop(stop_signal) == 0


def test_serve_tells_settings_it_cannot_use() -> None:
    ended = subprocess.run(
        [CREDITGATE, "serve"],
        env=environment(PARTITIONS="none", LISTENN="x"),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 2
    assert "CREDITGATE_PARTITIONS must be a whole number" in ended.stderr
    assert "CREDITGATE_LISTENN is not a setting" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_config_lists_every_setting(offline: Invoke) -> None:
    as_text = offline("config")
    assert as_text.exit_code == 0, as_text.output
    assert "CREDITGATE_LISTEN = 127.0.0.1:1\n" in as_text.output
    assert "[default: 127.0.0.1:50051]" in as_text.output
    listed = json.loads(offline("config", "--json").stdout)
    assert len(listed) == len(Settings.model_fields)
    assert listed[0].keys() == {"name", "value", "default", "description"}


def test_config_lists_the_settings_also_where_one_is_wrong(offline: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDITGATE_PARTITIONS", "many")
    monkeypatch.setenv("CREDITGATE_REDIS_URL", "redis://ann:secret@127.0.0.1:1")
    listed = offline("config")
    assert listed.exit_code == 2
    assert "CREDITGATE_PARTITIONS = many\n" in listed.stdout
    assert "CREDITGATE_LOG_LEVEL = info\n" in listed.stdout
    assert "CREDITGATE_PARTITIONS must be a whole number" in listed.stderr
    assert "secret" not in listed.output


def test_library_is_loaded_and_checked(offline: Invoke, own_redis: Callable[..., PrivateRedis]) -> None:
    url = own_redis().url
    loaded = offline("library", "load", "--redis-url", url)
    assert loaded.exit_code == 0, loaded.output
    checked = offline("library", "check", "--redis-url", url, "--json")
    assert checked.exit_code == 0
    assert json.loads(checked.stdout) == {
        "loaded_version": LIBRARY_VERSION,
        "needed_version": LIBRARY_VERSION,
        "usable": True,
        "servers": 1,
    }


def test_a_redis_without_library_is_not_usable(offline: Invoke, own_redis: Callable[..., PrivateRedis]) -> None:
    redis = own_redis()
    with redis.client() as client:
        client.function_flush()
    result = offline("library", "check", "--redis-url", redis.url)
    assert result.exit_code == 1
    assert "is not loaded" in result.output


def test_library_tells_what_is_wrong(offline: Invoke) -> None:
    assert "set CREDITGATE_REDIS_URL or --redis-url" in offline("library", "check").stderr
    unreachable = offline("library", "check", "--redis-url", "redis://ann:secret@127.0.0.1:1")
    assert unreachable.exit_code == 2
    assert "redis://ann:***@127.0.0.1:1" in unreachable.stderr
    assert "secret" not in unreachable.stderr
    assert "--redis-url: " in offline("library", "check", "--redis-url", "127.0.0.1:1").stderr


def test_another_program_at_the_address_is_told(offline: Invoke, scripted: ScriptedService) -> None:
    result = offline("account", "show", "a", "--address", scripted.address)
    assert result.exit_code == 2
    assert "does not know this call" in result.stderr


def test_a_service_that_does_not_answer_in_time_is_told(offline: Invoke, scripted: ScriptedService) -> None:
    scripted.script("GetAccount", Wait())
    result = offline("account", "show", "a", "--address", scripted.address, "--timeout", "0.2")
    assert result.exit_code == 2
    assert "within 0.2 s; it is safe to ask again" in result.stderr


def test_a_wildcard_that_a_service_listens_at_is_reached_at_the_loopback(scripted: ScriptedService) -> None:
    scripted.script("GetAccount", Wait())
    ended = run("account", "show", "a", "--timeout", "0.2", address=f"0.0.0.0:{scripted.port}")
    assert f"no answer from 127.0.0.1:{scripted.port}" in ended.stderr
