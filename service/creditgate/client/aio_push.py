"""`PushLimits` for asyncio: the caller's task draws and sends rows, another one reads the answers."""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import cast

import grpc
from grpc.aio import StreamStreamCall, StreamStreamMultiCallable

from creditgate.client.aio_stream import STREAM_IS_OVER, WRITE_FAILED, error_behind
from creditgate.client.channel import Metadata
from creditgate.client.errors import CreditCallError, error_of_call, no_answer_error
from creditgate.client.limit_push import CHUNK_ROWS, LimitPush, PushedRow, push_ended_error
from creditgate.v1.limit_batch_pb2 import LimitBatch
from creditgate.v1.limit_feed_service_pb2 import PushLimitsRequest, PushLimitsResponse

Rpc = StreamStreamMultiCallable[PushLimitsRequest, PushLimitsResponse]
Call = StreamStreamCall[PushLimitsRequest, PushLimitsResponse]

Draw = Callable[[], Awaitable[list[PushedRow]]]


async def push_limits(
    rpc: Rpc,
    rows: Iterable[PushedRow] | AsyncIterable[PushedRow],
    push: LimitPush,
    answer_timeout_s: float,
    metadata: Metadata,
) -> LimitBatch:
    """Send all rows; return the batch (see `AsyncCreditClient.push_limits`)."""
    draw = _drawing(rows)
    while True:
        stream = _Stream(rpc(metadata=metadata), push, answer_timeout_s)
        try:
            return await stream.run(draw)
        except CreditCallError as error:
            wait_s = push.wait_after(error)
        finally:
            await stream.close()
        await asyncio.sleep(wait_s)


def _drawing(rows: Iterable[PushedRow] | AsyncIterable[PushedRow]) -> Draw:
    """Return what draws the rows of the next chunk; none at the end."""
    if isinstance(rows, AsyncIterable):
        coming = aiter(rows)

        async def draw_async() -> list[PushedRow]:
            drawn: list[PushedRow] = []
            async for row in coming:
                drawn.append(row)
                if len(drawn) == CHUNK_ROWS:
                    break
            return drawn

        return draw_async
    remaining = iter(rows)

    async def draw() -> list[PushedRow]:
        return list(islice(remaining, CHUNK_ROWS))

    return draw


class _Stream:
    """One stream of a push. Only the caller's task touches the push itself."""

    def __init__(self, call: Call, push: LimitPush, answer_timeout_s: float) -> None:
        self._call = call
        self._push = push
        self._answer_timeout_s = answer_timeout_s
        self._answers: deque[PushLimitsResponse] = deque()
        self._change = asyncio.Event()
        self._ended = False
        self._error: CreditCallError | None = None
        self._reading = asyncio.create_task(self._read())

    async def run(self, draw: Draw) -> LimitBatch:
        """Send what the service lacks; return the batch. Raises CreditCallError when the stream breaks."""
        await self._carry_out(self._call.write(self._push.begin_stream()))
        await self._wait_until(lambda: self._push.may_send)
        while self._push.batch is None and await self._draw(draw):
            await self._wait_until(lambda: self._push.may_send)
            if self._push.batch is None:
                await self._carry_out(self._call.write(self._push.send_next()))
        await self._carry_out(self._call.done_writing())
        await self._wait_until(lambda: self._push.batch is not None)
        return cast("LimitBatch", self._push.batch)

    async def close(self) -> None:
        """End the stream, if it has not ended."""
        self._call.cancel()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _draw(self, draw: Draw) -> bool:
        """Return whether there is a chunk to send."""
        if self._push.wants_chunk:
            rows = await draw()
            if not rows:
                return False
            self._push.add_chunk(rows)
        return True

    async def _carry_out(self, write: Awaitable[None]) -> None:
        """Write to the stream; where it has ended, reading from it tells why."""
        with suppress(*STREAM_IS_OVER):
            await self._in_time(write)

    async def _wait_until(self, holds: Callable[[], bool]) -> None:
        """Take answers until something holds, or the batch is there, or an answer takes too long."""
        while True:
            self._change.clear()
            while self._answers:
                self._push.answered(self._answers.popleft())
            if self._push.batch is not None:
                return
            if self._ended:
                raise self._error or push_ended_error()
            if holds():
                return
            await self._in_time(self._change.wait())

    async def _in_time(self, awaited: Awaitable[object]) -> None:
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                await awaited
        except TimeoutError:
            raise no_answer_error(self._answer_timeout_s) from None

    async def _read(self) -> None:
        try:
            async for response in self._call:
                self._answers.append(response)
                self._change.set()
        except grpc.aio.AioRpcError as ended:
            self._error = error_of_call(ended) if ended.details() != WRITE_FAILED else await error_behind(self._call)
        finally:
            self._ended = True
            self._change.set()
