"""A store whose time the test moves: a partition's clock never goes back, so that a later second stays."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, cast

from redis import Redis

from creditgate.store import RedisCreditStore, StoreOptions, Sweeper, keys
from creditgate.store.sweeper import Swept
from tests.private_redis import PrivateRedis
from tests.quiet_observer import QuietObserver
from tests.store.desk import Desk

PARTITION: Final = 0
DAY_S: Final = 86_400
RETENTION_S: Final = 7 * DAY_S


class ClockedStore:
    """A store of one partition on a Redis of its own; its time stands still but for `pass_time`."""

    def __init__(self, store: RedisCreditStore, client: Redis) -> None:
        self.store = store
        self.client = client
        self.observer = QuietObserver()
        self._sweeper = Sweeper(store, self.observer, 1.0, RETENTION_S)
        self.now_s = max(int(client.time()[0]), int(client.get(keys.clock(PARTITION)) or 0))
        self.pass_time(DAY_S)

    def desk(self, account_id: str) -> Desk:
        return Desk(self.store, account_id)

    def pass_time(self, seconds: int) -> None:
        self.now_s += seconds
        self.client.set(keys.clock(PARTITION), self.now_s)

    async def sweep(self) -> Swept:
        return await self._sweeper.sweep_once()

    def fields(self, key: str) -> set[str]:
        """Return the fields of a hash."""
        return {name.decode() for name in cast("list[bytes]", self.client.hkeys(key))}

    def all_keys(self, pattern: str) -> list[str]:
        return sorted(name.decode() for name in self.client.scan_iter(pattern))


@asynccontextmanager
async def clocked_store(server: PrivateRedis) -> AsyncIterator[ClockedStore]:
    """Provide a store on a Redis that the tests may move forward in time."""
    store = RedisCreditStore(server.url, options=StoreOptions(partitions=1), observer=QuietObserver())
    await store.start()
    assert await store.wait_ready(10), store.unready_reason
    with server.client() as client:
        yield ClockedStore(store, client)
    await store.close()
