"""What all rules cost: Redis' CPU for a decision about plain accounts, and about accounts that every rule looks at."""

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final, TypeVar

from benchmarks.bench import BATCH, Bench, Gate
from benchmarks.orders import CURRENCY_CODE, LIMIT_MINOR, account_id
from benchmarks.processes import started_gate
from benchmarks.rows import Row, Target, against
from benchmarks.sampling import Contender, FailedRunError, Sample
from benchmarks.stores import deadline_soon, opened_store, started_redis
from creditgate.domain.errors import CreditError
from creditgate.domain.operations import LimitSetting, Operation, PostReceivable, PutAccount, PutGroup, UpdateAging
from creditgate.domain.rates import parse_rate
from creditgate.store import RedisCreditStore

GROUP_ACCOUNTS: Final = 10
"""Accounts of a group that orders are placed on; it has one more, in another currency."""

EVERY_RULE: Final = """
default:
  rules:
    account_blocked: {action: reject}
    account_closed: {action: reject}
    limit_not_set: {action: reject}
    limit_expired: {action: reject, grace_days: 7}
    limit_stale: {action: review, days: 30}
    limit_exceeded: {action: reject}
    within_tolerance: {action: flag, percent: 5, amount: {USD: 500.00}}
    near_limit: {action: flag, percent: 90}
    group_limit_exceeded: {action: review, tolerance_percent: 2}
    order_too_large: {action: review, amount: {USD: 25000.00}}
    overdue_amount: {action: review, amount: {USD: 500.00}, above_percent_used: 50}
    overdue_days: {action: reject, days: 60, amount: {USD: 100.00}}
    velocity_exceeded: {action: review, window: 7d, percent: 80}
    terms_too_long: {action: review, days: 60}
"""
"""Every rule is on, and none has a reason to fire: what is measured is looking."""

_OTHER_CURRENCY: Final = "EUR"
_RATE: Final = "1.0842"
_OWED_MINOR: Final = 123_456
_AT_ONCE: Final = 256
_IN_FLIGHT: Final = 64
_PARTS: Final = 4
_US_PER_S: Final = 1_000_000
_GROUP: Final = "policy"
_UNIT: Final = "us/decision"

R = TypeVar("R")


async def measure_policy(bench: Bench) -> list[Row]:
    """Decisions of accounts with a limit and nothing else without a policy file, against those that all rules judge."""
    accounts = bench.size.policy_accounts
    rows = []
    async with AsyncExitStack() as stack:
        gates = {
            "plain accounts": await bench.start_gate(stack, "memory", accounts),
            "every rule on, in a group of two currencies": await _start_full_gate(bench, stack, accounts),
        }
        for gate in gates.values():
            await gate.reserve_on_each()
        for how, reserve in _WAYS.items():
            contenders = [Contender(f"{what}, {how}", partial(reserve, gate)) for what, gate in gates.items()]
            samples = await bench.take_turns(contenders, _PARTS)
            baseline, row = (_row(contender.name, samples[contender.name]) for contender in contenders)
            rows += [baseline, against(row, baseline, Target("ratio", "at most", 1.8))]
    return rows


async def _reserve_one_by_one(gate: Gate, run: int, count: int) -> Sample:
    return await gate.reserve(run, count, in_flight=_IN_FLIGHT)


async def _reserve_in_batches(gate: Gate, run: int, count: int) -> Sample:
    return await gate.reserve_in_batches(run, count)


_WAYS: Final = {
    f"ReserveCredit, {_IN_FLIGHT} in flight": _reserve_one_by_one,
    f"batch of {BATCH}": _reserve_in_batches,
}
"""How orders are placed: as an order-entry system does, and so that nothing but the decision takes Redis' time."""


def _row(name: str, samples: list[Sample]) -> Row:
    figures = tuple(sample.redis_cpu_s / sample.count * _US_PER_S for sample in samples)
    return Row(
        group=_GROUP,
        name=name,
        unit=_UNIT,
        figure=median(figures),
        samples=figures,
        elsewhere_share=median(sample.elsewhere_cpu_s / sample.wall_s for sample in samples),
        note="CPU of the redis-server",
    )


async def _start_full_gate(bench: Bench, stack: AsyncExitStack, accounts: int) -> Gate:
    redis = await stack.enter_async_context(started_redis(bench.new_data_dir(), "memory"))
    async with opened_store(redis.url) as store:
        await _put_groups(store, accounts)
    policy_file = bench.data_dir / "policy.yaml"
    _write(policy_file)
    server = await stack.enter_async_context(started_gate(redis.url, policy_file))
    return Gate(bench, redis, server, accounts)


def _write(policy_file: Path) -> None:
    policy_file.write_text(EVERY_RULE, encoding="utf-8")


async def _put_groups(store: RedisCreditStore, accounts: int) -> None:
    """Create accounts in groups, each of which owes in two currencies, with a rate and with ageing."""
    await store.put_rates([parse_rate(_OTHER_CURRENCY, CURRENCY_CODE, _RATE)], 1, 0, deadline_soon())
    groups = range(-(-accounts // GROUP_ACCOUNTS))
    await _carry_out(store, (PutGroup(_group_id(number), CURRENCY_CODE, LIMIT_MINOR, "") for number in groups))
    await _carry_out(
        store,
        (
            PutAccount(_sister_id(number), _OTHER_CURRENCY, unlimited=True, group_id=_group_id(number))
            for number in groups
        ),
    )
    await _carry_out(
        store, (PostReceivable(_sister_id(number), "opening", _OWED_MINOR, _OTHER_CURRENCY) for number in groups)
    )
    await _carry_out(
        store,
        (
            PutAccount(
                account_id(number),
                CURRENCY_CODE,
                base_limit=LimitSetting(LIMIT_MINOR),
                group_id=_group_id(number // GROUP_ACCOUNTS),
            )
            for number in range(accounts)
        ),
    )
    now = datetime.now(UTC)
    await _carry_out(
        store,
        (
            UpdateAging(account_id(number), 5_000, 1_000, now.date(), int(now.timestamp() * 1000))
            for number in range(accounts)
        ),
    )


async def _carry_out(store: RedisCreditStore, operations: Iterable[Operation[R]]) -> None:
    """Carry out operations, many at a time: an account joins a group in several steps."""
    waiting = iter(operations)

    async def work() -> None:
        for operation in waiting:
            await store.run(operation, deadline_soon())

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_AT_ONCE):
                tasks.create_task(work())
    except* CreditError as failed:
        raise FailedRunError(f"an account could not be made: {failed.exceptions[0]}") from None


def _group_id(number: int) -> str:
    return f"group-{number:08d}"


def _sister_id(number: int) -> str:
    return f"sister-{number:08d}"
