"""What a server knows of the orders of others."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from creditgate.store import RedisCreditStore, keys, orders_watch
from tests.private_redis import PrivateRedis
from tests.store.batches import account_of, put_accounts
from tests.store.opened import open_store
from tests.waiting import eventually

_LOOK_S = 0.01


class Site:
    """Two servers of one store, and their Redis."""

    def __init__(self, redis: PrivateRedis, here: RedisCreditStore, there: RedisCreditStore) -> None:
        self.redis = redis
        self.here = here
        self.there = there

    def noted(self) -> dict[bytes, bytes]:
        """Return which servers have had orders, and when."""
        with self.redis.client() as client:
            return dict(client.hgetall(keys.servers_with_orders()))

    def calls(self) -> int:
        """Return how many functions have been called so far."""
        with self.redis.client() as client:
            return int(client.info("commandstats").get("cmdstat_fcall", {"calls": 0})["calls"])


@asynccontextmanager
async def watching(url: str) -> AsyncIterator[RedisCreditStore]:
    async with open_store(url) as store:
        store.orders_watch.start()
        yield store
        await store.orders_watch.stop()


@pytest.fixture
async def site(own_redis: Callable[..., PrivateRedis], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(orders_watch, "INTERVAL_S", _LOOK_S)
    redis = own_redis()
    async with AsyncExitStack() as stack:
        here, there = [await stack.enter_async_context(watching(redis.url)) for _ in range(2)]
        yield Site(redis, here, there)


@asynccontextmanager
async def orders_of(store: RedisCreditStore) -> AsyncIterator[None]:
    """Let a server have an order again and again."""
    await put_accounts(store, ["acme"])

    async def go_on() -> None:
        while True:
            await account_of(store, "acme")
            await asyncio.sleep(_LOOK_S)

    going = asyncio.create_task(go_on())
    yield
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)


async def test_a_server_knows_of_the_orders_of_another_one(site: Site) -> None:
    await eventually(lambda: not site.here.orders_watch.elsewhere())
    async with orders_of(site.there):
        await eventually(site.here.orders_watch.elsewhere)
        await eventually(lambda: not site.there.orders_watch.elsewhere())


async def test_others_are_no_longer_busy_a_while_after_their_last_order(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders_watch, "BUSY_S", 0.5)
    async with orders_of(site.there):
        await eventually(site.here.orders_watch.elsewhere)
    await eventually(lambda: not site.here.orders_watch.elsewhere())
    assert len(site.noted()) == 1


async def test_others_are_taken_to_be_busy_until_it_is_known(own_redis: Callable[..., PrivateRedis]) -> None:
    async with open_store(own_redis().url) as store:
        assert not store.orders_watch.elsewhere()  # nobody watches
        store.orders_watch.start()
        assert store.orders_watch.elsewhere()
        await store.orders_watch.stop()


async def test_others_are_taken_to_be_busy_while_redis_is_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await eventually(lambda: not site.here.orders_watch.elsewhere())
    monkeypatch.setattr(orders_watch, "BUSY_S", 0.1)
    site.redis.kill()
    await eventually(site.here.orders_watch.elsewhere)
    site.redis.start(load=False)


async def test_where_there_are_no_orders_and_nobody_asks_nothing_is_called(site: Site) -> None:
    before = site.calls()
    await asyncio.sleep(20 * _LOOK_S)
    assert site.calls() == before
    await put_accounts(site.here, ["acme"])
    await eventually(lambda: len(site.noted()) == 1)


async def test_servers_that_are_gone_are_forgotten(site: Site) -> None:
    with site.redis.client() as client:
        now_ms = int(time.time() * 1000)
        client.hset(keys.servers_with_orders(), mapping={"gone": now_ms - 61_000, "quiet": now_ms - 50_000})
    async with orders_of(site.here):
        await eventually(lambda: b"gone" not in site.noted() and len(site.noted()) == 2)
    await eventually(lambda: not site.here.orders_watch.elsewhere())
