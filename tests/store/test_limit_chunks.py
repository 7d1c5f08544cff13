"""Servers that stop between any two chunks, that do the same at once, and accounts that move meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import count

import pytest

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.limit_batch import CHUNK_ROWS_MAX, LimitRow, LimitRowErrorReason, RowsApplied, RowStanding
from creditgate.domain.operations import PutAccount, PutGroup
from creditgate.store import RedisCreditStore, keys
from creditgate.store.lane import Argument, Reply
from creditgate.store.limit_batches import RedisLimitBatches
from creditgate.store.limit_steps import StepsUnderWay
from tests.private_redis import PrivateRedis
from tests.store.batches import Batch, account_of, limits_of, put_accounts, rows_of, some
from tests.store.desk import Desk, deadline
from tests.store.opened import open_store

NewId = Callable[[str], str]
ACCOUNTS = 300


@pytest.fixture
def server(own_redis: Callable[..., PrivateRedis]) -> PrivateRedis:
    return own_redis()


@pytest.fixture
async def one(server: PrivateRedis) -> AsyncIterator[RedisCreditStore]:
    async with open_store(server.url) as store:
        yield store


@pytest.fixture
async def other(server: PrivateRedis) -> AsyncIterator[RedisCreditStore]:
    async with open_store(server.url) as store:
        yield store


@pytest.fixture
async def account_ids(one: RedisCreditStore, new_id: NewId) -> list[str]:
    found = [new_id("acc") for _ in range(ACCOUNTS)]
    await put_accounts(one, found)
    return found


class KilledError(Exception):
    """The server is gone."""


def dying(store: RedisCreditStore, calls: int) -> RedisLimitBatches:
    """Return the batches of a store as a server sees them that dies before its next call after so many."""
    left = calls

    async def call(
        function: str, partition: int, arguments: tuple[Argument, ...], deadline: float, *, read_only: bool = False
    ) -> Reply:
        nonlocal left
        if not left:
            raise KilledError
        left -= 1
        whole = store._calls.call  # noqa: SLF001 - cut short
        return await whole(function, partition, arguments, deadline, read_only=read_only, replicated=True)

    return RedisLimitBatches(store.partitions, lambda: store._policy, call, StepsUnderWay(lambda: 0, lambda: False))  # noqa: SLF001 - as the store has it


async def move(store: RedisCreditStore, account_ids: Sequence[str], group_id: str) -> None:
    """Let accounts join a group, in its partition."""
    await store.run(PutGroup(group_id, "USD", None, ""), deadline())
    for account_id in account_ids:
        await store.run(PutAccount(account_id, group_id=group_id), deadline())


async def test_a_server_may_die_before_any_call(one: RedisCreditStore, other: RedisCreditStore, new_id: NewId) -> None:
    for calls in count():
        batch = Batch(one, new_id("batch"))
        account_ids = [new_id("acc") for _ in range(40)]
        await put_accounts(one, account_ids)
        await batch.stage(rows_of(account_ids, 7, 1))
        await move(one, account_ids[:3], new_id("fam"))
        dead = True
        batches = dying(one, calls)
        try:
            await some(batches.apply_rows(batch.record, deadline()))
            dead = False
        except KilledError:
            pass
        again = batch.on(other)
        await again.apply()
        assert await limits_of(other, account_ids) == [(7, 1)] * len(account_ids)
        applied = await again.applied()
        assert (applied.applied_rows, applied.skipped_rows) == (len(account_ids), 0)
        if not dead:
            break
    assert calls > 2 * one.partitions


async def test_a_rollback_may_die_before_any_call(
    one: RedisCreditStore, other: RedisCreditStore, new_id: NewId
) -> None:
    for calls in count():
        batch = Batch(one, new_id("batch"))
        account_ids = [new_id("acc") for _ in range(40)]
        await put_accounts(one, account_ids)
        await batch.put(rows_of(account_ids, 7, 1))
        await move(one, account_ids[:3], new_id("fam"))
        dead = True
        try:
            await some(dying(one, calls).restore_rows(batch.record, deadline()))
            dead = False
        except KilledError:
            pass
        again = batch.on(other)
        await again.restore()
        assert await limits_of(other, account_ids) == [(1000, 1)] * len(account_ids)
        restored = await again.restored()
        assert (restored.restored_rows, restored.kept_changes) == (len(account_ids), ())
        if not dead:
            break


async def test_who_asks_may_stop_after_any_chunk(
    one: RedisCreditStore, other: RedisCreditStore, account_ids: list[str]
) -> None:
    batch = Batch(one, "batch")
    await batch.stage(rows_of(account_ids, 7, 1))
    for chunks in count(1):
        told = await batch.on(other if chunks % 2 else one).apply(chunks)
        if not told.applied_rows:
            break
        assert (await batch.applied()).applied_rows >= told.applied_rows
    assert await limits_of(one, account_ids) == [(7, 1)] * ACCOUNTS
    assert (await batch.applied()).applied_rows == ACCOUNTS


async def test_two_servers_may_do_the_same_at_once(
    one: RedisCreditStore, other: RedisCreditStore, account_ids: list[str]
) -> None:
    batch = Batch(one, "batch")
    await move(one, account_ids[:5], "family")
    await asyncio.gather(batch.stage(rows_of(account_ids, 7, 1)), batch.on(other).stage(rows_of(account_ids, 7, 1)))
    told = await asyncio.gather(batch.apply(), batch.on(other).apply())
    assert sum(each.applied_rows for each in told) >= ACCOUNTS
    assert (await batch.applied()).applied_rows == ACCOUNTS
    assert await limits_of(one, account_ids) == [(7, 1)] * ACCOUNTS
    await asyncio.gather(batch.restore(), batch.on(other).restore())
    assert (await batch.restored()).restored_rows == ACCOUNTS
    assert await limits_of(one, account_ids) == [(1000, 1)] * ACCOUNTS


async def test_rows_follow_accounts_that_have_moved(
    one: RedisCreditStore, other: RedisCreditStore, account_ids: list[str], server: PrivateRedis
) -> None:
    families = [f"family-{number}" for number in range(3)]
    for number, family in enumerate(families):
        await move(one, account_ids[number * 10 : number * 10 + 10], family)
    batch = Batch(other, "batch")
    await batch.stage(rows_of(account_ids, 7, 1))
    effects = await batch.measure()
    assert [effect.standing for effect in effects] == [RowStanding.APPLICABLE] * ACCOUNTS
    assert [effect.row for effect in effects] == list(range(1, ACCOUNTS + 1))
    applied = await batch.apply()
    assert (applied.applied_rows, applied.errors) == (ACCOUNTS, ())
    assert await batch.applied() == applied
    # One that moves on after its limit was put in force is found by the rollback.
    await move(one, account_ids[:5], families[2])
    await move(one, account_ids[50:60], families[0])
    assert (await batch.restore()).restored_rows == ACCOUNTS
    assert (await batch.restored()).restored_rows == ACCOUNTS
    assert await limits_of(one, account_ids) == [(1000, 1)] * ACCOUNTS
    with server.client() as client:
        assert not list(client.scan_iter("cg:*:s:batch"))
        assert not list(client.scan_iter("cg:*:u:batch"))


async def test_rows_that_another_server_has_taken_along_do_not_come_back(
    one: RedisCreditStore, other: RedisCreditStore, account_ids: list[str], server: PrivateRedis
) -> None:
    batch = Batch(one, "batch")
    await move(one, account_ids[:1], "family")
    await batch.stage(rows_of(account_ids, 7, 1))
    overtaken = 0

    async def call(
        function: str, partition: int, arguments: tuple[Argument, ...], deadline: float, *, read_only: bool = False
    ) -> Reply:
        nonlocal overtaken
        if function == "creditgate_take_chunk":
            overtaken += (await batch.on(other).apply()).applied_rows
        whole = one._calls.call  # noqa: SLF001 - overtaken
        return await whole(function, partition, arguments, deadline, read_only=read_only, replicated=True)

    batches = RedisLimitBatches(one.partitions, lambda: one._policy, call, StepsUnderWay(lambda: 0, lambda: False))  # noqa: SLF001 - as the store has it
    await some(batches.apply_rows(batch.record, deadline()))
    assert overtaken
    assert (await batch.applied()).applied_rows == ACCOUNTS
    with server.client() as client:
        assert not list(client.scan_iter("cg:*:s:batch"))


async def test_a_row_of_a_moved_account_is_refused_like_any_other(
    one: RedisCreditStore, account_ids: list[str]
) -> None:
    moved = account_ids[0]
    await move(one, [moved], "family")
    batch = Batch(one, "batch")
    await batch.put([LimitRow(1, moved, 7, "EUR", 1)])
    (error,) = (await batch.applied()).errors
    assert (error.account_id, error.reason) == (moved, LimitRowErrorReason.CURRENCY_MISMATCH)
    assert "USD" in error.message


async def test_a_chunk_waits_for_an_account_that_is_being_moved(
    one: RedisCreditStore, account_ids: list[str], server: PrivateRedis
) -> None:
    batch = Batch(one, "batch")
    await batch.stage(rows_of(account_ids, 7, 1))
    moving = account_ids[0]
    home = keys.partition_of(moving, one.partitions)
    with server.client() as client:
        epoch, *_ = client.fcall("creditgate_move_freeze", 1, keys.prefix(home), moving, str((home + 1) % 16), "")
        assert len(await batch.measure()) == ACCOUNTS
        waiting = sum(keys.partition_of(each, one.partitions) == home for each in account_ids)
        applied = 0
        async for chunk in batch.batches.apply_rows(batch.record, deadline()):
            applied += chunk.applied_rows
            if applied == ACCOUNTS - waiting:
                assert await limits_of(one, [moving]) == [(1000, 0)]
                client.fcall("creditgate_move_thaw", 1, keys.prefix(home), moving, epoch)
    assert applied == ACCOUNTS
    assert await limits_of(one, account_ids) == [(7, 1)] * ACCOUNTS


async def test_a_move_that_does_not_end_is_told_at_the_deadline(
    one: RedisCreditStore, account_ids: list[str], server: PrivateRedis
) -> None:
    batch = Batch(one, "batch")
    await batch.stage(rows_of(account_ids[:1], 7, 1))
    home = keys.partition_of(account_ids[0], one.partitions)
    with server.client() as client:
        client.fcall("creditgate_move_freeze", 1, keys.prefix(home), account_ids[0], str((home + 1) % 16), "")
    with pytest.raises(CreditError) as caught:
        await some(batch.batches.apply_rows(batch.record, deadline() - 8))
    # Where the last look itself takes too long, only the deadline can be told.
    assert caught.value.reason in {ErrorReason.ACCOUNT_MOVING, ErrorReason.DEADLINE_EXCEEDED}
    assert await batch.applied() == RowsApplied()


# --- rolling back


async def test_a_rollback_leaves_alone_what_has_been_changed_since(one: RedisCreditStore, new_id: NewId) -> None:
    untouched, scored, set_by_hand, skipped = (new_id(kind) for kind in ("untouched", "scored", "set", "skipped"))
    account_ids = [untouched, scored, set_by_hand, skipped]
    await put_accounts(one, account_ids)
    await Batch(one, new_id("batch")).put(rows_of([skipped], 44, 9))
    batch = Batch(one, new_id("batch"))
    await batch.put(rows_of(account_ids, 7, 1))
    await Batch(one, new_id("batch")).put(rows_of([scored], 7, 2))
    await Desk(one, set_by_hand).set_limit(8)
    restored = await batch.restore()
    assert restored.restored_rows == 1
    assert sorted(restored.kept_changes) == sorted([scored, set_by_hand])
    assert sorted((await batch.restored()).kept_changes) == sorted([scored, set_by_hand])
    assert await limits_of(one, account_ids) == [(1000, 1), (7, 2), (8, 1), (44, 9)]
    # An old row can't return.
    assert (await Batch(one, new_id("batch")).put(rows_of([untouched], 5, 1))).skipped_rows == 1


async def test_a_rollback_restores_all_that_belongs_to_a_limit(one: RedisCreditStore, account_id: str) -> None:
    await put_accounts(one, [account_id], None)
    nothing = await account_of(one, account_id)
    first, second = Batch(one, "first"), Batch(one, "second")
    await first.put([LimitRow(1, account_id, 700, "USD", 3, "high", -1.25, 0, 4_000_000_000, "pays late")])
    before = await account_of(one, account_id)
    await second.put([LimitRow(1, account_id, None, "USD", 4, "low", None, 0, 0, "other")])
    assert (await second.restore()).restored_rows == 1
    after = await account_of(one, account_id)
    for name in ("base_limit_minor", "unlimited", "risk_class", "score", "limit_reasons", "limit_expire_time_s"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.limit_confirm_time_s == before.limit_confirm_time_s
    assert after.limit_version == 4
    assert nothing.base_limit_minor is None


async def test_an_account_that_a_batch_has_created_is_left_without_a_limit(
    one: RedisCreditStore, new_id: NewId
) -> None:
    account_id = new_id("acc")
    batch = Batch(one, "batch", create_accounts=True)
    await batch.put(rows_of([account_id], 7, 1))
    assert (await batch.restore()).restored_rows == 1
    assert await limits_of(one, [account_id]) == [(None, 1)]


async def test_a_chunk_has_no_more_rows_than_it_may(one: RedisCreditStore, server: PrivateRedis, new_id: NewId) -> None:
    account_ids = [new_id("acc") for _ in range(3200)]
    await Batch(one, "batch").stage(rows_of(account_ids, 7, 1))
    with server.client() as client:
        chunks = [chunk.count(b"USD") for key in client.scan_iter("cg:*:s:batch") for chunk in client.hvals(key)]
    assert sum(chunks) == len(account_ids)
    assert max(chunks) <= CHUNK_ROWS_MAX
