"""Settings from the environment, and what is said about wrong ones."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from creditgate.ops.listen_address import ListenAddress
from creditgate.settings import SettingsError, describe_settings, environment_of, mask_url, read_settings

Set = Callable[..., None]


@pytest.fixture
def set_environment(monkeypatch: pytest.MonkeyPatch) -> Set:
    """Set variables by keyword, without the prefix; no others of the service are set."""
    for name in os.environ:
        if name.startswith("CREDITGATE_"):
            monkeypatch.delenv(name)

    def set_variables(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(f"CREDITGATE_{name}", value)

    return set_variables


def why_wrong() -> str:
    with pytest.raises(SettingsError) as caught:
        read_settings()
    return str(caught.value)


def test_defaults(set_environment: Set) -> None:
    set_environment()
    settings = read_settings()
    assert settings.redis_url is None
    assert settings.listen == ListenAddress("127.0.0.1", 50_051)
    assert settings.metrics_listen == ListenAddress("127.0.0.1", 9464)
    assert (settings.partitions, settings.log_format, settings.log_level) == (16, "auto", "info")


def test_every_setting_can_be_set(set_environment: Set) -> None:
    values = {
        "REDIS_URL": "redis://localhost:6379/1",
        "DATA_DIR": "/var/lib/creditgate",
        "LISTEN": "unix:///run/creditgate.sock",
        "METRICS_LISTEN": "[::1]:9465",
        "WORKERS": "3",
        "PARTITIONS": "32",
        "REPLICA_ACKS": "2",
        "REPLICA_TIMEOUT": "0.1",
        "REDIS_TIMEOUT": "0.5",
        "QUEUE_MAX": "500",
        "DEADLINE_DEFAULT": "1.5",
        "DEADLINE_MAX": "30",
        "CONCURRENCY_MAX": "100",
        "STOP_WAIT": "3",
        "DRAIN_GRACE": "7",
        "SWEEP_INTERVAL": "4",
        "POLICY_FILE": "/etc/creditgate/policy.yaml",
        "MODE": "shadow",
        "IDEMPOTENCY_RETENTION": "86400",
        "EMBEDDED_MAXMEMORY": "512MiB",
        "SLOW_CALL": "0.25",
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "debug",
    }
    set_environment(**values)
    described = describe_settings(read_settings())
    shown = {setting.name.removeprefix("CREDITGATE_"): setting.value for setting in described}
    assert shown == values | {"EMBEDDED_MAXMEMORY": "512.0MiB"}
    assert all(setting.description.endswith(".") for setting in described)
    assert all(setting.value != setting.default for setting in described)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "REDIS_URL",
            "http://x",
            "must begin with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://, was 'http://x'",
        ),
        (
            "REDIS_URL",
            "redis+sentinel://:secret@one",
            "must end in the service name that the sentinels know, such as /mymaster, was 'redis+sentinel://:***@one'",
        ),
        ("REPLICA_ACKS", "9", "must be a whole number from 0 to 8, was '9'"),
        ("REPLICA_TIMEOUT", "0", "must be a number of seconds from 0.01 to 30, was '0'"),
        ("LISTEN", "50051", "must be host:port, [ipv6]:port or unix:///path, was '50051'"),
        ("LISTEN", "localhost:99999", "must have a port between 0 and 65535, was 'localhost:99999'"),
        ("METRICS_LISTEN", "unix:///x", "must be host:port or [ipv6]:port, was 'unix:///x'"),
        ("WORKERS", "0", "must be a whole number from 1 to 64, was '0'"),
        ("PARTITIONS", "0", "must be a whole number from 1 to 4096, was '0'"),
        ("PARTITIONS", "4097", "must be a whole number from 1 to 4096, was '4097'"),
        ("PARTITIONS", "many", "must be a whole number from 1 to 4096, was 'many'"),
        ("QUEUE_MAX", "127", "must be a whole number from 128 to 1000000, was '127'"),
        ("CONCURRENCY_MAX", "0", "must be a whole number from 1 to 1000000, was '0'"),
        ("REDIS_TIMEOUT", "0", "must be a number of seconds from 0.05 to 60, was '0'"),
        ("REDIS_TIMEOUT", "nan", "must be a number of seconds from 0.05 to 60, was 'nan'"),
        ("DEADLINE_MAX", "inf", "must be a number of seconds from 0.01 to 3600, was 'inf'"),
        ("STOP_WAIT", "-1", "must be a number of seconds from 0 to 300, was '-1'"),
        ("EMBEDDED_MAXMEMORY", "15MiB", "must be a size such as 512MiB, at least 16.0MiB, was '15MiB'"),
        ("EMBEDDED_MAXMEMORY", "much", "must be a size such as 512MiB, at least 16.0MiB, was 'much'"),
        ("MODE", "off", "must be one of enforce, shadow, was 'off'"),
        ("IDEMPOTENCY_RETENTION", "3599", "must be a whole number from 3600 to 34560000, was '3599'"),
        ("IDEMPOTENCY_RETENTION", "34560001", "must be a whole number from 3600 to 34560000, was '34560001'"),
        ("LOG_FORMAT", "xml", "must be one of auto, json, console, was 'xml'"),
        ("LOG_LEVEL", "INFO", "must be one of debug, info, warning, error, was 'INFO'"),
    ],
)
def test_wrong_values(set_environment: Set, name: str, value: str, sentence: str) -> None:
    set_environment(**{name: value})
    assert why_wrong() == f"CREDITGATE_{name} {sentence}"


def test_what_is_given_stands_instead_of_the_environment(set_environment: Set) -> None:
    set_environment(WORKERS="3", PARTITIONS="4")
    settings = read_settings(workers=2)
    assert (settings.workers, settings.partitions) == (2, 4)


def test_a_worker_reads_the_settings_of_its_parent(set_environment: Set, monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(
        LISTEN="[::1]:7000",
        EMBEDDED_MAXMEMORY="512MiB",
        STOP_WAIT="0.1",
        DATA_DIR="/srv/d",
        POLICY_FILE="p.yaml",
        MODE="shadow",
    )
    settings = read_settings()
    told = environment_of(settings)
    set_environment()
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert read_settings() == settings


def test_all_wrong_values_are_named_at_once(set_environment: Set) -> None:
    set_environment(PARTITIONS="0", LOG_LEVEL="x", PORT="1", LISTENING="x")
    lines = why_wrong().splitlines()
    assert [line.split()[0].removeprefix("CREDITGATE_") for line in lines] == [
        "LISTENING",
        "PORT",
        "PARTITIONS",
        "LOG_LEVEL",
    ]


def test_the_default_deadline_fits_the_longest(set_environment: Set) -> None:
    set_environment(DEADLINE_DEFAULT="5", DEADLINE_MAX="4")
    assert why_wrong() == "CREDITGATE_DEADLINE_DEFAULT (5) must not be above CREDITGATE_DEADLINE_MAX (4)"


def test_replicas_get_less_time_than_redis(set_environment: Set) -> None:
    set_environment(REPLICA_ACKS="1", REPLICA_TIMEOUT="2")
    assert why_wrong() == "CREDITGATE_REPLICA_TIMEOUT (2) must be below CREDITGATE_REDIS_TIMEOUT (2)"


@pytest.mark.parametrize(
    ("unknown", "near"),
    [("REDIS_URI", "REDIS_URL"), ("PARTITION", "PARTITIONS"), ("REDIS_TIMEOUT_S", "REDIS_TIMEOUT")],
)
def test_an_unknown_variable(set_environment: Set, unknown: str, near: str) -> None:
    set_environment(**{unknown: "1"})
    assert why_wrong() == f"CREDITGATE_{unknown} is not a setting; did you mean CREDITGATE_{near}?"


@pytest.mark.parametrize("unknown", ["FOO", "SERVICE_NAME", "PASSWORD"])
def test_an_unknown_variable_that_is_near_none_is_not_likened_to_one(set_environment: Set, unknown: str) -> None:
    set_environment(**{unknown: "1"})
    assert why_wrong() == f"CREDITGATE_{unknown} is not a setting"


def test_variables_that_kubernetes_sets_are_not_ours(set_environment: Set) -> None:
    set_environment(
        SERVICE_HOST="10.0.0.1",
        SERVICE_PORT="50051",
        SERVICE_PORT_GRPC="50051",
        PORT="tcp://10.0.0.1:50051",
        PORT_50051_TCP="tcp://10.0.0.1:50051",
        PORT_50051_TCP_ADDR="10.0.0.1",
        PORT_50051_TCP_PROTO="tcp",
    )
    read_settings()


def test_an_empty_variable_counts_as_absent(set_environment: Set) -> None:
    set_environment(REDIS_URL="", LISTEN="", PARTITIONS="")
    assert read_settings().redis_url is None


def test_a_password_is_never_shown(set_environment: Set) -> None:
    set_environment(REDIS_URL="redis://user:secret@host:6379/0")
    settings = read_settings()
    assert settings.redis_url == "redis://user:secret@host:6379/0"
    assert "secret" not in repr(settings)
    assert "secret" not in str(describe_settings(settings))
    set_environment(REDIS_URL="http://user:secret@host")
    assert "secret" not in why_wrong()


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://:secret@host", "redis://:***@host"),
        ("rediss://user:sec@ret:x@host:1/0?db=1", "rediss://user:***@host:1/0?db=1"),
        ("redis://user@host", "redis://user@host"),
        ("unix:///run/r.sock", "unix:///run/r.sock"),
        ("unix://:secret@/run/r.sock", "unix://:***@/run/r.sock"),
        ("redis://host?db=1&password=secret&x=1", "redis://host?db=1&password=***&x=1"),
        ("redis://:sec?ret@host", "redis://:***@host"),
        ("redis+cluster://u:secret@one:1,two:2", "redis+cluster://u:***@one:1,two:2"),
        (
            "redis+sentinel://u:secret@one:1,two:2/s?sentinel_password=other",
            "redis+sentinel://u:***@one:1,two:2/s?sentinel_password=***",
        ),
    ],
)
def test_masks(url: str, masked: str) -> None:
    assert mask_url(url) == masked


def test_data_stays_where_xdg_says(set_environment: Set, monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment()
    monkeypatch.setenv("XDG_DATA_HOME", "/srv/data")
    assert read_settings().data_dir == Path("/srv/data/creditgate")
    monkeypatch.setenv("HOME", "/home/ann")
    for unusable in ("", "relative"):
        monkeypatch.setenv("XDG_DATA_HOME", unusable)
        assert read_settings().data_dir == Path("/home/ann/.local/share/creditgate")
