"""What has ended is kept for the retention and as long as its order is open; then it goes, in bounded steps."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from creditgate.domain.bounds import AMOUNT_MAX_MINOR, CALL_OPERATIONS_MAX
from creditgate.domain.decision import Outcome
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import (
    CommitReservation,
    Operation,
    ReleaseReservation,
    ReserveCredit,
)
from creditgate.domain.reservation import ReservationState
from creditgate.store import RedisCreditStore, StoreOptions, Sweeper, keys
from creditgate.store.constants import RETENTION_STEP_S, SWEEP_REFERENCES_MAX, EffectKind
from tests.private_redis import PrivateRedis
from tests.quiet_observer import QuietObserver
from tests.store.clocked import DAY_S, PARTITION, RETENTION_S, ClockedStore, clocked_store
from tests.store.desk import HOLD_S, Desk, deadline
from tests.store.journal import read_entries

YEAR_S = 365 * DAY_S
LONGEST_S = RETENTION_S + 2 * RETENTION_STEP_S
"""After so long what has ended is gone: time is counted in steps, and the step in which it ended must be over."""


@pytest.fixture
async def clocked(own_redis: Callable[..., PrivateRedis]) -> AsyncIterator[ClockedStore]:
    async with clocked_store(own_redis()) as clocked:
        yield clocked


@pytest.fixture
async def desk(clocked: ClockedStore, account_id: str) -> AsyncIterator[Desk]:
    desk = clocked.desk(account_id)
    await desk.put(limit=None, unlimited=True)
    yield desk
    await desk.adds_up()


async def known(desk: Desk, order_id: str) -> bool:
    """Return whether the store knows an order."""
    try:
        await desk.reservation(order_id)
    except CreditError as error:
        assert error.reason is ErrorReason.RESERVATION_NOT_FOUND  # noqa: PT017 - the other answer
        return False
    return True


async def hold(desk: Desk, order_id: str, amount: int, hold_s: int) -> None:
    await desk.store.run(ReserveCredit(desk.account_id, order_id, amount, "USD", hold_s), deadline())


async def release_order(desk: Desk) -> None:
    await desk.release("o1")


async def commit_order(desk: Desk) -> None:
    await desk.commit("o1", 40, "d1", final=True)


async def amend_order_to_what_is_invoiced(desk: Desk) -> None:
    await desk.commit("o1", 40, "d1")
    await desk.amend("o1", 40, request_id="r1")


# --- how long


@pytest.mark.parametrize("end", [release_order, commit_order, amend_order_to_what_is_invoiced])
async def test_an_ended_order_is_kept_for_the_retention(
    clocked: ClockedStore, desk: Desk, end: Callable[[Desk], object]
) -> None:
    await hold(desk, "o1", 100, YEAR_S)
    await end(desk)  # type: ignore[misc]  # each is a coroutine
    clocked.pass_time(RETENTION_S - 1)
    assert (await clocked.sweep()).retired == 0
    assert await known(desk, "o1")
    clocked.pass_time(2 * RETENTION_STEP_S)
    await clocked.sweep()
    assert not await known(desk, "o1")
    assert clocked.fields(keys.ledger(PARTITION, desk.account_id)) <= {"b"}


async def test_an_expired_order_is_kept_for_the_retention(clocked: ClockedStore, desk: Desk) -> None:
    await hold(desk, "o1", 100, HOLD_S)
    clocked.pass_time(HOLD_S)
    assert await clocked.sweep() == (1, 0)
    clocked.pass_time(RETENTION_S - 1)
    assert (await clocked.sweep()).retired == 0
    assert (await desk.state("o1"))[0] is ReservationState.EXPIRED
    clocked.pass_time(2 * RETENTION_STEP_S)
    assert await clocked.sweep() == (0, 1)
    assert not await known(desk, "o1")


async def test_what_belongs_to_an_open_order_is_kept_as_long(clocked: ClockedStore, desk: Desk) -> None:
    await hold(desk, "o1", 100, YEAR_S)
    await desk.amend("o1", 90, request_id="r1")
    await desk.commit("o1", 40, "d1")
    await desk.post("d2", 30)
    await desk.commit("o1", 30, "d2")
    for _ in range(3):
        clocked.pass_time(LONGEST_S)
        assert (await clocked.sweep()).retired == 0
    assert (await desk.amend("o1", 90, request_id="r1")).replayed
    assert await desk.commit("o1", 40, "d1") == (0, False, True)
    assert await desk.commit("o1", 30, "d2") == (0, False, True)
    assert await desk.sums() == (20, 70)
    await desk.release("o1")
    clocked.pass_time(RETENTION_S - 1)
    assert (await clocked.sweep()).retired == 0
    clocked.pass_time(YEAR_S)
    await clocked.sweep()
    assert not await known(desk, "o1")
    assert clocked.fields(keys.ledger(PARTITION, desk.account_id)) == {"b"}
    assert clocked.all_keys(f"{keys.retention_steps(PARTITION)}*") == []
    assert await desk.sums() == (0, 70)


async def test_what_belongs_to_an_order_that_expires_goes_after_its_end(clocked: ClockedStore, desk: Desk) -> None:
    await hold(desk, "o1", 100, YEAR_S)
    await desk.commit("o1", 40, "d1")
    await desk.amend("o1", 90, request_id="r1")
    clocked.pass_time(LONGEST_S)
    assert (await clocked.sweep()).retired == 0
    clocked.pass_time(YEAR_S)
    assert (await clocked.sweep()).settled == 1
    assert await known(desk, "o1")
    clocked.pass_time(LONGEST_S)
    await clocked.sweep()
    assert not await known(desk, "o1")
    assert clocked.fields(keys.ledger(PARTITION, desk.account_id)) == {"b"}


async def test_a_late_commit_keeps_its_order(clocked: ClockedStore, desk: Desk) -> None:
    await hold(desk, "o1", 100, YEAR_S)
    await desk.release("o1")
    clocked.pass_time(RETENTION_S - DAY_S)
    assert await desk.commit("o1", 40, "d1") == (0, True, False)
    clocked.pass_time(LONGEST_S - DAY_S)
    assert (await clocked.sweep()).retired == 0
    assert await desk.commit("o1", 40, "d1") == (0, True, True)
    clocked.pass_time(LONGEST_S)
    await clocked.sweep()
    assert not await known(desk, "o1")
    assert clocked.fields(keys.ledger(PARTITION, desk.account_id)) == {"b"}
    assert await desk.sums() == (0, 40)


async def test_a_posted_invoice_that_was_committed_is_kept_from_its_commit(clocked: ClockedStore, desk: Desk) -> None:
    await hold(desk, "o1", 100, YEAR_S)
    await desk.post("d1", 100)
    clocked.pass_time(RETENTION_S - DAY_S)
    await desk.commit("o1", 100, "d1")
    clocked.pass_time(LONGEST_S - DAY_S)
    assert (await clocked.sweep()).retired == 0
    assert await desk.commit("o1", 100, "d1") == (0, False, True)
    clocked.pass_time(LONGEST_S)
    await clocked.sweep()
    assert clocked.fields(keys.ledger(PARTITION, desk.account_id)) == {"b"}
    assert await desk.sums() == (0, 100)


async def test_an_order_that_was_asked_again_after_its_hold_is_open_again(clocked: ClockedStore, desk: Desk) -> None:
    await hold(desk, "o1", 100, HOLD_S)
    old = (await desk.reservation("o1")).etag
    clocked.pass_time(HOLD_S)
    await clocked.sweep()
    await hold(desk, "o1", 100, YEAR_S)
    assert (await desk.reservation("o1")).etag != old
    clocked.pass_time(LONGEST_S)
    await clocked.sweep()
    assert await desk.state("o1") == (ReservationState.HELD, 0, 100, 100)
    await desk.release("o1")
    clocked.pass_time(LONGEST_S)
    assert (await clocked.sweep()).retired == 1
    assert not await known(desk, "o1")


async def test_a_hold_that_no_sweeper_has_settled_is_not_forgotten(clocked: ClockedStore, desk: Desk) -> None:
    await hold(desk, "o1", 100, HOLD_S)
    clocked.pass_time(HOLD_S)
    await clocked.sweep()
    await hold(desk, "o1", 100, HOLD_S)
    clocked.pass_time(HOLD_S + 2 * LONGEST_S)
    while (await clocked.store.retire(PARTITION, SWEEP_REFERENCES_MAX, RETENTION_S)).looked_at:
        pass
    assert (await desk.state("o1"))[0] is ReservationState.EXPIRED
    assert (await clocked.sweep()).settled == 1, "its end is journaled all the same"
    clocked.pass_time(LONGEST_S)
    assert (await clocked.sweep()).retired == 1
    assert not await known(desk, "o1")


async def test_an_order_that_is_forgotten_is_a_new_one(clocked: ClockedStore, desk: Desk) -> None:
    await desk.reserve("o1", 100)
    old = (await desk.reservation("o1")).etag
    await desk.release("o1")
    clocked.pass_time(LONGEST_S)
    await clocked.sweep()
    again = await desk.reserve("o1", 200, payment_terms_days=30)
    assert (again.replayed, again.decision.outcome) == (False, Outcome.APPROVED)
    refused = await desk.fails(desk.amend_of("o1", 100, etag=old))
    assert refused.reason is ErrorReason.ETAG_MISMATCH


async def test_a_longer_retention_keeps_longer(clocked: ClockedStore, desk: Desk) -> None:
    await desk.reserve("o1", 100)
    await desk.release("o1")
    clocked.pass_time(LONGEST_S)
    assert (await clocked.store.retire(PARTITION, SWEEP_REFERENCES_MAX, RETENTION_S + DAY_S)).looked_at == 0
    assert (await clocked.store.retire(PARTITION, SWEEP_REFERENCES_MAX, RETENTION_S)).settled == 1


# --- the receivable


async def test_entries_are_folded_into_the_opening_balance_and_no_sum_changes(
    clocked: ClockedStore, desk: Desk
) -> None:
    await desk.reserve("o1", 100, secured_minor=40)
    await desk.commit("o1", 100, "d1")
    await desk.post("d2", 500)
    await desk.credit("c1", 20)
    await desk.take_over("d3", 33)
    await desk.take_over("c2", -3)
    await desk.pay("p1", 200)
    sums = await desk.all_sums()
    assert sums == (0, 410, 0)
    clocked.pass_time(DAY_S)
    await desk.reserve("o2", 100, secured_minor=40)
    await desk.commit("o2", 100, "d4")
    sums = (0, 470, 40)
    clocked.pass_time(RETENTION_S - DAY_S)
    operations: tuple[Operation[object], ...] = (
        desk.post_of("d2", 500),
        desk.credit_of("c1", 20),
        desk.take_over_of("d3", 33),
        desk.take_over_of("c2", -3),
        desk.pay_of("p1", 200),
        desk.commit_of("o1", 100, "d1"),
    )
    assert [getattr(await desk.store.run(each, deadline()), "replayed", None) for each in operations] == [True] * 6
    steps = 0
    clocked.pass_time(2 * RETENTION_STEP_S)
    while (await clocked.store.retire(PARTITION, 1, RETENTION_S)).looked_at:
        steps += 1
        assert await desk.all_sums() == sums
        await desk.adds_up()
    assert steps >= 7, "one reference a step: seven entries or orders at least"
    assert clocked.fields(keys.ledger(PARTITION, desk.account_id)) == {"b", "d:d4"}
    clocked.pass_time(DAY_S)
    await clocked.sweep()
    assert clocked.fields(keys.ledger(PARTITION, desk.account_id)) == {"b"}
    assert await desk.all_sums() == sums
    assert not await desk.post("d2", 500), "a retry after the retention is a new document"


async def test_an_entry_that_the_opening_balance_has_no_room_for_waits(clocked: ClockedStore, desk: Desk) -> None:
    await desk.pay("p1", AMOUNT_MAX_MINOR)
    await hold(desk, "o1", AMOUNT_MAX_MINOR, YEAR_S)
    await desk.commit("o1", AMOUNT_MAX_MINOR - 1, "d1")
    await desk.pay("p2", AMOUNT_MAX_MINOR - 1)
    clocked.pass_time(LONGEST_S)
    await clocked.sweep()
    assert clocked.fields(keys.ledger(PARTITION, desk.account_id)) == {"b", "d:d1", "p:p2"}
    await desk.adds_up()
    await desk.release("o1")
    for _ in range(2):
        clocked.pass_time(YEAR_S)
        await clocked.sweep()
        assert await desk.all_sums() == (0, -AMOUNT_MAX_MINOR, 0)
        await desk.adds_up()
    assert clocked.fields(keys.ledger(PARTITION, desk.account_id)) == {"b"}


async def test_a_payment_folded_before_its_invoice_leaves_a_credit(clocked: ClockedStore, desk: Desk) -> None:
    await desk.pay("p1", 70)
    clocked.pass_time(LONGEST_S)
    await clocked.sweep()
    assert await desk.sums() == (0, -70)
    await desk.post("d1", 100)
    assert await desk.sums() == (0, 30)


# --- in steps


async def end_orders(desk: Desk, count: int) -> None:
    """Make, invoice or release so many orders: every third is invoiced, and so has an entry too."""
    numbers = range(count)
    batches: tuple[Sequence[Operation[object]], ...] = (
        [ReserveCredit(desk.account_id, f"o{n}", 2, "USD", HOLD_S) for n in numbers],
        [ReleaseReservation(desk.account_id, f"o{n}") for n in numbers if n % 3],
        [CommitReservation(desk.account_id, f"o{n}", 2, "USD", f"d{n}") for n in numbers if n % 3 == 0],
    )
    for operations in batches:
        outcomes = await desk.store.run_each(operations, deadline())
        assert not any(isinstance(outcome, CreditError) for outcome in outcomes)


async def test_many_ended_orders_go_in_bounded_steps_without_a_scan(clocked: ClockedStore, desk: Desk) -> None:
    count = 6000
    await end_orders(desk, count)
    sums = await desk.all_sums()
    clocked.pass_time(LONGEST_S)
    await clocked.store.sweep(PARTITION, SWEEP_REFERENCES_MAX)
    clocked.client.config_resetstat()
    before = len(read_entries(clocked.client, PARTITION))
    steps = []
    while (step := await clocked.store.retire(PARTITION, SWEEP_REFERENCES_MAX, RETENTION_S)).looked_at:
        steps.append(step)
    commands: dict[str, dict[str, int]] = clocked.client.info("commandstats")
    assert max(step.looked_at for step in steps) <= SWEEP_REFERENCES_MAX
    assert sum(step.looked_at for step in steps) >= count
    assert len(steps) >= count // SWEEP_REFERENCES_MAX
    entries = read_entries(clocked.client, PARTITION)[before:]
    forgotten = [effect.name for entry in entries for effect in entry if effect.kind is EffectKind.FORGOTTEN]
    folded = [effect.name for entry in entries for effect in entry if effect.kind is EffectKind.FOLDED]
    assert sorted(forgotten) == sorted(f"o:o{n}" for n in range(count))
    assert sorted(folded) == sorted(f"d:d{n}" for n in range(0, count, 3))
    assert max(len(entry) for entry in entries) <= 2 * SWEEP_REFERENCES_MAX, "an entry of the ledger and its order"
    # Each reference is looked up by itself, nothing is searched.
    called = {name.removeprefix("cmdstat_"): stats["calls"] for name, stats in commands.items()}
    assert not called.keys() & {"scan", "keys", "hscan", "sscan", "zscan", "hgetall", "hkeys", "hvals", "zrange"}
    assert sum(called.values()) <= 3 * sum(step.looked_at for step in steps) + 20 * len(steps)
    assert clocked.all_keys(f"{keys.retention_steps(PARTITION)}*") == []
    assert not clocked.client.exists(keys.orders(PARTITION, desk.account_id))
    assert clocked.fields(keys.ledger(PARTITION, desk.account_id)) == {"b"}
    assert await desk.all_sums() == sums


async def test_the_sweeper_takes_such_steps_until_all_is_done(clocked: ClockedStore, desk: Desk) -> None:
    await end_orders(desk, 3 * SWEEP_REFERENCES_MAX + 50)
    clocked.pass_time(LONGEST_S)
    before = len(read_entries(clocked.client, PARTITION))
    swept = await clocked.sweep()
    assert swept.retired == clocked.observer.cleaned_up >= 3 * SWEEP_REFERENCES_MAX + 50
    assert 0 <= clocked.observer.retention_lag_s <= 2 * RETENTION_STEP_S
    entries = read_entries(clocked.client, PARTITION)[before:]
    assert max(len(entry) for entry in entries) <= 2 * SWEEP_REFERENCES_MAX
    assert clocked.all_keys(f"{keys.retention_steps(PARTITION)}*") == []
    assert await clocked.sweep() == (0, 0)


@pytest.mark.parametrize("length", [SWEEP_REFERENCES_MAX, 2 * SWEEP_REFERENCES_MAX])
async def test_a_list_that_a_step_just_empties_does_not_end_the_round(
    clocked: ClockedStore, desk: Desk, length: int
) -> None:
    operations: list[Operation[object]] = [
        ReserveCredit(desk.account_id, f"{turn}-{n}", 2, "USD", HOLD_S + turn)
        for turn in range(3)
        for n in range(length)
    ]
    await desk.store.run_each(operations, deadline())
    clocked.pass_time(HOLD_S + 3)
    assert await clocked.sweep() == (3 * length, 0)
    assert clocked.all_keys(f"{keys.sweep_seconds(PARTITION)}*") == []
    for turn in range(3):
        await desk.store.run_each([desk.post_of(f"{turn}-{n}", 1) for n in range(length)], deadline())
        clocked.pass_time(RETENTION_STEP_S)
    clocked.pass_time(LONGEST_S)
    assert await clocked.sweep() == (0, 6 * length)
    assert clocked.all_keys(f"{keys.retention_steps(PARTITION)}*") == []


async def test_several_services_may_sweep_at_once(clocked: ClockedStore, desk: Desk) -> None:
    await end_orders(desk, 600)
    sums = await desk.all_sums()
    clocked.pass_time(LONGEST_S)
    both = await asyncio.gather(clocked.sweep(), clocked.sweep())
    assert sum(swept.retired for swept in both) >= 600
    assert not clocked.client.exists(keys.orders(PARTITION, desk.account_id))
    assert await desk.all_sums() == sums


async def test_orders_go_on_while_others_go(clocked: ClockedStore, desk: Desk) -> None:
    await end_orders(desk, 1000)
    clocked.pass_time(LONGEST_S)
    sweeping = asyncio.ensure_future(clocked.sweep())
    made = 0
    while not sweeping.done():
        batch = [ReserveCredit(desk.account_id, f"new{made + n}", 3, "USD", HOLD_S) for n in range(CALL_OPERATIONS_MAX)]
        await desk.store.run_each(batch, deadline())
        made += len(batch)
    await sweeping
    assert await desk.sums() == (3 * made, 2 * len(range(0, 1000, 3)))
    assert len(clocked.fields(keys.orders(PARTITION, desk.account_id))) == made


async def test_every_partition_is_cleaned_up(own_redis: Callable[..., PrivateRedis]) -> None:
    server = own_redis()
    store = RedisCreditStore(server.url, options=StoreOptions(partitions=8), observer=QuietObserver())
    await store.start()
    assert await store.wait_ready(10)
    desks = [Desk(store, f"acc-{n}") for n in range(40)]
    for desk in desks:
        await desk.put()
        await desk.post("d1", 5)
    with server.client() as client:
        for partition in range(store.partitions):
            client.set(keys.clock(partition), int(client.time()[0]) + LONGEST_S)
    swept = await Sweeper(store, QuietObserver(), 1.0, RETENTION_S).sweep_once()
    assert swept.retired == len(desks)
    for desk in desks:
        assert not await desk.post("d1", 5), "the first one is forgotten"
        assert await desk.sums() == (0, 10)
    await store.close()


async def test_a_full_store_is_cleaned_up_too(own_redis: Callable[..., PrivateRedis], account_id: str) -> None:
    server = own_redis(maxmemory=str(16 * 1024 * 1024), maxmemory_policy="noeviction")
    async with clocked_store(server) as clocked:
        desk = clocked.desk(account_id)
        await desk.put(limit=None, unlimited=True)
        await end_orders(desk, 300)
        clocked.pass_time(LONGEST_S)
        clocked.client.setrange("ballast", 16 * 1024 * 1024, "x")
        assert (await desk.fails(ReserveCredit(account_id, "n", 1, "USD", HOLD_S))).reason is ErrorReason.STORE_FULL
        assert (await clocked.sweep()).retired >= 300
        assert not clocked.client.exists(keys.orders(PARTITION, account_id))
        await desk.adds_up()
