"""Limits whose time is to come: beside the present one until then, and chosen when the account is read."""

from collections.abc import AsyncIterator, Callable
from itertools import count

import pytest

from creditgate.domain.account import ScheduledLimit
from creditgate.domain.decision import Outcome
from creditgate.domain.limit_batch import LimitRow
from creditgate.domain.operations import CheckCredit, LimitSetting, PutAccount, PutGroup
from creditgate.store import RedisCreditStore, keys
from tests.private_redis import PrivateRedis
from tests.store.batches import Batch, account_of, put_accounts
from tests.store.clocked import DAY_S, ClockedStore, clocked_store
from tests.store.desk import Desk, deadline
from tests.store.opened import open_store

_batch_numbers = count(1)


@pytest.fixture
async def clocked(own_redis: Callable[..., PrivateRedis]) -> AsyncIterator[ClockedStore]:
    async with clocked_store(own_redis()) as clocked:
        yield clocked


@pytest.fixture
async def desk(clocked: ClockedStore, account_id: str) -> Desk:
    desk = clocked.desk(account_id)
    await desk.put(limit=1000)
    return desk


async def put_row(
    store: RedisCreditStore, account_id: str, limit: int | None, version: int, **details: object
) -> Batch:
    batch = Batch(store, f"batch-{next(_batch_numbers)}")
    await batch.put([LimitRow(1, account_id, limit, "USD", version, **details)])  # type: ignore[arg-type]  # by name
    return batch


async def fits(desk: Desk, amount: int) -> bool:
    decision = await desk.store.run(CheckCredit(desk.account_id, amount, "USD"), deadline())
    return decision.outcome is Outcome.APPROVED


async def test_a_scheduled_limit_counts_from_its_second_on(clocked: ClockedStore, desk: Desk) -> None:
    starts_s, ends_s = clocked.now_s + DAY_S, clocked.now_s + 9 * DAY_S
    batch = Batch(clocked.store, "batch")
    applied = await batch.put([LimitRow(1, desk.account_id, 5000, "USD", 3, "high", 0.5, starts_s, ends_s, "a\nb")])
    assert (applied.applied_rows, applied.scheduled_rows) == (1, 1)
    clocked.pass_time(DAY_S - 1)
    before = await desk.account()
    assert before.scheduled_limit == ScheduledLimit(5000, 3, starts_s, ends_s, "high")
    assert (before.base_limit_minor, before.limit_version, before.risk_class) == (1000, 0, "")
    assert (before.score, before.limit_reasons, before.exposure.limit_minor) == (None, (), 1000)
    assert not await fits(desk, 1001)
    clocked.pass_time(1)
    for held in (0, 10):
        after = await desk.account()
        assert after.scheduled_limit is None
        assert (after.base_limit_minor, after.limit_version, after.risk_class) == (5000, 3, "high")
        assert (after.score, after.limit_reasons, after.exposure.limit_minor) == (0.5, ("a", "b"), 5000)
        assert (after.limit_confirm_time_s, after.limit_expire_time_s) == (starts_s, ends_s)
        assert await fits(desk, 5000 - held)
        assert not await fits(desk, 5001 - held)
        await desk.reserve("o1", 10)  # what is then written is what was read


async def test_a_scheduled_limit_may_have_no_ceiling(clocked: ClockedStore, desk: Desk) -> None:
    await put_row(clocked.store, desk.account_id, None, 3, effective_time_s=clocked.now_s + 60)
    assert (await desk.account()).scheduled_limit == ScheduledLimit(None, 3, clocked.now_s + 60)
    clocked.pass_time(60)
    assert (await desk.account()).unlimited
    assert await fits(desk, 10**12)


@pytest.mark.parametrize(
    ("versions", "base", "scheduled"),
    [
        ((5, 4), (400, 4), 5),  # an older one at once: the newer one still comes
        ((5, 6), (600, 6), None),  # a newer one at once: what was scheduled is old news
    ],
)
async def test_a_limit_at_once_meets_a_scheduled_one(
    clocked: ClockedStore, desk: Desk, versions: tuple[int, int], base: tuple[int, int], scheduled: int | None
) -> None:
    starts_s = clocked.now_s + DAY_S
    first, second = versions
    await put_row(clocked.store, desk.account_id, 100 * first, first, effective_time_s=starts_s, reasons="first")
    await put_row(clocked.store, desk.account_id, 100 * second, second, reasons="second")
    account = await desk.account()
    assert (account.base_limit_minor, account.limit_version) == base
    assert account.limit_reasons == ("second",)
    assert (account.scheduled_limit.version if account.scheduled_limit is not None else None) == scheduled
    clocked.pass_time(DAY_S)
    account = await desk.account()
    assert (account.base_limit_minor, account.limit_version) == (100 * max(versions), max(versions))
    assert account.limit_reasons == ("second",) if scheduled is None else ("first",)


async def test_a_scheduled_limit_is_replaced_by_a_newer_version_only(clocked: ClockedStore, desk: Desk) -> None:
    starts_s = clocked.now_s + DAY_S
    await put_row(clocked.store, desk.account_id, 500, 5, effective_time_s=starts_s)
    for version in (4, 5):
        batch = Batch(clocked.store, f"batch-{next(_batch_numbers)}")
        applied = await batch.put([LimitRow(1, desk.account_id, 9, "USD", version, effective_time_s=starts_s + 1)])
        assert (applied.applied_rows, applied.skipped_rows) == (0, 1)
    await put_row(clocked.store, desk.account_id, 600, 6, effective_time_s=starts_s + 2)
    assert (await desk.account()).scheduled_limit == ScheduledLimit(600, 6, starts_s + 2)


