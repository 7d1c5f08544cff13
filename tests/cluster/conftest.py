"""Servers in company: a Redis Cluster, and a primary with replicas that sentinels watch."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from creditgate.store import RedisCreditStore, StoreOptions
from creditgate.store.embedded.binary import RedisBinary, all_redis_servers
from creditgate.store.library import load_library
from tests.cluster.redis_cluster import RedisCluster
from tests.cluster.sentinel_site import SentinelSite
from tests.cluster.servers import Server
from tests.patience import PATIENCE_S, PATIENT_REDIS_S
from tests.quiet_observer import QuietObserver

LONG = os.environ.get("LONG") == "1"
"""Whether the tests take their time: `make test-cluster LONG=1`."""

BINARIES = all_redis_servers() if LONG else all_redis_servers()[:1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/cluster/" in item.path.as_posix():
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(1800 if LONG else 300))


@pytest.fixture(scope="session", params=BINARIES, ids=str)
def redis_cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """The session's cluster, with the library loaded; a test leaves it whole."""
    binary: RedisBinary = request.param
    cluster = RedisCluster(binary, tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        status = asyncio.run(load_library(cluster.url))
        assert status.usable
        assert status.servers == len(cluster.primaries())
        yield cluster
    finally:
        cluster.kill()


@pytest.fixture(scope="session", params=BINARIES, ids=str)
def sentinel_site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelSite]:
    """The session's primary, replicas and sentinels, with the library loaded; a test leaves them whole."""
    site = SentinelSite(request.param, tmp_path_factory.mktemp("sentinel"))
    try:
        site.start()
        assert asyncio.run(load_library(site.url)).usable
        yield site
    finally:
        site.kill()


_reports: list[str] = []


@pytest.fixture
def report() -> Callable[[str], None]:
    """Say something at the end of the test run."""
    return _reports.append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _reports:
        terminalreporter.write_line(line)


@pytest.fixture
async def new_store() -> AsyncIterator[Callable[..., RedisCreditStore]]:
    """Make stores that are closed after the test."""
    stores: list[RedisCreditStore] = []

    def make(url: str, **options: object) -> RedisCreditStore:
        store_options = StoreOptions(**{"redis_timeout_s": 1.0, **options})  # type: ignore[arg-type]  # options by name
        stores.append(RedisCreditStore(url, options=store_options, observer=QuietObserver()))
        return stores[-1]

    yield make
    for store in stores:
        await store.close()


async def _ready(store: RedisCreditStore) -> RedisCreditStore:
    await store.start()
    assert await store.wait_ready(PATIENCE_S), store.unready_reason
    return store


@pytest.fixture
async def cluster_store(redis_cluster: RedisCluster, new_store: Callable[..., RedisCreditStore]) -> RedisCreditStore:
    """A store on the cluster."""
    return await _ready(new_store(redis_cluster.url, redis_timeout_s=PATIENT_REDIS_S))


@pytest.fixture
async def sentinel_store(sentinel_site: SentinelSite, new_store: Callable[..., RedisCreditStore]) -> RedisCreditStore:
    """A store behind the sentinels."""
    return await _ready(new_store(sentinel_site.url, redis_timeout_s=PATIENT_REDIS_S))


@pytest.fixture
def each_store(cluster_store: RedisCreditStore) -> RedisCreditStore:
    """The store that the operations of tests/store are tried on."""
    return cluster_store


@pytest.fixture
def own_tcp_server(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own, which is no node of a cluster."""
    server = Server(BINARIES[0], tmp_path / "server")
    server.start()
    yield server
    server.kill()
