"""Accounts move to their group's partition, whatever is killed or meets on the way."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import count

import pytest

from creditgate.domain.decision import Outcome
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import (
    CommitReservation,
    GetAccount,
    GetGroup,
    GetReservation,
    LimitSetting,
    PutAccount,
    PutGroup,
    RecordPayment,
    ReserveCredit,
)
from creditgate.store import RedisCreditStore, keys
from creditgate.store.directory import Directory
from creditgate.store.lane import Argument, Reply
from creditgate.store.mover import Mover
from tests.patience import PATIENCE_S
from tests.private_redis import PrivateRedis
from tests.quiet_observer import QuietObserver
from tests.store.opened import open_store

HOLD_S = 3600
ORDERS = 250
"""More than one step of copying reads."""


class KilledError(Exception):
    """The server is gone."""


def deadline() -> float:
    return time.monotonic() + PATIENCE_S


@pytest.fixture
def server(own_redis: Callable[..., PrivateRedis]) -> PrivateRedis:
    return own_redis()


@pytest.fixture
async def one(server: PrivateRedis) -> AsyncIterator[RedisCreditStore]:
    async with open_store(server.url) as store:
        yield store


@pytest.fixture
async def other(server: PrivateRedis) -> AsyncIterator[RedisCreditStore]:
    async with open_store(server.url) as store:
        yield store


async def put_group(store: RedisCreditStore, group_id: str, limit_minor: int | None = None) -> None:
    await store.run(PutGroup(group_id, "USD", limit_minor, ""), deadline())


async def put_account(store: RedisCreditStore, account_id: str, orders: int = 3) -> None:
    """Put an account with some orders, invoices and a payment."""
    await store.run(PutAccount(account_id, "USD", base_limit=LimitSetting(1_000_000)), deadline())
    wanted = [ReserveCredit(account_id, f"o{index}", 10 + index, "USD", HOLD_S + index % 5) for index in range(orders)]
    await store.run_each(wanted, deadline())
    await store.run(CommitReservation(account_id, "o0", 4, "USD", "d0"), deadline())
    await store.run(RecordPayment(account_id, "p0", 1, "USD"), deadline())


async def differences(store: RedisCreditStore) -> list[str]:
    found, token = [], ""
    while True:
        page = await store.verify_accounts(page_size=1000, page_token=token, repair=False, deadline=deadline())
        found += [f"{each.account_id}{each.group_id} {each.sum_name}" for each in page.differences]
        token = page.next_page_token
        if not token:
            return found


def away_from(account_id: str, new_id: Callable[[str], str], partitions: int) -> str:
    """Return the id of a group that lives in another partition than an account."""
    home = keys.partition_of(account_id, partitions)
    return next(each for each in (new_id("fam") for _ in count()) if keys.partition_of(each, partitions) != home)


async def move_and_die(store: RedisCreditStore, account_id: str, group_id: str, steps: int) -> bool:
    """Begin to move an account and stop after so many steps; return whether that was before the end."""
    left = steps

    async def call(function: str, partition: int, arguments: Sequence[Argument], *, read_only: bool = False) -> Reply:
        nonlocal left
        if not left:
            raise KilledError
        left -= 1
        return await store._move_step(function, partition, arguments, read_only=read_only)  # noqa: SLF001 - cut short

    directory = store._directory  # noqa: SLF001 - the place that the dying server knows
    mover = Mover(directory, call)
    try:
        await mover.move(account_id, directory.partition_of(account_id), directory.home_of(group_id), group_id)
    except KilledError:
        return True
    return False


@pytest.mark.parametrize("resumed_by", ["sweeper", "caller"])
async def test_a_server_may_be_killed_between_any_two_steps(
    one: RedisCreditStore, other: RedisCreditStore, new_id: Callable[[str], str], resumed_by: str
) -> None:
    for steps in count():
        account_id = new_id("acc")
        group_id = away_from(account_id, new_id, one.partitions)
        await put_group(one, group_id)
        await put_account(one, account_id, ORDERS)
        before = await one.run(GetAccount(account_id), deadline())
        died = await move_and_die(one, account_id, group_id, steps)
        if resumed_by == "sweeper":
            for partition in range(other.partitions):
                await other.resume_moves(partition, 0)
        put = await other.run(PutAccount(account_id, group_id=group_id), deadline())
        assert (put.account.exposure, put.account.group_id) == (before.exposure, group_id)
        for store in (one, other):
            assert (await store.run(ReserveCredit(account_id, "o7", 17, "USD", HOLD_S), deadline())).replayed
            account = await store.run(GetAccount(account_id), deadline())
            assert (account.exposure, account.group_id) == (before.exposure, group_id)
        listed = await other.list_reservations(account_id, frozenset(), 1000, "", deadline())
        assert len(listed.items) == ORDERS
        if not died:
            break
    assert steps > 10
    assert await differences(one) == []


async def test_an_account_that_is_moved_can_be_read_and_not_changed(
    one: RedisCreditStore, other: RedisCreditStore, new_id: Callable[[str], str]
) -> None:
    account_id = new_id("acc")
    group_id = away_from(account_id, new_id, one.partitions)
    await put_group(one, group_id)
    await put_account(one, account_id)
    assert await move_and_die(one, account_id, group_id, 3)
    assert (await other.run(GetAccount(account_id), deadline())).base_limit_minor == 1_000_000
    assert (await other.run(GetReservation(account_id, "o1"), deadline())).amount_minor == 11
    with pytest.raises(CreditError) as caught:
        await other.run(ReserveCredit(account_id, "new", 1, "USD", HOLD_S), deadline())
    assert caught.value.reason is ErrorReason.ACCOUNT_MOVING
    for partition in range(other.partitions):
        await other.resume_moves(partition, 0)
    reserved = await other.run(ReserveCredit(account_id, "new", 1, "USD", HOLD_S), deadline())
    assert reserved.decision.outcome is Outcome.APPROVED
    assert (await other.run(GetAccount(account_id), deadline())).group_id == group_id


async def test_a_server_that_remembers_an_old_place_is_led_on(
    one: RedisCreditStore, other: RedisCreditStore, new_id: Callable[[str], str]
) -> None:
    account_id = new_id("acc")
    await put_account(one, account_id)
    for step in range(6):
        group_id = away_from(account_id, new_id, one.partitions)
        await put_group(one, group_id)
        mover, user = (one, other) if step % 2 else (other, one)
        await mover.run(PutAccount(account_id, group_id=group_id), deadline())
        orders = [ReserveCredit(account_id, f"s{step}.{index}", 1, "USD", HOLD_S) for index in range(5)]
        answers = await user.run_each(orders, deadline())
        assert all(not isinstance(answer, CreditError) for answer in answers)
        assert (await user.run(GetAccount(account_id), deadline())).group_id == group_id
    account = await one.run(GetAccount(account_id), deadline())
    assert account.exposure.reserved_minor == 10 - 4 + 11 + 12 + 30
    assert await differences(other) == []


async def test_orders_of_a_batch_are_led_on_together_and_keep_their_order(
    server: PrivateRedis, one: RedisCreditStore, new_id: Callable[[str], str]
) -> None:
    accounts = [new_id("acc") for _ in range(20)]
    for account_id in accounts:
        group_id = away_from(account_id, new_id, one.partitions)
        await put_group(one, group_id)
        limit = LimitSetting(100)
        await one.run(PutAccount(account_id, "USD", base_limit=limit, group_id=group_id), deadline())
    amounts = {"first": 60, "too much": 60, "last": 40}
    orders = [
        ReserveCredit(account_id, order_id, amount, "USD", HOLD_S)
        for order_id, amount in amounts.items()
        for account_id in accounts
    ]
    observer = QuietObserver()
    async with open_store(server.url, observer=observer) as new:
        # Of accounts that share a slot it remembers one; the answers still lead each of them to its place.
        new._directory = Directory(new.partitions, slots=1)  # noqa: SLF001 - one that forgets
        answers = await new.run_each(orders, deadline())
        new._directory = Directory(new.partitions)  # noqa: SLF001 - one that does not
        await new.run_each(orders, deadline())
        again = await new.run_each(orders, deadline())
    outcomes = [answer.decision.outcome for answer in answers if not isinstance(answer, CreditError)]
    assert outcomes == [Outcome.APPROVED] * 20 + [Outcome.REJECTED] * 20 + [Outcome.APPROVED] * 20
    assert all(not isinstance(answer, CreditError) for answer in again)
    assert [operations for function, operations in observer.calls if function == "creditgate_apply"] == [60] * 5


async def test_a_new_account_that_two_servers_create_in_two_groups_is_there_once(
    one: RedisCreditStore, other: RedisCreditStore, new_id: Callable[[str], str]
) -> None:
    for _ in range(20):
        account_id = new_id("acc")
        groups = [away_from(account_id, new_id, one.partitions) for _ in range(2)]
        for group_id in groups:
            await put_group(one, group_id)
        puts = await asyncio.gather(
            *(
                store.run(PutAccount(account_id, "USD", group_id=group_id), deadline())
                for store, group_id in zip((one, other), groups, strict=True)
            ),
            return_exceptions=True,
        )
        assert any(not isinstance(put, BaseException) for put in puts)
        account = await one.run(GetAccount(account_id), deadline())
        counts = [(await one.run(GetGroup(group_id), deadline())).account_count for group_id in groups]
        assert counts == [account.group_id == group_id for group_id in groups]
    listed = await one.list_accounts(1000, "", deadline())
    assert len({account.account_id for account in listed.items}) == len(listed.items)


async def test_orders_go_on_while_an_account_is_moved_to_and_fro(
    one: RedisCreditStore, other: RedisCreditStore, new_id: Callable[[str], str]
) -> None:
    account_id = new_id("acc")
    groups = [away_from(account_id, new_id, one.partitions) for _ in range(3)]
    for group_id in groups:
        await put_group(one, group_id)
    await put_account(one, account_id, ORDERS)
    moving = True
    approved = 0

    async def sell(store: RedisCreditStore, name: str) -> None:
        nonlocal approved
        for number in count():
            if not moving:
                return
            order = ReserveCredit(account_id, f"{name}{number}", 1, "USD", HOLD_S)
            while True:
                try:
                    await store.run(order, deadline())
                except CreditError as error:
                    assert error.reason is ErrorReason.ACCOUNT_MOVING  # noqa: PT017 - it is the only one that may be
                    await asyncio.sleep(0)
                else:
                    approved += 1
                    break

    async def move() -> None:
        nonlocal moving
        for turn in range(9):
            await (one, other)[turn % 2].run(PutAccount(account_id, group_id=groups[turn % 3]), deadline())
        moving = False

    before = (await one.run(GetAccount(account_id), deadline())).exposure.reserved_minor
    await asyncio.gather(move(), sell(one, "a"), sell(other, "b"))
    account = await one.run(GetAccount(account_id), deadline())
    assert approved > 0
    assert account.exposure.reserved_minor == before + approved
    assert [(await one.run(GetGroup(group_id), deadline())).account_count for group_id in groups] == [0, 0, 1]
    assert await differences(one) == []
