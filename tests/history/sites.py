"""The sites that histories are played on: the service on a Redis of somebody else's, and on its own."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from creditgate.store.embedded.files import RedisFiles
from creditgate.store.embedded.process import find_server
from tests.faults.conftest import EmbeddedSite, ExternalSite, Site, wait_gone
from tests.private_redis import PrivateRedis

_SETTINGS: Final = {"redis_timeout": "0.5", "sweep_interval": "0.3"}
"""A frozen Redis is given up soon, and holds that end are settled while calls are under way."""


@contextmanager
def external_site(directory: Path) -> Iterator[Site]:
    """A service on a Redis that keeps everything it has acknowledged."""
    redis = PrivateRedis(directory, None, appendonly="yes", appendfsync="always")
    site = ExternalSite(directory, redis, **_SETTINGS)
    try:
        redis.start()
        site.service.start()
        yield site
    finally:
        site.service.close()
        redis.kill()


@contextmanager
def embedded_site(directory: Path) -> Iterator[Site]:
    """A service with the Redis that comes with it."""
    site = EmbeddedSite(directory, **_SETTINGS)
    try:
        site.service.start()
        yield site
    finally:
        site.service.close()
        # A service that was killed and not started again has left its Redis behind.
        left = find_server(RedisFiles.of(directory / "data"))
        if left is not None:
            os.kill(left.pid, signal.SIGKILL)
            wait_gone(left.pid)


SITES: Final[dict[str, Callable[[Path], AbstractContextManager[Site]]]] = {
    "external": external_site,
    "embedded": embedded_site,
}
