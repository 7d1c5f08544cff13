"""Working on a stream's items side by side."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import pytest

from creditgate.api.ordered import in_order
from tests.complaints import no_complaints

AT_ONCE = 4


@pytest.fixture(autouse=True)
async def quiet() -> AsyncIterator[None]:
    async with no_complaints():
        yield


class BrokenSourceError(Exception):
    """The items end with it."""


class BrokenWorkError(Exception):
    """Work on an item ends with it."""


class Workshop:
    """Items and the work on them, which is done when the test says so."""

    def __init__(self, count: int, broken_after: int | None = None) -> None:
        self.drawn = 0
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.cancelled: list[int] = []
        self._count = count
        self._broken_after = broken_after
        self._done: dict[int, asyncio.Future[None]] = {}

    async def items(self) -> AsyncIterator[int]:
        for item in range(self._count):
            if item == self._broken_after:
                raise BrokenSourceError
            self.drawn += 1
            yield item

    async def work(self, item: int) -> str:
        self.begun.append(item)
        try:
            await self.of(item)
        except asyncio.CancelledError:
            self.cancelled.append(item)
            raise
        self.ended.append(item)
        return f"r{item}"

    def of(self, item: int) -> asyncio.Future[None]:
        return self._done.setdefault(item, asyncio.get_running_loop().create_future())

    def finish(self, *items: int) -> None:
        for item in items:
            self.of(item).set_result(None)

    def break_(self, *items: int) -> None:
        for item in items:
            self.of(item).set_exception(BrokenWorkError(str(item)))
            self.of(item).exception()  # work that is cancelled before it begins never looks at it

    def results(self) -> AsyncGenerator[str, None]:
        return in_order(self.items(), self.work, AT_ONCE)


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def next_of(results: AsyncIterator[str]) -> str:
    return await asyncio.wait_for(anext(results), 5)


async def test_results_come_in_the_order_of_the_items() -> None:
    shop = Workshop(10)
    for item in reversed(range(10)):
        shop.finish(item)
    assert [result async for result in shop.results()] == [f"r{item}" for item in range(10)]
    assert shop.begun == list(range(10))


async def test_no_items() -> None:
    assert [result async for result in Workshop(0).results()] == []


async def test_work_goes_on_side_by_side() -> None:
    shop = Workshop(3)
    results = shop.results()
    first = asyncio.ensure_future(next_of(results))
    await settle()
    assert shop.begun == [0, 1, 2]
    shop.finish(2, 1)
    await settle()
    assert (shop.ended, first.done()) == ([2, 1], False)
    shop.finish(0)
    assert [await first, await next_of(results), await next_of(results)] == ["r0", "r1", "r2"]
    with pytest.raises(StopAsyncIteration):
        await next_of(results)


async def test_the_next_item_is_drawn_when_the_first_result_is_taken() -> None:
    shop = Workshop(100)
    async with aclosing(shop.results()) as results:
        first = asyncio.ensure_future(next_of(results))
        shop.finish(*range(100))
        await settle()
        assert await first == "r0"
        await settle()
        assert (shop.drawn, shop.begun) == (AT_ONCE, [0, 1, 2, 3]), "the first result is not done with yet"
        assert await next_of(results) == "r1"
        await settle()
        assert shop.drawn == AT_ONCE + 1


async def test_work_that_fails_ends_it_behind_the_results_before() -> None:
    shop = Workshop(10)
    results = shop.results()
    first = asyncio.ensure_future(next_of(results))
    await settle()
    shop.break_(2, 3)
    shop.finish(0, 1)
    assert [await first, await next_of(results)] == ["r0", "r1"]
    with pytest.raises(BrokenWorkError, match="2"):
        await next_of(results)
    assert sorted(shop.cancelled) == [item for item in shop.begun if item > 3]
    with pytest.raises(StopAsyncIteration):
        await next_of(results)


async def test_items_that_fail_end_it_behind_the_results_before() -> None:
    shop = Workshop(10, broken_after=2)
    shop.finish(0, 1)
    results = shop.results()
    assert [await next_of(results), await next_of(results)] == ["r0", "r1"]
    with pytest.raises(BrokenSourceError):
        await next_of(results)


async def test_work_that_fails_before_items_that_fail() -> None:
    shop = Workshop(10, broken_after=2)
    shop.break_(0, 1)
    with pytest.raises(BrokenWorkError, match="0"):
        await next_of(shop.results())


async def test_who_stops_taking_cancels_what_is_under_way() -> None:
    shop = Workshop(10)
    shop.finish(0)
    async with aclosing(shop.results()) as results:
        assert await next_of(results) == "r0"
        await settle()
        assert shop.begun == [0, 1, 2, 3]
    assert sorted(shop.cancelled) == [1, 2, 3], "and has waited for it"


async def test_who_stops_taking_does_not_hear_of_failures() -> None:
    shop = Workshop(10, broken_after=3)
    shop.finish(0)
    async with aclosing(shop.results()) as results:
        assert await next_of(results) == "r0"
        await settle()
        shop.break_(1, 2)
        await settle()


async def test_a_cancelled_taker_cancels_what_is_under_way() -> None:
    shop = Workshop(10)

    async def take_all() -> None:
        async for _ in shop.results():
            pass

    taking = asyncio.ensure_future(take_all())
    await settle()
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert sorted(shop.cancelled) == [0, 1, 2, 3]


async def test_items_that_do_not_come_are_not_waited_for_once_nobody_takes() -> None:
    async def never() -> AsyncIterator[int]:
        await asyncio.Event().wait()
        yield 0

    async with aclosing(in_order(never(), Workshop(0).work, AT_ONCE)) as results:
        waiting = asyncio.ensure_future(next_of(results))
        await settle()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
