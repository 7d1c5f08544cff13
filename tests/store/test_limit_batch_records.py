"""The records of limit batches: written by one at a time, listed newest first, no more than there is room for."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import cast

import pytest

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.limit_batch import (
    ROW_ERRORS_MAX,
    GuardRail,
    GuardRailReport,
    LimitBatch,
    LimitBatchState,
    LimitChange,
    LimitEffect,
    LimitRowError,
    LimitRowErrorReason,
    LimitTotals,
)
from creditgate.store.constants import LIMIT_BATCHES_MAX, EffectKind
from creditgate.store.limit_batches import RedisLimitBatches
from tests.private_redis import PrivateRedis
from tests.store.batches import Batch, batch_of, put_accounts, rows_of
from tests.store.clocked import PARTITION, ClockedStore, clocked_store
from tests.store.desk import deadline
from tests.store.journal import read_entries

CHANGE = LimitChange("a1", "USD", None, 2**53 - 1, 7)


def full_batch(batch_id: str) -> LimitBatch:
    """Return a batch that has everything."""
    totals = LimitTotals("USD", 1, 2**62, 3, 4)
    return replace(
        batch_of(batch_id, create_accounts=True),
        state=LimitBatchState.QUARANTINED,
        received_rows=10**7,
        rows_digest="ab12",
        guard_rails=(GuardRailReport(GuardRail.ACCOUNTS_CUT, "too many: größer", 4000, 2000, (CHANGE,)),),
        effect=LimitEffect(1, 2, 3, 4, 5, 6, (totals,), (CHANGE,), (CHANGE, CHANGE)),
        over_limit_accounts=("a1", "a2"),
        kept_changes=("a3",),
        actor="ann",
        comment="株式会社",
        forced=True,
        receive_time_ms=12,
        activate_time_ms=13,
    )


def error_of(row: int, message: str = "is wrong") -> LimitRowError:
    return LimitRowError(row, f"a{row}", "limit_minor", LimitRowErrorReason.INVALID_FIELD, message)


@pytest.fixture
async def clocked(own_redis: Callable[..., PrivateRedis]) -> AsyncIterator[ClockedStore]:
    async with clocked_store(own_redis()) as clocked:
        yield clocked


@pytest.fixture
def batches(clocked: ClockedStore) -> RedisLimitBatches:
    return clocked.store.limit_batches


async def reason_of(awaitable: object) -> ErrorReason:
    with pytest.raises(CreditError) as caught:
        await awaitable  # type: ignore[misc]  # whatever the store returns
    return caught.value.reason


async def test_a_batch_is_read_as_it_was_written(clocked: ClockedStore, batches: RedisLimitBatches) -> None:
    batch = full_batch("b1")
    written = await batches.put_batch(batch, deadline())
    now_ms = clocked.now_s * 1000
    assert written == replace(batch, revision=1, create_time_ms=now_ms, update_time_ms=now_ms)
    assert await batches.get_batch("b1", deadline()) == written
    clocked.pass_time(5)
    again = await batches.put_batch(replace(written, state=LimitBatchState.CANCELLED), deadline())
    assert (again.revision, again.create_time_ms, again.update_time_ms) == (2, now_ms, now_ms + 5000)
    assert await batches.get_batch("b1", deadline()) == again


async def test_the_clock_is_that_of_the_records(clocked: ClockedStore, batches: RedisLimitBatches) -> None:
    assert await batches.read_clock(deadline()) == (await batches.put_batch(batch_of("b1"), deadline())).update_time_ms
    clocked.pass_time(5)
    assert await batches.read_clock(deadline()) == clocked.now_s * 1000


async def test_a_batch_that_has_been_changed_is_not_overwritten(batches: RedisLimitBatches) -> None:
    first = await batches.put_batch(batch_of("b1"), deadline())
    assert await reason_of(batches.put_batch(batch_of("b1"), deadline())) is ErrorReason.LIMIT_BATCH_CHANGED
    second = await batches.put_batch(replace(first, received_rows=5), deadline())
    stale = replace(first, received_rows=6, row_errors=(error_of(1),))
    assert await reason_of(batches.put_batch(stale, deadline())) is ErrorReason.LIMIT_BATCH_CHANGED
    assert await batches.get_batch("b1", deadline()) == second
    unknown = replace(batch_of("b2"), revision=1)
    assert await reason_of(batches.put_batch(unknown, deadline())) is ErrorReason.LIMIT_BATCH_CHANGED
    assert await reason_of(batches.get_batch("b2", deadline())) is ErrorReason.LIMIT_BATCH_NOT_FOUND


async def test_wrong_rows_are_kept_once_and_up_to_a_bound(batches: RedisLimitBatches) -> None:
    batch = replace(batch_of("b1"), row_errors=(error_of(3), error_of(1)))
    batch = await batches.put_batch(batch, deadline())
    await batches.put_batch(replace(batch, row_errors=(error_of(1, "other"), error_of(2))), deadline())
    read = await batches.get_batch("b1", deadline())
    assert read.row_errors == (error_of(1), error_of(2), error_of(3))
    many = tuple(error_of(row) for row in range(1, ROW_ERRORS_MAX + 2))
    await batches.put_batch(replace(read, row_errors=many), deadline())
    read = await batches.get_batch("b1", deadline())
    assert read.row_errors == many[:-1]
    await batches.put_batch(replace(read, row_errors=many[-1:]), deadline())
    assert len((await batches.get_batch("b1", deadline())).row_errors) == ROW_ERRORS_MAX


async def test_what_a_measure_finds_wrong_takes_the_place_of_what_the_one_before_did(
    clocked: ClockedStore, batches: RedisLimitBatches
) -> None:
    batch = await batches.put_batch(replace(batch_of("b1"), row_errors=(error_of(2),)), deadline())
    batch = await batches.put_measured(replace(batch, row_errors=(error_of(1), error_of(3))), deadline())
    read = await batches.get_batch("b1", deadline())
    assert read.row_errors == (error_of(1), error_of(2), error_of(3))
    batch = await batches.put_batch(replace(batch, row_errors=()), deadline())
    batch = await batches.put_measured(replace(batch, row_errors=(error_of(3, "still"),)), deadline())
    read = await batches.get_batch("b1", deadline())
    assert read.row_errors == (error_of(2), error_of(3, "still"))
    many = tuple(error_of(row) for row in range(10, ROW_ERRORS_MAX + 10))
    await batches.put_measured(replace(batch, row_errors=many), deadline())
    read = await batches.get_batch("b1", deadline())
    assert (len(read.row_errors), read.row_errors[0]) == (ROW_ERRORS_MAX, error_of(2))
    await batches.put_measured(replace(read, row_errors=()), deadline())
    assert (await batches.get_batch("b1", deadline())).row_errors == (error_of(2),)
    assert clocked.all_keys("cg:{0}:bm:*") == []


async def test_batches_are_listed_newest_first_and_by_state(clocked: ClockedStore, batches: RedisLimitBatches) -> None:
    states = [LimitBatchState.ACTIVE, LimitBatchState.STAGED, LimitBatchState.ACTIVE, LimitBatchState.FAILED]
    for number, state in enumerate(states):
        await batches.put_batch(replace(batch_of(f"b{number}"), state=state, row_errors=(error_of(1),)), deadline())
        clocked.pass_time(number % 2)  # two of them within a second
    assert await listed(batches) == [["b3", "b2", "b1", "b0"]]
    assert await listed(batches, page_size=2) == [["b3", "b2"], ["b1", "b0"]]
    assert await listed(batches, LimitBatchState.ACTIVE, page_size=1) == [["b2"], ["b0"]]
    assert await listed(batches, LimitBatchState.CANCELLED) == [[]]


async def test_a_batch_is_listed_by_its_state_whoever_has_written_it(
    clocked: ClockedStore, batches: RedisLimitBatches
) -> None:
    for number in range(3):
        await batches.put_batch(batch_of(f"b{number}"), deadline())
        clocked.pass_time(1)
    clocked.client.hdel("cg:{0}:bs", "b0", "b1")  # written before states were kept apart
    assert await listed(batches, LimitBatchState.RECEIVING) == [["b2", "b1", "b0"]]
    found = await batches.get_batch("b0", deadline())
    await batches.put_batch(replace(found, state=LimitBatchState.FAILED), deadline())
    assert await listed(batches, LimitBatchState.RECEIVING) == [["b2", "b1"]]
    assert await listed(batches, LimitBatchState.FAILED) == [["b0"]]


async def test_only_the_records_of_a_page_are_read(clocked: ClockedStore, batches: RedisLimitBatches) -> None:
    """A thousand records are some megabytes, and servers ask every two seconds for those that are under way."""
    await fill(batches, clocked, LimitBatchState.RECEIVING, LimitBatchState.ACTIVE)
    clocked.client.config_resetstat()
    assert await listed(batches, LimitBatchState.RECEIVING, LimitBatchState.ACTIVE) == [["b1", "b0"]]
    stats = clocked.client.info("commandstats")
    assert (stats["cmdstat_hmget"]["calls"], stats.get("cmdstat_hget")) == (2, None)


async def listed(batches: RedisLimitBatches, *states: LimitBatchState, page_size: int = 100) -> list[list[str]]:
    """Return the ids of each page."""
    pages, token = [], ""
    while True:
        page = await batches.list_batches(frozenset(states), page_size, token, deadline())
        assert all(batch.row_errors == () for batch in page.items)
        pages.append([batch.batch_id for batch in page.items])
        token = page.next_page_token
        if not token:
            return pages


async def test_a_page_of_long_records_is_shorter(batches: RedisLimitBatches) -> None:
    accounts = tuple(f"{number:0128}" for number in range(1000))
    for number in range(20):
        await batches.put_batch(replace(batch_of(f"b{number:02}"), over_limit_accounts=accounts), deadline())
    pages = await listed(batches)
    assert len(pages) > 1
    assert [batch_id for page in pages for batch_id in page] == [f"b{number:02}" for number in reversed(range(20))]


@pytest.mark.parametrize("token", ["?", "W10", "eyJhIjoxfQ", "WyJhIiwiYiJd"])
async def test_a_token_of_another_listing_is_refused(batches: RedisLimitBatches, token: str) -> None:
    reason = await reason_of(batches.list_batches(frozenset(), 10, token, deadline()))
    assert reason is ErrorReason.INVALID_FIELD


async def fill(batches: RedisLimitBatches, clocked: ClockedStore, *first: LimitBatchState) -> None:
    """Put as many batches as there may be: `b0` and so on in the given states, a second apart, then staged ones."""
    for number, state in enumerate(first):
        await batches.put_batch(replace(batch_of(f"b{number}"), state=state, row_errors=(error_of(1),)), deadline())
        clocked.pass_time(1)
    staged = replace(batch_of("staged"), state=LimitBatchState.STAGED)
    await batches.put_batch(staged, deadline())
    with clocked.client.pipeline() as pipeline:  # many calls of the store would take long
        for number in range(len(first), LIMIT_BATCHES_MAX - 1):
            pipeline.copy("cg:{0}:b:staged", f"cg:{{0}}:b:b{number}")
            pipeline.hset("cg:{0}:bs", f"b{number}", staged.state.value)
            pipeline.zadd("cg:{0}:b", {f"b{number}": clocked.now_s * 1000})
        pipeline.execute()


def all_ids(clocked: ClockedStore) -> set[str]:
    return {batch_id.decode() for batch_id in cast("list[bytes]", clocked.client.zrange("cg:{0}:b", 0, -1))}


async def dropped_by_one_more(batches: RedisLimitBatches, clocked: ClockedStore, name: str) -> set[str]:
    """Return the ids of the batches that make room for another."""
    before = all_ids(clocked)
    await batches.put_batch(batch_of(name), deadline())
    return before - all_ids(clocked)


async def test_batches_that_were_never_in_force_make_room_first(
    clocked: ClockedStore, batches: RedisLimitBatches
) -> None:
    active, over = LimitBatchState.ACTIVE, LimitBatchState.CANCELLED
    rolled_back, failed = LimitBatchState.ROLLED_BACK, LimitBatchState.FAILED
    await fill(batches, clocked, active, rolled_back, active, over, active, failed, active, active)
    assert (await batches.get_batch("b3", deadline())).row_errors
    for number, dropped in enumerate(["b3", "b5", "b0", "b1", "b2"]):
        assert await dropped_by_one_more(batches, clocked, f"more {number}") == {dropped}
        assert await reason_of(batches.get_batch(dropped, deadline())) is ErrorReason.LIMIT_BATCH_NOT_FOUND
        assert clocked.all_keys(f"cg:{{0}}:be:{dropped}") == []
    assert clocked.client.zcard("cg:{0}:b") == LIMIT_BATCHES_MAX
    # The last three that are active can be rolled back.
    assert await reason_of(batches.put_batch(batch_of("one more"), deadline())) is ErrorReason.STORE_FULL
    # One that is there may still change.
    staged = await batches.get_batch("staged", deadline())
    await batches.put_batch(replace(staged, state=LimitBatchState.CANCELLED), deadline())
    assert await dropped_by_one_more(batches, clocked, "one more") == {"staged"}


async def test_of_batches_that_were_in_force_those_go_first_that_were_activated_first(
    clocked: ClockedStore, batches: RedisLimitBatches
) -> None:
    await fill(batches, clocked, *[LimitBatchState.STAGED] * 5)
    for name in ("b4", "b2", "b0", "b3", "b1"):
        staged = await batches.get_batch(name, deadline())
        await batches.put_batch(replace(staged, state=LimitBatchState.ACTIVE), deadline())
        clocked.pass_time(1)
    assert await dropped_by_one_more(batches, clocked, "x") == {"b4"}
    assert await dropped_by_one_more(batches, clocked, "y") == {"b2"}


async def test_the_rows_of_batches_whose_records_are_gone_are_dropped(
    clocked: ClockedStore, batches: RedisLimitBatches
) -> None:
    await put_accounts(clocked.store, ["a1"])
    await Batch(clocked.store, "b0").put(rows_of(["a1"], 5, 1))
    await fill(batches, clocked, LimitBatchState.CANCELLED)
    left = clocked.all_keys("cg:{0}:?:b0")
    assert "cg:{0}:u:b0" in left
    assert await dropped_by_one_more(batches, clocked, "more") == {"b0"}
    # Rows under its id would be taken for those of another batch.
    assert await reason_of(batches.put_batch(batch_of("b0"), deadline())) is ErrorReason.LIMIT_BATCH_CHANGED
    assert (await batches.drop_gone(deadline()), await batches.drop_gone(deadline())) == (1, 0)
    assert clocked.all_keys("cg:{0}:?:b0") == []
    staged = await batches.get_batch("staged", deadline())
    await batches.put_batch(replace(staged, state=LimitBatchState.CANCELLED), deadline())
    await batches.put_batch(batch_of("b0"), deadline())


async def test_each_change_of_state_is_journaled(clocked: ClockedStore, batches: RedisLimitBatches) -> None:
    batch = await batches.put_batch(batch_of("b1"), deadline())
    batch = await batches.put_batch(replace(batch, received_rows=5), deadline())
    batch = await batches.put_batch(replace(batch, state=LimitBatchState.CANCELLED, actor="ann"), deadline())
    effects = [effect for entry in read_entries(clocked.client, PARTITION) for effect in entry]
    assert [(effect.kind, effect.name, effect.texts) for effect in effects] == [
        (EffectKind.LIMIT_BATCH_CHANGED, "b1", ("m-1",))
    ] * 2
    records = [json.loads(effect.record) for effect in effects]
    assert [(record["state"], record["received_rows"], record["actor"]) for record in records] == [
        (LimitBatchState.RECEIVING, 0, ""),
        (LimitBatchState.CANCELLED, 5, "ann"),
    ]


async def test_what_a_newer_version_has_written_can_be_read(clocked: ClockedStore, batches: RedisLimitBatches) -> None:
    written = await batches.put_batch(full_batch("b1"), deadline())
    record = json.loads(clocked.client.hget("cg:{0}:b:b1", "record") or b"")
    record["later"] = record["header"]["later"] = record["effect"]["later"] = 1
    clocked.client.hset("cg:{0}:b:b1", "record", json.dumps(record))
    assert await batches.get_batch("b1", deadline()) == written