async def test_setting_a_limit_leaves_the_scheduled_one(clocked: ClockedStore, desk: Desk) -> None:
    starts_s = clocked.now_s + DAY_S
    await put_row(clocked.store, desk.account_id, 700, 2, score=1.0, reasons="why")
    await put_row(clocked.store, desk.account_id, 500, 5, effective_time_s=starts_s, score=2.0, reasons="next")
    await desk.set_limit(50)
    account = await desk.account()
    assert (account.base_limit_minor, account.limit_version) == (50, 2)
    assert (account.score, account.limit_reasons) == (None, ())
    assert account.scheduled_limit == ScheduledLimit(500, 5, starts_s)
    clocked.pass_time(DAY_S)
    account = await desk.account()
    assert (account.base_limit_minor, account.score, account.limit_reasons) == (500, 2.0, ("next",))


async def test_reasons_go_with_their_limit_over_many_schedules(clocked: ClockedStore, desk: Desk) -> None:
    reasons = {1: "one", 2: "", 3: "three", 4: "four", 5: ""}
    for version, text in reasons.items():
        starts_s = clocked.now_s + DAY_S
        await put_row(clocked.store, desk.account_id, version, version, effective_time_s=starts_s, reasons=text)
        before = reasons.get(version - 1, "")
        assert (await desk.account()).limit_reasons == ((before,) if before else ())
        clocked.pass_time(DAY_S)
        assert (await desk.account()).limit_reasons == ((text,) if text else ())
    await put_row(clocked.store, desk.account_id, 6, 6, reasons="at once")
    assert (await desk.account()).limit_reasons == ("at once",)


async def test_a_rollback_takes_a_scheduled_limit_away(clocked: ClockedStore, desk: Desk) -> None:
    starts_s = clocked.now_s + DAY_S
    await put_row(clocked.store, desk.account_id, 500, 5, effective_time_s=starts_s, reasons="first")
    batch = await put_row(clocked.store, desk.account_id, 600, 6, effective_time_s=starts_s + 9, reasons="second")
    assert (await batch.restore()).restored_rows == 1
    assert (await desk.account()).scheduled_limit == ScheduledLimit(500, 5, starts_s)
    clocked.pass_time(DAY_S)
    account = await desk.account()
    # The version stays, so that what was taken back can't return.
    assert (account.base_limit_minor, account.limit_version, account.limit_reasons) == (500, 6, ("first",))


async def test_a_rollback_restores_a_limit_that_has_started_meanwhile(clocked: ClockedStore, desk: Desk) -> None:
    batch = await put_row(clocked.store, desk.account_id, 600, 6, effective_time_s=clocked.now_s + DAY_S)
    clocked.pass_time(2 * DAY_S)
    assert (await batch.restore()).restored_rows == 1
    account = await desk.account()
    assert (account.base_limit_minor, account.limit_version, account.scheduled_limit) == (1000, 6, None)


async def test_a_rollback_brings_back_a_scheduled_limit_that_a_row_dropped(clocked: ClockedStore, desk: Desk) -> None:
    starts_s = clocked.now_s + DAY_S
    await put_row(clocked.store, desk.account_id, 500, 5, effective_time_s=starts_s, reasons="next")
    batch = await put_row(clocked.store, desk.account_id, 60, 6)
    assert (await desk.account()).scheduled_limit is None
    assert (await batch.restore()).restored_rows == 1
    account = await desk.account()
    assert (account.base_limit_minor, account.limit_version) == (1000, 6)
    assert account.scheduled_limit == ScheduledLimit(500, 5, starts_s)
    clocked.pass_time(DAY_S)
    assert (await desk.account()).limit_reasons == ("next",)


async def test_a_scheduled_limit_moves_with_its_account(
    own_redis: Callable[..., PrivateRedis], new_id: Callable[[str], str]
) -> None:
    async with open_store(own_redis().url) as store:
        account_id = new_id("acc")
        home = keys.partition_of(account_id, store.partitions)
        group_id = next(
            each for each in map(new_id, 100 * ["fam"]) if keys.partition_of(each, store.partitions) != home
        )
        await put_accounts(store, [account_id])
        await put_row(store, account_id, 500, 1, score=0.25, reasons="now")
        await put_row(store, account_id, 700, 2, effective_time_s=4_000_000_000, reasons="then")
        before = await account_of(store, account_id)
        await store.run(PutGroup(group_id, "USD", None, ""), deadline())
        await store.run(PutAccount(account_id, group_id=group_id), deadline())
        after = await account_of(store, account_id)
        assert after.scheduled_limit == ScheduledLimit(700, 2, 4_000_000_000)
        assert (after.score, after.limit_reasons) == (before.score, before.limit_reasons) == (0.25, ("now",))


async def test_an_account_without_a_schedule_stays_as_small_as_it_was(clocked: ClockedStore, desk: Desk) -> None:
    account_key = keys.account(0, desk.account_id)
    plain = clocked.client.strlen(account_key)
    await put_row(clocked.store, desk.account_id, 500, 1)
    assert clocked.client.strlen(account_key) == plain
    await put_row(clocked.store, desk.account_id, 500, 2, score=0.5)
    assert clocked.client.strlen(account_key) == plain + 8
    await desk.store.run(PutAccount(desk.account_id, base_limit=LimitSetting(5)), deadline())
    assert clocked.client.strlen(account_key) == plain
