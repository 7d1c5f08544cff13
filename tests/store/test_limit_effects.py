"""What rows would do, told in sums: the same as row by row, on receipt as later."""

import time
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from creditgate.domain.account import ManualLimit
from creditgate.domain.limit_batch import WINDOW_ROWS, LimitRow, LimitRowErrorReason, Noteworthy, RowsEffect
from creditgate.domain.operations import LimitSetting, PutAccount, PutGroup, SetManualLimit
from creditgate.domain.policy import GuardRails
from creditgate.limit_feed.measurer import Measured, Measurer
from creditgate.store import RedisCreditStore
from tests.private_redis import PrivateRedis
from tests.store.batches import Batch, put_accounts
from tests.store.desk import Desk, deadline
from tests.store.opened import open_store

RAILS = GuardRails()
HUGE = 2**53 - 1
NOTHING = Noteworthy(HUGE, HUGE, 10_001)
"""Where nothing is noteworthy but what sums can't tell."""


@pytest.fixture
async def store(own_redis: Callable[..., PrivateRedis]) -> AsyncIterator[RedisCreditStore]:
    async with open_store(own_redis().url) as opened:
        yield opened


def added_up(effects: Sequence[RowsEffect], rails: GuardRails = RAILS) -> Measured:
    measurer = Measurer(rails)
    for effect in effects:
        measurer.add(effect)
    return measurer.measured()


async def all_kinds(store: RedisCreditStore) -> list[LimitRow]:
    """Open accounts of every kind, and return rows that do everything to them; the last ones do the most."""
    many = [f"many-{number}" for number in range(60)]
    await put_accounts(store, many)
    for number in range(0, 60, 7):
        await Desk(store, many[number]).reserve("o1", 10 * number + 1)
    rows: list[tuple[str, int | None]] = [(name, 1000 + (number * 37) % 300 - 100) for number, name in enumerate(many)]
    for name, before, after in (
        *(("none-before", None, 5), ("none-to-nothing", None, 0), ("nothing-before", 0, 7), ("stays", 9, 9)),
        *(("deep", 1000, 1), ("just-deep", 1000, 799), ("not-deep", 1000, 800), ("steep", 10, 101), ("ten", 10, 100)),
        *(("huge-1", HUGE, HUGE), ("huge-2", HUGE, HUGE - 1), ("huge-3", HUGE - 5, HUGE), ("huge-cut", HUGE, 1)),
        *(("no-more", 50, None), ("over", 1000, 100), ("furnished", 1000, 1010), ("grouped", 1000, 900)),
    ):
        await put_accounts(store, [name], before)
        rows.append((name, after))
    await put_accounts(store, ["boundless"])
    await Batch(store, "earlier").put([LimitRow(1, "boundless", None, "USD", 1)])
    await Desk(store, "over").reserve("o1", 400)
    await store.run(SetManualLimit("furnished", "USD", ManualLimit(50, 0, "", ""), "why", "ann"), deadline())
    await store.run(PutGroup("family", "USD", 500, "Family"), deadline())
    await store.run(PutAccount("grouped", "USD", group_id="family"), deadline())
    for name, code in (("euros", "EUR"), ("francs", "CHF")):
        await store.run(PutAccount(name, code, base_limit=LimitSetting(70)), deadline())
    numbered = [LimitRow(number, name, limit, "USD", 2) for number, (name, limit) in enumerate(rows, 1)]
    last = len(numbered)
    return [
        *numbered,
        LimitRow(last + 1, "boundless", 5, "USD", 2),
        LimitRow(last + 2, "euros", 80, "EUR", 1),
        LimitRow(last + 3, "nobody", 5, "USD", 1),
        LimitRow(last + 4, "francs", 5, "USD", 1),
        LimitRow(last + 5, "deep-later", 5, "USD", 1, effective_time_s=int(time.time()) + 1000),
    ]


async def test_sums_and_rows_add_up_to_the_same(store: RedisCreditStore) -> None:
    rows = await all_kinds(store)
    await put_accounts(store, ["deep-later"])
    batch = Batch(store, "batch")
    watching = Measurer(RAILS)
    staged = await batch.stage_measured(rows, watching.noteworthy())
    row_by_row = await batch.measure_in_sums(Noteworthy())
    assert sum(len(effect.rows) for effect in row_by_row) == len(rows)
    expected = added_up(row_by_row)
    assert expected.seen.deep_cuts
    assert expected.seen.steep_raises
    assert any(effect.sums for effect in staged.effects)
    assert added_up(staged.effects) == expected
    in_sums = await batch.measure_in_sums(watching.noteworthy())
    assert added_up(in_sums) == expected
    watching.add(RowsEffect([row for effect in row_by_row for row in effect.rows]))
    assert watching.noteworthy() != Noteworthy(0, 0, *watching.noteworthy()[2:])
    later = await batch.measure_in_sums(watching.noteworthy())
    assert sum(len(effect.rows) for effect in later) < sum(len(effect.rows) for effect in in_sums)
    sums_alone = added_up(later)
    assert (sums_alone.effect.totals, sums_alone.seen.changes) == (expected.effect.totals, expected.seen.changes)


