"""Expiry is exact without a background task, and the sweeper only settles what has already lapsed."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable

import pytest
from redis import Redis

from creditgate.domain.decision import Outcome
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import (
    CommitReservation,
    GetAccount,
    GetReservation,
    LimitSetting,
    PutAccount,
    ReleaseReservation,
    ReserveCredit,
    Reserved,
)
from creditgate.domain.reservation import ReservationState
from creditgate.store import RedisCreditStore, StoreOptions, Sweeper, keys
from creditgate.store.constants import EffectKind
from tests.patience import PATIENCE_S, PATIENT_REDIS_S
from tests.private_redis import PrivateRedis
from tests.quiet_observer import QuietObserver
from tests.store.journal import read_account_effects

TRIES = 10


def deadline() -> float:
    return time.monotonic() + PATIENCE_S


def second_of(client: Redis) -> int:
    """Read the store's clock."""
    return int(client.time()[0])


async def until_second(client: Redis, second: int) -> None:
    """Return once the store's clock has reached a second."""
    give_up = time.monotonic() + second - second_of(client) + PATIENCE_S
    while second_of(client) < second:
        assert time.monotonic() < give_up
        await asyncio.sleep(0.02)  # the store's clock is real: only waiting makes it go on


async def set_up_in_time(
    client: Redis, new_id: Callable[[str], str], set_up: Callable[[str], Awaitable[int]]
) -> tuple[str, int]:
    """Set up a new account before its first hold ends; return it, and the second of that end, as `set_up` does.

    Where the machine was too busy for that, the next account gets its chance.
    """
    for _ in range(TRIES):
        account_id = new_id("acc")
        ends_second = await set_up(account_id)
        if second_of(client) < ends_second:
            return account_id, ends_second
    raise AssertionError


async def own_store(server: PrivateRedis) -> RedisCreditStore:
    """Return a ready store on a Redis of the test's own: on the session's, the sweeper of a service may come first."""
    options = StoreOptions(redis_timeout_s=PATIENT_REDIS_S)
    store = RedisCreditStore(server.url, options=options, observer=QuietObserver())
    await store.start()
    assert await store.wait_ready(PATIENCE_S)
    return store


async def put(store: RedisCreditStore, account_id: str, limit: int) -> None:
    await store.run(PutAccount(account_id, "USD", base_limit=LimitSetting(limit)), deadline())


async def reserve(store: RedisCreditStore, account_id: str, order_id: str, amount: int, hold_s: int) -> Reserved:
    return await store.run(ReserveCredit(account_id, order_id, amount, "USD", hold_s), deadline())


async def expire_second(store: RedisCreditStore, account_id: str, order_id: str) -> int:
    return (await store.run(GetReservation(account_id, order_id), deadline())).expire_time_s


async def test_a_hold_frees_its_headroom_at_its_second_and_not_before(
    each_store: RedisCreditStore, each_redis: PrivateRedis, new_id: Callable[[str], str]
) -> None:
    outcomes: list[Outcome] = []

    async def set_up(account_id: str) -> int:
        await put(each_store, account_id, 100)
        await reserve(each_store, account_id, "short", 60, 2)
        await reserve(each_store, account_id, "long", 40, 3600)
        outcomes.append((await reserve(each_store, account_id, "next", 1, 3600)).decision.outcome)
        return await expire_second(each_store, account_id, "short")

    with each_redis.client() as client:
        account_id, second = await set_up_in_time(client, new_id, set_up)
        assert outcomes[-1] is Outcome.REJECTED
        await until_second(client, second)
    account = await each_store.run(GetAccount(account_id), deadline())
    assert account.exposure.reserved_minor == 40
    expired = await each_store.run(GetReservation(account_id, "short"), deadline())
    assert (expired.state, expired.exposure_minor, expired.remaining_minor) == (ReservationState.EXPIRED, 0, 0)
    approved = await reserve(each_store, account_id, "next", 60, 3600)
    assert approved.decision.outcome is Outcome.APPROVED
    assert approved.decision.exposure.reserved_minor == 40


