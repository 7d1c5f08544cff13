"""A lane: one connection to Redis on which calls are pipelined and answered in order.

redis-py opens the connection and logs in; then the lane takes the socket over, since a call costs half as much without
a stream, a task that reads it, and a packer in Python. A call that was sent is never sent again here: who asks decides
what is safe to repeat.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, cast

import hiredis
from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection, DefaultParser
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError, ResponseError

Argument = bytes | str | int
Reply = object

Take = Callable[[Reply], None]
"""Takes the reply to a command: what Redis answered, its `ResponseError`, or a `LaneBrokenError`."""

_WATCH_INTERVALS: Final = 4
"""How often a time-out is looked for within its own length: a stuck Redis is noticed a quarter late at most."""

_NOTHING_YET: Final = object()


def pack_command(arguments: Sequence[Argument]) -> bytes:
    """Return a command as Redis takes it."""
    return cast("bytes", hiredis.pack_command(cast("tuple[str]", tuple(arguments))))  # its stub knows tuples of one


class LaneBrokenError(Exception):
    """The connection is gone or Redis did not answer in time; whether a call took effect is unknown."""


class Lane(asyncio.Protocol):
    """One connection with its calls in flight.

    A lane that breaks stays broken: every call in flight fails with `LaneBrokenError`, and a new lane has to be opened.
    `on_broken` is then called once, with the reason.
    """

    def __init__(self, writer: asyncio.StreamWriter, timeout_s: float) -> None:
        self._writer = writer  # kept, for it closes the socket when it goes
        self._transport = writer.transport
        self._timeout_s = timeout_s
        self._reader = hiredis.Reader(
            protocolError=InvalidResponse, replyError=DefaultParser.parse_error, notEnoughData=_NOTHING_YET
        )
        self._waiting: deque[tuple[Take, float]] = deque()
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._broken: str | None = None
        self._lost = asyncio.Event()
        self.on_broken: Callable[[str], None] | None = None
        self._watch = self._loop.call_later(timeout_s / _WATCH_INTERVALS, self._look_at_oldest)
        self._transport.set_protocol(self)

    @classmethod
    async def open(cls, url: str, timeout_s: float) -> "Lane":
        """Connect to the Redis at a URL.

        Raises:
            LaneBrokenError: it does not accept the connection, or refuses the log-in, or does not answer within
            `timeout_s`.

        """
        pool = ConnectionPool.from_url(
            url,
            socket_timeout=None,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            client_name="creditgate",
        )
        connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]  # untyped in redis-py
        connected = False
        try:
            async with asyncio.timeout(timeout_s):
                await connection.connect()  # type: ignore[no-untyped-call]  # untyped in redis-py
            connected = True
        except (RedisError, OSError, TimeoutError) as error:
            why = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            msg = f"can't connect to Redis: {why}"
            raise LaneBrokenError(msg) from error
        finally:
            if not connected:
                await connection.disconnect(nowait=True)
        return cls(_take_socket(connection), timeout_s)

    @property
    def broken(self) -> str | None:
        """Why the lane can't be used any more, or None."""
        return self._broken

    def send(self, command: bytes, take: Take) -> None:
        """Send a packed command; `take`, which must not raise, is called with its reply once this has returned."""
        if self._broken is not None:
            self._loop.call_soon(take, LaneBrokenError(self._broken))
            return
        self._waiting.append((take, self._loop.time()))
        try:
            self._transport.write(command)
        except RuntimeError as error:
            # What uvloop says of a connection that it has closed, before it tells `connection_lost`.
            self._loop.call_soon(self._break, f"can't send to Redis: {error}")

    async def call(self, *arguments: Argument) -> Reply:
        """Send one command and return its reply.

        Raises:
            LaneBrokenError: the connection broke, or Redis did not answer in time.
            redis.exceptions.ResponseError: Redis refused the command.

        """
        (reply,) = await self.call_each((arguments,))
        if isinstance(reply, ResponseError):
            raise reply
        return reply

    async def call_each(self, commands: Iterable[Sequence[Argument]]) -> list[Reply]:
        """Send commands with nothing in between and return their replies; a refused one's is its `ResponseError`.

        Raises:
            LaneBrokenError: the connection broke, or Redis did not answer in time.

        """
        futures: list[asyncio.Future[Reply]] = []
        for command in commands:
            future: asyncio.Future[Reply] = self._loop.create_future()
            futures.append(future)
            self.send(pack_command(command), partial(_give, future))
        replies = [await future for future in futures]
        for reply in replies:
            if isinstance(reply, LaneBrokenError):
                raise reply
        return replies

    async def close(self) -> None:
        """Close the connection; calls in flight fail."""
        self._break("the connection was closed")
        await self._lost.wait()

    # --- what the event loop tells

    def data_received(self, data: bytes) -> None:
        """Hand out the replies that are complete now."""
        self._heard = self._loop.time()
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not _NOTHING_YET and self._broken is None:
                if isinstance(reply, RedisConnectionError):  # it is loading, wants a log-in, has too many clients
                    self._break(f"Redis does not carry out calls: {reply}")
                    return
                take, _ = self._waiting.popleft()
                take(reply)
        except InvalidResponse as error:
            self._break(f"Redis answered what is no reply: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is in flight: its effect is unknown."""
        self._lost.set()
        self._break(f"the connection to Redis broke: {exc or 'Redis closed it'}")

    # --- inside

    def _look_at_oldest(self) -> None:
        # Redis is stuck when it says nothing: behind calls that wait for replicas, another may wait longer than that.
        if self._waiting and max(self._waiting[0][1], self._heard) + self._timeout_s <= self._loop.time():
            self._break(f"Redis did not answer within {self._timeout_s:g} s")
        elif self._broken is None:
            self._watch = self._loop.call_later(self._timeout_s / _WATCH_INTERVALS, self._look_at_oldest)

    def _break(self, why: str) -> None:
        if self._broken is not None:
            return
        self._broken = why
        self._watch.cancel()
        self._transport.abort()
        while self._waiting:
            take, _ = self._waiting.popleft()
            take(LaneBrokenError(why))
        if self.on_broken is not None:
            self.on_broken(why)


def _take_socket(connection: AbstractConnection) -> asyncio.StreamWriter:
    """Take a connected socket away from redis-py, which has no public way to give it up.

    Raises LaneBrokenError when Redis has closed it meanwhile: a lane would not be told again.
    """
    reader = cast("asyncio.StreamReader", connection._reader)  # noqa: SLF001 - see above
    writer = cast("asyncio.StreamWriter", connection._writer)  # noqa: SLF001 - see above
    connection._reader = connection._writer = None  # noqa: SLF001 - it must not close the socket
    if reader.at_eof() or writer.is_closing():
        writer.close()
        raise LaneBrokenError("can't connect to Redis: it closed the connection")
    return writer


def _give(future: asyncio.Future[Reply], reply: Reply) -> None:
    if not future.done():
        future.set_result(reply)