async def test_what_is_not_noteworthy_is_told_in_sums_alone(store: RedisCreditStore) -> None:
    names = [f"acc-{number}" for number in range(30)]
    await put_accounts(store, names)
    rows = [LimitRow(number, name, 1000 + number - 15, "USD", 1) for number, name in enumerate(names, 1)]
    staged = await Batch(store, "batch").stage_measured(rows, NOTHING)
    assert [row for effect in staged.effects for row in effect.rows] == []
    told = added_up(staged.effects).effect
    assert (told.raised_accounts, told.cut_accounts, told.confirmed_accounts) == (15, 14, 1)


async def test_raises_from_0_are_told_by_themselves(store: RedisCreditStore) -> None:
    names = [f"acc-{number}" for number in range(30)]
    await put_accounts(store, names[:20], 0)
    await put_accounts(store, names[20:], None)
    rows = [LimitRow(number, name, 10 * (number > 5), "USD", 1) for number, name in enumerate(names, 1)]
    batch = Batch(store, "batch")
    for effects in ((await batch.stage_measured(rows, NOTHING)).effects, await batch.measure_in_sums(NOTHING)):
        change = added_up(effects).seen.changes["USD"]
        assert (change.accounts, change.accounts_from_0, change.from_0_minor, change.after_minor) == (30, 15, 150, 250)


async def test_a_few_changes_are_all_told(store: RedisCreditStore) -> None:
    await put_accounts(store, ["raised", "cut", "confirmed"])
    await put_accounts(store, ["first", "first-of-0"], None)
    limits = {"raised": 1001, "cut": 999, "confirmed": 1000, "first": 5, "first-of-0": 0}
    rows = [LimitRow(number, name, limit, "USD", 1) for number, (name, limit) in enumerate(limits.items(), 1)]
    told = added_up((await Batch(store, "batch").stage_measured(rows, Measurer(RAILS).noteworthy())).effects).effect
    assert [change.account_id for change in told.largest_raises] == ["first", "raised", "first-of-0"]
    assert [change.account_id for change in told.largest_cuts] == ["cut"]
    assert (told.raised_accounts, told.cut_accounts, told.confirmed_accounts) == (3, 1, 1)


async def test_sums_beyond_an_exact_number_are_told_in_parts(store: RedisCreditStore) -> None:
    names = [f"acc-{number}" for number in range(40)]
    await put_accounts(store, names, HUGE)
    rows = [LimitRow(number, name, HUGE, "USD", 1) for number, name in enumerate(names, 1)]
    staged = await Batch(store, "batch").stage_measured(rows, NOTHING)
    assert [row for effect in staged.effects for row in effect.rows] == []
    assert added_up(staged.effects).seen.changes["USD"].after_minor == 40 * HUGE


async def test_rows_that_are_left_out_are_not_measured(store: RedisCreditStore) -> None:
    names = [f"acc-{number}" for number in range(10)]
    await put_accounts(store, names)
    batch = Batch(store, "batch")
    await batch.stage_measured([LimitRow(number, name, 9, "USD", 1) for number, name in enumerate(names, 1)], NOTHING)
    again = [LimitRow(WINDOW_ROWS + 1, "acc-4", 8, "USD", 1), LimitRow(WINDOW_ROWS + 2, "nobody", 8, "USD", 1)]
    staged = await batch.stage_measured(again, Noteworthy(), window=1)
    told = [(error.row, error.reason) for error in staged.left_out]
    assert told == [(WINDOW_ROWS + 1, LimitRowErrorReason.DUPLICATE_ACCOUNT)]
    assert [row.row for effect in staged.effects for row in effect.rows] == [WINDOW_ROWS + 2]


async def test_rows_are_measured_where_their_accounts_live(store: RedisCreditStore) -> None:
    names = [f"acc-{number}" for number in range(20)]
    await put_accounts(store, names)
    await store.run(PutGroup("family", "USD", 500, "Family"), deadline())
    for name in names[:8]:
        await store.run(PutAccount(name, "USD", group_id="family"), deadline())
    rows = [LimitRow(number, name, 1001, "USD", 1) for number, name in enumerate(names, 1)]
    staged = await Batch(store, "batch").stage_measured(rows, NOTHING)
    told = added_up(staged.effects)
    assert (told.effect.raised_accounts, told.rejected_rows) == (20, 0)
    assert told.effect.totals[0].limit_after_minor == 20 * 1001
