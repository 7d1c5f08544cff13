"""A lane: one connection to Redis on which calls are pipelined and answered in order.

redis-py opens the connection and speaks the protocol; its pool, its retries and its time-outs are not used. A call
that was sent is never sent again here: who asks decides what is safe to repeat.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

Argument = bytes | str | int
Reply = object

_WATCH_INTERVALS: Final = 4
"""How often a time-out is looked for within its own length: a stuck Redis is noticed a quarter late at most."""


class LaneBrokenError(Exception):
    """The connection is gone or Redis did not answer in time; whether a call took effect is unknown."""


class Lane:
    """One connection with its calls in flight.

    A lane that breaks stays broken: every call in flight fails with `LaneBrokenError`, and a new lane has to be opened.
    `on_broken` is then called once, with the reason.
    """

    def __init__(self, connection: AbstractConnection, timeout_s: float) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._waiting: deque[tuple[asyncio.Future[Reply], float]] = deque()
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._broken: str | None = None
        self.on_broken: Callable[[str], None] | None = None
        self._reader = asyncio.create_task(self._read(), name="creditgate-lane-reader")
        self._watch = self._loop.call_later(timeout_s / _WATCH_INTERVALS, self._look_at_oldest)

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
        return cls(connection, timeout_s)

    @property
    def broken(self) -> str | None:
        """Why the lane can't be used any more, or None."""
        return self._broken

    async def call(self, *arguments: Argument) -> Reply:
        """Send one command and return its reply.

        Raises:
            LaneBrokenError: the connection broke, or Redis did not answer in time.
            redis.exceptions.ResponseError: Redis refused the command.

        """
        if self._broken is not None:
            raise LaneBrokenError(self._broken)
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._waiting.append((future, self._loop.time()))
        await self._send(self._connection.pack_command(*arguments))
        return await future

    async def call_each(self, commands: Sequence[Sequence[Argument]]) -> list[Reply]:
        """Send commands with nothing in between and return their replies; a refused one's is its `ResponseError`.

        Raises:
            LaneBrokenError: the connection broke, or Redis did not answer in time.

        """
        if self._broken is not None:
            raise LaneBrokenError(self._broken)
        now = self._loop.time()
        futures: list[asyncio.Future[Reply]] = [self._loop.create_future() for _ in commands]
        self._waiting.extend((future, now) for future in futures)
        await self._send(self._connection.pack_commands(commands))
        replies = await asyncio.gather(*futures, return_exceptions=True)
        for reply in replies:
            if isinstance(reply, BaseException) and not isinstance(reply, ResponseError):
                raise reply
        return list(replies)

    async def close(self) -> None:
        """Close the connection; calls in flight fail."""
        self._break("the connection was closed")
        self._reader.cancel()
        with suppress(asyncio.CancelledError):
            await self._reader

    async def _send(self, packed: list[bytes]) -> None:
        try:
            await self._connection.send_packed_command(packed, check_health=False)
        except (RedisError, OSError, RuntimeError) as error:
            # RuntimeError is what uvloop says of a connection that it has closed; the reader has yet to hear of it.
            self._break(f"can't send to Redis: {error}")

    async def _read(self) -> None:
        connection, waiting = self._connection, self._waiting
        try:
            while True:
                try:
                    reply: Reply = await connection.read_response(disable_decoding=True, timeout=math.inf)
                except ResponseError as error:
                    reply = error
                future, _ = waiting.popleft()
                self._heard = self._loop.time()
                if future.done():
                    continue
                if isinstance(reply, Exception):
                    future.set_exception(reply)
                else:
                    future.set_result(reply)
        except (RedisConnectionError, RedisError, OSError, RuntimeError) as error:
            # As in `_send`: a lane that is not known to be broken would be connected anew by redis-py, unread.
            self._break(f"the connection to Redis broke: {error}")
        finally:
            await connection.disconnect(nowait=True)

    def _look_at_oldest(self) -> None:
        # Redis is stuck when it says nothing: behind calls that wait for replicas, another may wait longer than that.
        if self._waiting and max(self._waiting[0][1], self._heard) + self._timeout_s <= self._loop.time():
            self._break(f"Redis did not answer within {self._timeout_s:g} s")
            self._reader.cancel()
        elif self._broken is None:
            self._watch = self._loop.call_later(self._timeout_s / _WATCH_INTERVALS, self._look_at_oldest)

    def _break(self, why: str) -> None:
        if self._broken is not None:
            return
        self._broken = why
        self._watch.cancel()
        for future, _ in self._waiting:
            if not future.done():
                future.set_exception(LaneBrokenError(why))
        if self.on_broken is not None:
            self.on_broken(why)
