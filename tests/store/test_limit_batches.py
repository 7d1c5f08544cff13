"""Rows of limit batches: staged, measured, put in force and taken back."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice, repeat

import pytest

from creditgate.domain.account import ManualLimit, TemporaryLimit
from creditgate.domain.decision import Action, ReasonCode
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.limit_batch import (
    CHUNK_ROWS_MAX,
    WINDOW_ROWS,
    LimitBatchState,
    LimitRow,
    LimitRowErrorReason,
    Noteworthy,
    RowEffect,
    RowsApplied,
    RowsEffect,
    RowStanding,
    WindowStaged,
)
from creditgate.domain.operations import (
    GetGroup,
    LimitSetting,
    PutAccount,
    PutGroup,
    ReserveCredit,
    SetManualLimit,
    SetTemporaryLimit,
)
from creditgate.domain.policy import DEFAULT_CLASS, DEFAULT_RULES, ClassPolicy, GuardRails, Policy, RuleSetting
from creditgate.limit_feed.measurer import Measurer
from creditgate.store import PARTITIONS_DEFAULT, RedisCreditStore, keys
from tests.private_redis import PrivateRedis
from tests.store.batches import Batch, account_of, limits_of, put_accounts, rows_of
from tests.store.clocked import DAY_S, clocked_store
from tests.store.desk import HOLD_S, Desk, deadline
from tests.store.opened import open_store

NewId = Callable[[str], str]


@pytest.fixture
def batch(each_store: RedisCreditStore, new_id: NewId) -> Batch:
    return Batch(each_store, new_id("batch"))


@pytest.fixture
def store(each_store: RedisCreditStore) -> RedisCreditStore:
    return each_store


async def test_rows_are_in_force_once_they_are_applied(store: RedisCreditStore, batch: Batch, new_id: NewId) -> None:
    account_ids = [new_id("acc") for _ in range(3 * CHUNK_ROWS_MAX)]
    await put_accounts(store, account_ids)
    assert await batch.stage(rows_of(account_ids, 5000, 7)) == []
    assert set(await limits_of(store, account_ids)) == {(1000, 0)}
    applied = await batch.apply()
    assert (applied.applied_rows, applied.skipped_rows, applied.errors) == (len(account_ids), 0, ())
    assert set(await limits_of(store, account_ids)) == {(5000, 7)}
    assert await batch.applied() == applied
    assert (await batch.apply()).applied_rows == 0


async def test_a_row_replaces_all_that_belongs_to_the_base_limit(
    store: RedisCreditStore, batch: Batch, account_id: str, new_id: NewId
) -> None:
    await put_accounts(store, [account_id])
    row = LimitRow(1, account_id, 700, "USD", 3, "high", -1.25, 0, 4_000_000_000, "pays late\ngrows")
    await batch.put([row])
    account = await account_of(store, account_id)
    assert (account.base_limit_minor, account.limit_version, account.risk_class) == (700, 3, "high")
    assert (account.score, account.limit_reasons) == (-1.25, ("pays late", "grows"))
    assert account.limit_expire_time_s == 4_000_000_000
    await Batch(store, new_id("batch")).put([LimitRow(1, account_id, None, "USD", 4)])
    account = await account_of(store, account_id)
    assert (account.base_limit_minor, account.unlimited, account.limit_version) == (None, True, 4)
    assert (account.score, account.limit_reasons, account.limit_expire_time_s) == (None, (), 0)
    assert account.risk_class == "high"


async def test_what_becomes_of_each_kind_of_row(store: RedisCreditStore, batch: Batch, new_id: NewId) -> None:
    fresh, same, older, unknown, foreign = (new_id(kind) for kind in ("fresh", "same", "older", "unknown", "foreign"))
    await put_accounts(store, [fresh, same, older, foreign])
    await Batch(store, new_id("batch")).put(rows_of([same, older], 900, 5))
    await batch.stage(
        [
            LimitRow(1, fresh, 0, "USD", 1),
            LimitRow(2, same, 1, "USD", 5),
            LimitRow(3, older, 1, "USD", 4),
            LimitRow(4, unknown, 1, "USD", 1),
            LimitRow(5, foreign, 1, "EUR", 1),
        ]
    )
    standings = [(effect.row, effect.standing) for effect in await batch.measure()]
    assert standings == [
        (1, RowStanding.APPLICABLE),
        (2, RowStanding.SKIPPED),
        (3, RowStanding.SKIPPED),
        (4, RowStanding.UNKNOWN_ACCOUNT),
        (5, RowStanding.CURRENCY_MISMATCH),
    ]
    measurer = Measurer(GuardRails())
    measurer.add(RowsEffect(await batch.measure()))
    applied = await batch.apply()
    assert (applied.applied_rows, applied.skipped_rows, applied.created_accounts) == (1, 2, 0)
    errors = sorted(applied.errors, key=lambda error: error.row)
    assert tuple(errors) == measurer.measured().errors, "told in the same words"
    assert [(error.row, error.account_id, error.field, error.reason) for error in errors] == [
        (4, unknown, "account_id", LimitRowErrorReason.UNKNOWN_ACCOUNT),
        (5, foreign, "currency_code", LimitRowErrorReason.CURRENCY_MISMATCH),
    ]
    assert await limits_of(store, [fresh, same, older, foreign]) == [(0, 1), (900, 5), (900, 5), (1000, 0)]


async def test_an_account_is_created_where_the_header_asks_for_it(store: RedisCreditStore, new_id: NewId) -> None:
    account_id = new_id("acc")
    batch = Batch(store, new_id("batch"), create_accounts=True)
    await batch.stage([LimitRow(1, account_id, 300, "EUR", 2, "high")])
    (effect,) = await batch.measure()
    assert (effect.standing, effect.currency_code, effect.after_minor) == (RowStanding.NEW_ACCOUNT, "EUR", 300)
    applied = await batch.apply()
    assert (applied.applied_rows, applied.created_accounts, applied.errors) == (1, 1, ())
    account = await account_of(store, account_id)
    assert (account.currency_code, account.base_limit_minor, account.risk_class) == ("EUR", 300, "high")
    assert await store.verify_account(account_id, repair=False, deadline=deadline()) == ()


async def test_the_effect_of_a_row_is_told_before_it_is_in_force(
    store: RedisCreditStore, batch: Batch, account_id: str
) -> None:
    await put_accounts(store, [account_id])
    await Desk(store, account_id).reserve("o1", 400)
    await batch.stage(rows_of([account_id], 300, 1))
    (effect,) = await batch.measure()
    assert effect == RowEffect(
        1,
        account_id,
        RowStanding.APPLICABLE,
        "USD",
        before_minor=1000,
        after_minor=300,
        exposure_minor=400,
        headroom_before_minor=600,
        headroom_after_minor=0,
        over_limit=True,
    )
    assert await limits_of(store, [account_id]) == [(1000, 0)]
    assert (await batch.apply()).over_limit_accounts == (account_id,)


@pytest.mark.parametrize(("limit", "over"), [(400, False), (399, True), (None, False)])
async def test_an_account_exactly_at_its_limit_is_within_it(
    store: RedisCreditStore, batch: Batch, account_id: str, limit: int | None, *, over: bool
) -> None:
    await put_accounts(store, [account_id])
    await Desk(store, account_id).reserve("o1", 400)
    await batch.stage([LimitRow(1, account_id, limit, "USD", 1)])
    (effect,) = await batch.measure()
    applied = await batch.apply()
    assert (effect.over_limit, bool(applied.over_limit_accounts)) == (over, over)


async def test_an_account_that_was_over_its_limit_is_not_told_again(
    store: RedisCreditStore, batch: Batch, account_id: str
) -> None:
    await put_accounts(store, [account_id])
    await Desk(store, account_id).reserve("o1", 400)
    await Desk(store, account_id).set_limit(100)
    await batch.stage(rows_of([account_id], 50, 1))
    (effect,) = await batch.measure()
    assert not effect.over_limit
    assert (await batch.apply()).over_limit_accounts == ()


async def test_manual_and_temporary_limits_stay_on_top(store: RedisCreditStore, batch: Batch, new_id: NewId) -> None:
    manual, temporary = new_id("manual"), new_id("temporary")
    await put_accounts(store, [manual, temporary])
    now_s = int(time.time())
    await store.run(SetManualLimit(manual, "USD", ManualLimit(50, 0, "", ""), "why", "ann"), deadline())
    limit = TemporaryLimit(60, 0, now_s + DAY_S, "", "")
    await store.run(SetTemporaryLimit(temporary, "USD", limit, "why", "ann"), deadline())
    await batch.stage(rows_of([manual, temporary], 900, 1))
    effects = {effect.account_id: effect for effect in await batch.measure()}
    assert {(each.headroom_before_minor, each.headroom_after_minor) for each in effects.values()} == {
        (50, 50),
        (60, 60),
    }
    assert (await batch.apply()).applied_rows == len(effects)
    for account_id, counts in ((manual, 50), (temporary, 60)):
        account = await account_of(store, account_id)
        assert (account.base_limit_minor, account.limit_version, account.exposure.limit_minor) == (900, 1, counts)


async def test_a_raised_limit_releases_what_waits_where_the_policy_says_so(
    store: RedisCreditStore, batch: Batch, account_id: str, new_id: NewId
) -> None:
    rules = {**DEFAULT_RULES, ReasonCode.LIMIT_EXCEEDED: RuleSetting(Action.REVIEW)}
    keeping, releasing = (
        Policy(f"releases {releases}", {DEFAULT_CLASS: ClassPolicy(rules, limit_rise_releases_reviews=releases)})
        for releases in (False, True)
    )
    desk = Desk(store, account_id)
    store.use_policy(keeping)
    await desk.put(limit=100)
    for order_id, amount in (("small", 150), ("large", 700), ("next", 110)):
        await desk.reserve(order_id, amount)
    await batch.stage(rows_of([account_id], 300, 1))
    # What would fit is told whatever the policy says.
    assert [effect.fitting_reviews for effect in await batch.measure()] == [2]
    assert (await batch.apply()).released_reviews == 0
    store.use_policy(releasing)
    assert (await Batch(store, new_id("batch")).put(rows_of([account_id], 300, 2))).released_reviews == 2
    exposure = (await desk.account()).exposure
    assert (exposure.reserved_minor, exposure.pending_review_minor) == (260, 700)
    await desk.adds_up()


async def test_an_account_of_a_group_keeps_its_group(store: RedisCreditStore, batch: Batch, new_id: NewId) -> None:
    account_id, group_id = new_id("acc"), new_id("family")
    await store.run(PutGroup(group_id, "USD", 500, "Family"), deadline())
    await store.run(PutAccount(account_id, "USD", group_id=group_id), deadline())
    await batch.stage(rows_of([account_id], 900, 1))
    assert [effect.standing for effect in await batch.measure()] == [RowStanding.APPLICABLE]
    assert (await batch.apply()).applied_rows == 1
    account = await account_of(store, account_id)
    assert (account.group_id, account.base_limit_minor, account.limit_version) == (group_id, 900, 1)


async def test_what_has_fallen_due_is_no_exposure(own_redis: Callable[..., PrivateRedis], account_id: str) -> None:
    async with clocked_store(own_redis()) as clocked:
        desk = clocked.desk(account_id)
        await desk.put()
        await desk.reserve("o1", 400)
        clocked.pass_time(HOLD_S)
        batch = Batch(clocked.store, "batch")
        await batch.stage(rows_of([account_id], 300, 1))
        assert [(effect.exposure_minor, effect.over_limit) for effect in await batch.measure()] == [(0, False)]
        assert (await batch.apply()).over_limit_accounts == ()
        await desk.adds_up()


async def test_accounts_with_and_without_furniture_are_treated_alike(store: RedisCreditStore, new_id: NewId) -> None:
    plain, furnished = new_id("plain"), new_id("furnished")
    for account_id in (plain, furnished):
        desk = Desk(store, account_id)
        await desk.put(limit=1000, risk_class="high")
        await desk.reserve("o1", 400)
    await Desk(store, furnished).age(1_772_000_000_000, 0)
    rows = (
        LimitRow(1, "", 300, "USD", 1),
        LimitRow(1, "", 500, "USD", 2, "low", 0.5, 0, 4_000_000_000, "pays late"),
        LimitRow(1, "", 9, "USD", 2),
        LimitRow(1, "", 9, "EUR", 9),
        LimitRow(1, "", None, "USD", 3, "", None, 1, 0, "grows"),
        LimitRow(1, "", 0, "USD", 4, "", -1.0),
    )
    batches = []
    for row in rows:
        seen = []
        for account_id in (plain, furnished):
            batch = Batch(store, new_id("batch"))
            await batch.stage([row._replace(account_id=account_id)])
            (effect,) = await batch.measure()
            applied = await batch.apply()
            over, errors = len(applied.over_limit_accounts), [replace(each, account_id="") for each in applied.errors]
            told = replace(applied, over_limit_accounts=(), errors=())
            account = replace(await account_of(store, account_id), account_id="", aging=None, create_time_ms=0)
            seen.append((effect._replace(account_id=""), told, over, errors, replace(account, limit_confirm_time_s=0)))
            batches.append((account_id, batch))
        assert seen[0] == seen[1], row
    for account_id, batch in reversed(batches):
        await batch.restore()
        assert (await batch.restored()).kept_changes in {(), (account_id,)}
    assert await limits_of(store, [plain, furnished]) == [(None, 4)] * 2


# --- staging


async def test_a_window_that_is_sent_again_changes_nothing(
    store: RedisCreditStore, batch: Batch, new_id: NewId
) -> None:
    account_ids = [new_id("acc") for _ in range(500)]
    await put_accounts(store, account_ids)
    rows = rows_of(account_ids, 7, 1)
    assert await batch.stage(rows) == []
    assert await batch.stage(rows) == []
    assert len(await batch.measure()) == len(rows)
    assert (await batch.apply()).applied_rows == len(rows)
    # A call that was under way when the batch was put in force must not bring its rows back.
    assert await batch.stage(rows) == []
    assert (await batch.apply()).applied_rows == 0
    assert await batch.measure() == []


async def test_the_first_row_of_an_account_counts(store: RedisCreditStore, batch: Batch, new_id: NewId) -> None:
    one, two, three = (new_id("acc") for _ in range(3))
    await put_accounts(store, [one, two, three])
    first = [LimitRow(1, one, 1, "USD", 1), LimitRow(2, two, 2, "USD", 1), LimitRow(3, one, 3, "USD", 1)]
    later = [LimitRow(WINDOW_ROWS + 1, two, 4, "USD", 1), LimitRow(WINDOW_ROWS + 2, three, 5, "USD", 1)]
    reason = LimitRowErrorReason.DUPLICATE_ACCOUNT
    for _ in range(2):
        (error,) = await batch.stage(first)
        assert (error.row, error.account_id, error.field, error.reason) == (3, one, "account_id", reason)
        assert "row 1 " in error.message
        (error,) = await batch.stage(later, 1)
        assert (error.row, error.account_id, error.reason) == (WINDOW_ROWS + 1, two, reason)
        assert "row 2 " in error.message
    assert (await batch.apply()).applied_rows == 3
    assert await limits_of(store, [one, two, three]) == [(1, 1), (2, 1), (5, 1)]


@pytest.mark.parametrize("quiet_s", [0.0, math.inf], ids=["alone", "beside orders"])
@pytest.mark.parametrize("measured", [False, True])
async def test_rows_of_one_partition_are_stored_whatever_calls_bring_them(
    store: RedisCreditStore,
    batch: Batch,
    new_id: NewId,
    monkeypatch: pytest.MonkeyPatch,
    *,
    quiet_s: float,
    measured: bool,
) -> None:
    monkeypatch.setattr("creditgate.store.limit_steps.QUIET_S", quiet_s)
    together = (name for name in map(new_id, repeat("acc")) if keys.partition_of(name, PARTITIONS_DEFAULT) == 3)
    account_ids = list(islice(together, 4 * CHUNK_ROWS_MAX + 10))
    await put_accounts(store, account_ids)
    again = account_ids[5:]
    places_again = (0, CHUNK_ROWS_MAX - 1, CHUNK_ROWS_MAX, 2 * CHUNK_ROWS_MAX + 7, len(again))
    for place, name in zip(places_again, reversed(account_ids[:5]), strict=True):
        again.insert(place, name)
    places = {name: number for number, name in enumerate(account_ids[:5], 1)}
    later = [LimitRow(WINDOW_ROWS + number, name, 70, "USD", 1) for number, name in enumerate(again, 1)]

    async def stage(rows: list[LimitRow], window: int) -> WindowStaged:
        if measured:
            return await batch.stage_measured(rows, Noteworthy(), window)
        return WindowStaged(await batch.stage(rows, window))

    for _ in range(2):
        await stage(rows_of(account_ids[:5], 7, 1), 0)
        staged = await stage(later, 1)
        told = [
            (error.row, error.account_id, error.message.count(f"row {places[error.account_id]} "))
            for error in staged.left_out
        ]
        assert told == [(row.row, row.account_id, 1) for row in later if row.account_id in places]
        effects = sorted(row.account_id for effect in staged.effects for row in effect.rows)
        assert effects == (sorted(account_ids[5:]) if measured else [])
    assert (await batch.apply()).applied_rows == len(account_ids)
    assert await limits_of(store, account_ids) == [(7, 1)] * 5 + [(70, 1)] * (len(account_ids) - 5)


@pytest.mark.parametrize("measured", [False, True])
async def test_sorted_rows_are_looked_up_only_once_they_are_indexed(
    store: RedisCreditStore, batch: Batch, new_id: NewId, *, measured: bool
) -> None:
    account_ids = sorted(new_id("acc") for _ in range(3 * CHUNK_ROWS_MAX))
    await put_accounts(store, account_ids)
    rows = rows_of([account_ids[0], *account_ids[:-3]], 7, 1)
    again = [account_ids[0], account_ids[-3], account_ids[-4], account_ids[-2], account_ids[1], account_ids[-1]]
    later = [LimitRow(WINDOW_ROWS + number, name, 70, "USD", 1) for number, name in enumerate(again, 1)]
    first_rows = {row.account_id: row.row for row in reversed(rows)}

    async def stage(rows: list[LimitRow], window: int, *, is_sorted: bool) -> list[tuple[int, bool]]:
        if measured:
            staged = await batch.stage_measured(rows, Noteworthy(), window, is_sorted=is_sorted)
            effects = {row.row for effect in staged.effects for row in effect.rows}
            assert effects == {row.row for row in rows} - {error.row for error in staged.left_out}
            errors = [*staged.left_out]
        else:
            errors = await batch.stage(rows, window, is_sorted=is_sorted)
        return [(error.row, f"row {first_rows[error.account_id]} " in error.message) for error in errors]

    for _ in range(2):
        assert await stage(rows, 0, is_sorted=True) == [(2, True)]
    for indexed in (len(rows) - 1, 0):  # a sender that goes on where another one broke off does it all again
        assert await batch.index() == indexed
        assert await stage(later, 1, is_sorted=False) == [(WINDOW_ROWS + number, True) for number in (1, 3, 5)]
    assert len(await batch.measure()) == len(account_ids)
    assert (await batch.apply()).applied_rows == len(account_ids)
    assert await batch.index() == 0
    expected = [(7, 1)] * (len(account_ids) - 3) + [(70, 1)] * 3
    assert await limits_of(store, account_ids) == expected


@pytest.mark.parametrize("measured", [False, True])
async def test_a_window_that_comes_when_all_rows_have_been_there_is_late(
    store: RedisCreditStore, batch: Batch, new_id: NewId, *, measured: bool
) -> None:
    """What its rows name again is not known any more: none that was left out may be stored."""
    one, two = new_id("acc"), new_id("acc")
    await put_accounts(store, [one, two])
    first, last = rows_of([one, two], 7, 1), [LimitRow(WINDOW_ROWS + 1, one, 9999, "USD", 8)]
    assert not (await batch.stage_measured(first, Noteworthy())).is_late
    assert [error.row for error in await batch.stage(last, 1)] == [WINDOW_ROWS + 1]
    await batch.batches.drop_received(batch.batch_id, deadline())
    if measured:
        assert (await batch.stage_measured(last, Noteworthy(), 1)).is_late
    else:
        assert await batch.stage(last, 1) == []
    assert (await batch.apply()).applied_rows == 2
    assert await limits_of(store, [one, two]) == [(7, 1)] * 2


async def test_nothing_is_remembered_of_sorted_rows(own_redis: Callable[..., PrivateRedis], new_id: NewId) -> None:
    server = own_redis()
    async with open_store(server.url) as store:
        account_ids = sorted(new_id("acc") for _ in range(50))
        await put_accounts(store, account_ids)
        batch = Batch(store, "batch")
        await batch.stage(rows_of(account_ids, 7, 1), is_sorted=True)
        with server.client() as client:
            assert not list(client.scan_iter("cg:*:i:batch"))
            assert await batch.index() == len(account_ids)
            found = [pair for name in client.scan_iter("cg:*:i:batch") for pair in client.hgetall(name).items()]
            assert sorted(found) == [(name.encode(), b"%d" % row) for row, name in enumerate(account_ids, 1)]


@pytest.mark.parametrize(
    ("named", "given_since", "after"),
    [("", "", "low"), ("", "high", "high"), ("mid", "", "low"), ("mid", "high", "high"), ("low", "high", "high")],
)
async def test_a_rollback_leaves_a_class_that_a_person_has_given(
    store: RedisCreditStore, batch: Batch, account_id: str, named: str, given_since: str, after: str
) -> None:
    await put_accounts(store, [account_id])
    await store.run(PutAccount(account_id, risk_class="low"), deadline())
    await batch.put([LimitRow(1, account_id, 700, "USD", 3, named)])
    if given_since:
        await store.run(PutAccount(account_id, risk_class=given_since), deadline())
    assert (await batch.restore()).restored_rows == 1
    account = await account_of(store, account_id)
    assert (account.base_limit_minor, account.risk_class) == (1000, after)


async def test_dropping_leaves_the_accounts_and_nothing_else(
    own_redis: Callable[..., PrivateRedis], new_id: NewId
) -> None:
    server = own_redis()
    async with open_store(server.url) as store:
        account_ids = [new_id("acc") for _ in range(50)]
        await put_accounts(store, account_ids)
        batch = Batch(store, "batch")
        await batch.stage(rows_of(account_ids[:25], 7, 1))
        await batch.apply()
        await batch.stage(rows_of(account_ids[25:], 7, 1), 1)
        with server.client() as client:
            assert list(client.scan_iter("cg:*:i:batch"))
            await store.limit_batches.drop_received("batch", deadline())
            marks = [client.hkeys(name) for name in client.scan_iter("cg:*:i:batch")]
            assert marks == [[b""]] * store.partitions
            assert (await batch.restore()).restored_rows == 25
            await store.limit_batches.drop_rows("batch", deadline())
            assert not list(client.scan_iter("*batch*"))
        assert await batch.apply() == RowsApplied()
        assert await batch.applied() == RowsApplied()


async def test_a_chunk_may_release_thousands_of_orders_of_a_group(
    own_redis: Callable[..., PrivateRedis], new_id: NewId
) -> None:
    """Each ends in a second of its own: the group's record has no room for all of them."""
    rules = {**DEFAULT_RULES, ReasonCode.LIMIT_EXCEEDED: RuleSetting(Action.REVIEW)}
    policy = Policy("review", {DEFAULT_CLASS: ClassPolicy(rules, limit_rise_releases_reviews=True)})
    async with open_store(own_redis().url, policy=policy) as store:
        together = (name for name in map(new_id, repeat("acc")) if keys.partition_of(name, PARTITIONS_DEFAULT) == 3)
        group_id, *account_ids = islice(together, 61)
        await store.run(PutGroup(group_id, "USD", None, ""), deadline())
        puts = [PutAccount(name, "USD", base_limit=LimitSetting(1), group_id=group_id) for name in account_ids]
        for put in puts:
            await store.run(put, deadline())
        orders = [
            ReserveCredit(account_id, f"o{number}", 10, "USD", DAY_S - 100 * place - number)
            for number in range(100)
            for place, account_id in enumerate(account_ids)
        ]
        for start in range(0, len(orders), 1000):
            await store.run_each(orders[start : start + 1000], deadline())
        assert (await Batch(store, "batch").put(rows_of(account_ids, 1000, 1))).released_reviews == len(orders)
        assert (await store.run(GetGroup(group_id), deadline())).exposure_minor == 10 * len(orders)
        page = await store.verify_accounts(page_size=1000, page_token="", repair=False, deadline=deadline())
        assert not page.differences


async def test_a_full_store_refuses_rows_and_loses_none(own_redis: Callable[..., PrivateRedis], new_id: NewId) -> None:
    server = own_redis()
    async with open_store(server.url) as store:
        account_ids = [new_id("acc") for _ in range(20)]
        await put_accounts(store, account_ids)
        batch = Batch(store, "batch")
        await batch.stage(rows_of(account_ids[:10], 7, 1))
        record = await store.limit_batches.put_batch(batch.record, deadline())
        with server.client() as client:
            client.config_set("maxmemory", 1)
            for refused in (batch.stage(rows_of(account_ids[10:], 7, 1), 1), batch.apply()):
                with pytest.raises(CreditError) as caught:
                    await refused
                assert caught.value.reason is ErrorReason.STORE_FULL
            # Giving a batch up makes room, so that it has to work.
            await store.limit_batches.put_batch(replace(record, state=LimitBatchState.CANCELLED), deadline())
            client.config_set("maxmemory", 0)
        assert await batch.stage(rows_of(account_ids[10:], 7, 1), 1) == []
        assert (await batch.apply()).applied_rows == len(account_ids)
