"""`StreamReserveCredit` for code that blocks: the caller reads, one thread draws its orders, gRPC's own sends them."""

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import Protocol, Self, cast

import grpc

from creditgate.client.channel import Metadata
from creditgate.client.errors import (
    CreditCallError,
    EndedCall,
    error_of_call,
    no_answer_error,
    stream_ended_error,
)
from creditgate.client.repeats import Repeats
from creditgate.client.window import ATTEMPTS_MAX, STREAM_AGE_MAX_S, OrderAnswer, Window, answer_of
from creditgate.v1.credit_service_pb2 import (
    ReserveCreditRequest,
    StreamReserveCreditRequest,
    StreamReserveCreditResponse,
)


class Call(Protocol):
    """A stream's answers; the stubs of gRPC do not say that they are also the call."""

    def __next__(self) -> StreamReserveCreditResponse:
        """Return the next answer."""
        ...

    def cancel(self) -> bool:
        """End the stream."""
        ...

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Call back when the stream has ended; return False when it has."""
        ...


def stream_orders(
    rpc: "grpc.StreamStreamMultiCallable[StreamReserveCreditRequest, StreamReserveCreditResponse]",
    orders: Iterable[ReserveCreditRequest],
    timeout_s: float,
    metadata: Metadata,
) -> Iterator[OrderAnswer]:
    """Yield the answer to each order (see `CreditClient.stream_reserve_credit`)."""
    with _Outbox() as outbox, _AnswerLimit(timeout_s) as limit:
        receiver = _Receiver(outbox, limit)
        threading.Thread(target=outbox.draw_all, args=(orders,), name="creditgate-draw", daemon=True).start()
        while outbox.has_orders():
            stream = outbox.begin_stream()
            call = cast("Call", rpc(outbox.requests(stream), metadata=metadata))
            if not call.add_callback(partial(outbox.end_stream, stream)):
                outbox.end_stream(stream)
            try:
                while (answer := receiver.next_answer(call)) is not None:
                    yield answer
            except CreditCallError as error:
                time.sleep(receiver.wait_after(error))
            finally:
                call.cancel()
        outbox.raise_fault()


class _Outbox:
    """The orders between the thread that draws them, the one that sends them, and the caller."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._window = Window()
        self._fault: BaseException | None = None
        self._drawn_all = self._closed = self._sent_all = self._ended = False
        self._stream = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._change:
            self._closed = True
            self._change.notify_all()

    def draw_all(self, orders: Iterable[ReserveCreditRequest]) -> None:
        """Draw every order, no further ahead than the window is wide."""
        try:
            for order in orders:
                with self._change:
                    self._window.draw(order)
                    self._change.notify_all()
                    self._change.wait_for(lambda: self._closed or not self._window.full)
                    if self._closed:
                        return
        except BaseException as fault:  # noqa: BLE001 - raised to the caller, whose iterable it comes from
            self._fault = fault
        finally:
            with self._change:
                self._drawn_all = True
                self._change.notify_all()

    def raise_fault(self) -> None:
        """Raise what the caller's iterable has raised, if anything."""
        if self._fault is not None:
            raise self._fault

    def has_orders(self) -> bool:
        """Wait until an order is there that is not answered; return False when there will be none."""
        with self._change:
            self._change.wait_for(lambda: not self._window.empty or self._drawn_all)
            return not self._window.empty

    def begin_stream(self) -> int:
        """Let a new stream begin with the oldest order that is not answered; return its number."""
        with self._change:
            self._stream += 1
            self._window.begin_stream()
            self._sent_all = self._ended = False
            return self._stream

    def requests(self, stream: int) -> Iterator[StreamReserveCreditRequest]:
        """Yield orders to gRPC as they are drawn, until there are no more, the stream is old, or another is open."""

        def over() -> bool:
            return self._closed or self._stream != stream

        ends_at = time.monotonic() + STREAM_AGE_MAX_S
        while True:
            with self._change:
                self._change.wait_for(
                    lambda: over() or not self._window.all_sent or self._drawn_all, ends_at - time.monotonic()
                )
                if over():
                    return
                if self._window.all_sent or time.monotonic() >= ends_at:
                    self._sent_all = True
                    self._change.notify_all()
                    return
                request = self._window.send_next()
                self._change.notify_all()
            yield request

    def end_stream(self, stream: int) -> None:
        """Take note that a stream has ended: gRPC sends nothing more on it."""
        with self._change:
            self._ended = self._ended or stream == self._stream
            self._change.notify_all()

    def wait_for_answer(self) -> None:
        """Wait until the stream owes an answer, or is to end or has ended."""
        with self._change:
            self._change.wait_for(lambda: self._window.owed or self._sent_all or self._ended)

    @property
    def settled(self) -> bool:
        """Whether the stream may end: it has sent what it was to send, and every answer is there."""
        with self._change:
            return self._window.empty or (self._sent_all and not self._window.owed)

    def answered(self) -> None:
        """Make room for another order."""
        with self._change:
            self._window.answered()
            self._change.notify_all()


class _AnswerLimit:
    """Cancels a stream whose answer is overdue: reading from a stream has no timeout of its own.

    Attributes:
        timeout_s: how long an answer may take.
        passed: whether one has taken longer.

    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.passed = False
        self._call: Call | None = None
        self._due_at = math.inf
        self._over = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._watch, name="creditgate-answer-limit", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()

    def begin(self, call: Call) -> None:
        """Begin to wait for an answer, or wait on for one that another stream has not brought."""
        self._call = call
        if math.isinf(self._due_at):
            self._due_at = time.monotonic() + self.timeout_s

    def end(self) -> None:
        """Wait no longer."""
        self._due_at = math.inf
        self.passed = False

    def remaining_s(self) -> float:
        """Return how long the answer that is waited for may still take."""
        return self._due_at - time.monotonic()

    def _watch(self) -> None:
        # Whoever begins to wait while this sleeps need not wake it: it sleeps no longer than an answer may take.
        while not self._over.wait(max(0.0, min(self.timeout_s, self.remaining_s()))):
            if self.remaining_s() <= 0 and self._call is not None:
                self.passed = True
                self._due_at = math.inf
                self._call.cancel()


class _Receiver:
    """Reads the answers, each within the time that it may take."""

    def __init__(self, outbox: _Outbox, limit: _AnswerLimit) -> None:
        self._outbox = outbox
        self._limit = limit
        self._repeats = Repeats(ATTEMPTS_MAX)

    def next_answer(self, call: Call) -> OrderAnswer | None:
        """Return the next answer; None when the stream has ended as it should. Raises CreditCallError."""
        self._outbox.wait_for_answer()
        self._limit.begin(call)
        try:
            response = next(call)
        except StopIteration:
            error = stream_ended_error()
        except grpc.RpcError as ended:
            # Every error that a call raises is also the ended call; the base class does not say so.
            error = error_of_call(cast("EndedCall", ended))
        else:
            self._limit.end()
            self._repeats.succeeded()
            self._outbox.answered()
            return answer_of(response)
        if self._limit.passed:
            error = no_answer_error(self._limit.timeout_s)
        if not self._outbox.settled:
            raise error
        self._limit.end()
        return None

    def wait_after(self, error: CreditCallError) -> float:
        """Return how many seconds to wait before another stream; raise the error when there is to be none."""
        return self._repeats.wait_after(error, self._limit.remaining_s())
