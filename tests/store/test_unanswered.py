"""Errors say that a change may have been made where it may have been, and nowhere else."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from creditgate.domain.errors import CreditError
from creditgate.domain.operations import CheckCredit, GetAccount, LimitSetting, PutAccount, ReserveCredit
from creditgate.store import RedisCreditStore
from tests.patience import PATIENCE_S
from tests.private_redis import PrivateRedis
from tests.store.opened import open_store

ACCOUNT = "a"
UNKNOWN = "whether the change was made is unknown, asking again is safe"
SAFE = "asking again is safe"


@pytest.fixture
def server(own_redis: Callable[..., PrivateRedis]) -> PrivateRedis:
    return own_redis()


@pytest.fixture
async def store(server: PrivateRedis) -> AsyncIterator[RedisCreditStore]:
    async with open_store(server.url) as store:
        await store.run(PutAccount(ACCOUNT, "USD", base_limit=LimitSetting(10**9)), deadline())
        yield store


def deadline(after_s: float = PATIENCE_S) -> float:
    return time.monotonic() + after_s


def order(number: int) -> ReserveCredit:
    return ReserveCredit(ACCOUNT, f"o{number}", 1, "USD", 3600)


async def advice(asked: Awaitable[object]) -> str:
    """Return what an error says behind what has happened."""
    with pytest.raises(CreditError) as caught:
        await asked
    return caught.value.message.rpartition("; ")[2]


async def on_its_way(asked: Awaitable[object]) -> asyncio.Future[object]:
    """Ask, and return once the call is on its way: what comes in later turns of the loop can't share it."""
    asking = asyncio.ensure_future(asked)
    for _ in range(3):
        await asyncio.sleep(0)
    return asking


async def test_what_was_not_sent_has_changed_nothing(store: RedisCreditStore, server: PrivateRedis) -> None:
    assert await advice(store.run(order(1), deadline(-1))) == SAFE
    server.kill()
    with pytest.raises(CreditError):
        await store.run(order(1), deadline())  # this one may notice that Redis is gone, or be sent before that
    assert await advice(store.run(order(2), deadline())) == SAFE
    assert await advice(store.put_rates((), 1, 0, deadline())) == SAFE


@pytest.mark.parametrize("broken", [False, True], ids=["deadline", "connection"])
async def test_changes_that_went_out_may_have_been_made(
    store: RedisCreditStore, server: PrivateRedis, *, broken: bool
) -> None:
    server.freeze()
    until = deadline(PATIENCE_S if broken else 0.2)
    sent = [await on_its_way(store.run(order(number), until)) for number in range(2)]
    waiting = await on_its_way(store.run(order(3), until))
    if broken:
        server.kill()
    assert [await advice(each) for each in (*sent, waiting)] == [UNKNOWN, UNKNOWN, SAFE]
    if not broken:
        server.thaw()


async def test_reading_changes_nothing(store: RedisCreditStore, server: PrivateRedis) -> None:
    server.freeze()
    asked = [
        await on_its_way(reading)
        for reading in (
            store.run(CheckCredit(ACCOUNT, 1, "USD"), deadline()),
            store.run(GetAccount(ACCOUNT), deadline()),
            store.list_accounts(10, "", deadline()),
            store.verify_account(ACCOUNT, repair=False, deadline=deadline()),
        )
    ]
    server.kill()
    assert [await advice(each) for each in asked] == [SAFE] * len(asked)


async def test_a_library_that_is_gone_has_changed_nothing(store: RedisCreditStore, server: PrivateRedis) -> None:
    with server.client() as client:
        client.function_flush()
    assert await advice(store.run(order(1), deadline())) == SAFE
    assert await advice(store.put_rates((), 1, 0, deadline())) == SAFE