async def test_an_expired_order_is_judged_anew_and_may_still_be_committed(
    store: RedisCreditStore, private_redis: PrivateRedis, account_id: str
) -> None:
    await put(store, account_id, 100)
    for order_id in ("again", "shipped", "cancelled"):
        await reserve(store, account_id, order_id, 30, 1)
    with private_redis.client() as client:
        await until_second(client, await expire_second(store, account_id, "cancelled"))
    shipped = await store.run(CommitReservation(account_id, "shipped", 30, "USD", "d1"), deadline())
    assert shipped.late
    assert shipped.reservation.state is ReservationState.COMMITTED
    cancelled = await store.run(ReleaseReservation(account_id, "cancelled"), deadline())
    assert cancelled.reservation.state is ReservationState.RELEASED
    again = await reserve(store, account_id, "again", 71, 3600)
    assert (again.replayed, again.decision.outcome) == (False, Outcome.REJECTED)
    again = await reserve(store, account_id, "again", 70, 3600)
    assert (again.replayed, again.decision.outcome) == (False, Outcome.APPROVED)
    account = await store.run(GetAccount(account_id), deadline())
    assert (account.exposure.reserved_minor, account.exposure.receivable_minor) == (70, 30)


async def test_an_etag_says_the_same_whether_or_not_its_hold_was_settled(
    store: RedisCreditStore, private_redis: PrivateRedis, account_id: str
) -> None:
    await put(store, account_id, 100)
    await reserve(store, account_id, "o1", 30, 1)
    with private_redis.client() as client:
        await until_second(client, await expire_second(store, account_id, "o1"))
    expired = await store.run(GetReservation(account_id, "o1"), deadline())
    await Sweeper(store, QuietObserver(), 60).sweep_once()
    assert await store.run(GetReservation(account_id, "o1"), deadline()) == expired
    released = await store.run(ReleaseReservation(account_id, "o1", etag=expired.etag), deadline())
    assert released.reservation.etag != expired.etag


async def test_what_is_invoiced_keeps_its_security_when_the_order_is_judged_anew(
    store: RedisCreditStore, private_redis: PrivateRedis, new_id: Callable[[str], str]
) -> None:
    def secured_order(account_id: str) -> ReserveCredit:
        return ReserveCredit(account_id, "o1", 100, "USD", 1, secured_minor=50)

    async def set_up(account_id: str) -> int:
        await put(store, account_id, 100)
        await store.run(secured_order(account_id), deadline())
        await store.run(CommitReservation(account_id, "o1", 50, "USD", "d1"), deadline())
        return await expire_second(store, account_id, "o1")

    with private_redis.client() as client:
        account_id, second = await set_up_in_time(client, new_id, set_up)
        await until_second(client, second)
    with pytest.raises(CreditError) as caught:
        await store.run(ReserveCredit(account_id, "o1", 100, "USD", 3600), deadline())
    assert caught.value.reason is ErrorReason.ORDER_EXISTS_WITH_DIFFERENT_DETAILS
    again = await store.run(secured_order(account_id), deadline())
    assert again.reservation is not None
    assert (again.replayed, again.reservation.exposure_minor, again.reservation.remaining_minor) == (False, 50, 50)


async def test_what_was_released_or_committed_does_not_fall_due_again(
    store: RedisCreditStore, private_redis: PrivateRedis, new_id: Callable[[str], str]
) -> None:
    async def set_up(account_id: str) -> int:
        await put(store, account_id, 1000)
        first = await reserve(store, account_id, "released", 100, 2)
        for order_id in ("committed", "partly", "kept"):
            await reserve(store, account_id, order_id, 100, 2)
        await reserve(store, account_id, "other", 7, 3600)
        await store.run(ReleaseReservation(account_id, "released"), deadline())
        await store.run(CommitReservation(account_id, "committed", 100, "USD", "d1"), deadline())
        await store.run(CommitReservation(account_id, "partly", 40, "USD", "d2"), deadline())
        assert first.reservation is not None
        return first.reservation.expire_time_s

    with private_redis.client() as client:
        account_id, _ = await set_up_in_time(client, new_id, set_up)
        await until_second(client, await expire_second(store, account_id, "kept"))
        for _ in range(2):
            account = await store.run(GetAccount(account_id), deadline())
            assert (account.exposure.reserved_minor, account.exposure.receivable_minor) == (7, 140)
            await reserve(store, account_id, "writes", 1, 3600)
            await store.run(ReleaseReservation(account_id, "writes"), deadline())
        partition = keys.partition_of(account_id, store.partitions)
        other = await expire_second(store, account_id, "other")
        assert client.zrange(keys.due(partition, account_id), 0, -1) == [f"{other}:7".encode()]


