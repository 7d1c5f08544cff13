"""Verifying finds whatever is wrong with an account's sums, repairing puts it right, each once."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import cast

import pytest

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import PutAccount, RecordPayment, ReserveCredit
from creditgate.store import RedisCreditStore, StoreOptions, keys, layouts
from creditgate.store.audit import Finding, audit_account
from tests.private_redis import PrivateRedis
from tests.quiet_observer import QuietObserver
from tests.store.clocked import DAY_S, PARTITION, RETENTION_S, ClockedStore, clocked_store
from tests.store.desk import HOLD_S, Desk, deadline
from tests.store.tamperer import Tamperer, added
from tests.store.verification import asking, repairs, told


@pytest.fixture(scope="module")
def clocked_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRedis]:
    """A Redis of these tests' own, whose time they move forward."""
    server = PrivateRedis(tmp_path_factory.mktemp("clocked"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def clocked(clocked_redis: PrivateRedis) -> AsyncIterator[ClockedStore]:
    async with clocked_store(clocked_redis) as clocked:
        yield clocked


@pytest.fixture
async def desk(clocked: ClockedStore, account_id: str) -> Desk:
    """An account with 1000 held until one second, 70 until a later one, 300 receivable and 40 behind security."""
    desk = clocked.desk(account_id)
    await desk.put(limit=None, unlimited=True)
    await desk.reserve("o1", 600)
    await desk.reserve("o2", 400)
    await desk.store.run(ReserveCredit(account_id, "o3", 70, "USD", 2 * HOLD_S), deadline())
    await desk.reserve("o4", 200, secured_minor=40)
    await desk.commit("o4", 200, "d1")
    await desk.post("d2", 200)
    await desk.pay("p1", 60)
    await desk.amend("o1", 600, request_id="r1")
    assert await desk.all_sums() == (1070, 340, 0)
    await desk.reserve("o5", 100, secured_minor=40)
    await desk.commit("o5", 100, "d3")
    assert await desk.all_sums() == (1070, 400, 40)
    return desk


@pytest.fixture
def tamperer(clocked: ClockedStore, account_id: str) -> Tamperer:
    return Tamperer(clocked.client, account_id)


# --- what is wrong

Tamper = Callable[[Tamperer, int], None]
Found = Callable[[int], list[tuple[str, int, int]]]

WRONG: dict[str, tuple[Tamper, Found]] = {
    "reserved": (lambda t, _: t.add_to_account(reserved=5), lambda _: [("reserved", 1075, 1070)]),
    "reserved, below nothing": (lambda t, _: t.add_to_account(reserved=-2000), lambda _: [("reserved", -930, 1070)]),
    "receivable": (lambda t, _: t.add_to_account(receivable=-401), lambda _: [("receivable", -1, 400)]),
    "secured receivable": (
        lambda t, _: t.add_to_account(secured_receivable=1),
        lambda _: [("secured_receivable", 41, 40)],
    ),
    "pending": (lambda t, _: t.add_to_account(pending=7), lambda _: [("pending_review", 7, 0)]),
    "all sums": (
        lambda t, _: t.add_to_account(reserved=1, receivable=2, secured_receivable=3, pending=4),
        lambda _: [
            ("reserved", 1071, 1070),
            ("receivable", 402, 400),
            ("secured_receivable", 43, 40),
            ("pending_review", 4, 0),
        ],
    ),
    "a commit's amount": (
        lambda t, _: t.add_to_entry("d:d1", receivable_change=10, amount=10),
        lambda _: [("receivable", 400, 410)],
    ),
    "a commit's security": (
        lambda t, _: t.add_to_entry("d:d3", receivable_change=-10, secured_change=10),
        lambda _: [("receivable", 400, 390), ("secured_receivable", 40, 50)],
    ),
    "an invoice is missing": (lambda t, _: t.drop_entry("d:d2"), lambda _: [("receivable", 400, 200)]),
    "a payment stands twice": (
        lambda t, _: t.copy_entry("p:p1", "p:p2"),
        lambda _: [("receivable", 400, 380), ("secured_receivable", 40, 0)],
    ),
    "a hold is missing": (
        lambda t, _: t.drop_order("o2"),
        lambda end: [("reserved", 1070, 670), (f"due@{end}", 1000, 600)],
    ),
    "a hold's exposure": (
        lambda t, _: t.add_to_order("o1", held=50),
        lambda end: [("reserved", 1070, 1120), (f"due@{end}", 1000, 1050)],
    ),
    "a hold's end": (
        lambda t, _: t.add_to_order("o1", expire_s=1),
        lambda end: [(f"due@{end}", 1000, 400), (f"due@{end + 1}", 0, 600)],
    ),
    "a due sum": (lambda t, end: t.set_due(end, 1001), lambda end: [(f"due@{end}", 1001, 1000)]),
    "a due sum is missing": (lambda t, end: t.set_due(end), lambda end: [(f"due@{end}", 0, 1000)]),
    "a due sum of nothing": (lambda t, end: t.set_due(end + 9, 5), lambda end: [(f"due@{end + 9}", 5, 0)]),
    "a due sum of nothing, before all others": (
        lambda t, end: t.set_due(end - 9, 5),
        lambda end: [("next_due", end, end - 9), (f"due@{end - 9}", 5, 0)],
    ),
    "two due sums of one second": (lambda t, end: t.set_due(end, 100, 1400), lambda end: [(f"due@{end}", 1500, 1000)]),
    "what falls due is never looked at": (lambda t, _: t.set_next_due(0), lambda end: [("next_due", 0, end)]),
    "what falls due is looked at too late": (
        lambda t, end: t.set_next_due(end + 1),
        lambda end: [("next_due", end + 1, end)],
    ),
}
"""Something wrong and the differences that tell of it, by the second at which the first holds end."""

of_each_wrong = pytest.mark.parametrize("wrong", WRONG)


async def spoil(desk: Desk, tamperer: Tamperer, wrong: str) -> list[tuple[str, int, int]]:
    """Spoil the account, and return the differences that should be found."""
    end_s = (await desk.reservation("o1")).expire_time_s
    tamper, found = WRONG[wrong]
    tamper(tamperer, end_s)
    return found(end_s)


async def test_nothing_is_wrong(desk: Desk) -> None:
    assert await desk.verify() == ()


async def test_an_unknown_account(clocked: ClockedStore, account_id: str) -> None:
    for repair in (False, True):
        with pytest.raises(CreditError) as caught:
            await clocked.desk(account_id).verify(repair=repair)
        assert caught.value.reason is ErrorReason.ACCOUNT_NOT_FOUND


@of_each_wrong
async def test_what_is_wrong_is_found_and_left_alone(
    clocked: ClockedStore, desk: Desk, tamperer: Tamperer, wrong: str
) -> None:
    expected = await spoil(desk, tamperer, wrong)
    before = [clocked.client.dump(key) for key in (tamperer.account_key, tamperer.due_key)]
    for _ in range(2):
        differences = await desk.verify()
        assert told(differences) == expected
        assert {(each.account_id, each.repaired) for each in differences} == {(desk.account_id, False)}
    assert [clocked.client.dump(key) for key in (tamperer.account_key, tamperer.due_key)] == before
    assert repairs(clocked.client, desk.account_id) == []


@of_each_wrong
async def test_what_is_wrong_is_put_right_and_journaled(
    clocked: ClockedStore, desk: Desk, tamperer: Tamperer, wrong: str
) -> None:
    expected = await spoil(desk, tamperer, wrong)
    differences = await desk.verify(repair=True)
    assert told(differences) == expected
    assert all(each.repaired for each in differences)
    assert await desk.verify() == ()
    assert repairs(clocked.client, desk.account_id) == [await desk.account()]
    for name, _, should in expected:
        account = await desk.account()
        if name == "reserved":
            assert account.exposure.reserved_minor == should
        elif name == "receivable":
            assert account.exposure.receivable_minor == should
    # What falls due later is right too.
    for reserved in (70, 0):
        clocked.pass_time(HOLD_S + 1)
        await desk.reserve(f"at{clocked.now_s}", 1)
        assert (await desk.sums())[0] == reserved + 1
        await desk.release(f"at{clocked.now_s}")
        assert await desk.verify() == ()
    assert await desk.verify(repair=True) == ()
    assert len(repairs(clocked.client, desk.account_id)) == 1, "nothing to put right, nothing to journal"


async def test_looking_early_at_what_falls_due_is_not_wrong(
    clocked: ClockedStore, desk: Desk, tamperer: Tamperer
) -> None:
    tamperer.set_next_due(clocked.now_s - 5)
    assert await desk.verify() == ()
    tamperer.set_next_due(clocked.now_s + 5)
    assert await desk.verify() == ()


async def test_what_has_fallen_due_unseen_is_found_and_put_right(
    clocked: ClockedStore, desk: Desk, tamperer: Tamperer
) -> None:
    end_s = (await desk.reservation("o1")).expire_time_s
    tamperer.set_next_due(0)
    clocked.pass_time(HOLD_S + 1)
    expected = [("reserved", 1070, 70), ("next_due", 0, end_s), (f"due@{end_s}", 1000, 0)]
    assert told(await desk.verify()) == expected
    assert told(await desk.verify(repair=True)) == expected
    assert await desk.verify() == ()
    assert (await desk.sums())[0] == 70
    await desk.reserve("new", 5)
    clocked.pass_time(HOLD_S)
    assert (await desk.sums())[0] == 0
    assert await desk.verify() == ()


async def test_an_opening_balance_counts(clocked: ClockedStore, desk: Desk, tamperer: Tamperer) -> None:
    clocked.pass_time(RETENTION_S + DAY_S)
    await clocked.sweep()
    clocked.pass_time(RETENTION_S + DAY_S)
    await clocked.sweep()
    assert clocked.fields(tamperer.ledger_key) == {"b"}
    assert await desk.verify() == ()
    tamperer.add_to_entry("b", amount=3, receivable_change=1, secured_change=2)
    assert told(await desk.verify(repair=True)) == [("receivable", 400, 401), ("secured_receivable", 40, 42)]
    assert await desk.all_sums() == (0, 401, 42)


async def test_it_adds_up_at_every_turn_of_an_orders_life(clocked: ClockedStore, account_id: str) -> None:
    desk = clocked.desk(account_id)
    await desk.put()

    async def hold(amount: int) -> None:
        await desk.store.run(ReserveCredit(account_id, "o1", amount, "USD", 60, secured_minor=10), deadline())
        await desk.adds_up()

    await desk.adds_up()
    await hold(100)
    await desk.amend("o1", 300, hold_s=120)
    await desk.adds_up()
    await desk.commit("o1", 50, "d1")
    await desk.adds_up()
    clocked.pass_time(119)
    await desk.adds_up()
    clocked.pass_time(1)
    await desk.adds_up()
    await desk.pay("p1", 5)
    await desk.adds_up()
    await clocked.sweep()
    await desk.adds_up()
    await hold(300)
    clocked.pass_time(60)
    await hold(300)
    await desk.commit("o1", 300, "d2")
    await desk.adds_up()
    await desk.commit("o1", 300, "d3")
    await desk.adds_up()
    clocked.pass_time(RETENTION_S + DAY_S)
    await clocked.sweep()
    await desk.adds_up()
    assert await desk.all_sums() == (0, 640, 5)


# --- side by side


async def find(clocked: ClockedStore, account_id: str) -> Finding:
    finding = await audit_account(account_id, asking(clocked.client))
    assert finding is not None
    return finding


def put_right(clocked: ClockedStore, account_id: str, finding: Finding) -> bool:
    """Repair; return whether the differences were still to be taken off."""
    reply = clocked.client.fcall("creditgate_repair", 1, keys.prefix(PARTITION), account_id, *finding.repair)
    return cast("int", reply) == 1


@of_each_wrong
async def test_time_and_orders_go_on_between_finding_and_repairing(
    clocked: ClockedStore, desk: Desk, tamperer: Tamperer, wrong: str
) -> None:
    await spoil(desk, tamperer, wrong)
    finding = await find(clocked, desk.account_id)
    await desk.commit("o3", 30, "d9")
    await desk.reserve("o9", 11)
    clocked.pass_time(HOLD_S + 1)
    await desk.pay("p9", 500)
    assert put_right(clocked, desk.account_id, finding)
    assert await desk.verify() == ()


async def test_a_difference_is_not_taken_off_twice(clocked: ClockedStore, desk: Desk, tamperer: Tamperer) -> None:
    tamperer.add_to_account(reserved=5)
    findings = [await find(clocked, desk.account_id) for _ in range(2)]
    assert [put_right(clocked, desk.account_id, finding) for finding in findings] == [True, False]
    assert await desk.verify() == ()


async def test_a_difference_that_many_calls_have_come_behind_is_found_anew(
    clocked: ClockedStore, desk: Desk, tamperer: Tamperer
) -> None:
    tamperer.add_to_account(reserved=5)
    finding = await find(clocked, desk.account_id)
    for number in range(100):
        await desk.post(f"x{number}", 1)
    assert not put_right(clocked, desk.account_id, finding), "it may have been put right by one of them"
    assert told(await desk.verify(repair=True)) == [("reserved", 1075, 1070)]
    assert await desk.verify() == ()


async def test_several_may_repair_at_once(clocked: ClockedStore, desk: Desk, tamperer: Tamperer) -> None:
    tamperer.add_to_account(reserved=5, receivable=-7)
    all_told = await asyncio.gather(*(desk.verify(repair=True) for _ in range(5)))
    assert any(told(differences) for differences in all_told)
    assert await desk.verify() == ()
    assert len(repairs(clocked.client, desk.account_id)) == 1


# --- all accounts


async def test_all_accounts_are_verified_page_by_page(own_redis: Callable[..., PrivateRedis]) -> None:
    server = own_redis()
    store = RedisCreditStore(server.url, options=StoreOptions(partitions=4), observer=QuietObserver())
    await store.start()
    assert await store.wait_ready(10)
    accounts = [f"acc-{number}" for number in range(50)]
    await store.run_each([PutAccount(account_id, "USD") for account_id in accounts], deadline())
    await store.run_each([RecordPayment(account_id, "p1", 5, "USD") for account_id in accounts], deadline())
    wrong = accounts[::7]
    with server.client() as client:
        for account_id in wrong:
            key = keys.account(keys.partition_of(account_id, store.partitions), account_id)
            client.set(key, added(layouts.ACCOUNT, cast("bytes", client.get(key)), {"pending": 3}))
    for repair, expected in ((False, wrong), (True, wrong), (True, [])):
        found: list[str] = []
        verified, token = 0, ""
        while True:
            page = await store.verify_accounts(page_size=7, page_token=token, repair=repair, deadline=deadline())
            assert page.verified <= 7
            verified += page.verified
            found += [difference.account_id for difference in page.differences]
            assert all(difference.repaired is repair for difference in page.differences)
            token = page.next_page_token
            if not token:
                break
        assert verified == len(accounts)
        assert sorted(found) == sorted(expected)
    await store.close()
