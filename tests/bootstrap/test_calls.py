"""What the log says of a start, and of a store that goes and comes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from creditgate.bootstrap.calls import follow_readiness
from creditgate.domain.policy import DEFAULT_POLICY
from creditgate.ops.logs import configure_logs
from creditgate.ops.readiness import Readiness
from creditgate.server.health import ServiceHealth
from tests.faults.service_process import ServiceProcess
from tests.patience import PATIENCE_S
from tests.private_redis import PrivateRedis
from tests.waiting import eventually

CONNECTING = "connecting to Redis"
NOT_YET = ("INFO", "calls are not answered yet", CONNECTING)
NOT = ("WARNING", "calls are not answered", CONNECTING)
ANSWERED = ("INFO", "calls are answered", "")


class Readied:
    """Readiness that a test sets, and what the log said of it."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.readiness = Readiness()
        self.told: list[str] = []
        self._caplog = caplog
        self.become(CONNECTING)

    def become(self, reason: str) -> None:
        self.readiness.follow_store(lambda: reason)

    @property
    def logged(self) -> list[tuple[str, str, str]]:
        return [
            (record.levelname, str(record.msg["event"]), str(record.msg.get("reason", "")))
            for record in self._caplog.records
            if isinstance(record.msg, dict)
        ]

    async def wait_logged(self, *lines: tuple[str, str, str]) -> None:
        async def has_logged() -> bool:
            return self.logged == list(lines)

        await eventually(has_logged)

    @asynccontextmanager
    async def followed(self, start_patience_s: float) -> AsyncIterator[None]:
        health = ServiceHealth(())
        following = asyncio.create_task(
            follow_readiness(self.readiness, health, self.told.append, start_patience_s=start_patience_s)
        )
        yield
        following.cancel()


@pytest.fixture
def readied(caplog: pytest.LogCaptureFixture) -> Readied:
    configure_logs("json", "debug")
    logging.getLogger().addHandler(caplog.handler)
    caplog.set_level(logging.DEBUG, logger="creditgate")
    return Readied(caplog)


async def test_a_start_that_takes_its_moment_is_no_warning(readied: Readied) -> None:
    async with readied.followed(start_patience_s=PATIENCE_S):
        await readied.wait_logged(NOT_YET)
        readied.become("")
        await readied.wait_logged(NOT_YET, ANSWERED)
        readied.become(CONNECTING)
        await readied.wait_logged(NOT_YET, ANSWERED, NOT)
    assert readied.told == [CONNECTING, "", CONNECTING]


async def test_a_start_that_takes_longer_is_one_warning(readied: Readied) -> None:
    async with readied.followed(start_patience_s=0.1):
        await readied.wait_logged(NOT_YET)
        readied.readiness.changed.set()  # look again
        await readied.wait_logged(NOT_YET, NOT)
        readied.readiness.changed.set()
        readied.become("")
        await readied.wait_logged(NOT_YET, NOT, ANSWERED)


def test_the_log_of_a_start_tells_the_policy_and_warns_of_nothing(
    own_redis: Callable[..., PrivateRedis], tmp_path: Path
) -> None:
    service = ServiceProcess(tmp_path, redis_url=own_redis().url)
    service.start()
    service.close()
    assert f'"policy_version": "{DEFAULT_POLICY.version}"' in service.log.read_text()
    assert '"level": "warning"' not in service.log.read_text()
