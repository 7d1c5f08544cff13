"""What falls due of a group, in its record and in its sorted set, and where all of it stood in the set."""

import random
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple, cast

import pytest

from creditgate.domain.operations import GetGroup, LimitSetting, PutAccount, PutGroup, ReleaseReservation, ReserveCredit
from creditgate.domain.rates import parse_rate
from creditgate.store import keys, layouts
from creditgate.store.constants import UNSORTED_MAX, GroupFlag
from tests.private_redis import PrivateRedis
from tests.store.clocked import PARTITION, ClockedStore, clocked_store
from tests.store.desk import deadline

GROUP = "family"
GROUP_KEY = keys.group(PARTITION, GROUP)
DUE_KEY = keys.group_due(PARTITION, GROUP)
ACCOUNTS = {"a1": "USD", "a2": "USD", "a3": "CHF"}
LIMIT = LimitSetting(10**12)


class Record(NamedTuple):
    """A group's record, taken to pieces; `head` is that of a group that has all in its sorted set."""

    head: tuple[object, ...]
    sorted_until_s: int
    sums: bytes
    unsorted: list[tuple[int, bytes, int]]


def read_record(clocked: ClockedStore) -> Record:
    record = cast("bytes", clocked.client.get(GROUP_KEY))
    flags, currency_count, *numbers, sorted_until_s, currency = layouts.GROUP.packer.unpack_from(record)
    assert flags & GroupFlag.DUE
    due_at = layouts.GROUP.size + currency_count * layouts.GROUP_SUMS.size
    unsorted = list(layouts.DUE_SUM.packer.iter_unpack(record[due_at:]))
    head = (flags & GroupFlag.UNLIMITED, currency_count, *numbers, currency)
    return Record(head, sorted_until_s, record[layouts.GROUP.size : due_at], unsorted)


def write_record(clocked: ClockedStore, record: Record) -> None:
    unsorted = b"".join(layouts.DUE_SUM.packer.pack(*due) for due in record.unsorted)
    unlimited, *numbers, currency = record.head
    flags = cast("int", unlimited) | GroupFlag.DUE
    head = layouts.GROUP.packer.pack(flags, *numbers, record.sorted_until_s, currency)
    clocked.client.set(GROUP_KEY, head + record.sums + unsorted)


def forget_form(clocked: ClockedStore) -> None:
    """Write the group as it was stored before its record had anything that falls due: all of it in the sorted set."""
    record = read_record(clocked)
    clocked.client.set(GROUP_KEY, layouts.SORTED_GROUP.packer.pack(*record.head) + record.sums)
    for second, tag, amount in record.unsorted:
        clocked.client.zadd(DUE_KEY, {f"{second}:{tag.decode()}:{amount}": second})


@pytest.fixture
async def clocked(own_redis: Callable[..., PrivateRedis]) -> AsyncIterator[ClockedStore]:
    async with clocked_store(own_redis()) as clocked:
        await clocked.store.put_rates([parse_rate("CHF", "USD", "1")], 1, 0, deadline())
        await clocked.store.run(PutGroup(GROUP, "USD", 10**12, "Family"), deadline())
        for account_id, currency_code in ACCOUNTS.items():
            put = PutAccount(account_id, currency_code, base_limit=LIMIT, group_id=GROUP)
            await clocked.store.run(put, deadline())
        yield clocked


async def reserve(clocked: ClockedStore, account_id: str, order_id: str, amount: int, hold_s: int) -> int:
    """Hold an amount, and return the second at which that ends."""
    order = ReserveCredit(account_id, order_id, amount, ACCOUNTS[account_id], hold_s)
    reserved = await clocked.store.run(order, deadline())
    assert reserved.reservation is not None
    return reserved.reservation.expire_time_s


async def release(clocked: ClockedStore, account_id: str, order_id: str) -> None:
    await clocked.store.run(ReleaseReservation(account_id, order_id, "", ""), deadline())


async def reserved_by_currency(clocked: ClockedStore) -> dict[str, int]:
    group = await clocked.store.run(GetGroup(GROUP), deadline())
    return {each.currency_code: each.reserved_minor for each in group.currencies if each.reserved_minor}


async def differences(clocked: ClockedStore, *, repair: bool = False) -> list[tuple[str, int, int]]:
    page = await clocked.store.verify_accounts(page_size=100, page_token="", repair=repair, deadline=deadline())
    return [(each.sum_name, each.kept_minor, each.recomputed_minor) for each in page.differences]


