"""Works on the items of a stream side by side, and gives their results in the items' order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


async def in_order(
    items: AsyncIterator[ItemT], work: Callable[[ItemT], Coroutine[Any, Any, ResultT]], at_once_max: int
) -> AsyncIterator[ResultT]:
    """Yield what `work` makes of each item, in the items' order.

    Work begins in that order too. At most `at_once_max` items are under way; the next one is drawn when the first of
    them is done and its result taken. What is under way when the caller stops is cancelled. Raises what drawing an item
    or `work` raises, once the results before it have been taken.
    """
    under_way: asyncio.Queue[asyncio.Task[ResultT] | None] = asyncio.Queue()
    places = asyncio.Semaphore(at_once_max)
    tasks: set[asyncio.Task[ResultT]] = set()

    async def draw() -> None:
        try:
            async for item in items:
                await places.acquire()
                task = asyncio.create_task(work(item))
                tasks.add(task)
                under_way.put_nowait(task)
        finally:
            under_way.put_nowait(None)

    drawing = asyncio.create_task(draw())
    try:
        while (task := await under_way.get()) is not None:
            result = await task
            tasks.discard(task)
            places.release()
            yield result
        await drawing
    finally:
        drawing.cancel()
        for unfinished in tasks:
            unfinished.cancel()
