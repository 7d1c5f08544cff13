"""`PushLimits` for code that blocks: the caller draws rows, gRPC's thread sends them, another one reads the answers."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final, Protocol, cast

import grpc

from creditgate.client.channel import Metadata
from creditgate.client.errors import CreditCallError, EndedCall, error_of_call, no_answer_error
from creditgate.client.limit_push import CHUNK_ROWS, LimitPush, PushedRow, push_ended_error
from creditgate.v1.limit_batch_pb2 import LimitBatch
from creditgate.v1.limit_feed_service_pb2 import PushLimitsRequest, PushLimitsResponse

_HANDED_OVER_MAX: Final = 2
"""Requests that wait for gRPC's thread: rows that the service has already are held back by the network alone."""


class Call(Protocol):
    """A stream's answers; the stubs of gRPC do not say that they are also the call."""

    def __iter__(self) -> Iterator[PushLimitsResponse]:
        """Return the answers as they come."""
        ...

    def cancel(self) -> bool:
        """End the stream."""
        ...


Rpc = Callable[[Iterator[PushLimitsRequest]], Call]


def push_limits(
    rpc: "grpc.StreamStreamMultiCallable[PushLimitsRequest, PushLimitsResponse]",
    rows: Iterable[PushedRow],
    push: LimitPush,
    answer_timeout_s: float,
    metadata: Metadata,
) -> LimitBatch:
    """Send all rows; return the batch (see `CreditClient.push_limits`)."""
    remaining = iter(rows)
    while True:
        stream = _Stream(push, answer_timeout_s)
        stream.begin(lambda requests: cast("Call", rpc(requests, metadata=metadata)))
        try:
            return stream.run(remaining)
        except CreditCallError as error:
            wait_s = push.wait_after(error)
        finally:
            stream.close()
        time.sleep(wait_s)


class _Stream:
    """One stream of a push. Only the caller's thread touches the push itself."""

    def __init__(self, push: LimitPush, answer_timeout_s: float) -> None:
        self._push = push
        self._answer_timeout_s = answer_timeout_s
        self._change = threading.Condition()
        self._outgoing: deque[PushLimitsRequest] = deque((push.begin_stream(),))
        self._answers: deque[PushLimitsResponse] = deque()
        self._sent_all = self._ended = self._changed = False
        self._error: CreditCallError | None = None

    def begin(self, rpc: Rpc) -> None:
        """Open the stream, and read its answers in a thread of their own."""
        self._call = rpc(self._requests())
        threading.Thread(target=self._read, name="creditgate-push-answers", daemon=True).start()

    def run(self, rows: Iterator[PushedRow]) -> LimitBatch:
        """Send what the service lacks; return the batch. Raises CreditCallError when the stream breaks."""
        self._wait_until(lambda: self._push.may_send)
        while self._push.batch is None and self._draw(rows):
            self._wait_until(lambda: self._push.may_send and len(self._outgoing) < _HANDED_OVER_MAX)
            if self._push.batch is None:
                with self._changing():
                    self._outgoing.append(self._push.send_next())
        with self._changing():
            self._sent_all = True
        self._wait_until(lambda: self._push.batch is not None)
        return cast("LimitBatch", self._push.batch)

    def close(self) -> None:
        """End the stream, if it has not ended."""
        with self._changing():
            self._ended = True
        self._call.cancel()

    def _draw(self, rows: Iterator[PushedRow]) -> bool:
        """Return whether there is a chunk to send."""
        if self._push.wants_chunk:
            drawn = list(islice(rows, CHUNK_ROWS))
            if not drawn:
                return False
            self._push.add_chunk(drawn)
        return True

    def _wait_until(self, holds: Callable[[], bool]) -> None:
        """Take answers until something holds, or the batch is there, or an answer takes too long."""
        while True:
            with self._change:
                self._changed = False
            while self._answers:
                self._push.answered(self._answers.popleft())
            if self._push.batch is not None:
                return
            if self._ended:
                raise self._error or push_ended_error()
            if holds():
                return
            with self._change:
                if not self._change.wait_for(lambda: self._changed, self._answer_timeout_s):
                    raise no_answer_error(self._answer_timeout_s)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._change:
            yield
            self._changed = True
            self._change.notify_all()

    def _requests(self) -> Iterator[PushLimitsRequest]:
        """Yield requests to gRPC as they are handed over."""
        while True:
            with self._change:
                self._change.wait_for(lambda: self._outgoing or self._sent_all or self._ended)
                if self._ended or not self._outgoing:
                    return
            with self._changing():
                request = self._outgoing.popleft()
            yield request

    def _read(self) -> None:
        try:
            for response in self._call:
                with self._changing():
                    self._answers.append(response)
        except grpc.RpcError as ended:
            # Every error that a call raises is also the ended call; the base class does not say so.
            self._error = error_of_call(cast("EndedCall", ended))
        with self._changing():
            self._ended = True
