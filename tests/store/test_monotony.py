"""More exposure never turns a refusal into an approval, and a higher limit never an approval into a refusal."""

import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from creditgate.domain.decision import Action, Decision, Outcome, ReasonCode
from creditgate.domain.operations import (
    CheckCredit,
    LimitSetting,
    PostReceivable,
    PutAccount,
    ReserveCredit,
    UpdateAging,
)
from creditgate.domain.policy import DEFAULT_CLASS, DEFAULT_RULES, ClassPolicy, Policy, RuleSetting
from creditgate.store import RedisCreditStore
from tests.patience import PATIENCE_S
from tests.store.opened import open_store

ACTIONS = (Action.OFF, Action.SHADOW, Action.FLAG, Action.REVIEW, Action.REJECT)
SHARES_BPS = (0, 1, 500, 5000, 9000, 10_000)
WITHOUT_THRESHOLD = {ReasonCode.LIMIT_NOT_SET, ReasonCode.LIMIT_STALE, ReasonCode.LIMIT_EXPIRED}
REFUSALS = {Outcome.PENDING_REVIEW, Outcome.REJECTED}
EXAMPLES = 40


def drawn_policy(draw: random.Random, version: str) -> Policy:
    """Return any policy."""
    rules = {
        code: RuleSetting(
            draw.choice(ACTIONS),
            number=86_400,
            share_bps=draw.choice(SHARES_BPS),
            amounts=draw.choice(({}, {"USD": draw.randrange(300)})),
        )
        for code in ReasonCode
        if code not in WITHOUT_THRESHOLD
    }
    # A policy file in which a smaller order is refused where a larger one is not can't be used.
    exceeded = rules[ReasonCode.LIMIT_EXCEEDED].action
    for code in (ReasonCode.WITHIN_TOLERANCE, ReasonCode.NEAR_LIMIT):
        if rules[code].action > exceeded:
            rules[code] = replace(rules[code], action=exceeded)
    tolerance = rules[ReasonCode.WITHIN_TOLERANCE].action
    if tolerance > Action.SHADOW and rules[ReasonCode.NEAR_LIMIT].action > tolerance:
        rules[ReasonCode.NEAR_LIMIT] = replace(rules[ReasonCode.NEAR_LIMIT], action=tolerance)
    return Policy(version, {DEFAULT_CLASS: ClassPolicy({**DEFAULT_RULES, **rules})})


def deadline() -> float:
    return time.monotonic() + PATIENCE_S


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[RedisCreditStore]:
    async with open_store(redis_url) as store:
        yield store


async def decision_on(store: RedisCreditStore, account_id: str, limit: int, owed: int, order: int) -> Decision:
    """Return what is decided about an order of an account with a limit that owes so much."""
    await store.run(PutAccount(account_id, "USD", base_limit=LimitSetting(limit)), deadline())
    await store.run(
        UpdateAging(account_id, 150, 0, date(2026, 1, 1), int(datetime.now(UTC).timestamp() * 1000)), deadline()
    )
    if owed:
        await store.run(PostReceivable(account_id, "d", owed, "USD"), deadline())
    await store.run(ReserveCredit(account_id, "before", 1, "USD", 3600), deadline())
    return await store.run(CheckCredit(account_id, order, "USD"), deadline())


@pytest.mark.parametrize("seed", range(3))
async def test_monotony(store: RedisCreditStore, new_id: Callable[[str], str], seed: int) -> None:
    draw = random.Random(seed)
    approvals = 0
    for number in range(EXAMPLES):
        policy = drawn_policy(draw, f"drawn-{seed}-{number}")
        store.use_policy(policy)
        limit, owed, order, more = (
            draw.randrange(400),
            draw.randrange(400),
            1 + draw.randrange(300),
            1 + draw.randrange(300),
        )
        plain = await decision_on(store, new_id("acc"), limit, owed, order)
        owes_more = await decision_on(store, new_id("acc"), limit, owed + more, order)
        higher = await decision_on(store, new_id("acc"), limit + more, owed, order)
        assert {each.policy_version for each in (plain, owes_more, higher)} == {policy.version}
        if plain.outcome in REFUSALS:
            assert owes_more.outcome in REFUSALS
        else:
            approvals += 1
            assert higher.outcome not in REFUSALS
    assert 0 < approvals < EXAMPLES
