"""The orders of a stream that are not answered yet: what both clients keep to send them again."""

from collections import deque
from typing import Final

from creditgate.client.errors import CreditCallError, error_of_status
from creditgate.v1.credit_service_pb2 import (
    BatchReserveCreditResult,
    ReserveCreditRequest,
    ReserveCreditResponse,
    StreamReserveCreditRequest,
    StreamReserveCreditResponse,
)

IN_FLIGHT_MAX: Final = 128
"""Orders that are drawn and not answered: as many as the service decides of one stream at once."""

ATTEMPTS_MAX: Final = 5
"""Streams that may end in a row without an answer, as many as gRPC makes attempts at a single call."""

STREAM_AGE_MAX_S: Final = 600.0
"""After so long a stream takes no more orders and the next ones go into a new one: load spreads over servers that have
joined, and none cuts the stream off because of its age."""

OrderAnswer = ReserveCreditResponse | CreditCallError


class Window:
    """Orders that were drawn and are not answered yet, oldest first."""

    def __init__(self) -> None:
        self._orders: deque[ReserveCreditRequest] = deque()
        self._sent = 0

    @property
    def full(self) -> bool:
        """Whether no further order may be drawn."""
        return len(self._orders) >= IN_FLIGHT_MAX

    @property
    def empty(self) -> bool:
        """Whether every order that was drawn is answered."""
        return not self._orders

    @property
    def all_sent(self) -> bool:
        """Whether the present stream has every order that was drawn."""
        return self._sent == len(self._orders)

    @property
    def owed(self) -> bool:
        """Whether the present stream owes an answer."""
        return self._sent > 0

    def draw(self, order: ReserveCreditRequest) -> None:
        """Take an order in."""
        self._orders.append(order)

    def send_next(self) -> StreamReserveCreditRequest:
        """Return the oldest order that the present stream does not have; now it has."""
        order = self._orders[self._sent]
        self._sent += 1
        return StreamReserveCreditRequest(request=order)

    def answered(self) -> None:
        """Drop the oldest order."""
        self._orders.popleft()
        self._sent -= 1

    def begin_stream(self) -> None:
        """Let a new stream begin with the oldest order."""
        self._sent = 0


def answer_of(result: BatchReserveCreditResult | StreamReserveCreditResponse) -> OrderAnswer:
    """Return the answer to one order of a batch or a stream."""
    return error_of_status(result.error) if result.HasField("error") else result.response
