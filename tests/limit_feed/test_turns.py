"""Taking turns with orders: rests while there are some, and none without."""

import asyncio

import pytest

from creditgate.limit_feed.turns import Turns


class Orders:
    """Counts orders, and notes how long the batch rested."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done = 0
        self.rests: list[float] = []
        self.now = 100.0
        monkeypatch.setattr("creditgate.limit_feed.turns.time.monotonic", lambda: self.now)
        monkeypatch.setattr(asyncio, "sleep", self._sleep)
        self.elsewhere = False
        self.turns = Turns(lambda: self.done, lambda: self.elsewhere)

    async def step(self, duration_s: float, orders: int) -> None:
        self.now += duration_s
        self.done += orders
        await self.turns.rest()

    async def _sleep(self, duration_s: float) -> None:
        self.rests.append(round(duration_s, 6))
        self.now += duration_s
        self.done += 1


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> Orders:
    return Orders(monkeypatch)


async def test_without_orders_a_batch_does_not_rest(orders: Orders) -> None:
    for _ in range(3):
        await orders.step(0.01, 0)
    assert orders.rests == []


async def test_with_orders_it_rests_three_times_as_long_as_a_step_takes(orders: Orders) -> None:
    await orders.step(0.01, 5)
    await orders.step(0.002, 0)
    await orders.step(0.0, 1)
    await orders.step(0.012, 1)
    assert orders.rests == [0.03, 0.0243, 0.036]


async def test_while_other_servers_have_orders_it_rests_after_each_step(orders: Orders) -> None:
    orders.elsewhere = True
    for _ in range(3):
        await orders.step(0.01, 0)
    assert orders.rests == [0.03, 0.03, 0.03]


async def test_a_rest_is_bounded(orders: Orders) -> None:
    await orders.step(7, 1)
    assert orders.rests == [0.05]