async def test_the_sweeper_settles_and_journals_at_the_holds_own_time(
    own_redis: Callable[..., PrivateRedis], account_id: str
) -> None:
    server = own_redis()
    store = await own_store(server)
    await put(store, account_id, 1000)
    orders = [ReserveCredit(account_id, f"o{n}", 2, "USD", 1) for n in range(250)]
    # In one call, so that it is released before its hold ends.
    await store.run_each([orders[0], ReleaseReservation(account_id, "o0")], deadline())
    await store.run_each(orders[1:], deadline())
    await reserve(store, account_id, "long", 9, 3600)
    seconds = {await expire_second(store, account_id, f"o{n}") for n in range(250)}
    partition = keys.partition_of(account_id, store.partitions)
    observer = QuietObserver()
    with server.client() as client:
        await until_second(client, max(seconds))
        await Sweeper(store, observer, 1.0).sweep_once()
        swept_second = second_of(client)
        expired = [
            effect
            for effect in read_account_effects(client, partition, account_id)
            if effect.kind is EffectKind.EXPIRED
        ]
        assert {effect.name for effect in expired} == {f"o{n}" for n in range(1, 250)}
        assert {effect.time_ms for effect in expired} <= {second * 1000 for second in seconds}
        assert client.zcount(keys.sweep_seconds(partition), "-inf", max(seconds)) == 0
        assert not any(client.exists(keys.sweep_list(partition, second)) for second in seconds)
    assert observer.settled == 249
    assert 0 <= observer.lag_s <= swept_second - min(seconds)
    account = await store.run(GetAccount(account_id), deadline())
    assert account.exposure.reserved_minor == 9
    await store.close()


CROWD = 100_000
CROWD_PATIENCE = (2, 6, 18)


async def hold_until(store: RedisCreditStore, client: Redis, account_id: str, due_second: int, count: int) -> None:
    """Hold 1 minor unit for each of so many orders, all falling due in one second, unless that comes before."""
    made = 0
    numbers = itertools.count()
    while made < count:
        seconds, microseconds = client.time()
        hold_s = due_second - int(seconds) - (1 if int(microseconds) else 0)
        if hold_s <= 0:
            return
        batch = [
            ReserveCredit(account_id, f"{due_second}-{next(numbers)}", 1, "USD", hold_s)
            for _ in range(min(1000, count - made))
        ]
        reserved = await store.run_each(batch, deadline())
        # The store's second may turn between reading its clock and holding: such a hold is given back.
        late = [
            ReleaseReservation(account_id, item.reservation.order_id)
            for item in reserved
            if isinstance(item, Reserved) and item.reservation and item.reservation.expire_time_s != due_second
        ]
        if late:
            await store.run_each(late, deadline())
        made += len(batch) - len(late)


async def fill_until(
    store: RedisCreditStore, client: Redis, new_id: Callable[[str], str]
) -> tuple[dict[str, int], int]:
    """Hold the whole limits of two accounts of one partition until one second; return the limits, and that second.

    How long the holds take to be made depends on the machine: each try has more time than the one before.
    """
    await put(store, "pace", 10_000)
    started = time.monotonic()
    await hold_until(store, client, "pace", second_of(client) + 3600, 5000)
    pace_s = (time.monotonic() - started) * CROWD / 5000
    for patience in CROWD_PATIENCE:
        crowded = new_id("crowded")
        neighbour = next(
            name
            for name in (new_id("n") for _ in range(1000))
            if keys.partition_of(name, store.partitions) == keys.partition_of(crowded, store.partitions)
        )
        limits = {crowded: CROWD, neighbour: 10}
        due_second = second_of(client) + int(pace_s * patience) + 5
        for account_id, limit in limits.items():
            await put(store, account_id, limit)
        for account_id, limit in limits.items():
            await hold_until(store, client, account_id, due_second, limit)
        full = await store.run(GetAccount(crowded), deadline())
        if second_of(client) < due_second:
            assert full.exposure.available_minor == 0
            return limits, due_second
    raise AssertionError


@pytest.mark.timeout(600)  # holding so many takes its time on a slow machine
async def test_100_000_holds_falling_due_in_one_second_free_headroom_for_the_very_next_order(
    own_redis: Callable[..., PrivateRedis], new_id: Callable[[str], str]
) -> None:
    server = own_redis()
    store = await own_store(server)
    with server.client() as client:
        limits, due_second = await fill_until(store, client, new_id)
        await until_second(client, due_second)
        for account_id, limit in limits.items():
            approved = await reserve(store, account_id, "the-very-next", limit, 3600)
            assert approved.decision.outcome is Outcome.APPROVED
            assert approved.decision.exposure.reserved_minor == 0
    await store.close()
