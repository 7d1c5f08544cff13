"""Streams that are open, so that they can be ended from this side: what was read is still answered."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

_READ_AHEAD_MAX: Final = 16
"""Messages of a stream that are read before they are asked for."""


class OpenStream:
    """One stream's messages. `ended_early` says that not all of them were read."""

    def __init__(self, messages: AsyncIterator[bytes]) -> None:
        self._messages = messages
        self._read: asyncio.Queue[bytes | None] = asyncio.Queue(_READ_AHEAD_MAX)
        self._reading = asyncio.create_task(self._read_all())
        self.ended_early = False

    async def messages(self) -> AsyncIterator[bytes]:
        """Yield the messages as they come, to the end of the stream or until it is ended from this side."""
        while (message := await self._next()) is not None:
            yield message

    def end(self) -> None:
        """Read no more; what was read is still given out."""
        if not self._reading.done():
            self.ended_early = True
            self._reading.cancel()

    async def _next(self) -> bytes | None:
        if self._read.empty() and not self._reading.done():
            getting = asyncio.ensure_future(self._read.get())
            try:
                await asyncio.wait({getting, self._reading}, return_when=asyncio.FIRST_COMPLETED)
                if getting.done():
                    return getting.result()
            finally:
                getting.cancel()  # also when whoever waits is cancelled: a wait leaves what it waited for alone
        if not self._read.empty():
            return self._read.get_nowait()
        if not self._reading.cancelled():
            self._reading.result()  # raises what reading ended with, if anything
        return None

    async def _read_all(self) -> None:
        async for message in self._messages:
            await self._read.put(message)


class OpenStreams:
    """All streams that are open."""

    def __init__(self) -> None:
        self._open: set[OpenStream] = set()
        self._ended = False

    @contextmanager
    def open(self, messages: AsyncIterator[bytes]) -> Iterator[OpenStream]:
        """Provide a stream's messages for as long as it is served."""
        stream = OpenStream(messages)
        self._open.add(stream)
        if self._ended:
            stream.end()
        try:
            yield stream
        finally:
            self._open.discard(stream)
            stream.end()

    def end(self) -> None:
        """End all streams, and those that come."""
        self._ended = True
        for stream in self._open:
            stream.end()
