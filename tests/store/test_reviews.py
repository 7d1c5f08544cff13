"""What waits for a person is judged anew when its account's limit changes, by an operation or by itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from math import inf
from typing import Final, cast

import pytest

from creditgate.domain.account import ManualLimit, TemporaryLimit
from creditgate.domain.decision import Action, Outcome, ReasonCode
from creditgate.domain.limit_batch import LimitRow
from creditgate.domain.operations import PutAccount, PutGroup, SetManualLimit, SetTemporaryLimit
from creditgate.domain.policy import DEFAULT_CLASS, DEFAULT_RULES, ClassPolicy, Policy, RuleSetting
from creditgate.domain.reservation import ReservationState
from creditgate.store import Sweeper, keys
from creditgate.store.constants import EffectKind
from tests.private_redis import PrivateRedis
from tests.quiet_observer import QuietObserver
from tests.store.batches import Batch
from tests.store.clocked import PARTITION, ClockedStore, clocked_store
from tests.store.desk import Desk, deadline
from tests.store.journal import read_entries
from tests.store.opened import open_store
from tests.waiting import eventually

MINUTE_S: Final = 60
LOW, HIGH = 100, 300
FITS_LATER: Final = 250
FITS_NEVER: Final = 700


def policy(*, releases: bool) -> Policy:
    review = RuleSetting(Action.REVIEW)
    rules = {**DEFAULT_RULES, ReasonCode.LIMIT_EXCEEDED: review, ReasonCode.GROUP_LIMIT_EXCEEDED: review}
    return Policy(f"releases {releases}", {DEFAULT_CLASS: ClassPolicy(rules, limit_rise_releases_reviews=releases)})


@pytest.fixture
async def clocked(own_redis: Callable[..., PrivateRedis]) -> AsyncIterator[ClockedStore]:
    async with clocked_store(own_redis()) as clocked:
        clocked.store.use_policy(policy(releases=True))
        yield clocked


@dataclass(frozen=True)
class Rise:
    """A limit that rises by itself after a minute."""

    base: int
    prepare: Callable[[ClockedStore, Desk], Awaitable[object]]


async def set_temporary(clocked: ClockedStore, desk: Desk, limit: int, start_s: int, end_s: int) -> None:
    temporary = TemporaryLimit(limit, clocked.now_s + start_s if start_s else 0, clocked.now_s + end_s, "", "")
    await clocked.store.run(SetTemporaryLimit(desk.account_id, "USD", temporary, "why", "ann"), deadline())


async def set_manual(clocked: ClockedStore, desk: Desk, limit: int, end_s: int) -> None:
    manual = ManualLimit(limit, clocked.now_s + end_s, "", "")
    await clocked.store.run(SetManualLimit(desk.account_id, "USD", manual, "why", "ann"), deadline())


async def schedule(clocked: ClockedStore, desk: Desk, limit: int, start_s: int) -> None:
    row = LimitRow(1, desk.account_id, limit, "USD", 7, effective_time_s=clocked.now_s + start_s)
    await Batch(clocked.store, f"batch-{desk.account_id}").put([row])


RISES: Final = {
    "scheduled limit": Rise(LOW, partial(schedule, limit=HIGH, start_s=MINUTE_S)),
    "temporary limit begins": Rise(LOW, partial(set_temporary, limit=HIGH, start_s=MINUTE_S, end_s=10 * MINUTE_S)),
    "temporary limit ends": Rise(HIGH, partial(set_temporary, limit=LOW, start_s=0, end_s=MINUTE_S)),
    "manual limit ends": Rise(HIGH, partial(set_manual, limit=LOW, end_s=MINUTE_S)),
}


async def waiting_and_reserved(desk: Desk) -> tuple[int, int]:
    exposure = (await desk.account()).exposure
    return exposure.pending_review_minor, exposure.reserved_minor


@pytest.mark.parametrize("rise", RISES.values(), ids=RISES.keys())
@pytest.mark.parametrize("waits_first", [True, False])
async def test_a_limit_that_rises_by_itself_releases_what_then_fits(
    clocked: ClockedStore, account_id: str, rise: Rise, *, waits_first: bool
) -> None:
    desk = clocked.desk(account_id)
    await desk.put(limit=min(LOW, rise.base) if waits_first else rise.base)
    if not waits_first:
        await rise.prepare(clocked, desk)
    for order_id, amount in (("fits", FITS_LATER), ("never", FITS_NEVER)):
        assert (await desk.reserve(order_id, amount)).decision.outcome is Outcome.PENDING_REVIEW
    if waits_first:
        # A limit that is low for a minute comes before the base limit is high, so that nothing fits meanwhile.
        await rise.prepare(clocked, desk)
        if rise.base != LOW:
            await desk.set_limit(rise.base)
    clocked.pass_time(MINUTE_S - 1)
    await clocked.sweep()
    assert await waiting_and_reserved(desk) == (FITS_LATER + FITS_NEVER, 0)
    clocked.pass_time(1)
    await clocked.sweep()
    assert await waiting_and_reserved(desk) == (FITS_NEVER, FITS_LATER)
    assert (await desk.reservation("fits")).state is ReservationState.HELD
    assert (await desk.reservation("never")).state is ReservationState.PENDING_REVIEW
    effects = [effect for entry in read_entries(clocked.client, PARTITION) for effect in entry]
    released = [effect for effect in effects if effect.kind is EffectKind.REVIEW_RELEASED]
    assert [(effect.name, effect.time_ms // 1000) for effect in released] == [("fits", clocked.now_s)]
    await desk.adds_up()


async def test_each_change_of_the_limit_is_looked_at(clocked: ClockedStore, account_id: str) -> None:
    desk = clocked.desk(account_id)
    await desk.put(limit=1000)
    await set_manual(clocked, desk, LOW, 3 * MINUTE_S)
    await set_temporary(clocked, desk, HIGH, MINUTE_S, 90)
    await desk.reserve("fits", FITS_LATER)
    await desk.reserve("later", FITS_NEVER)
    for reserved in (0, FITS_LATER, FITS_LATER, FITS_LATER + FITS_NEVER):
        await clocked.sweep()
        assert (await waiting_and_reserved(desk))[1] == reserved
        clocked.pass_time(MINUTE_S)
    await desk.adds_up()


async def test_an_amend_that_waits_is_released_too(clocked: ClockedStore, account_id: str) -> None:
    desk = clocked.desk(account_id)
    await desk.put(limit=LOW)
    await set_temporary(clocked, desk, HIGH, MINUTE_S, 10 * MINUTE_S)
    await desk.reserve("o1", 80)
    assert (await desk.amend("o1", FITS_LATER)).decision.outcome is Outcome.PENDING_REVIEW
    clocked.pass_time(MINUTE_S)
    await clocked.sweep()
    assert await waiting_and_reserved(desk) == (0, FITS_LATER)
    order = await desk.reservation("o1")
    assert (order.state, order.amount_minor, order.pending_amount_minor) == (ReservationState.HELD, FITS_LATER, 0)
    await desk.adds_up()


async def test_what_takes_no_credit_is_released_too(clocked: ClockedStore, account_id: str) -> None:
    rules = {**DEFAULT_RULES, ReasonCode.OVERDUE_AMOUNT: RuleSetting(Action.REVIEW, amounts={"USD": 0})}
    late = Policy("late", {DEFAULT_CLASS: ClassPolicy(rules, limit_rise_releases_reviews=True)})
    clocked.store.use_policy(late)
    desk = clocked.desk(account_id)
    await desk.put(limit=LOW)
    await desk.reserve("amended", 80, secured_minor=80)
    await desk.amend("amended", 10)
    await desk.age(clocked.now_s * 1000, 5)
    assert (await desk.reserve("secured", 80, secured_minor=80)).decision.outcome is Outcome.PENDING_REVIEW
    waits = await desk.amend("amended", 80)
    assert (waits.decision.outcome, waits.reservation.pending_amount_minor) == (Outcome.PENDING_REVIEW, 80)
    assert await waiting_and_reserved(desk) == (0, 0)
    await desk.pay("p1", 5)
    await desk.set_limit(LOW)
    for order_id in ("secured", "amended"):
        order = await desk.reservation(order_id)
        assert (order.state, order.amount_minor, order.pending_amount_minor) == (ReservationState.HELD, 80, 0)
    await desk.adds_up()


async def test_what_begins_to_wait_in_the_call_that_raises_the_limit_is_released(
    clocked: ClockedStore, account_id: str
) -> None:
    desk = clocked.desk(account_id)
    await desk.put(limit=LOW)
    await desk.reserve("ends", FITS_LATER)
    together = (
        desk.reserve("fits", FITS_LATER),
        desk.reserve("never", FITS_NEVER),
        desk.release("ends"),
        desk.set_limit(HIGH),
    )
    await asyncio.gather(*together)
    assert await waiting_and_reserved(desk) == (FITS_NEVER, FITS_LATER)
    assert (await desk.reservation("fits")).state is ReservationState.HELD
    await desk.adds_up()


async def test_what_waits_goes_on_waiting_where_the_policy_does_not_release(
    clocked: ClockedStore, account_id: str
) -> None:
    clocked.store.use_policy(policy(releases=False))
    desk = clocked.desk(account_id)
    await desk.put(limit=LOW)
    await set_temporary(clocked, desk, HIGH, MINUTE_S, 10 * MINUTE_S)
    await desk.reserve("o1", FITS_LATER)
    clocked.pass_time(MINUTE_S)
    await clocked.sweep()
    assert await waiting_and_reserved(desk) == (FITS_LATER, 0)


async def test_limits_of_many_accounts_that_rise_at_once_are_looked_at_in_turn(
    clocked: ClockedStore, new_id: Callable[[str], str]
) -> None:
    desks = [clocked.desk(new_id("acc")) for _ in range(6)]
    for desk in desks:
        await desk.put(limit=LOW)
        await set_temporary(clocked, desk, 10_000, MINUTE_S, 10 * MINUTE_S)
        for number in range(40):
            await desk.reserve(f"o{number}", LOW + 1)
    clocked.pass_time(MINUTE_S)
    steps = [await clocked.store.judge_waiting(PARTITION, 100) for _ in range(3)]
    assert steps == [(3 * 40, 3, 0), (3 * 40, 3, 0), (0, 0, 0)]
    for desk in desks:
        assert await waiting_and_reserved(desk) == (0, 40 * (LOW + 1))
        await desk.adds_up()


async def test_an_account_is_named_once_however_much_waits(clocked: ClockedStore, account_id: str) -> None:
    desk = clocked.desk(account_id)
    await desk.put(limit=LOW)
    await set_temporary(clocked, desk, HIGH, MINUTE_S, 10 * MINUTE_S)
    for number in range(3):
        await desk.reserve(f"o{number}", FITS_NEVER)
    due_s = clocked.now_s + MINUTE_S
    named = keys.waiting_accounts(PARTITION)
    assert clocked.client.zrange(named, 0, -1, withscores=True) == [(account_id.encode(), due_s)]
    clocked.pass_time(MINUTE_S)
    await clocked.sweep()
    assert clocked.client.zscore(named, account_id) == due_s + 9 * MINUTE_S
    await set_temporary(clocked, desk, HIGH, 0, MINUTE_S)
    assert clocked.client.zscore(named, account_id) == clocked.now_s + MINUTE_S
    clocked.pass_time(MINUTE_S)
    await clocked.sweep()
    assert clocked.client.zscore(named, account_id) == inf
    for number in range(3):
        await desk.release(f"o{number}")
    assert not clocked.client.exists(named)


async def test_an_account_that_has_moved_is_looked_at_where_it_lives(
    own_redis: Callable[..., PrivateRedis], new_id: Callable[[str], str]
) -> None:
    server = own_redis()
    async with open_store(server.url, policy=policy(releases=True)) as store:
        desk = Desk(store, new_id("acc"))
        home = keys.partition_of(desk.account_id, store.partitions)
        groups = (new_id("family") for _ in count())
        group_id = next(each for each in groups if keys.partition_of(each, store.partitions) != home)
        await store.run(PutGroup(group_id, "USD", None, ""), deadline())
        await desk.put(limit=LOW)
        with server.client() as client:
            now_s = int(cast("tuple[int, int]", client.time())[0])
        temporary = TemporaryLimit(HIGH, now_s + 3, now_s + MINUTE_S, "", "")
        await store.run(SetTemporaryLimit(desk.account_id, "USD", temporary, "why", "ann"), deadline())
        await desk.reserve("o1", FITS_LATER)
        await store.run(PutAccount(desk.account_id, group_id=group_id), deadline())
        with server.client() as client:
            assert not client.exists(keys.waiting_accounts(home))
        sweeper = Sweeper(store, QuietObserver(), 1.0)

        async def is_released() -> bool:
            await sweeper.sweep_once()
            return await waiting_and_reserved(desk) == (0, FITS_LATER)

        await eventually(is_released)
        await desk.adds_up()


@dataclass(frozen=True)
class Family:
    """A group whose limit keeps what its accounts ask for waiting."""

    clocked: ClockedStore
    group_id: str
    desks: tuple[Desk, ...]

    async def put_limit(self, limit: int | None) -> None:
        await self.clocked.store.run(PutGroup(self.group_id, "USD", limit, ""), deadline())

    async def states(self, order_id: str) -> list[ReservationState]:
        return [(await desk.reservation(order_id)).state for desk in self.desks]


@pytest.fixture
async def family(clocked: ClockedStore, new_id: Callable[[str], str]) -> Family:
    family = Family(clocked, new_id("family"), tuple(clocked.desk(new_id("acc")) for _ in range(3)))
    await family.put_limit(LOW)
    for desk in family.desks:
        await desk.put(limit=10_000)
        await clocked.store.run(PutAccount(desk.account_id, group_id=family.group_id), deadline())
    return family


HELD, WAITS = ReservationState.HELD, ReservationState.PENDING_REVIEW


@pytest.mark.parametrize("limit", [3 * FITS_LATER, None])
async def test_a_group_whose_limit_is_raised_releases_what_then_fits(family: Family, limit: int | None) -> None:
    for desk in family.desks:
        assert (await desk.reserve("o1", FITS_LATER)).decision.outcome is Outcome.PENDING_REVIEW
    await family.put_limit(limit)
    await family.clocked.sweep()
    assert await family.states("o1") == [HELD, HELD, HELD]
    for desk in family.desks:
        await desk.adds_up()


async def test_a_raise_counts_whatever_the_same_call_says_of_the_group_after_it(family: Family) -> None:
    await family.desks[0].reserve("o1", FITS_LATER)
    await asyncio.gather(family.put_limit(FITS_LATER + 1), family.put_limit(FITS_LATER))
    await family.clocked.sweep()
    assert (await family.desks[0].reservation("o1")).state is HELD


async def test_the_account_that_has_waited_longest_comes_first(family: Family) -> None:
    for desk in family.desks[::-1]:
        await desk.reserve("o1", FITS_LATER)
        family.clocked.pass_time(1)
    await family.put_limit(FITS_LATER)
    await family.clocked.sweep()
    assert await family.states("o1") == [WAITS, WAITS, HELD]
    await family.put_limit(2 * FITS_LATER)
    await family.clocked.sweep()
    assert await family.states("o1") == [WAITS, HELD, HELD]


@pytest.mark.parametrize("limit", [LOW, LOW - 1])
async def test_a_group_whose_limit_is_not_raised_leaves_all_as_it_is(family: Family, limit: int) -> None:
    named = keys.waiting_accounts(PARTITION)
    assert not family.clocked.client.exists(named)  # a new group has no accounts
    await family.desks[0].reserve("o1", FITS_LATER)
    before = family.clocked.client.zrange(named, 0, -1, withscores=True)
    await family.put_limit(limit)
    assert family.clocked.client.zrange(named, 0, -1, withscores=True) == before


async def test_a_raised_group_finds_its_accounts_among_many_that_wait(
    family: Family, new_id: Callable[[str], str]
) -> None:
    clocked = family.clocked
    for desk in family.desks:
        await desk.reserve("o1", FITS_LATER)
    others = [new_id("other") for _ in range(300)]
    for name in others:
        await clocked.desk(name).put(limit=LOW)
        await clocked.desk(name).reserve("o1", FITS_LATER)
    await family.put_limit(None)
    named, released = keys.waiting_accounts(PARTITION), 0
    assert clocked.client.zcard(named) == 304
    steps = []
    while (step := await clocked.store.judge_waiting(PARTITION, 100)).looked_at:
        steps.append(step.looked_at)
        released += step.settled
    assert released == 3
    assert len(steps) > 2  # it is searched in parts,
    assert sum(steps) < 20  # and others are left alone
    assert await family.states("o1") == [HELD, HELD, HELD]
    assert clocked.client.zcard(named) == len(others)


async def test_an_account_that_is_moved_is_looked_at_again_if_it_stays(clocked: ClockedStore, account_id: str) -> None:
    desk = clocked.desk(account_id)
    await desk.put(limit=LOW)
    await set_temporary(clocked, desk, HIGH, MINUTE_S, 100 * MINUTE_S)
    await desk.reserve("fits", FITS_LATER)
    await desk.reserve("ends", FITS_NEVER)
    prefix, sums, settled = keys.prefix(PARTITION), [], []
    for minutes in (1, 100):
        epoch = clocked.client.fcall("creditgate_move_freeze", 1, prefix, account_id, "7", "family")[0]
        clocked.pass_time(minutes * MINUTE_S)
        clocked.client.fcall("creditgate_sweep", 1, prefix, "100")
        await clocked.store.judge_waiting(PARTITION, 100)
        assert clocked.client.fcall("creditgate_move_thaw", 1, prefix, account_id, str(epoch)) == 1
        sums.append(await waiting_and_reserved(desk))
        clocked.pass_time(MINUTE_S)
        settled.append((await clocked.sweep()).settled)
        sums.append(await waiting_and_reserved(desk))
    assert sums == [(FITS_LATER + FITS_NEVER, 0), (FITS_NEVER, FITS_LATER), (0, 0), (0, 0)]
    assert settled == [0, 2]
    await desk.adds_up()
