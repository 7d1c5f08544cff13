"""Streams that are open, so that they can be ended from this side: what was read is still answered."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

from creditgate.domain.errors import CreditError, ErrorReason

_READ_AHEAD_MAX: Final = 16
"""Messages of a stream that are read before they are asked for."""

_GONE_WITHIN_S: Final = 0.02
"""How long after the end of a stream's messages its call is cancelled, if its client is gone."""


class OpenStream:
    """One stream's messages."""

    def __init__(self, messages: AsyncIterator[bytes]) -> None:
        self._messages = messages
        self._read: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(_READ_AHEAD_MAX)
        self._error: BaseException | None = None
        self._reading = asyncio.create_task(self._read_all())
        self._reading.add_done_callback(self._reading_ended)

    async def messages(self) -> AsyncGenerator[bytes, None]:
        """Yield the messages as they come, to the end of the stream or until it is ended from this side.

        gRPC says of a client that is gone that its messages have come to their end, and that its call is cancelled, one
        after the other. Who takes the first for the whole would carry out half of what was to come: so the end is told
        a moment late.

        Raises, behind what was read:
            CreditError: SHUTTING_DOWN, when it was ended from this side.

        """
        while (message := await self._read.get()) is not None:
            self._room.release()
            yield message
        if self._error is not None:
            raise self._error
        await asyncio.sleep(_GONE_WITHIN_S)

    def end(self) -> None:
        """Read no more; what was read is still given out."""
        self._reading.cancel()

    async def _read_all(self) -> None:
        await self._room.acquire()
        async for message in self._messages:
            self._read.put_nowait(message)
            await self._room.acquire()

    def _reading_ended(self, reading: asyncio.Task[None]) -> None:
        if reading.cancelled():
            self._error = CreditError(
                ErrorReason.SHUTTING_DOWN,
                "the service is stopping; what it had read of the stream is answered, ask another one for the rest",
            )
        else:
            self._error = reading.exception()
        self._read.put_nowait(None)


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
