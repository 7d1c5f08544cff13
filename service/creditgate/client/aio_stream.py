"""`StreamReserveCredit` for asyncio: draws orders, sends them and reads the answers, on one stream after another."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import grpc
from grpc.aio import StreamStreamCall, StreamStreamMultiCallable

from creditgate.client.channel import Metadata
from creditgate.client.errors import CreditCallError, error_of_call, no_answer_error, stream_ended_error
from creditgate.client.repeats import Repeats
from creditgate.client.window import ATTEMPTS_MAX, STREAM_AGE_MAX_S, OrderAnswer, Window, answer_of
from creditgate.v1.credit_service_pb2 import (
    ReserveCreditRequest,
    StreamReserveCreditRequest,
    StreamReserveCreditResponse,
)

Rpc = StreamStreamMultiCallable[StreamReserveCreditRequest, StreamReserveCreditResponse]
Call = StreamStreamCall[StreamReserveCreditRequest, StreamReserveCreditResponse]
EndedStream = StreamStreamCall[Any, Any]

STREAM_IS_OVER: Final = (grpc.aio.AioRpcError, grpc.aio.InternalError, asyncio.InvalidStateError)
"""What writing to a stream raises that has ended; reading from it tells why."""

WRITE_FAILED: Final = "Internal error from Core"
"""What grpc.aio says of a stream that was written to when it had just ended."""


async def stream_orders(
    rpc: Rpc,
    orders: Iterable[ReserveCreditRequest] | AsyncIterable[ReserveCreditRequest],
    timeout_s: float,
    metadata: Metadata,
) -> AsyncGenerator[OrderAnswer, None]:
    """Yield the answer to each order (see `AsyncCreditClient.stream_reserve_credit`)."""
    outbox = _Outbox()
    receiver = _Receiver(outbox, timeout_s)
    async with _running(outbox.draw_all(orders)) as drawing:
        while await outbox.has_orders():
            call = rpc(metadata=metadata)
            outbox.begin_stream()
            async with _running(outbox.send_to(call)):
                try:
                    while (answer := await receiver.next_answer(call)) is not None:
                        yield answer
                except CreditCallError as error:
                    await asyncio.sleep(receiver.wait_after(error))
                finally:
                    call.cancel()
        await drawing


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Let work go on beside the block; it is over when the block is."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class _Outbox:
    """The orders between the task that draws them, the one that sends them, and the one that reads the answers."""

    def __init__(self) -> None:
        self._window = Window()
        self._drawn_all = self._sent_all = self._broken = False
        self._change = asyncio.Event()

    async def draw_all(self, orders: Iterable[ReserveCreditRequest] | AsyncIterable[ReserveCreditRequest]) -> None:
        """Draw every order, no further ahead than the window is wide."""
        try:
            async for order in orders if isinstance(orders, AsyncIterable) else _each(orders):
                self._window.draw(order)
                self._changed()
                await self._until(lambda: not self._window.full)
        finally:
            self._drawn_all = True
            self._changed()

    async def has_orders(self) -> bool:
        """Wait until an order is there that is not answered; return False when there will be none."""
        await self._until(lambda: not self._window.empty or self._drawn_all)
        return not self._window.empty

    def begin_stream(self) -> None:
        """Let a new stream begin with the oldest order that is not answered."""
        self._window.begin_stream()
        self._sent_all = self._broken = False

    async def send_to(self, call: Call) -> None:
        """Send orders as they are drawn, until there are no more or the stream is old; then let it end."""
        ends_at = asyncio.get_running_loop().time() + STREAM_AGE_MAX_S
        try:
            while await self._has_unsent(ends_at):
                request = self._window.send_next()
                self._changed()
                await call.write(request)
            await call.done_writing()
            self._sent_all = True
        except STREAM_IS_OVER:
            self._broken = True
        self._changed()

    async def wait_for_answer(self) -> None:
        """Wait until the stream owes an answer, or is to end or has ended."""
        await self._until(lambda: self._window.owed or self._sent_all or self._broken)

    @property
    def settled(self) -> bool:
        """Whether the stream may end: it has sent what it was to send, and every answer is there."""
        return self._window.empty or (self._sent_all and not self._window.owed)

    def answered(self) -> None:
        """Make room for another order."""
        self._window.answered()
        self._changed()

    async def _has_unsent(self, ends_at: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(ends_at):
                await self._until(lambda: not self._window.all_sent or self._drawn_all)
        return not self._window.all_sent and asyncio.get_running_loop().time() < ends_at

    def _changed(self) -> None:
        change, self._change = self._change, asyncio.Event()
        change.set()

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await self._change.wait()


class _Receiver:
    """Reads the answers, each within the time that it may take."""

    def __init__(self, outbox: _Outbox, timeout_s: float) -> None:
        self._outbox = outbox
        self._timeout_s = timeout_s
        self._repeats = Repeats(ATTEMPTS_MAX)
        self._due_at: float | None = None

    async def next_answer(self, call: Call) -> OrderAnswer | None:
        """Return the next answer; None when the stream has ended as it should. Raises CreditCallError."""
        await self._outbox.wait_for_answer()
        if self._due_at is None:
            self._due_at = asyncio.get_running_loop().time() + self._timeout_s
        try:
            async with asyncio.timeout_at(self._due_at):
                response = await call.read()
        except TimeoutError:
            error = no_answer_error(self._timeout_s)
        except grpc.aio.AioRpcError as ended:
            error = error_of_call(ended) if ended.details() != WRITE_FAILED else await error_behind(call)
        else:
            if isinstance(response, StreamReserveCreditResponse):
                self._due_at = None
                self._repeats.succeeded()
                self._outbox.answered()
                return answer_of(response)
            error = stream_ended_error()
        if not self._outbox.settled:
            raise error
        self._due_at = None
        return None

    def wait_after(self, error: CreditCallError) -> float:
        """Return how many seconds to wait before another stream; raise the error when there is to be none."""
        return self._repeats.wait_after(error, (self._due_at or math.inf) - asyncio.get_running_loop().time())


async def error_behind(call: EndedStream) -> CreditCallError:
    """Return what a stream has ended with that was written to when it had just ended.

    grpc.aio puts its own status over that of the service. The service's mostly follows a turn of the event loop later;
    where it came before, it is lost. Then the stream counts as broken: if it was not, the next one will tell.
    """
    await asyncio.sleep(0)
    code, details = await call.code(), await call.details()
    if code is grpc.StatusCode.OK or details == WRITE_FAILED:
        return stream_ended_error()
    first, last = await call.initial_metadata(), await call.trailing_metadata()
    return error_of_call(grpc.aio.AioRpcError(code, first, last, details))


async def _each(orders: Iterable[ReserveCreditRequest]) -> AsyncIterator[ReserveCreditRequest]:
    for order in orders:
        yield order
