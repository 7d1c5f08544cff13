"""The observer is told of every operation once, however it ended."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest

from creditgate.domain.errors import CreditError
from creditgate.domain.operations import GetAccount, LimitSetting, Operation, PutAccount, PutGroup, ReserveCredit
from creditgate.store import RedisCreditStore, keys
from tests.patience import PATIENCE_S
from tests.private_redis import PrivateRedis
from tests.quiet_observer import QuietObserver
from tests.store.opened import open_store

BALLAST = "ballast"
MAXMEMORY_BYTES = 64 * 1024 * 1024
QUEUE_MAX = 300
ACCOUNT = "a"
GROUP = "g"


@pytest.fixture
def server(own_redis: Callable[..., PrivateRedis]) -> PrivateRedis:
    return own_redis(maxmemory=str(MAXMEMORY_BYTES), maxmemory_policy="noeviction")


@pytest.fixture
def observer() -> QuietObserver:
    return QuietObserver()


@pytest.fixture
async def store(server: PrivateRedis, observer: QuietObserver) -> AsyncIterator[RedisCreditStore]:
    async with open_store(server.url, observer=observer, queue_max=QUEUE_MAX) as store:
        await store.run(PutAccount(ACCOUNT, "USD", base_limit=LimitSetting(10**9)), deadline())
        observer.ended.clear()
        yield store


def deadline(after_s: float = PATIENCE_S) -> float:
    return time.monotonic() + after_s


def order(number: int) -> ReserveCredit:
    return ReserveCredit(ACCOUNT, f"o{number}", 1, "USD", 3600)


async def refused(store: RedisCreditStore, operation: Operation[object], after_s: float = PATIENCE_S) -> str:
    with pytest.raises(CreditError) as caught:
        await store.run(operation, deadline(after_s))
    return caught.value.reason.name


async def test_one_that_a_full_store_refuses(
    store: RedisCreditStore, server: PrivateRedis, observer: QuietObserver
) -> None:
    with server.client() as client:
        client.setrange(BALLAST, MAXMEMORY_BYTES, "x")
    assert await refused(store, order(1)) == "STORE_FULL"
    assert observer.ended == {("ReserveCredit", "STORE_FULL"): 1}
    await store.run_each([order(2), order(3)], deadline())
    assert observer.ended == {("ReserveCredit", "STORE_FULL"): 3}


async def test_those_that_find_the_queue_full(
    store: RedisCreditStore, server: PrivateRedis, observer: QuietObserver
) -> None:
    server.freeze()
    asked = [asyncio.ensure_future(store.run(order(number), deadline())) for number in range(QUEUE_MAX + 10)]
    await asyncio.sleep(0)
    server.thaw()
    await asyncio.gather(*asked, return_exceptions=True)
    assert observer.ended == {("ReserveCredit", "OK"): QUEUE_MAX, ("ReserveCredit", "OVERLOADED"): 10}


async def test_one_that_comes_too_late(store: RedisCreditStore, observer: QuietObserver) -> None:
    assert await refused(store, order(1), after_s=-1) == "DEADLINE_EXCEEDED"
    assert observer.ended == {("ReserveCredit", "DEADLINE_EXCEEDED"): 1}


async def test_one_that_the_store_is_away_for(
    store: RedisCreditStore, server: PrivateRedis, observer: QuietObserver
) -> None:
    server.kill()
    assert await refused(store, order(1)) == "STORE_UNAVAILABLE"
    assert await refused(store, GetAccount(ACCOUNT)) == "STORE_UNAVAILABLE"
    assert observer.ended == {("ReserveCredit", "STORE_UNAVAILABLE"): 1, ("GetAccount", "STORE_UNAVAILABLE"): 1}


async def test_one_that_a_stopping_store_does_not_take(store: RedisCreditStore, observer: QuietObserver) -> None:
    await store.drain(PATIENCE_S)
    assert await refused(store, order(1)) == "SHUTTING_DOWN"
    assert observer.ended == {("ReserveCredit", "SHUTTING_DOWN"): 1}


async def test_one_that_takes_several_steps(store: RedisCreditStore, observer: QuietObserver) -> None:
    """An account that joins a group is looked at, moved, and put; the group is looked at as well."""
    assert keys.partition_of(ACCOUNT, store.partitions) != keys.partition_of(GROUP, store.partitions)
    join = PutAccount(ACCOUNT, "USD", group_id=GROUP)
    assert await refused(store, join) == "GROUP_NOT_FOUND"
    await store.run(PutGroup(GROUP, "USD", 1000, ""), deadline())
    await store.run(join, deadline())
    await store.run(PutAccount("new", "USD", group_id=GROUP), deadline())
    await store.drain(PATIENCE_S)
    assert await refused(store, join) == "SHUTTING_DOWN"
    put = "PutAccount"
    expected = Counter({("PutGroup", "OK"): 1, (put, "GROUP_NOT_FOUND"): 1, (put, "OK"): 2, (put, "SHUTTING_DOWN"): 1})
    assert observer.ended == expected
