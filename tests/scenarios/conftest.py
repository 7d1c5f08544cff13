"""What all scenarios share: one store on one Redis, whose clock is theirs to set."""

import asyncio
from collections.abc import Iterator

import pytest

from creditgate.store import RedisCreditStore, StoreOptions
from tests.private_redis import PrivateRedis
from tests.quiet_observer import QuietObserver
from tests.scenarios.scene import PARTITIONS, Stage


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    server = PrivateRedis(tmp_path_factory.mktemp("scenarios"))
    server.start()
    options = StoreOptions(partitions=PARTITIONS)
    store = RedisCreditStore(server.url, options=options, observer=QuietObserver())
    with asyncio.Runner() as loop, server.client() as client:
        loop.run(store.start())
        assert loop.run(store.wait_ready(10)), store.unready_reason
        yield Stage(store, client, loop)
        loop.run(store.close())
    server.kill()
