"""Conversion never favours the customer: not of one order, not of an order in parts, not of a group."""

import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from fractions import Fraction
from random import Random
from typing import Final

import pytest

from creditgate.domain.decision import Outcome, ReasonCode
from creditgate.domain.money import minor_digits
from creditgate.domain.operations import (
    AmendReservation,
    CheckCredit,
    CommitReservation,
    GetAccount,
    GetGroup,
    LimitSetting,
    PostReceivable,
    PutAccount,
    PutGroup,
    ReserveCredit,
)
from creditgate.domain.policy import DEFAULT_POLICY
from tests.private_redis import PrivateRedis
from tests.store.opened import open_store
from tests.store.worlds import CURRENCIES, DAY_S, Stage

EXAMPLES: Final = 40
SEEDS: Final = range(2)

Rates = Mapping[tuple[str, str], str]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRedis]:
    """A Redis whose clock and rates are these tests' own."""
    server = PrivateRedis(tmp_path_factory.mktemp("worlds"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def stage(server: PrivateRedis, new_id: Callable[[str], str]) -> AsyncIterator[Stage]:
    async with open_store(server.url, policy=DEFAULT_POLICY) as store:
        yield Stage(store, server, new_id)


def drawn_rates(draw: Random) -> Rates:
    """Return a rate for every pair; each direction is drawn on its own."""
    return {
        (one, other): f"{draw.randrange(1, 10 ** draw.randrange(1, 8))}.{draw.randrange(10 ** draw.randrange(1, 5))}"
        for one in CURRENCIES
        for other in CURRENCIES
        if one != other
    }


def exact(rates: Rates, amount: int, from_code: str, to_code: str) -> Fraction:
    """Return what an amount is worth in minor units, not rounded."""
    if from_code == to_code:
        return Fraction(amount)
    digits = (minor_digits(to_code) or 0) - (minor_digits(from_code) or 0)
    return Fraction(amount) * Fraction(rates[from_code, to_code]) * Fraction(10) ** digits


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_order_is_worth_at_least_what_it_is_worth_exactly(
    stage: Stage, new_id: Callable[[str], str], seed: int
) -> None:
    draw = Random(f"orders {seed}")
    for _ in range(EXAMPLES):
        rates, (of, to) = drawn_rates(draw), draw.sample(CURRENCIES, 2)
        await stage.put_rates(rates)
        amount = draw.randrange(3, 10 ** draw.randrange(1, 7) + 4)
        worth = math.ceil(exact(rates, amount, of, to))
        fits, one_short, in_parts = (new_id(kind) for kind in ("fits", "short", "parts"))
        await stage.run(PutAccount(fits, to, base_limit=LimitSetting(worth)))
        await stage.run(PutAccount(one_short, to, base_limit=LimitSetting(worth - 1)))
        await stage.run(PutAccount(in_parts, to, unlimited=True))
        # It is within the limit that it is worth, rounded up, and not within a smaller one.
        assert (await stage.run(CheckCredit(fits, amount, of))).outcome is Outcome.APPROVED
        refused = await stage.run(CheckCredit(one_short, amount, of))
        assert [(each.code, each.observed, each.threshold) for each in refused.reasons] == [
            (ReasonCode.LIMIT_EXCEEDED, worth, worth - 1)
        ]
        # In parts it takes no less of the credit, nor when it grows to its amount, nor once it is invoiced.
        first = draw.randrange(1, amount - 1)
        await stage.run(ReserveCredit(in_parts, "o1", first, of, DAY_S))
        await stage.run(ReserveCredit(in_parts, "o2", 1, of, DAY_S))
        await stage.run(AmendReservation(in_parts, "o2", amount - first, of))
        await stage.run(CommitReservation(in_parts, "o1", draw.randrange(1, first + 1), of, "d1"))
        exposure = (await stage.run(GetAccount(in_parts))).exposure
        assert exposure.reserved_minor + exposure.receivable_minor >= worth


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_group_owes_at_least_what_its_accounts_owe_exactly(
    stage: Stage, new_id: Callable[[str], str], seed: int
) -> None:
    draw = Random(f"groups {seed}")
    for _ in range(EXAMPLES):
        rates, currency = drawn_rates(draw), draw.choice(CURRENCIES)
        await stage.put_rates(rates)
        group_id = new_id("group")
        await stage.run(PutGroup(group_id, currency, None, ""))
        owed: dict[str, int] = {}
        for _ in range(5):
            account_id, of = new_id("member"), draw.choice(CURRENCIES)
            await stage.run(PutAccount(account_id, of, unlimited=True, group_id=group_id))
            held, invoiced = draw.randrange(1, 10_000), draw.randrange(1, 10_000)
            await stage.run(ReserveCredit(account_id, "o", held, of, DAY_S))
            await stage.run(PostReceivable(account_id, "d", invoiced, of))
            owed[of] = owed.get(of, 0) + held + invoiced
        least = sum(exact(rates, amount, of, currency) for of, amount in owed.items())
        exposure = (await stage.run(GetGroup(group_id))).exposure_minor
        assert exposure is not None
        # Each currency is rounded up once: never below what is owed, and less than a minor unit above it for each.
        assert least <= exposure < least + len(owed)
        # A further order that is worth the headroom is within the group's limit, and no larger one.
        for limit, outcome in ((exposure + 100, Outcome.APPROVED), (exposure + 99, Outcome.REJECTED)):
            await stage.run(PutGroup(group_id, currency, limit, ""))
            newcomer = new_id("new")
            await stage.run(PutAccount(newcomer, currency, unlimited=True, group_id=group_id))
            assert (await stage.run(CheckCredit(newcomer, 100, currency))).outcome is outcome
