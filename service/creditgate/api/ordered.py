"""Works on the items of a stream side by side, and gives their results in the items' order."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


async def in_order(
    items: AsyncIterator[ItemT], work: Callable[[ItemT], Coroutine[Any, Any, ResultT]], at_once_max: int
) -> AsyncGenerator[ResultT, None]:
    """Yield what `work` makes of each item, in the items' order.

    Work begins in that order too. At most `at_once_max` items are under way; the next one is drawn when the caller is
    done with the first one's result. What is under way when the caller stops is cancelled, and has ended when this has:
    close it (`contextlib.aclosing`). Raises what drawing an item or `work` raises, behind the results before it.
    """
    under_way: asyncio.Queue[asyncio.Task[ResultT] | None] = asyncio.Queue()
    places = asyncio.Semaphore(at_once_max)
    tasks: set[asyncio.Task[ResultT]] = set()

    async def draw() -> None:
        try:
            await places.acquire()
            async for item in items:
                task = asyncio.create_task(work(item))
                tasks.add(task)
                under_way.put_nowait(task)
                await places.acquire()
        finally:
            under_way.put_nowait(None)

    drawing = asyncio.create_task(draw())
    try:
        while (task := await under_way.get()) is not None:
            result = await task
            tasks.discard(task)
            yield result
            places.release()
        await drawing
    finally:
        drawing.cancel()
        for unfinished in tasks:
            unfinished.cancel()
        # Nothing goes on behind the caller's back.
        await asyncio.gather(drawing, *tasks, return_exceptions=True)