@pytest.mark.parametrize("durations_s", [(1000,), (1000, 20), (3, 7, 30)], ids=str)
async def test_holds_end_at_their_second_wherever_their_sum_stands(
    clocked: ClockedStore, durations_s: tuple[int, ...]
) -> None:
    draw = random.Random(str(durations_s))
    held: dict[str, tuple[str, int, int]] = {}
    in_record = in_set = 0
    for number in range(150):
        clocked.pass_time(draw.choice((0, 1, 1, 2)))
        order_id, account_id, amount = f"o{number}", draw.choice(list(ACCOUNTS)), draw.randrange(1, 1000)
        end_s = await reserve(clocked, account_id, order_id, amount, draw.choice(durations_s))
        held[order_id] = (account_id, amount, end_s)
        held = {name: hold for name, hold in held.items() if hold[2] > clocked.now_s}
        if held and draw.random() < 0.3:
            name = draw.choice(list(held))
            await release(clocked, held.pop(name)[0], name)
        expected: dict[str, int] = {}
        for account_id, amount, _ in held.values():
            code = ACCOUNTS[account_id]
            expected[code] = expected.get(code, 0) + amount
        assert await reserved_by_currency(clocked) == expected
        record = read_record(clocked)
        assert all(record.sorted_until_s < second for second, _, _ in record.unsorted)
        assert [second for second, _, _ in record.unsorted] == sorted(second for second, _, _ in record.unsorted)
        assert len(record.unsorted) <= UNSORTED_MAX
        in_record, in_set = max(in_record, len(record.unsorted)), max(in_set, clocked.client.zcard(DUE_KEY))
    assert await differences(clocked) == []
    assert in_record > 5
    if max(durations_s) > 100:
        assert in_set > UNSORTED_MAX


async def test_orders_of_one_second_share_a_sum(clocked: ClockedStore) -> None:
    ends = {await reserve(clocked, "a1", f"o{number}", 10, 60) for number in range(3)}
    ends.add(await reserve(clocked, "a3", "o3", 5, 60))
    ends.add(await reserve(clocked, "a2", "o4", 10, 60))
    (end_s,) = ends
    assert read_record(clocked).unsorted == [(end_s, b"USD", 40), (end_s, b"CHF", 5)]
    await release(clocked, "a3", "o3")
    assert read_record(clocked).unsorted == [(end_s, b"USD", 40)]
    assert clocked.client.zcard(DUE_KEY) == 0


async def test_a_group_that_was_stored_before(clocked: ClockedStore) -> None:
    ends = []
    for number in range(5):
        ends.append(await reserve(clocked, "a1", f"o{number}", 10, 60))
        clocked.pass_time(1)
    forget_form(clocked)
    assert await differences(clocked) == []
    later = await reserve(clocked, "a2", "late", 7, 60)
    same = await reserve(clocked, "a1", "same", 3, ends[-1] - clocked.now_s)
    assert same == ends[-1]
    record = read_record(clocked)
    assert (record.sorted_until_s, record.unsorted) == (ends[-1], [(later, b"USD", 7)])
    assert await reserved_by_currency(clocked) == {"USD": 60}
    clocked.pass_time(ends[2] - clocked.now_s)
    assert await reserved_by_currency(clocked) == {"USD": 30}
    assert await differences(clocked) == []
    clocked.pass_time(later - clocked.now_s)
    assert await reserved_by_currency(clocked) == {}


@pytest.mark.parametrize("first_in", ["the record", "the sorted set"])
async def test_what_is_wrong_is_found_and_put_right(clocked: ClockedStore, first_in: str) -> None:
    end_s = await reserve(clocked, "a1", "o0", 10, 60)
    if first_in == "the sorted set":
        forget_form(clocked)
    later_s = await reserve(clocked, "a2", "o1", 20, 90)
    record = read_record(clocked)
    if first_in == "the sorted set":
        clocked.client.zremrangebyscore(DUE_KEY, end_s, end_s)
        clocked.client.zadd(DUE_KEY, {f"{end_s}:USD:11": end_s})
        wrong = [(second, tag, amount) for second, tag, amount in record.unsorted if second != end_s]
    else:
        wrong = [(second, tag, amount + (second == end_s)) for second, tag, amount in record.unsorted]
    write_record(clocked, record._replace(unsorted=wrong))
    beyond_s = later_s + 5
    clocked.client.zadd(DUE_KEY, {f"{later_s}:USD:5": later_s, f"{beyond_s}:CHF:6": beyond_s})
    expected = [(f"due@{end_s}:USD", 11, 10), (f"due@{later_s}:USD", 25, 20), (f"due@{beyond_s}:CHF", 6, 0)]
    for repair in (False, True):
        assert await differences(clocked, repair=repair) == expected
    assert await differences(clocked) == []
    await reserve(clocked, "a3", "o2", 4, 95)
    for second, left in ((end_s, {"USD": 20, "CHF": 4}), (later_s, {"CHF": 4}), (beyond_s + 9, {})):
        clocked.pass_time(second - clocked.now_s)
        assert await reserved_by_currency(clocked) == left
    assert await differences(clocked) == []
