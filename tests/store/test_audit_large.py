"""Large accounts are verified step by step, while orders run."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Self, cast

import pytest

from creditgate.domain.bounds import CALL_OPERATIONS_MAX
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import Operation, ReleaseReservation, ReserveCredit
from creditgate.store import audit, keys, layouts
from creditgate.store.audit import audit_account
from creditgate.store.lane import Argument, Reply
from creditgate.store.layouts import Layout
from tests.private_redis import PrivateRedis
from tests.store.clocked import DAY_S, PARTITION, RETENTION_S, ClockedStore, clocked_store
from tests.store.desk import HOLD_S, Desk, deadline
from tests.store.tamperer import Tamperer
from tests.store.verification import asking, repairs, told


@pytest.fixture
async def clocked(own_redis: Callable[..., PrivateRedis]) -> AsyncIterator[ClockedStore]:
    async with clocked_store(own_redis()) as clocked:
        yield clocked


@pytest.fixture
def tamperer(clocked: ClockedStore, account_id: str) -> Tamperer:
    return Tamperer(clocked.client, account_id)


MANY = 5000


async def hold_many(desk: Desk, count: int, hold_of: Callable[[int], int]) -> None:
    """Hold 2 for each of so many orders, and commit 1 of every tenth."""
    numbers = range(count)
    reserve = [ReserveCredit(desk.account_id, f"o{n}", 2, "USD", hold_of(n)) for n in numbers]
    await desk.store.run_each(reserve, deadline())
    await desk.store.run_each([desk.commit_of(f"o{n}", 1, f"d{n}") for n in numbers if n % 10 == 0], deadline())


@pytest.fixture
async def large(clocked: ClockedStore, account_id: str) -> Desk:
    desk = clocked.desk(account_id)
    await desk.put(limit=None, unlimited=True)
    await hold_many(desk, MANY, lambda n: HOLD_S + n % 7)
    return desk


async def test_a_large_account_is_read_in_bounded_steps(clocked: ClockedStore, large: Desk) -> None:
    replies: list[list[object]] = []

    async def ask(arguments: Sequence[Argument]) -> Reply:
        replies.append(cast("list[object]", await asking(clocked.client)(arguments)))
        return replies[-1]

    assert await audit_account(large.account_id, ask) == await audit_account(large.account_id, asking(clocked.client))
    assert len(replies) >= MANY / audit.SCAN_RECORDS
    for reply in replies:
        *_, orders, entries, due, journal = cast("list[list[bytes]]", reply)
        # A step of HSCAN returns about as many as it is asked for, whole buckets of them.
        assert max(len(orders), len(entries)) <= 2 * 2 * audit.SCAN_RECORDS
        assert len(due) <= 2 * audit.SCAN_DUE_SUMS
        assert len(journal) <= 2 * 16


class Load:
    """All kinds of operations on one account, as fast as they are answered, while time passes."""

    def __init__(self, clocked: ClockedStore, desk: Desk) -> None:
        self.done = 0
        self._clocked = clocked
        self._desk = desk
        self._numbers = itertools.count(MANY)
        self._over = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.ensure_future(self._run(random.Random(seed))) for seed in range(3)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await asyncio.gather(*self._tasks)

    async def _run(self, chance: random.Random) -> None:
        while not self._over.is_set():
            operations = [self._any(chance) for _ in range(chance.randint(1, CALL_OPERATIONS_MAX))]
            await self._desk.store.run_each(operations, deadline())
            self.done += len(operations)
            if chance.random() < 0.1:
                self._clocked.pass_time(1)

    def _any(self, chance: random.Random) -> Operation[object]:
        desk, number = self._desk, next(self._numbers)
        known = f"o{chance.randrange(number)}"
        return chance.choice(
            (
                ReserveCredit(
                    desk.account_id, f"o{number}", chance.randint(1, 9), "USD", chance.choice((3, 60, HOLD_S))
                ),
                desk.commit_of(known, chance.randint(1, 3), f"d{number}", final=chance.random() < 0.5),
                desk.amend_of(known, chance.randint(1, 9), request_id=f"r{number}"),
                ReleaseReservation(desk.account_id, known),
                desk.pay_of(f"p{number}", chance.randint(1, 3)),
                desk.credit_of(f"c{number}", 1),
            )
        )


async def test_a_large_account_adds_up_while_orders_run(clocked: ClockedStore, large: Desk) -> None:
    async with Load(clocked, large) as load:
        for turn in range(4):
            before = load.done
            assert await large.verify(repair=turn % 2 == 1) == ()
            assert load.done > before, "it has not stood still meanwhile"
            if turn == 2:
                await clocked.sweep()
    assert await large.verify() == ()
    assert repairs(clocked.client, large.account_id) == []


ADD_TO_NUMBER = """
local number = struct.unpack('<i8', redis.call('GET', KEYS[1]), ARGV[1] + 1)
redis.call('SETRANGE', KEYS[1], ARGV[1], struct.pack('<i8', number + ARGV[2]))
"""


async def test_a_large_account_that_is_wrong_is_found_and_put_right_while_orders_run(
    clocked: ClockedStore, large: Desk, tamperer: Tamperer
) -> None:
    names = [name for name, _ in layouts.ACCOUNT.fields]
    until_reserved = Layout("HEAD", layouts.ACCOUNT.fields[: names.index("reserved")])
    async with Load(clocked, large):
        for surplus in (5, -12):
            clocked.client.eval(ADD_TO_NUMBER, 1, tamperer.account_key, until_reserved.size, surplus)
            for repair in (False, True):
                (difference,) = await large.verify(repair=repair)
                assert (difference.sum_name, difference.repaired) == ("reserved", repair)
                assert difference.kept_minor - difference.recomputed_minor == surplus
    assert await large.verify() == ()
    assert len(repairs(clocked.client, large.account_id)) == 2


async def test_due_sums_of_many_seconds_are_compared_page_by_page(
    clocked: ClockedStore, account_id: str, tamperer: Tamperer
) -> None:
    seconds = 2 * audit.SCAN_DUE_SUMS + 300
    desk = clocked.desk(account_id)
    await desk.put(limit=None, unlimited=True)
    await hold_many(desk, seconds, lambda n: HOLD_S + n)
    first_s = (await desk.reservation("o0")).expire_time_s
    pages: list[int] = []

    async def ask(arguments: Sequence[Argument]) -> Reply:
        reply = cast("list[object]", await asking(clocked.client)(arguments))
        *_, due, _ = cast("list[list[bytes]]", reply)
        pages.append(len(due) // 2)
        return reply

    finding = await audit_account(account_id, ask)
    assert finding is not None
    assert finding.differences == ()
    assert [page for page in pages if page] == [audit.SCAN_DUE_SUMS, audit.SCAN_DUE_SUMS, 300]
    wrong = (1, audit.SCAN_DUE_SUMS - 1, audit.SCAN_DUE_SUMS, audit.SCAN_DUE_SUMS + 1, seconds - 1)
    for place in wrong:
        tamperer.set_due(first_s + place, 77)
    tamperer.set_due(first_s + 5)
    expected = sorted([*((first_s + place, 77) for place in wrong), (first_s + 5, 0)])
    found = told(await desk.verify(repair=True))
    assert [(name, kept) for name, kept, _ in found] == [(f"due@{second}", kept) for second, kept in expected]
    assert await desk.verify() == ()


async def test_more_seconds_than_one_repair_takes_are_put_right_all_the_same(
    clocked: ClockedStore, account_id: str, tamperer: Tamperer
) -> None:
    seconds = 2 * audit.REPAIR_SECONDS_MAX + 300
    desk = clocked.desk(account_id)
    await desk.put(limit=None, unlimited=True)
    await hold_many(desk, seconds, lambda n: HOLD_S + n)
    clocked.client.delete(tamperer.due_key)
    differences = await desk.verify(repair=True)
    assert len(differences) == seconds
    assert all(each.repaired for each in differences)
    assert len(repairs(clocked.client, account_id)) == 3
    assert await desk.verify() == ()
    clocked.pass_time(2 * HOLD_S)
    assert (await desk.sums())[0] == 0


Meddle = Callable[[ClockedStore, Desk], Awaitable[None]]


async def change_and_trim(clocked: ClockedStore, desk: Desk) -> None:
    """End many orders, and leave only the last entry of the journal."""
    await desk.store.run_each([ReleaseReservation(desk.account_id, f"o{n}") for n in range(0, MANY, 2)], deadline())
    await desk.post("last", 1)
    clocked.client.xtrim(keys.journal(PARTITION), maxlen=1, approximate=False)


async def change_and_empty(clocked: ClockedStore, desk: Desk) -> None:
    await change_and_trim(clocked, desk)
    clocked.client.delete(keys.journal(PARTITION))


async def change_and_repair(clocked: ClockedStore, desk: Desk) -> None:
    """Spoil a sum and put it right again: what was gathered until now knows nothing of the repair."""
    Tamperer(clocked.client, desk.account_id).add_to_account(reserved=5)
    await desk.verify(repair=True)


async def change_much(_: ClockedStore, desk: Desk) -> None:
    """Make more entries of the journal than one step follows."""
    for number in range(100):
        await desk.release(f"o{number}")


async def clean_up(clocked: ClockedStore, desk: Desk) -> None:
    """Forget ended orders, and fold the entries of ended and of no orders."""
    releases = [ReleaseReservation(desk.account_id, f"o{n}") for n in range(0, MANY, 2)]
    await desk.store.run_each(releases, deadline())
    clocked.pass_time(RETENTION_S + DAY_S)
    await clocked.sweep()
    assert len(clocked.fields(keys.ledger(PARTITION, desk.account_id))) < MANY / 10
    assert len(clocked.fields(keys.orders(PARTITION, desk.account_id))) < MANY


async def meddled(clocked: ClockedStore, desk: Desk, meddle: Meddle, at_step: int) -> int:
    """Verify, with something happening behind a step; fail when a sum differs. Returns how many steps it took."""
    steps = 0

    async def ask(arguments: Sequence[Argument]) -> Reply:
        nonlocal steps
        reply = await asking(clocked.client)(arguments)
        steps += 1
        if steps == at_step:
            await meddle(clocked, desk)
        return reply

    finding = await audit_account(desk.account_id, ask)
    assert finding is not None
    assert finding.differences == ()
    return steps


@pytest.mark.parametrize("meddle", [change_much, clean_up])
@pytest.mark.parametrize("at_step", [1, 5, MANY // audit.SCAN_RECORDS - 1])
async def test_a_scan_follows_what_happens_meanwhile(
    clocked: ClockedStore, large: Desk, meddle: Meddle, at_step: int
) -> None:
    await meddled(clocked, large, meddle, at_step)


@pytest.mark.parametrize("meddle", [change_and_trim, change_and_empty, change_and_repair])
@pytest.mark.parametrize("at_step", [1, 4])
async def test_a_scan_that_loses_track_begins_again(
    clocked: ClockedStore, large: Desk, meddle: Meddle, at_step: int
) -> None:
    assert await meddled(clocked, large, meddle, at_step) >= at_step + MANY / audit.SCAN_RECORDS


async def test_a_scan_that_begins_with_an_empty_journal_follows_it(clocked: ClockedStore, large: Desk) -> None:
    clocked.client.delete(keys.journal(PARTITION))
    await meddled(clocked, large, change_much, 2)


async def test_a_verification_ends_at_its_deadline(large: Desk) -> None:
    with pytest.raises(CreditError) as caught:
        await large.store.verify_account(large.account_id, repair=False, deadline=deadline() - 10)
    assert caught.value.reason is ErrorReason.DEADLINE_EXCEEDED
