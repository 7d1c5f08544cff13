"""What no policy may turn round, in worlds with groups, currencies, all kinds of limits and every rule on.

More exposure never turns a refusal into an approval, a higher limit never an approval into a refusal; and a rule in
shadow changes nothing.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Final

import pytest

from creditgate.domain.decision import Action, Decision, Outcome, ReasonCode
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.policy import DEFAULT_CLASS, Policy, RuleSetting
from tests.private_redis import PrivateRedis
from tests.store.opened import open_store
from tests.store.worlds import Stage, World, draw_world

SEEDS: Final = range(3)
JUDGES: Final = (None, *ReasonCode)
"""Which rule alone may refuse, in worlds that give it reason to; None: any of them."""

EXAMPLES: Final = 30
REFUSALS: Final = frozenset({Outcome.PENDING_REVIEW, Outcome.REJECTED})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRedis]:
    """A Redis whose clock and rates are these tests' own."""
    server = PrivateRedis(tmp_path_factory.mktemp("worlds"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def stage(server: PrivateRedis, new_id: Callable[[str], str]) -> AsyncIterator[Stage]:
    async with open_store(server.url) as store:
        yield Stage(store, server, new_id)


def with_more_exposure(world: World, more: int) -> dict[str, World]:
    """Return worlds that differ in one thing, which makes the order no better a risk."""
    order, group = world.order, world.group
    worse = {
        "a larger order": replace(world, order=order._replace(amount=order.amount + more)),
        "more is owed": replace(world, owes=world.owes + more),
        "more is reserved": replace(world, reserved=world.reserved + more),
        "more is overdue": replace(world, overdue=world.overdue + more),
        "less is secured": replace(world, order=order._replace(secured=max(0, order.secured - more))),
        "longer terms": replace(world, order=order._replace(terms_days=order.terms_days + more)),
    }
    if group is not None:
        worse |= {
            "the sister owes more": replace(world, group=group._replace(sister_owes=group.sister_owes + more)),
            "the sister has reserved more": replace(
                world, group=group._replace(sister_reserved=group.sister_reserved + more)
            ),
        }
    return worse


def with_a_higher_limit(world: World, more: int) -> dict[str, World]:
    """Return worlds that differ in one limit."""
    limits, group = world.limits, world.group
    better: dict[str, World] = {}
    if limits is not None:
        raised = {"base": limits._replace(base=limits.base + more), "unlimited": limits._replace(unlimited=True)}
        if limits.manual is not None:
            raised["manual"] = limits._replace(manual=limits.manual + more)
        if limits.temporary is not None:
            raised["temporary"] = limits._replace(temporary=limits.temporary + more)
        better = {name: replace(world, limits=each) for name, each in raised.items()}
    if group is not None and group.limit is not None:
        better |= {
            "the group's limit": replace(world, group=group._replace(limit=group.limit + more)),
            "no group limit": replace(world, group=group._replace(limit=None)),
        }
    return better


def told(decision: Decision) -> set[ReasonCode]:
    return {reason.code for reason in (*decision.reasons, *decision.shadow_reasons)}


@pytest.mark.parametrize("judge", JUDGES)
async def test_more_exposure_never_turns_a_refusal_into_an_approval(stage: Stage, judge: ReasonCode | None) -> None:
    draw = Random(f"exposure {judge}")
    refusals, fired = 0, set[ReasonCode]()
    for number in range(EXAMPLES):
        world = draw_world(draw, f"drawn-{number}", judge)
        decision = await stage.judge(world)
        fired |= told(decision)
        if decision.outcome not in REFUSALS:
            continue
        refusals += 1
        for name, worse in with_more_exposure(world, 1 + draw.randrange(600)).items():
            assert (await stage.judge(worse)).outcome in REFUSALS, (name, world)
    assert refusals
    assert judge is None or judge in fired


@pytest.mark.parametrize("judge", JUDGES)
async def test_a_higher_limit_never_turns_an_approval_into_a_refusal(stage: Stage, judge: ReasonCode | None) -> None:
    draw = Random(f"limit {judge}")
    approvals = 0
    for number in range(EXAMPLES):
        world = draw_world(draw, f"drawn-{number}", judge)
        if (await stage.judge(world)).outcome in REFUSALS:
            continue
        approvals += 1
        for name, better in with_a_higher_limit(world, 1 + draw.randrange(600)).items():
            assert (await stage.judge(better)).outcome not in REFUSALS, (name, world)
    assert approvals


def without_shadow(policy: Policy) -> Policy:
    """Return the policy with the rules off that it has in shadow."""
    judged = policy.classes[DEFAULT_CLASS]
    rules = {
        code: RuleSetting(Action.OFF) if setting.action is Action.SHADOW else setting
        for code, setting in judged.rules.items()
    }
    return replace(policy, classes={DEFAULT_CLASS: replace(judged, rules=rules)})


async def judged_or_failed(stage: Stage, world: World) -> tuple[object, ...]:
    """Return outcome and reasons, or why the order can't be judged."""
    try:
        decision = await stage.judge(world)
    except CreditError as error:
        return (error.reason,)
    return decision.outcome, decision.reasons


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_rule_in_shadow_changes_nothing(stage: Stage, seed: int) -> None:
    draw = Random(f"shadow {seed}")
    for number in range(EXAMPLES):
        world = draw_world(draw, f"drawn-{number}")
        rates = {pair: rate for pair, rate in world.rates.items() if draw.random() < 0.8}
        world = replace(world, rates=rates)
        without = replace(world, policy=without_shadow(world.policy))
        assert await judged_or_failed(stage, world) == await judged_or_failed(stage, without), world


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_gate_in_shadow_takes_every_order_that_can_be_counted(stage: Stage, seed: int) -> None:
    draw = Random(f"gate {seed}")
    for number in range(EXAMPLES):
        world = draw_world(draw, f"drawn-{number}")
        rates = {pair: rate for pair, rate in world.rates.items() if draw.random() < 0.8}
        world = replace(world, policy=replace(world.policy, shadow=True), rates=rates)
        needed = (world.order.currency, world.currency)
        counted = needed in rates or needed[0] == needed[1]
        expected = (Outcome.APPROVED, ()) if counted else (ErrorReason.EXCHANGE_RATE_NOT_FOUND,)
        assert await judged_or_failed(stage, world) == expected, world
