"""What clients asked, when, and what they were told."""

import time
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import grpc

from creditgate.v1.admin_service_pb2 import PutAccountRequest, PutAccountResponse
from creditgate.v1.credit_service_pb2 import (
    AmendReservationRequest,
    AmendReservationResponse,
    CommitReservationRequest,
    CommitReservationResponse,
    GetAccountRequest,
    GetAccountResponse,
    GetReservationRequest,
    GetReservationResponse,
    ReleaseReservationRequest,
    ReleaseReservationResponse,
    ReserveCreditRequest,
    ReserveCreditResponse,
)
from creditgate.v1.receivables_service_pb2 import (
    OpenItem,
    PostReceivableRequest,
    PostReceivableResponse,
    RecordCreditNoteRequest,
    RecordCreditNoteResponse,
    RecordPaymentRequest,
    RecordPaymentResponse,
)

Request: TypeAlias = (
    ReserveCreditRequest
    | AmendReservationRequest
    | CommitReservationRequest
    | ReleaseReservationRequest
    | PostReceivableRequest
    | RecordPaymentRequest
    | RecordCreditNoteRequest
    | OpenItem
    | PutAccountRequest
    | GetReservationRequest
    | GetAccountRequest
)

NS_PER_MS: Final = 1_000_000
_WITHOUT_ANSWER: Final = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
)
_FROM_GRPC_ITSELF: Final = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN})
"""What a connection that breaks may end a call with, too; only without a reason of the service."""

_STOPPING: Final = "SHUTTING_DOWN"


@dataclass(frozen=True, slots=True)
class Fault:
    """How a call ended that has no response. `reason` is empty when no service said why."""

    code: grpc.StatusCode
    reason: str

    @property
    def effect_unknown(self) -> bool:
        """Whether the call may have changed something nevertheless, or may yet do so."""
        if self.code in _FROM_GRPC_ITSELF:
            return not self.reason
        return self.code in _WITHOUT_ANSWER and not self.turned_away

    @property
    def turned_away(self) -> bool:
        """Whether the service says that it did not look at the call: right in any state, and nothing is changed."""
        return self.reason == _STOPPING


@dataclass(frozen=True, slots=True)
class Imported:
    """An open item was recorded, by this call or before: an import tells how many of each, not which."""


Answer: TypeAlias = (
    ReserveCreditResponse
    | AmendReservationResponse
    | CommitReservationResponse
    | ReleaseReservationResponse
    | PostReceivableResponse
    | RecordPaymentResponse
    | RecordCreditNoteResponse
    | Imported
    | PutAccountResponse
    | GetReservationResponse
    | GetAccountResponse
    | Fault
)


class Instant(NamedTuple):
    """A moment by the store's clock, which on one machine is the machine's, and by the one that nobody can set."""

    store_ns: int
    monotonic_ns: int


def now() -> Instant:
    """Return this moment."""
    return Instant(time.time_ns(), time.monotonic_ns())


@dataclass(eq=False, slots=True)
class Call:
    """One attempt at one change, or one reading. Items of a batch, a stream or an import are calls of their own.

    `answer` is None while there is none, and for good when an item was never sent.
    """

    client: str
    request: Request
    begun: Instant
    ended: Instant | None = None
    answer: Answer | None = None

    def end(self, answer: Answer) -> None:
        """Note the answer, or the end without one."""
        self.ended, self.answer = now(), answer

    @property
    def unanswered(self) -> bool:
        """Whether nobody knows what the call has done."""
        return self.answer is None or (isinstance(self.answer, Fault) and self.answer.effect_unknown)

    @property
    def begun_ms(self) -> int:
        """When it was made, by the store's clock."""
        return self.begun.store_ns // NS_PER_MS

    @property
    def ended_ms(self) -> int:
        """When it was answered, by the store's clock."""
        assert self.ended is not None
        return self.ended.store_ns // NS_PER_MS


@dataclass(eq=False, slots=True)
class Chunk:
    """A chunk of an import that was answered: its items, and how many of them had been recorded before."""

    items: list[Call]
    replayed: int


@dataclass(eq=False, slots=True)
class Listing:
    """All pages of an account's reservations, read when no client called any more."""

    account_id: str
    order_ids: frozenset[str]


class ClockDrift:
    """By how much the store's clock was set or slowed while calls were recorded."""

    _ATTEMPTS: Final = 8

    def __init__(self) -> None:
        self._offsets_ns: list[int] = []

    def sample(self) -> None:
        """Compare the two clocks."""
        readings = []
        for _ in range(self._ATTEMPTS):
            before_ns = time.monotonic_ns()
            store_ns = time.time_ns()
            after_ns = time.monotonic_ns()
            readings.append((after_ns - before_ns, store_ns - before_ns))
        _, offset_ns = min(readings)
        self._offsets_ns = [min([offset_ns, *self._offsets_ns]), max([offset_ns, *self._offsets_ns])]

    @property
    def slack_ms(self) -> int:
        """How far apart the two clocks' readings of one moment may lie: 0 on a machine whose clock is left alone."""
        least_ns, most_ns = self._offsets_ns
        return (most_ns - least_ns) // NS_PER_MS + (most_ns - least_ns > NS_PER_MS // 10)
