"""Accounts move to their group's partition, whatever is killed or meets on the way."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import count, islice

import pytest

from creditgate.domain.account import Block
from creditgate.domain.bounds import AMOUNT_MAX_MINOR
from creditgate.domain.decision import Action, Outcome, ReasonCode
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import (
    BlockSetting,
    CommitReservation,
    GetAccount,
    GetGroup,
    GetReservation,
    LimitSetting,
    PostReceivable,
    PutAccount,
    PutGroup,
    RecordPayment,
    ReleaseReservation,
    ReserveCredit,
)
from creditgate.domain.policy import DEFAULT_CLASS, DEFAULT_RULES, ClassPolicy, Policy, RuleSetting
from creditgate.domain.reservation import ReservationState
from creditgate.store import RedisCreditStore, keys
from creditgate.store.directory import Directory
from creditgate.store.lane import Argument, Reply
from creditgate.store.mover import CallFunction, Mover
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

    try:
        await move_by(store, account_id, group_id, call)
    except KilledError:
        return True
    return False


async def move_by(store: RedisCreditStore, account_id: str, group_id: str, call: CallFunction) -> CreditError | None:
    """Move an account as a server does whose steps are made by a function of the test's."""
    directory = store._directory  # noqa: SLF001 - the place that this server knows
    put = PutAccount(account_id, group_id=group_id)
    return await Mover(directory, call).move(put, directory.partition_of(account_id), directory.home_of(group_id))


async def fill_with_currencies(store: RedisCreditStore, group_id: str, new_id: Callable[[str], str]) -> None:
    """Put a group with as many currencies as there may be, KWD not among them."""
    await put_group(store, group_id)
    codes = "USD EUR CHF JPY GBP NOK SEK DKK PLN CZK HUF RON TRY ZAR INR CNY"
    puts = [PutAccount(new_id("member"), code, group_id=group_id) for code in codes.split()]
    for put in puts:
        await store.run(put, deadline())


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


async def test_a_server_may_be_killed_at_any_step_of_a_move_that_is_refused(
    one: RedisCreditStore, other: RedisCreditStore, new_id: Callable[[str], str]
) -> None:
    group_id = new_id("full")
    await fill_with_currencies(one, group_id, new_id)
    for steps in count():
        account_id = next(
            each
            for each in (new_id("acc") for _ in count())
            if keys.partition_of(each, one.partitions) != keys.partition_of(group_id, one.partitions)
        )
        await one.run(PutAccount(account_id, "KWD", base_limit=LimitSetting(100)), deadline())
        await one.run(ReserveCredit(account_id, "o1", 60, "KWD", HOLD_S), deadline())
        died = await move_and_die(one, account_id, group_id, steps)
        for partition in range(other.partitions):
            await other.resume_moves(partition, 0)
        for store in (one, other):
            account = await store.run(GetAccount(account_id), deadline())
            assert (account.exposure.reserved_minor, account.group_id) == (60, "")
        reserved = await other.run(ReserveCredit(account_id, "o2", 40, "KWD", HOLD_S), deadline())
        assert reserved.decision.outcome is Outcome.APPROVED
        with pytest.raises(CreditError) as caught:
            await one.run(PutAccount(account_id, group_id=group_id), deadline())
        assert caught.value.reason is ErrorReason.GROUP_CURRENCIES_EXHAUSTED
        if not died:
            break
    assert steps > 8
    assert await differences(one) == []


