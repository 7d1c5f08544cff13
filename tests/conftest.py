"""What all tests share: a real Redis, a store on it, fresh ids."""

import itertools
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from creditgate.bootstrap import RunningService, running_service
from creditgate.ops.listen_address import ListenAddress
from creditgate.settings import Settings
from creditgate.store import RedisCreditStore, StoreOptions
from creditgate.store.embedded.binary import all_redis_servers
from tests.patience import PATIENCE_S, PATIENT_REDIS_S
from tests.private_redis import PrivateRedis
from tests.quiet_observer import QuietObserver
from tests.store.desk import Desk

SLOW: Final = frozenset({"test_readme.py", "test_demo.py", "benchmarks", "faults", "history", "workers"})
"""Files, and folders of files, whose few tests take long."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what takes long begin first: two processes share the files, and neither is to wait for the other's last."""
    items.sort(key=lambda item: SLOW.isdisjoint(item.path.parts))


def pytest_configure() -> None:
    """A shell that starts the tests in the background has Ctrl-C ignored, by what they start as well; undo that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def private_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRedis]:
    """The session's Redis, in memory, with the library loaded."""
    server = PrivateRedis(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def redis_url(private_redis: PrivateRedis) -> str:
    """The URL of the session's Redis."""
    return private_redis.url


@pytest.fixture(scope="session", params=all_redis_servers(), ids=str)
def each_redis(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRedis]:
    """One Redis of each version on this machine, in memory, with the library loaded."""
    server = PrivateRedis(tmp_path_factory.mktemp("each"), request.param)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Callable[..., PrivateRedis]]:
    """Start a Redis of the test's own, with options as keywords."""
    servers: list[PrivateRedis] = []

    def start(**options: str) -> PrivateRedis:
        server = PrivateRedis(tmp_path, None, **options)
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.kill()


async def _ready_store(url: str) -> RedisCreditStore:
    options = StoreOptions(redis_timeout_s=PATIENT_REDIS_S)
    store = RedisCreditStore(url, options=options, observer=QuietObserver())
    await store.start()
    assert await store.wait_ready(PATIENCE_S), store.unready_reason
    return store


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[RedisCreditStore]:
    """A store on the session's Redis."""
    store = await _ready_store(redis_url)
    yield store
    await store.close()


@pytest.fixture
async def each_store(each_redis: PrivateRedis) -> AsyncIterator[RedisCreditStore]:
    """A store on a Redis of each version."""
    store = await _ready_store(each_redis.url)
    yield store
    await store.close()


_numbers = itertools.count(1)


@pytest.fixture
def new_id() -> Callable[[str], str]:
    """Return ids that no test has used, with a readable beginning."""
    return lambda kind: f"{kind}-{next(_numbers)}-{time.time_ns():x}"


@pytest.fixture
def account_id(new_id: Callable[[str], str]) -> str:
    """An account id that no test has used."""
    return new_id("acc")


@pytest.fixture
async def desk(each_store: RedisCreditStore, account_id: str) -> AsyncIterator[Desk]:
    """An account on a Redis of each version; at the end its sums are what its reservations and entries add up to."""
    desk = Desk(each_store, account_id)
    yield desk
    await desk.adds_up()


@pytest.fixture
async def service(redis_url: str) -> AsyncIterator[RunningService]:
    """A service on the session's Redis, on free ports, ready."""
    free_port = ListenAddress("127.0.0.1", 0)
    settings = Settings(
        redis_url=redis_url,
        listen=free_port,
        metrics_listen=free_port,
        redis_timeout_s=PATIENT_REDIS_S,
        deadline_default_s=PATIENCE_S,
        stop_wait_s=0,
    )
    async with running_service(settings) as service:
        assert await service.store.wait_ready(PATIENCE_S), service.store.unready_reason
        yield service
