"""How operations share calls, and that one operation's fate never touches another's."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from creditgate.domain.bounds import CALL_OPERATIONS_MAX
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import GetAccount, LimitSetting, PutAccount, ReserveCredit, Reserved
from creditgate.store import RedisCreditStore, StoreOptions
from tests.cluster.store_load import until_answered
from tests.patience import PATIENCE_S, PATIENT_REDIS_S
from tests.private_redis import PrivateRedis
from tests.quiet_observer import QuietObserver


@pytest.fixture
async def observer() -> QuietObserver:
    return QuietObserver()


@pytest.fixture
async def own_server(own_redis: Callable[..., PrivateRedis]) -> PrivateRedis:
    return own_redis()


@asynccontextmanager
async def watched_store(
    server: PrivateRedis, observer: QuietObserver, redis_timeout_s: float
) -> AsyncIterator[RedisCreditStore]:
    options = StoreOptions(redis_timeout_s=redis_timeout_s, queue_max=300)
    store = RedisCreditStore(server.url, options=options, observer=observer)
    await store.start()
    assert await store.wait_ready(PATIENCE_S)
    await until_answered(store, PutAccount("a", "USD", base_limit=LimitSetting(10**9)))
    observer.calls.clear()
    yield store
    await store.close()


@pytest.fixture
async def watched(own_server: PrivateRedis, observer: QuietObserver) -> AsyncIterator[RedisCreditStore]:
    async with watched_store(own_server, observer, PATIENT_REDIS_S) as store:
        yield store


@pytest.fixture
async def impatient(own_server: PrivateRedis, observer: QuietObserver) -> AsyncIterator[RedisCreditStore]:
    async with watched_store(own_server, observer, 0.5) as store:
        yield store


def far() -> float:
    """Return a deadline that no operation comes near to."""
    return time.monotonic() + PATIENCE_S


def order(number: int) -> ReserveCredit:
    return ReserveCredit("a", f"o{number}", 1, "USD", 3600)


async def sent_alone(store: RedisCreditStore, number: int) -> asyncio.Future[Reserved]:
    """Place an order, and return once it is on its way: what comes in later turns of the loop can't share its call."""
    placed = asyncio.ensure_future(store.run(order(number), far()))
    for _ in range(3):
        await asyncio.sleep(0)
    return placed


async def test_an_idle_operation_goes_out_alone_and_a_crowd_shares_calls(
    watched: RedisCreditStore, observer: QuietObserver
) -> None:
    await watched.run(order(0), far())
    assert [count for function, count in observer.calls if function == "creditgate_apply"] == [1]
    observer.calls.clear()
    await asyncio.gather(*(watched.run(order(n), far()) for n in range(1001, 1011)))
    assert [count for function, count in observer.calls if function == "creditgate_apply"] == [10], "one turn, one call"
    observer.calls.clear()
    await asyncio.gather(*(watched.run(order(n), far()) for n in range(1, 201)))
    sizes = [count for function, count in observer.calls if function == "creditgate_apply"]
    assert sum(sizes) == 200
    assert max(sizes) == CALL_OPERATIONS_MAX
    assert len(sizes) <= 5


async def test_a_full_queue_refuses_at_once(watched: RedisCreditStore, own_server: PrivateRedis) -> None:
    own_server.freeze()
    waiting = [asyncio.ensure_future(watched.run(order(n), time.monotonic() + 0.3)) for n in range(310)]
    done, _ = await asyncio.wait(waiting, timeout=0.1, return_when=asyncio.FIRST_COMPLETED)
    own_server.thaw()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    overloaded = [error for error in outcomes if isinstance(error, CreditError) and "300" in error.message]
    assert overloaded
    assert {error.reason for error in overloaded} == {ErrorReason.OVERLOADED}
    assert len(done) >= len(overloaded)


async def test_a_deadline_or_a_cancellation_touches_no_other_operation(
    watched: RedisCreditStore, own_server: PrivateRedis
) -> None:
    own_server.freeze()
    sent = await sent_alone(watched, 1)
    second = await sent_alone(watched, 2)
    late = asyncio.ensure_future(watched.run(order(3), time.monotonic() + 0.05))
    cancelled = asyncio.ensure_future(watched.run(order(4), far()))
    innocent = asyncio.ensure_future(watched.run(order(5), far()))
    with pytest.raises(CreditError) as caught:
        await late
    assert caught.value.reason is ErrorReason.DEADLINE_EXCEEDED
    cancelled.cancel()
    own_server.thaw()
    for task in (sent, second, innocent):
        reserved = await task
        assert isinstance(reserved, Reserved)
        assert not reserved.replayed
    account = await watched.run(GetAccount("a"), far())
    assert account.exposure.reserved_minor == 3, "what had not been sent was left out"


async def test_a_frozen_redis_fails_every_call_in_time_and_is_found_again(
    impatient: RedisCreditStore, own_server: PrivateRedis
) -> None:
    own_server.freeze()
    started = time.monotonic()
    outcomes = await asyncio.gather(*(impatient.run(order(n), far()) for n in range(50)), return_exceptions=True)
    assert time.monotonic() - started < PATIENCE_S / 2
    assert {error.reason for error in outcomes if isinstance(error, CreditError)} == {ErrorReason.STORE_UNAVAILABLE}
    assert not impatient.ready
    with pytest.raises(CreditError) as caught:
        await impatient.run(order(1), far())
    assert caught.value.reason is ErrorReason.STORE_UNAVAILABLE
    own_server.thaw()
    assert await impatient.wait_ready(PATIENCE_S)
    again, _ = await until_answered(impatient, order(1))
    assert again.reservation is not None


async def test_a_restarted_redis_is_found_again(watched: RedisCreditStore, own_server: PrivateRedis) -> None:
    own_server.kill()
    with pytest.raises(CreditError) as caught:
        await watched.run(order(1), far())
    assert caught.value.reason is ErrorReason.STORE_UNAVAILABLE
    own_server.start()
    assert await watched.wait_ready(PATIENCE_S)
    with pytest.raises(CreditError) as caught:
        await watched.run(order(1), far())
    assert caught.value.reason is ErrorReason.ACCOUNT_NOT_FOUND, "this Redis keeps nothing"


async def test_draining_answers_what_was_taken_and_takes_no_more(watched: RedisCreditStore) -> None:
    waiting = [asyncio.ensure_future(watched.run(order(n), far())) for n in range(150)]
    await asyncio.sleep(0)
    await watched.drain(PATIENCE_S)
    assert all(task.done() for task in waiting)
    assert all(task.result().reservation for task in waiting)
    with pytest.raises(CreditError) as caught:
        await watched.run(order(999), far())
    assert caught.value.reason is ErrorReason.SHUTTING_DOWN
