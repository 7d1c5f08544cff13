"""What was approved within a window stands in the account's record, whatever else is done to that."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import date

import pytest

from creditgate.domain.decision import Action, Outcome, ReasonCode
from creditgate.domain.operations import LimitSetting, PutAccount, PutGroup, ReserveCredit, UpdateAging
from creditgate.domain.policy import DEFAULT_CLASS, DEFAULT_RULES, ClassPolicy, Policy, RuleSetting
from creditgate.store import keys, layouts
from tests.private_redis import PrivateRedis
from tests.store.batches import Batch, limits_of, rows_of
from tests.store.clocked import PARTITION, ClockedStore, clocked_store
from tests.store.desk import deadline

WINDOW_S = 86_400
BUCKET_S = WINDOW_S // 24
MOST = 100
RULES = {**DEFAULT_RULES, ReasonCode.VELOCITY_EXCEEDED: RuleSetting(Action.REJECT, WINDOW_S, amounts={"USD": MOST})}
KEY = keys.velocity(PARTITION, "a1")


@pytest.fixture
async def clocked(own_redis: Callable[..., PrivateRedis]) -> AsyncIterator[ClockedStore]:
    async with clocked_store(own_redis()) as clocked:
        clocked.store.use_policy(Policy("velocity", {DEFAULT_CLASS: ClassPolicy(RULES)}))
        await clocked.store.run(PutAccount("a1", "USD", base_limit=LimitSetting(10**9)), deadline())
        yield clocked


async def reserve(clocked: ClockedStore, order_id: str, amount: int) -> Outcome:
    order = ReserveCredit("a1", order_id, amount, "USD", 60)
    return (await clocked.store.run(order, deadline())).decision.outcome


async def check_left(clocked: ClockedStore, left: int, name: str) -> None:
    """Check that so much may still be approved, and use it up."""
    assert await reserve(clocked, f"{name}-over", left + 1) is Outcome.REJECTED
    assert await reserve(clocked, f"{name}-last", left) is Outcome.APPROVED
    assert await reserve(clocked, f"{name}-more", 1) is Outcome.REJECTED


async def test_what_was_approved_leaves_the_window_bucket_by_bucket(clocked: ClockedStore) -> None:
    for number in range(5):
        assert await reserve(clocked, f"o{number}", 10 + number) is Outcome.APPROVED
        clocked.pass_time(BUCKET_S)
    await check_left(clocked, 40, "full")
    clocked.pass_time(19 * BUCKET_S)  # the 10 are in the 24th bucket before the present one, the last that counts
    assert await reserve(clocked, "in", 1) is Outcome.REJECTED
    clocked.pass_time(BUCKET_S)
    await check_left(clocked, 10, "out")
    clocked.pass_time(30 * BUCKET_S)
    await check_left(clocked, MOST, "all out")


@pytest.mark.parametrize("scored", [{}, {"score": 0.5}, {"reasons": "late"}], ids=["plain", "scored", "reasoned"])
async def test_the_scorers_limit_leaves_velocity_alone(clocked: ClockedStore, scored: dict[str, object]) -> None:
    assert await reserve(clocked, "o1", 30) is Outcome.APPROVED
    for version in (1, 2):
        await Batch(clocked.store, f"b{version}").put(rows_of(["a1"], 5000, version, **scored))
    assert await limits_of(clocked.store, ["a1"]) == [(5000, 2)]
    await check_left(clocked, 70, "later")


async def test_what_few_accounts_have_leaves_velocity_alone(clocked: ClockedStore) -> None:
    await clocked.store.run(PutGroup("family", "USD", 10**9, ""), deadline())
    assert await reserve(clocked, "o1", 30) is Outcome.APPROVED
    await clocked.store.run(PutAccount("a1", group_id="family"), deadline())
    await clocked.store.run(UpdateAging("a1", 5, 5, date(2026, 1, 1), clocked.now_s * 1000), deadline())
    assert await reserve(clocked, "o2", 30) is Outcome.APPROVED
    await clocked.store.run(PutAccount("a1", group_id=""), deadline())
    await check_left(clocked, 40, "later")


async def test_a_window_that_changes_begins_anew(clocked: ClockedStore) -> None:
    assert await reserve(clocked, "o1", 30) is Outcome.APPROVED
    changed = {**RULES, ReasonCode.VELOCITY_EXCEEDED: RuleSetting(Action.REJECT, 3600, amounts={"USD": MOST})}
    clocked.store.use_policy(Policy("changed", {DEFAULT_CLASS: ClassPolicy(changed)}))
    await check_left(clocked, MOST, "changed")


async def test_a_window_that_changes_within_a_call_begins_anew(clocked: ClockedStore) -> None:
    slow = {**RULES, ReasonCode.VELOCITY_EXCEEDED: RuleSetting(Action.REJECT, 7 * WINDOW_S, amounts={"USD": MOST})}
    clocked.store.use_policy(Policy("two", {DEFAULT_CLASS: ClassPolicy(RULES), "slow": ClassPolicy(slow)}))
    slower, faster = (PutAccount("a1", risk_class=name) for name in ("slow", ""))
    await asyncio.gather(reserve(clocked, "o1", 30), clocked.store.run(slower, deadline()), reserve(clocked, "o2", 40))
    clocked.pass_time(2 * WINDOW_S)  # out of the first window, and within the second one
    await check_left(clocked, 60, "slow")
    # What only looks leaves what is counted as it is: the last order of the first window counts once that is back.
    await asyncio.gather(
        clocked.store.run(faster, deadline()),
        reserve(clocked, "o3", 30),
        clocked.store.run(slower, deadline()),
        reserve(clocked, "o4", MOST + 1),
        clocked.store.run(faster, deadline()),
    )
    await check_left(clocked, 70, "fast again")


async def test_what_was_stored_under_a_key_of_its_own_still_counts(clocked: ClockedStore) -> None:
    record = layouts.VELOCITY.packer.pack(WINDOW_S, clocked.now_s // BUCKET_S - 1, 2)
    record += b"".join(layouts.VELOCITY_BUCKET.packer.pack(*each) for each in ((0, 30), (20, 40)))
    clocked.client.set(KEY, record)
    assert await reserve(clocked, "over", 31) is Outcome.REJECTED
    assert clocked.client.exists(KEY)
    await check_left(clocked, 30, "later")
    assert not clocked.client.exists(KEY)
    clocked.pass_time(4 * BUCKET_S)  # the 40 are out of the window
    await check_left(clocked, 40, "without")
