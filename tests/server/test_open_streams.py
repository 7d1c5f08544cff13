"""Streams that are open: whoever reads one may give up at any time."""

import asyncio
from collections.abc import AsyncIterator

from creditgate.server.open_streams import OpenStreams

GIVE_UP_S = 2.0


async def silence() -> AsyncIterator[bytes]:
    """A client that sends nothing."""
    await asyncio.Event().wait()
    yield b""


async def test_a_reader_that_gives_up_leaves_nothing_waiting() -> None:
    before = asyncio.all_tasks()
    with OpenStreams().open(silence()) as stream:

        async def read_all() -> list[bytes]:
            return [message async for message in stream.messages()]

        reader = asyncio.create_task(read_all())
        await asyncio.wait({reader}, timeout=0.05)
        reader.cancel()
        await asyncio.wait({reader})
    _, waiting = await asyncio.wait(asyncio.all_tasks() - before, timeout=GIVE_UP_S)
    assert not waiting
