"""How many chunks are with the store at once: few beside orders, more without."""

import asyncio
from collections.abc import Awaitable

import pytest

from creditgate.store.limit_steps import (
    CHUNKS_A_CALL_ALONE,
    QUIET_S,
    STEPS_ALONE,
    STEPS_BESIDE_ORDERS,
    StepsUnderWay,
    ahead,
)


class Site:
    """A clock and orders that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.done = 7
        monkeypatch.setattr("creditgate.store.limit_steps.time.monotonic", lambda: self.now)
        self.elsewhere = False
        self.steps = StepsUnderWay(lambda: self.done, lambda: self.elsewhere)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(monkeypatch)


def test_an_order_makes_chunks_few_until_it_has_been_quiet_for_a_while(site: Site) -> None:
    assert site.steps.most() == STEPS_ALONE
    site.done += 1
    assert site.steps.most() == STEPS_BESIDE_ORDERS
    site.now += QUIET_S - 0.25
    assert site.steps.most() == STEPS_BESIDE_ORDERS
    site.now += 0.25
    assert site.steps.most() == STEPS_ALONE


def test_calls_bring_several_chunks_where_there_are_no_orders(site: Site) -> None:
    assert site.steps.most_in_call() == CHUNKS_A_CALL_ALONE
    assert site.steps.most_calls() * site.steps.most_in_call() == STEPS_ALONE
    site.done += 1
    assert (site.steps.most_calls(), site.steps.most_in_call()) == (STEPS_BESIDE_ORDERS, 1)


def test_chunks_are_few_while_other_servers_have_orders(site: Site) -> None:
    site.elsewhere = True
    assert (site.steps.most(), site.steps.most_in_call()) == (STEPS_BESIDE_ORDERS, 1)
    site.elsewhere = False
    assert site.steps.most() == STEPS_ALONE


@pytest.mark.parametrize(("orders", "most"), [(0, STEPS_ALONE), (1, STEPS_BESIDE_ORDERS)])
async def test_so_many_steps_are_under_way_and_told_in_their_order(site: Site, orders: int, most: int) -> None:
    begun, at_once = iter(range(12)), [0]
    under_way = 0

    async def step(number: int) -> int:
        nonlocal under_way
        under_way += 1
        at_once.append(under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return number

    def begin() -> Awaitable[int] | None:
        number = next(begun, None)
        return step(number) if number is not None else None

    site.done += orders
    assert [number async for number in ahead(begin, site.steps.most)] == list(range(12))
    assert max(at_once) == most
