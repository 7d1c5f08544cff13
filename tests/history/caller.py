"""A caller with a connection of its own, that records everything it asks and is told.

A call goes out once: nothing below it repeats what was sent.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Final, TypeVar, cast

import grpc
from google.protobuf.message import Message

from creditgate.client.errors import CreditCallError, EndedCall, error_of_call, error_of_status
from creditgate.v1.admin_service_pb2 import PutAccountRequest
from creditgate.v1.admin_service_pb2_grpc import AdminServiceStub
from creditgate.v1.credit_service_pb2 import (
    BatchReserveCreditRequest,
    BatchReserveCreditResult,
    ReleaseReservationRequest,
    ReserveCreditRequest,
    StreamReserveCreditRequest,
    StreamReserveCreditResponse,
)
from creditgate.v1.credit_service_pb2_grpc import CreditServiceStub
from creditgate.v1.receivables_service_pb2 import ImportOpenItemsRequest, ImportOpenItemsResponse, OpenItem
from creditgate.v1.receivables_service_pb2_grpc import ReceivablesServiceStub
from tests.history.calls import Answer, Call, Chunk, Fault, Imported, Request, now

PageT = TypeVar("PageT")

_CHUNK_ITEMS: Final = 3
_PAUSE_S: Final = 0.05
_GIVE_UP_S: Final = 30.0
_NEVER: Final = threading.Event()
_CHANNEL_OPTIONS: Final = (
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.min_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 100),
    ("grpc.enable_http_proxy", 0),
)


class Caller:
    """Calls with one of some deadlines. `answered` counts what was answered."""

    def __init__(self, name: str, target: str, random: Random, deadlines_s: Sequence[float]) -> None:
        self.name = name
        self.calls: list[Call] = []
        self.chunks: list[Chunk] = []
        self.answered = 0
        self._channel = grpc.insecure_channel(target, options=_CHANNEL_OPTIONS)
        self.credit = CreditServiceStub(self._channel)
        self.receivables = ReceivablesServiceStub(self._channel)
        self.admin = AdminServiceStub(self._channel)
        self._random = random
        self._deadlines_s = deadlines_s
        self._marks = itertools.count(1)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def ask(self, rpc: Callable[..., Answer], request: Request) -> Call:
        """Make one call."""
        call = self.begin(request)
        try:
            answer = rpc(call.request, timeout=self.deadline_s(), wait_for_ready=True)
        except grpc.RpcError as error:
            self._end_open([call], error)
        else:
            self.end(call, answer)
        return call

    def insist(self, rpc: Callable[..., Answer], request: Request) -> None:
        """Make calls until one is answered."""
        give_up = time.monotonic() + _GIVE_UP_S
        while (call := self.ask(rpc, request)).unanswered:
            assert time.monotonic() < give_up, call.answer
            _NEVER.wait(_PAUSE_S)

    def read(self, rpc: "Callable[..., PageT]", request: Message) -> PageT:
        """Return a page of what is not recorded as a call; asks until it is answered.

        Raises:
            grpc.RpcError: a fault that asking again does not cure.

        """
        give_up = time.monotonic() + _GIVE_UP_S
        while True:
            try:
                return rpc(request, timeout=self.deadline_s(), wait_for_ready=True)
            except grpc.RpcError as error:
                if not _fault_in(error).effect_unknown or time.monotonic() > give_up:
                    raise
            _NEVER.wait(_PAUSE_S)

    def ask_batch(self, orders: Sequence[ReserveCreditRequest]) -> list[Call]:
        """Ask for orders in one call."""
        calls = [self.begin(order) for order in orders]
        batch = BatchReserveCreditRequest(requests=[cast("ReserveCreditRequest", call.request) for call in calls])
        try:
            response = self.credit.BatchReserveCredit(batch, timeout=self.deadline_s(), wait_for_ready=True)
        except grpc.RpcError as error:
            self._end_open(calls, error)
        else:
            for call, result in zip(calls, response.results, strict=True):
                self.end(call, _answer_in(result))
        return calls

    def ask_stream(self, orders: Sequence[ReserveCreditRequest]) -> list[Call]:
        """Ask for orders in one stream; return the calls for those that were sent."""
        calls: list[Call] = []

        def draw() -> Iterator[StreamReserveCreditRequest]:
            for order in orders:
                call = self.begin(order)
                calls.append(call)
                yield StreamReserveCreditRequest(request=cast("ReserveCreditRequest", call.request))

        try:
            answers = self.credit.StreamReserveCredit(draw(), timeout=self.deadline_s(), wait_for_ready=True)
            for index, result in enumerate(answers):
                self.end(calls[index], _answer_in(result))
        except grpc.RpcError as error:
            self._end_open(calls, error)
        else:
            assert all(call.answer is not None for call in calls), "a stream ended well with orders unanswered"
        return list(calls)

    def import_items(self, items: Sequence[OpenItem]) -> None:
        """Import open items, chunk by chunk."""
        chunks: list[list[Call]] = []

        def draw() -> Iterator[ImportOpenItemsRequest]:
            for start in range(0, len(items), _CHUNK_ITEMS):
                chunk = items[start : start + _CHUNK_ITEMS]
                chunks.append([self.begin(item) for item in chunk])
                yield ImportOpenItemsRequest(items=chunk)

        before = ImportOpenItemsResponse()
        try:
            responses = self.receivables.ImportOpenItems(draw(), timeout=self.deadline_s(), wait_for_ready=True)
            for index, response in enumerate(responses):
                if response.finished:
                    assert response.progress == before.progress, "an import sums up other than its last chunk"
                else:
                    self._end_chunk(chunks[index], response, before)
                    before = response
        except grpc.RpcError as error:
            for calls in chunks:
                self._end_open(calls, error)
        else:
            assert before.progress.received == len(items), "an import ended well with items unanswered"

    def deadline_s(self) -> float:
        """Draw a deadline."""
        return self._random.choice(self._deadlines_s)

    # --- recording

    def begin(self, request: Request) -> Call:
        """Record that a call is about to be made."""
        call = Call(self.name, self._marked(request), now())
        self.calls.append(call)
        return call

    def end(self, call: Call, answer: Answer) -> None:
        """Record how a call ended."""
        call.end(answer)
        if not call.unanswered:
            self.answered += 1

    def _end_open(self, calls: Sequence[Call], error: grpc.RpcError) -> None:
        fault = _fault_in(error)
        for call in calls:
            if call.answer is None:
                self.end(call, fault)

    def _end_chunk(self, calls: list[Call], response: ImportOpenItemsResponse, before: ImportOpenItemsResponse) -> None:
        failed = {failure.index - before.progress.received: failure for failure in response.failures}
        for index, call in enumerate(calls):
            failure = failed.get(index)
            self.end(call, Imported() if failure is None else _fault_of(error_of_status(failure.error)))
        self.chunks.append(Chunk(calls, response.progress.replayed - before.progress.replayed))

    def _marked(self, request: Request) -> Request:
        """Return the request of one attempt, told apart by what the journal keeps and no decision looks at."""
        mark = f"{self.name}.{next(self._marks)}"
        if isinstance(request, ReserveCreditRequest):
            order = ReserveCreditRequest()
            order.CopyFrom(request)
            order.source = mark
            return order
        if isinstance(request, ReleaseReservationRequest):
            release = ReleaseReservationRequest()
            release.CopyFrom(request)
            release.reason = mark
            return release
        if isinstance(request, PutAccountRequest):
            put = PutAccountRequest()
            put.CopyFrom(request)
            put.account.display_name = mark
            return put
        return request


def _fault_of(error: CreditCallError) -> Fault:
    return Fault(error.code, error.reason)


def _fault_in(error: grpc.RpcError) -> Fault:
    # Every error that a call raises is also the ended call; the base class does not say so.
    return _fault_of(error_of_call(cast("EndedCall", error)))


def _answer_in(result: BatchReserveCreditResult | StreamReserveCreditResponse) -> Answer:
    """Return the answer to one order of several."""
    return _fault_of(error_of_status(result.error)) if result.HasField("error") else result.response
