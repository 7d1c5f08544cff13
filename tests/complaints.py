"""What asyncio complains about when nobody is there to hear it: tasks whose error or end nobody looked at."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def no_complaints() -> AsyncIterator[None]:
    """Fail at the end when a task was left with an error that nobody retrieved, or pending."""
    heard: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: heard.append(context))
    try:
        yield
        gc.collect()  # a forgotten task complains when it is thrown away
    finally:
        loop.set_exception_handler(None)
    assert not heard, heard