async def test_one_move_that_cannot_be_finished_keeps_no_other_waiting(
    one: RedisCreditStore, other: RedisCreditStore, new_id: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = (each for each in (new_id("acc") for _ in count()) if keys.partition_of(each, one.partitions) == 3)
    account_ids = list(islice(together, 6))
    for account_id in account_ids:
        group_id = away_from(account_id, new_id, one.partitions)
        await put_group(one, group_id)
        await put_account(one, account_id)
        assert await move_and_die(one, account_id, group_id, 2)
    stuck = set(account_ids[::2])
    step = other._move_step  # noqa: SLF001 - made to fail for some

    async def fail_for_some(
        function: str, partition: int, arguments: Sequence[Argument], *, read_only: bool = False
    ) -> Reply:
        if function == "creditgate_move_arrive" and arguments[0] in stuck:
            raise CreditError(ErrorReason.STORE_UNAVAILABLE, "gone")
        return await step(function, partition, arguments, read_only=read_only)

    monkeypatch.setattr(other._mover, "_call", fail_for_some)  # noqa: SLF001 - as above
    for partition in range(other.partitions):
        with contextlib.suppress(CreditError):
            await other.resume_moves(partition, 0)
    found = [await one.run(GetAccount(account_id), deadline()) for account_id in account_ids]
    assert {account.account_id for account in found if not account.group_id} == stuck


async def test_an_account_that_arrived_by_another_server_is_not_thawed_where_it_was(
    one: RedisCreditStore, other: RedisCreditStore, new_id: Callable[[str], str]
) -> None:
    """One server finds that the group's sum has no room and is slow; meanwhile there is room, and another goes on."""
    account_id, sister = new_id("acc"), new_id("acc")
    group_id = away_from(account_id, new_id, one.partitions)
    await put_group(one, group_id)
    await one.run(PutAccount(sister, "USD", unlimited=True, group_id=group_id), deadline())
    await one.run(PostReceivable(sister, "d1", AMOUNT_MAX_MINOR - 1, "USD"), deadline())
    await one.run(PutAccount(account_id, "USD", base_limit=LimitSetting(10_000)), deadline())
    await one.run(PostReceivable(account_id, "d1", 500, "USD"), deadline())
    arrived, may_leave = asyncio.Event(), asyncio.Event()
    finishing: list[asyncio.Task[CreditError | None]] = []

    async def leave_late(
        function: str, partition: int, arguments: Sequence[Argument], *, read_only: bool = False
    ) -> Reply:
        if function == "creditgate_move_leave":
            arrived.set()
            await may_leave.wait()
        return await other._move_step(function, partition, arguments, read_only=read_only)  # noqa: SLF001 - delayed

    async def cancel_late(
        function: str, partition: int, arguments: Sequence[Argument], *, read_only: bool = False
    ) -> Reply:
        if function == "creditgate_move_cancel":
            await other.run(RecordPayment(sister, "p1", 10_000, "USD"), deadline())
            finishing.append(asyncio.create_task(move_by(other, account_id, group_id, leave_late)))
            await arrived.wait()
        return await one._move_step(function, partition, arguments, read_only=read_only)  # noqa: SLF001 - delayed

    assert await move_by(one, account_id, group_id, cancel_late) is None
    may_leave.set()
    assert await finishing[0] is None
    for number, store in enumerate((one, other)):
        await store.run(ReserveCredit(account_id, f"o{number}", 100, "USD", HOLD_S), deadline())
    for store in (one, other):
        account = await store.run(GetAccount(account_id), deadline())
        assert (account.group_id, account.exposure.reserved_minor) == (group_id, 200)
    assert await differences(one) == []


@pytest.mark.parametrize("is_away", [True, False])
async def test_what_is_refused_with_a_put_leaves_the_account_in_no_group(
    one: RedisCreditStore, new_id: Callable[[str], str], *, is_away: bool
) -> None:
    account_id = new_id("acc")
    home = keys.partition_of(account_id, one.partitions)
    group_id = next(
        each
        for each in (new_id("fam") for _ in count())
        if (keys.partition_of(each, one.partitions) != home) == is_away
    )
    await put_group(one, group_id)
    await put_account(one, account_id)
    refused = (
        (
            PutAccount(account_id, "EUR", group_id=group_id, base_limit=LimitSetting(5)),
            ErrorReason.ACCOUNT_EXISTS_WITH_DIFFERENT_CURRENCY,
        ),
        (
            PutAccount(account_id, group_id=group_id, block=BlockSetting(Block("late", "ann", 0, 1))),
            ErrorReason.INVALID_FIELD,
        ),
    )
    for put, reason in refused:
        with pytest.raises(CreditError) as caught:
            await one.run(put, deadline())
        assert caught.value.reason is reason
        account = await one.run(GetAccount(account_id), deadline())
        assert (account.group_id, account.base_limit_minor, account.block) == ("", 1_000_000, None)
    put = PutAccount(account_id, group_id=group_id, base_limit=LimitSetting(7))
    assert (await one.run(put, deadline())).account.base_limit_minor == 7
    assert (await one.run(GetGroup(group_id), deadline())).account_count == 1
    assert await differences(one) == []


async def test_what_has_fallen_due_where_an_account_was_is_not_held_where_it_goes(
    server: PrivateRedis, one: RedisCreditStore, new_id: Callable[[str], str]
) -> None:
    """After a failover, one partition's clock may be ahead of another's."""
    account_id = new_id("acc")
    group_id = away_from(account_id, new_id, one.partitions)
    await put_group(one, group_id)
    await one.run(PutAccount(account_id, "USD", base_limit=LimitSetting(1000)), deadline())
    await one.run(ReserveCredit(account_id, "short", 500, "USD", 60), deadline())
    await one.run(ReserveCredit(account_id, "long", 70, "USD", 7200), deadline())
    with server.client() as client:
        client.set(keys.clock(keys.partition_of(account_id, one.partitions)), int(time.time()) + 120)
    await one.run(PutAccount(account_id, group_id=group_id), deadline())
    assert (await one.run(GetReservation(account_id, "short"), deadline())).state is ReservationState.EXPIRED
    await one.run(ReleaseReservation(account_id, "short"), deadline())
    assert (await one.run(GetAccount(account_id), deadline())).exposure.reserved_minor == 70
    assert await differences(one) == []


async def test_what_waits_keeps_its_turn(one: RedisCreditStore, new_id: Callable[[str], str]) -> None:
    review = {**DEFAULT_RULES, ReasonCode.LIMIT_EXCEEDED: RuleSetting(Action.REVIEW)}
    one.use_policy(Policy("review", {DEFAULT_CLASS: ClassPolicy(review, limit_rise_releases_reviews=True)}))
    account_id = new_id("acc")
    group_id = away_from(account_id, new_id, one.partitions)
    await put_group(one, group_id)
    await one.run(PutAccount(account_id, "USD", base_limit=LimitSetting(10)), deadline())
    order_ids = ("z-first", "m-second", "a-third")
    for order_id in order_ids:
        await one.run(ReserveCredit(account_id, order_id, 100, "USD", HOLD_S), deadline())
        await asyncio.sleep(0.005)
    await one.run(PutAccount(account_id, group_id=group_id), deadline())
    states = []
    for limit in (100, 200):
        await one.run(PutAccount(account_id, base_limit=LimitSetting(limit)), deadline())
        found = [await one.run(GetReservation(account_id, order_id), deadline()) for order_id in order_ids]
        states.append([each.state is ReservationState.HELD for each in found])
    assert states == [[True, False, False], [True, True, False]]
