"""A service with its Redis, either of which a test may stop, freeze or kill."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from creditgate.store.embedded.files import RedisFiles
from tests.faults.service_process import ServiceProcess
from tests.killable import has_ended
from tests.private_redis import PrivateRedis
from tests.waiting import wait_until


class Site(Protocol):
    """A service and its Redis."""

    service: ServiceProcess

    @property
    def redis_url(self) -> str:
        """Where Redis answers."""

    def kill_redis(self) -> None:
        """End Redis as a power cut would."""

    def freeze_redis(self) -> None:
        """Stop Redis: it keeps its connections and answers nothing."""

    def thaw_redis(self) -> None:
        """Let a frozen Redis go on."""

    def bring_back(self) -> None:
        """Do what has to be done by hand after Redis was killed."""


class ExternalSite:
    """The Redis is somebody else's: it is started again by hand. Settings of the service are keywords."""

    def __init__(self, directory: Path, redis: PrivateRedis, **settings: str) -> None:
        self.redis = redis
        self.service = ServiceProcess(directory, **{"redis_url": redis.url, **settings})

    @property
    def redis_url(self) -> str:
        """Where Redis answers."""
        return self.redis.url

    def kill_redis(self) -> None:
        """End Redis as a power cut would."""
        self.redis.kill()

    def freeze_redis(self) -> None:
        """Stop Redis: it keeps its connections and answers nothing."""
        self.redis.freeze()

    def thaw_redis(self) -> None:
        """Let a frozen Redis go on."""
        self.redis.thaw()

    def bring_back(self) -> None:
        """Start Redis on what its append-only file has."""
        self.redis.start(load=False)


class EmbeddedSite:
    """The Redis is the service's own: the service brings it back. Settings of the service are keywords."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self._files = RedisFiles.of(directory / "data")
        self.service = ServiceProcess(directory, **settings)

    @property
    def redis_url(self) -> str:
        """Where Redis answers."""
        return self._files.url

    @property
    def redis_pid(self) -> int:
        """The embedded Redis."""
        return int(self._files.pid.read_text())

    def kill_redis(self) -> None:
        """End Redis as a power cut would."""
        pid = self.redis_pid
        os.kill(pid, signal.SIGKILL)
        wait_gone(pid)

    def freeze_redis(self) -> None:
        """Stop Redis: it keeps its connections and answers nothing."""
        os.kill(self.redis_pid, signal.SIGSTOP)

    def thaw_redis(self) -> None:
        """Let a frozen Redis go on."""
        os.kill(self.redis_pid, signal.SIGCONT)

    def bring_back(self) -> None:
        """Leave it to the service."""


def wait_gone(pid: int) -> None:
    """Wait until a process has ended."""
    wait_until(lambda: has_ended(pid))


@pytest.fixture
def new_external(tmp_path: Path, own_redis: Callable[..., PrivateRedis]) -> Iterator[Callable[..., ExternalSite]]:
    """Start a service, with settings as keywords, on a Redis that keeps everything it has acknowledged."""
    sites: list[ExternalSite] = []

    def start(**settings: str) -> ExternalSite:
        site = ExternalSite(tmp_path, own_redis(appendonly="yes", appendfsync="always"), **settings)
        sites.append(site)
        site.service.start()
        return site

    yield start
    for site in sites:
        site.redis.thaw()
        site.service.close()


@pytest.fixture
def external(new_external: Callable[..., ExternalSite]) -> ExternalSite:
    """A service on a Redis that keeps everything it has acknowledged."""
    return new_external()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedSite]:
    """A service with the Redis that comes with it."""
    site = EmbeddedSite(tmp_path)
    site.service.start()
    yield site
    site.service.close()


@pytest.fixture(params=["external", "embedded"])
def site(request: pytest.FixtureRequest) -> Site:
    """A service on either kind of Redis."""
    chosen: Site = request.getfixturevalue(request.param)
    return chosen
