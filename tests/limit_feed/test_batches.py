"""What becomes of a batch whose rows are all there: rails, modes, activating, taking back, and servers that fall."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.limit_batch import (
    CHUNK_ROWS_MAX,
    GuardRail,
    LimitBatch,
    LimitBatchMode,
    LimitBatchState,
    RowsApplied,
)
from creditgate.domain.policy import GuardRails
from creditgate.limit_feed import Activation, Resumer, Step
from creditgate.limit_feed.resumer import ABANDONED_S, STANDSTILL_S
from creditgate.v1.limit_feed_service_pb2 import LimitUpdate
from tests.limit_feed.memory_store import MemoryAccount
from tests.limit_feed.pushes import FAR, NO_RAILS, Site, header, messages, tripped, update
from tests.waiting import eventually

ANN = Activation("ann", "looked at it")
FORCED = Activation("ann", "the crash is real", force=True)


@pytest.fixture
def site() -> Site:
    return Site(GuardRails())


def rows_of(names: Sequence[str], limit_minor: int = 100, version: int = 1) -> list[LimitUpdate]:
    return [update(name, limit_minor, version) for name in names]


async def fault_of(awaitable: object) -> CreditError:
    with pytest.raises(CreditError) as caught:
        await awaitable  # type: ignore[misc]  # any coroutine
    return caught.value


async def activate(site: Site, batch_id: str, activation: Activation = ANN) -> LimitBatch:
    await site.feed.activate(batch_id, activation, FAR)
    return await site.feed.carry_on(batch_id)


async def roll_back(site: Site, batch_id: str) -> LimitBatch:
    begun = await site.feed.roll_back(batch_id, "ann", "wrong model", FAR)
    assert begun.state is LimitBatchState.ROLLING_BACK
    return await site.feed.carry_on(batch_id)


# --- modes


async def test_apply_puts_in_force_what_the_rails_let_pass(site: Site) -> None:
    batch = await site.push(rows_of(site.open(20), 110))
    assert (batch.state, batch.applied_rows, batch.guard_rails) == (LimitBatchState.ACTIVE, 20, ())
    assert batch.effect is not None
    assert (batch.effect.raised_accounts, batch.effect.largest_raises[0].after_minor) == (20, 110)
    assert batch.create_time_ms < batch.receive_time_ms < batch.activate_time_ms
    assert set(site.limits().values()) == {110}
    assert site.noted.steps == [Step.MEASURE, Step.ACTIVATE]
    assert [each.batch_id for each in site.noted.active] == ["b1"]


async def test_stage_waits_for_a_person(site: Site) -> None:
    staged = await site.push(rows_of(site.open(20), 110), header(mode=LimitBatchMode.STAGE))
    assert (staged.state, staged.applied_rows, set(site.limits().values())) == (LimitBatchState.STAGED, 0, {100})
    begun = await site.feed.activate("b1", ANN, FAR)
    assert (begun.state, begun.actor, begun.comment, begun.forced) == (
        LimitBatchState.ACTIVATING,
        "ann",
        "looked at it",
        False,
    )
    active = await site.feed.carry_on("b1")
    assert (active.state, active.actor, set(site.limits().values())) == (LimitBatchState.ACTIVE, "ann", {110})
    assert await site.feed.activate("b1", ANN, FAR) == active


async def test_wrong_rows_are_those_of_the_last_measure() -> None:
    site = Site(NO_RAILS)
    rows = rows_of([*site.open(2), "late", "nobody", ""], 110)
    staged = await site.push(rows, header(mode=LimitBatchMode.STAGE))
    assert [error.row for error in staged.row_errors] == [5, 3, 4]
    site.store.accounts["late"] = MemoryAccount()
    begun = await site.feed.activate("b1", ANN, FAR)
    assert begun.rejected_rows == 2
    assert [error.row for error in site.store.batches["b1"].row_errors] == [5, 4]
    site.store.accounts["nobody"] = MemoryAccount()
    active = await site.feed.carry_on("b1")
    assert (active.applied_rows, active.rejected_rows) == (4, 1)
    assert [error.row for error in active.row_errors] == [5]


async def test_preview_tells_and_keeps_nothing(site: Site) -> None:
    batch = await site.push(rows_of(site.open(20), 10), header(mode=LimitBatchMode.PREVIEW))
    assert (batch.state, batch.comment) == (LimitBatchState.CANCELLED, "a preview is not kept")
    assert batch.effect is not None
    assert (batch.effect.cut_accounts, tripped(batch)) == (20, [GuardRail.ACCOUNTS_CUT, GuardRail.TOTAL_CHANGE])
    assert site.store.rows == {}
    assert set(site.limits().values()) == {100}
    assert await site.push(rows_of(list(site.limits()), 10), header(mode=LimitBatchMode.PREVIEW)) == batch


async def test_all_or_nothing(site: Site) -> None:
    rows = [*rows_of(site.open(20), 110), update("nobody")]
    failed = await site.push(rows, header(all_or_nothing=True))
    assert (failed.state, failed.rejected_rows) == (LimitBatchState.FAILED, 1)
    assert [(error.row, error.field) for error in failed.row_errors] == [(21, "account_id")]
    assert (site.store.rows, set(site.limits().values())) == ({}, {100})
    assert (await site.push(rows[:20], header("b2", all_or_nothing=True))).state is LimitBatchState.ACTIVE


async def test_rows_of_unknown_accounts_create_them_when_the_header_asks(site: Site) -> None:
    batch = await site.push(rows_of(["new-1", "new-2"]), header(create_accounts=True))
    assert (batch.state, batch.created_accounts, site.limits()) == (
        LimitBatchState.ACTIVE,
        2,
        {"new-1": 100, "new-2": 100},
    )


async def test_old_versions_are_skipped_and_counted() -> None:
    site = Site(NO_RAILS)
    names = site.open(10, version=5)
    batch = await site.push([*rows_of(names[:4], 1, version=5), *rows_of(names[4:], 2, version=6), update("nobody")])
    assert (batch.skipped_rows, batch.applied_rows, batch.rejected_rows) == (4, 6, 1)
    assert batch.received_rows == 11


async def test_the_counts_are_those_of_what_was_done_and_not_of_what_was_measured() -> None:
    site = Site(NO_RAILS)

    def appear(method: str) -> None:
        if method == "apply_rows":
            site.store.accounts.setdefault("late", MemoryAccount())

    site.store.before = appear
    batch = await site.push(rows_of([*site.open(3), "late", "nobody"]))
    assert (batch.applied_rows, batch.rejected_rows, batch.skipped_rows) == (4, 1, 0)


async def test_accounts_that_are_over_their_limit_by_it_are_named() -> None:
    site = Site(NO_RAILS)
    names = site.open(3, exposure_minor=90)
    batch = await site.push([update(names[0], 80), update(names[1], 90), update(names[2], 89)])
    assert (batch.over_limit_count, batch.over_limit_accounts) == (2, (names[0], names[2]))


# --- rails


async def test_a_batch_that_cuts_40_percent_by_half_waits_and_force_activates_it(site: Site) -> None:
    names = site.open(1000)
    rows = [*rows_of(names[:400], 50), *rows_of(names[400:], 100)]
    batch = await site.push(rows)
    assert (batch.state, tripped(batch)) == (LimitBatchState.QUARANTINED, [GuardRail.ACCOUNTS_CUT])
    (report,) = batch.guard_rails
    assert (report.observed, report.threshold, len(report.examples)) == (4000, 2000, 10)
    assert set(site.limits().values()) == {100}

    refused = await fault_of(site.feed.activate("b1", ANN, FAR))
    assert refused.reason is ErrorReason.LIMIT_BATCH_QUARANTINED
    assert "400 of 1000 accounts lose more than 20 %" in refused.message
    active = await activate(site, "b1", FORCED)
    assert (active.state, active.forced, active.comment) == (LimitBatchState.ACTIVE, True, "the crash is real")
    assert [site.limits()[names[0]], site.limits()[names[999]]] == [50, 100]


async def test_accounts_that_changed_since_a_batch_was_staged_are_measured_anew(site: Site) -> None:
    names = site.open(20)
    await site.push(rows_of(names, 100), header(mode=LimitBatchMode.STAGE))
    for name in names:
        site.store.accounts[name].limit_minor = 200
    refused = await fault_of(site.feed.activate("b1", ANN, FAR))
    assert refused.reason is ErrorReason.LIMIT_BATCH_QUARANTINED
    assert site.store.batches["b1"].state is LimitBatchState.QUARANTINED
    assert (await activate(site, "b1", FORCED)).state is LimitBatchState.ACTIVE


async def test_rails_are_those_of_the_policy_as_it_is_then(site: Site) -> None:
    names = site.open(20)
    site.rails.rails = NO_RAILS
    assert (await site.push(rows_of(names, 1))).state is LimitBatchState.ACTIVE


async def test_a_batch_is_compared_with_the_active_one(site: Site) -> None:
    names = site.open(20)
    await site.push(rows_of(names), header(as_of_ms=2000, model_version="2.10"))
    rows = rows_of(names[:9], version=2)
    batch = await site.push(rows, header("b2", as_of_ms=1000, model_version="2.9"))
    assert tripped(batch) == [GuardRail.ROW_COUNT, GuardRail.AS_OF_BACKWARDS, GuardRail.MODEL_BACKWARDS]
    await roll_back(site, "b1")
    assert (await site.push(rows, header("b3", as_of_ms=1000))).state is LimitBatchState.ACTIVE


@pytest.mark.parametrize(
    ("before", "after", "trips"),
    [
        (0, None, [GuardRail.SINGLE_RAISE]),
        (0, 10**13, [GuardRail.TOTAL_CHANGE]),
        (0, 0, []),
        (None, None, []),
        (None, 10**13, []),
    ],
)
async def test_a_limit_of_0_is_a_limit_and_none_at_all_is_not(
    site: Site, before: int | None, after: int | None, trips: list[GuardRail]
) -> None:
    batch = await site.push([update(name, after) for name in site.open(30, before)])
    assert tripped(batch) == trips


async def test_a_file_of_rubbish_waits_for_a_person(site: Site) -> None:
    names = site.open(20)
    batch = await site.push([update("", 5), *rows_of(names, -1)])
    assert (batch.state, tripped(batch)) == (LimitBatchState.QUARANTINED, [GuardRail.WRONG_ROWS])
    assert batch.rejected_rows == 21


async def test_a_batch_of_which_no_row_is_in_force_is_compared_with_none(site: Site) -> None:
    names = site.open(20)
    await site.push(rows_of(names), header(as_of_ms=2000))
    await site.push([update("", 5)] * 3, header("b2", as_of_ms=9000))
    active = await activate(site, "b2", FORCED)
    assert (active.state, active.applied_rows) == (LimitBatchState.ACTIVE, 0)
    batch = await site.push(rows_of(names, 100, 2), header("b3", as_of_ms=3000))
    assert batch.state is LimitBatchState.ACTIVE


# --- cancelling and taking back


@pytest.mark.parametrize("mode", [LimitBatchMode.STAGE, LimitBatchMode.APPLY])
async def test_a_batch_that_is_not_in_force_can_be_cancelled(site: Site, mode: LimitBatchMode) -> None:
    await site.push(rows_of(site.open(20), 10), header(mode=mode))
    cancelled = await site.feed.cancel("b1", "ann", "no", FAR)
    assert (cancelled.state, cancelled.actor, site.store.rows) == (LimitBatchState.CANCELLED, "ann", {})
    assert await site.feed.cancel("b1", "bob", "again", FAR) == site.store.batches["b1"]
    for refused in (site.feed.activate("b1", FORCED, FAR), site.feed.roll_back("b1", "ann", "x", FAR)):
        assert (await fault_of(refused)).reason is ErrorReason.LIMIT_BATCH_STATE


async def test_a_batch_in_force_can_not_be_cancelled(site: Site) -> None:
    await site.push(rows_of(site.open(20)))
    refused = await fault_of(site.feed.cancel("b1", "ann", "no", FAR))
    assert (refused.reason, refused.message) == (
        ErrorReason.LIMIT_BATCH_STATE,
        "batch b1 is ACTIVE; only one that is RECEIVING, STAGED, QUARANTINED can be cancelled",
    )


async def test_a_rollback_restores_what_was_not_changed_since_and_names_the_rest(site: Site) -> None:
    names = site.open(500)
    await site.push(rows_of(names, 110))
    for name in names[:3]:
        site.store.accounts[name] = MemoryAccount(limit_minor=777, version=2)
    back = await roll_back(site, "b1")
    assert (back.state, back.restored_rows, back.kept_count) == (LimitBatchState.ROLLED_BACK, 497, 3)
    assert (back.kept_changes, back.actor, back.comment) == (tuple(names[:3]), "ann", "wrong model")
    assert [site.limits()[name] for name in (names[0], names[3])] == [777, 100]
    assert await site.feed.roll_back("b1", "bob", "again", FAR) == back
    assert [each.batch_id for each in site.noted.back] == ["b1"]


async def test_only_the_batches_that_were_activated_last_can_be_taken_back() -> None:
    site = Site(NO_RAILS)
    names = site.open(5)
    for number in range(1, 6):
        await site.push(rows_of(names, 100 + number, number), header(f"b{number}"))
    assert sorted(site.store.rows) == ["b3", "b4", "b5"]
    for gone in ("b1", "b2"):
        refused = await fault_of(site.feed.roll_back(gone, "ann", "x", FAR))
        assert refused.reason is ErrorReason.LIMIT_BATCH_STATE
        assert "can no longer be rolled back" in refused.message
    for kept in ("b5", "b4", "b3"):
        assert (await roll_back(site, kept)).state is LimitBatchState.ROLLED_BACK
    assert set(site.limits().values()) == {102}
    assert (await fault_of(site.feed.roll_back("b2", "ann", "x", FAR))).reason is ErrorReason.LIMIT_BATCH_STATE


async def test_a_limit_that_a_later_batch_confirms_is_no_longer_that_of_the_one_before() -> None:
    site = Site(NO_RAILS)
    names = site.open(5)
    for number, limit in ((1, 110), (2, 110), (3, 130)):
        site.store.clock_ms += 10_000
        await site.push(rows_of(names, limit, number), header(f"b{number}"))
    assert (await roll_back(site, "b3")).restored_rows == 5
    back = await roll_back(site, "b1")
    assert (back.restored_rows, back.kept_count, set(site.limits().values())) == (0, 5, {110})
    assert (await roll_back(site, "b2")).restored_rows == 5
    assert set(site.limits().values()) == {110}


async def test_a_batch_is_taken_back_where_only_one_that_is_taken_back_came_behind_it() -> None:
    site = Site(NO_RAILS)
    names = site.open(5)
    for number, rows in ((1, names), (2, names), (3, names[:2])):
        site.store.clock_ms += 10_000
        await site.push(rows_of(rows, 100 + number, number), header(f"b{number}"))
    assert (await roll_back(site, "b2")).restored_rows == 3
    assert (await roll_back(site, "b1")).restored_rows == 3
    assert [site.limits()[name] for name in names] == [103, 103, 100, 100, 100]


async def test_batches_that_are_not_there(site: Site) -> None:
    for call in (
        site.feed.get("b1", FAR),
        site.feed.activate("b1", ANN, FAR),
        site.feed.cancel("b1", "ann", "", FAR),
        site.feed.roll_back("b1", "ann", "x", FAR),
    ):
        assert (await fault_of(call)).reason is ErrorReason.LIMIT_BATCH_NOT_FOUND


# --- rows that the store has lost


def losing_applied(site: Site) -> None:
    """Lose the first chunk of a batch, and that it was put in force, once the rest is."""

    def lose(method: str) -> None:
        if method == "count_applied":
            site.store.rows["b1"].applied.pop(0, None)

    site.store.before = lose


async def test_a_batch_of_which_rows_are_lost_while_it_is_put_in_force_has_failed() -> None:
    site = Site(NO_RAILS)
    rows = [*rows_of(site.open(CHUNK_ROWS_MAX + 5), 110), update("nobody"), update("", 5)]
    losing_applied(site)
    batch = await site.push(rows)
    assert (batch.state, batch.applied_rows, batch.rejected_rows) == (LimitBatchState.FAILED, 5, 2)
    told = f"the store has lost {CHUNK_ROWS_MAX} of {len(rows)} rows, and 5 are in force"
    assert batch.comment == f"{told}; push the same rows again under another batch_id"
    assert site.noted.active == []
    again = await site.push(rows, header("b2"))
    assert (again.state, again.applied_rows + again.skipped_rows) == (LimitBatchState.ACTIVE, CHUNK_ROWS_MAX + 5)


async def test_a_staged_batch_of_which_rows_are_lost_is_not_put_in_force() -> None:
    site = Site(NO_RAILS)
    await site.push(rows_of(site.open(20), 110), header(mode=LimitBatchMode.STAGE))
    del site.store.rows["b1"].windows[0][7:]
    refused = await fault_of(site.feed.activate("b1", FORCED, FAR))
    assert refused.reason is ErrorReason.LIMIT_BATCH_STATE
    batch = await site.store.get_batch("b1", FAR)
    assert (batch.state, batch.rejected_rows, set(site.limits().values())) == (LimitBatchState.FAILED, 0, {100})
    assert batch.comment.startswith("the store has lost 13 of 20 rows, and 0 are in force")


async def test_a_preview_of_which_rows_are_lost_has_failed() -> None:
    site = Site(NO_RAILS)
    await site.send(messages(rows_of(site.open(20), 110)), header(mode=LimitBatchMode.PREVIEW))
    site.store.rows["b1"].windows[0].pop()
    batch = await site.feed.carry_on("b1")
    assert batch.comment.startswith("the store has lost 1 of 20 rows")


async def test_a_batch_whose_undo_is_gone_stays_active() -> None:
    site = Site(NO_RAILS)
    await site.push(rows_of(site.open(20), 110))
    site.store.rows["b1"].undo.clear()
    batch = await roll_back(site, "b1")
    assert (batch.state, batch.kept_count, batch.restored_rows) == (LimitBatchState.ACTIVE, 0, 0)
    assert batch.comment == "not rolled back: what would undo it is gone"
    assert site.noted.back == []


async def test_rows_whose_undo_is_gone_are_not_taken_for_changed_ones() -> None:
    site = Site(NO_RAILS)
    names = site.open(CHUNK_ROWS_MAX + 5)
    await site.push(rows_of(names, 110))
    site.store.accounts[names[-1]] = MemoryAccount(limit_minor=777, version=2)
    del site.store.rows["b1"].undo[0]
    batch = await roll_back(site, "b1")
    assert (batch.state, batch.restored_rows, batch.kept_count) == (LimitBatchState.ROLLED_BACK, 4, 1)
    assert batch.comment == (f"wrong model ({CHUNK_ROWS_MAX} rows are still in force: what would undo them is gone)")


async def test_rows_that_are_dropped_just_as_a_batch_is_taken_back() -> None:
    site = Site(NO_RAILS)
    names = site.open(5)
    for number in range(1, 4):
        await site.push(rows_of(names, 100 + number, number), header(f"b{number}"))
    await site.push(rows_of(names, 105, 5), header("b4", mode=LimitBatchMode.STAGE))
    before = await site.store.get_batch("b1", FAR)
    steps: Counter[str] = Counter()

    def overtake(method: str) -> None:
        """Put another batch in force behind the first look."""
        steps.update([method])
        if method == "put_batch" and steps["list_batches"] == 1:
            other = site.store.batches["b4"]
            site.store.batches["b4"] = replace(
                other, state=LimitBatchState.ACTIVE, activate_time_ms=site.store.now_ms()
            )
            del site.store.rows["b1"]

    site.store.before = overtake
    refused = await fault_of(site.feed.roll_back("b1", "ann", "wrong model", FAR))
    assert refused.reason is ErrorReason.LIMIT_BATCH_STATE
    after = await site.store.get_batch("b1", FAR)
    assert (after.state, after.comment, after.actor) == (LimitBatchState.ACTIVE, before.comment, before.actor)


# --- servers that fall, and two at once


class FallingOnce:
    """Lets the store fail once, at the nth step after it is armed, whatever that is."""

    def __init__(self, nth: int) -> None:
        self._left = nth
        self.fell = False

    def __call__(self, _: str) -> None:
        self._left -= 1
        if self._left == 0:
            self.fell = True
            raise CreditError(ErrorReason.STORE_UNAVAILABLE, "gone")


@contextmanager
def store_away() -> Iterator[None]:
    """Let pass that the store was away, and nothing else."""
    try:
        yield
    except CreditError as error:
        if error.reason is not ErrorReason.STORE_UNAVAILABLE:
            raise


async def carried_on(site: Site, batch_id: str) -> LimitBatch:
    """Return the batch when it was carried on as often as is needed."""
    while True:
        with store_away():
            return await site.another().feed.carry_on(batch_id)


def arm(site: Site, nth: int) -> Callable[[], bool]:
    falling = FallingOnce(nth)
    site.store.before = falling
    return lambda: falling.fell


async def test_a_server_may_fall_at_any_step_of_measuring_and_activating() -> None:
    for nth in range(1, 1000):
        site = Site(GuardRails())
        names = site.open(3 * CHUNK_ROWS_MAX)
        await site.send([], header(), ends=False)
        receiver = await site.feed.begin_push(header(), FAR)
        for message in messages(rows_of(names, 110)):
            await receiver.receive(message)
        await receiver.finish()
        fell = arm(site, nth)
        batch = await carried_on(site, "b1")
        assert (batch.state, batch.applied_rows) == (LimitBatchState.ACTIVE, len(names))
        assert set(site.limits().values()) == {110}
        if not fell():
            assert nth > 10
            return
    pytest.fail("activating never came to its end")


async def test_a_server_may_fall_at_any_step_of_a_rollback() -> None:
    for nth in range(1, 1000):
        site = Site(NO_RAILS)
        names = site.open(3 * CHUNK_ROWS_MAX)
        await site.push(rows_of(names, 110))
        fell = arm(site, nth)
        begun = None
        while begun is None:
            with store_away():
                begun = await site.another().feed.roll_back("b1", "ann", "x", FAR)
        batch = await carried_on(site, "b1")
        assert (batch.state, batch.restored_rows, batch.kept_count) == (LimitBatchState.ROLLED_BACK, len(names), 0)
        assert set(site.limits().values()) == {100}
        if not fell():
            assert nth > 8
            return
    pytest.fail("the rollback never came to its end")


async def test_two_servers_at_once_end_as_one(site: Site) -> None:
    names = site.open(10 * CHUNK_ROWS_MAX)
    await site.push(rows_of(names, 110), header(mode=LimitBatchMode.STAGE))
    await site.feed.activate("b1", ANN, FAR)
    batches = await asyncio.gather(site.feed.carry_on("b1"), site.another().feed.carry_on("b1"))
    assert {(batch.state, batch.applied_rows) for batch in batches} == {(LimitBatchState.ACTIVE, len(names))}


async def test_what_stands_still_is_carried_on_and_what_moves_is_not() -> None:
    site = Site(NO_RAILS)
    names = site.open(20)
    receiver = await site.feed.begin_push(header(), FAR)
    await receiver.finish()
    await site.feed.begin_push(header("b2"), FAR)
    resumer = Resumer(site.store, site.finisher, site.noted)
    await resumer.look(0)
    await resumer.look(STANDSTILL_S - 0.1)
    assert not site.finisher.is_at_work("b1")
    moved = await site.store.get_batch("b1", FAR)
    await site.store.put_batch(moved, FAR)
    await resumer.look(STANDSTILL_S)
    await resumer.look(2 * STANDSTILL_S - 0.1)
    assert not site.finisher.is_at_work("b1")
    await resumer.look(2 * STANDSTILL_S)
    assert site.finisher.is_at_work("b1")
    assert not site.finisher.is_at_work("b2")
    assert (await site.feed.carry_on("b1")).state is LimitBatchState.ACTIVE
    assert names


async def test_a_batch_that_waits_for_its_turn_does_not_stand_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("creditgate.limit_feed.finisher.WRITE_INTERVAL_S", 0.01)
    site = Site(NO_RAILS)
    names = site.open(4)
    for batch_id, own in (("b1", names[:2]), ("b2", names[2:])):
        await site.push(rows_of(own, 110), header(batch_id, LimitBatchMode.STAGE))
    may_apply, apply_rows = asyncio.Event(), site.store.apply_rows

    async def apply_late(batch: LimitBatch, deadline: float) -> AsyncIterator[RowsApplied]:
        await may_apply.wait()
        async for part in apply_rows(batch, deadline):
            yield part

    monkeypatch.setattr(site.store, "apply_rows", apply_late)
    for batch_id in ("b1", "b2"):
        await site.feed.activate(batch_id, ANN, FAR)
    before = site.store.batches["b2"].revision

    async def is_written_again() -> bool:
        return site.store.batches["b2"].revision > before + 1

    await eventually(is_written_again)
    may_apply.set()
    ended = await asyncio.gather(*(site.feed.carry_on(batch_id) for batch_id in ("b1", "b2")))
    assert [(batch.state, batch.applied_rows) for batch in ended] == [(LimitBatchState.ACTIVE, 2)] * 2


async def test_the_batches_are_counted_by_state() -> None:
    site = Site(NO_RAILS)
    active = await site.push([])
    await site.push([], header("b2", mode=LimitBatchMode.STAGE))
    await site.push([], header("b3", mode=LimitBatchMode.STAGE))
    await Resumer(site.store, site.finisher, site.noted).count()
    assert site.noted.counted == {LimitBatchState.ACTIVE: 1, LimitBatchState.STAGED: 2}
    assert site.noted.newest_ms == active.activate_time_ms


async def test_a_batch_whose_sender_has_gone_for_good_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(NO_RAILS)
    names = site.open(20)
    receiver = await site.feed.begin_push(header(), FAR)
    await receiver.finish()
    await site.feed.begin_push(header("b2"), FAR)
    await site.push(rows_of(names), header("b3", mode=LimitBatchMode.STAGE))
    resumer = Resumer(site.store, site.finisher, site.noted)
    last_ms = (await site.store.get_batch("b2", FAR)).update_time_ms
    monkeypatch.setattr(time, "time", lambda: last_ms / 1000 + 2 * ABANDONED_S)  # this server's clock is wrong
    site.store.clock_ms = last_ms + ABANDONED_S * 1000 - 1
    await resumer.count()
    assert (await site.store.get_batch("b2", FAR)).state is LimitBatchState.RECEIVING
    await resumer.count()
    given_up = await site.store.get_batch("b2", FAR)
    assert (given_up.state, given_up.comment) == (LimitBatchState.CANCELLED, "no row has come for 7 days")
    assert (await site.store.get_batch("b1", FAR)).state is LimitBatchState.RECEIVING, "all its rows are there"
    assert (await site.store.get_batch("b3", FAR)).state is LimitBatchState.STAGED


async def test_rows_that_a_killed_server_has_left_behind_are_dropped() -> None:
    site = Site(NO_RAILS)
    names = site.open(20)

    def fall(method: str) -> None:
        if method == "drop_rows":
            raise CreditError(ErrorReason.STORE_UNAVAILABLE, "gone")

    site.store.before = fall
    with store_away():
        await site.push(rows_of(names), header(mode=LimitBatchMode.PREVIEW))
    assert list(site.store.rows) == ["b1"]
    dropped: list[str] = []
    site.store.before = dropped.append
    await site.push(rows_of(names), header("b2", mode=LimitBatchMode.STAGE))
    resumer = Resumer(site.store, site.finisher, site.noted)
    for _ in range(3):
        await resumer.count()
    assert list(site.store.rows) == ["b2"]
    assert dropped.count("drop_rows") == 1
