"""Log lines as they leave the process."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import logging, structlog, warnings
from creditgate.ops.logs import configure_logs
configure_logs({log_format!r}, {level!r})
log = structlog.get_logger("creditgate.test")
log.debug("detail")
log.info("started", address="127.0.0.1:1", text="a\\nb")
logging.getLogger("library").warning("queue of %s has %d", "x", 3)
logging.getLogger("library").info("chat", extra={{"depth": 5}})
logging.getLogger("grpc").info("noise")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
warnings.warn("old")
"""


def lines_of(log_format: str, level: str) -> list[str]:
    program = PROGRAM.format(log_format=log_format, level=level)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert not done.stdout
    return done.stderr.splitlines()


@pytest.mark.parametrize("log_format", ["json", "auto"])
def test_json_is_one_object_a_line(log_format: str) -> None:
    started, library, chat, failed, warned = (json.loads(line) for line in lines_of(log_format, "info"))
    assert (started["event"], started["level"], started["logger"]) == ("started", "info", "creditgate.test")
    assert (started["address"], started["text"]) == ("127.0.0.1:1", "a\nb")
    assert started["timestamp"].endswith("Z")
    assert (library["event"], library["level"], library["logger"]) == ("queue of x has 3", "warning", "library")
    assert chat["depth"] == 5
    assert failed["exception"][0]["exc_type"] == "ZeroDivisionError"
    assert "old" in warned["event"]


@pytest.mark.parametrize(
    ("level", "events"),
    [
        ("debug", {"detail", "started", "queue of x has 3", "chat", "failed"}),
        ("warning", {"queue of x has 3", "failed"}),
        ("error", {"failed"}),
    ],
)
def test_levels(level: str, events: set[str]) -> None:
    seen = {json.loads(line)["event"] for line in lines_of("json", level)}
    assert {event for event in seen if "old" not in event} == events


def test_console_is_for_people() -> None:
    lines = lines_of("console", "info")
    assert any("started" in line and "address=127.0.0.1:1" in line for line in lines)
    assert any("ZeroDivisionError" in line for line in lines)
