"""What clients know of each other's orders, documents and payments: they all work on the same ones."""

import threading
from collections import defaultdict, deque
from random import Random
from typing import Final, NamedTuple, TypeVar

from creditgate.v1.credit_service_pb2 import ReserveCreditRequest
from creditgate.v1.decision_pb2 import Exposure
from creditgate.v1.reservation_pb2 import RESERVATION_STATE_HELD, Reservation

T = TypeVar("T")

_REMEMBERED: Final = 24
"""Orders, documents and payments of an account that clients still think of: recent ones, so that they meet."""


class KnownEntry(NamedTuple):
    """A document or a payment."""

    entry_id: str
    amount_minor: int


class KnownOrder(NamedTuple):
    """An order."""

    account_id: str
    order_id: str
    amount_minor: int


class Book:
    """Shared by all clients. What is drawn may be known before the service knows it, and never become known to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: defaultdict[str, deque[ReserveCreditRequest]] = defaultdict(self._recent)
        self._held: defaultdict[str, deque[KnownOrder]] = defaultdict(self._recent)
        self._documents: defaultdict[str, deque[KnownEntry]] = defaultdict(self._recent)
        self._payments: defaultdict[str, deque[KnownEntry]] = defaultdict(self._recent)
        self._etags: dict[tuple[str, str], str] = {}
        self._receivable_minor: dict[str, int] = {}
        self._available_minor: dict[str, int] = {}

    @staticmethod
    def _recent() -> "deque[T]":
        return deque(maxlen=_REMEMBERED)

    def note_order(self, order: ReserveCreditRequest) -> None:
        """Let others know of an order."""
        with self._lock:
            self._orders[order.account_id].append(order)

    def note_document(self, account_id: str, document: KnownEntry) -> None:
        """Let others know of a document."""
        with self._lock:
            self._documents[account_id].append(document)

    def note_payment(self, account_id: str, payment: KnownEntry) -> None:
        """Let others know of a payment."""
        with self._lock:
            self._payments[account_id].append(payment)

    def note_reservation(self, reservation: Reservation) -> None:
        """Let others know in what state an order was seen."""
        known = KnownOrder(reservation.account_id, reservation.order_id, reservation.amount_minor)
        with self._lock:
            self._etags[known.account_id, known.order_id] = reservation.etag
            if reservation.state == RESERVATION_STATE_HELD:
                self._held[known.account_id].append(known)

    def note_exposure(self, account_id: str, exposure: Exposure) -> None:
        """Let others know how an account was seen."""
        with self._lock:
            self._receivable_minor[account_id] = exposure.receivable_minor
            self._available_minor[account_id] = exposure.available_minor

    def order(self, random: Random, account_id: str) -> ReserveCreditRequest | None:
        """Draw an order that somebody has asked for."""
        return self._draw(random, self._orders, account_id)

    def held_order(self, random: Random, account_id: str) -> KnownOrder | None:
        """Draw an order that was seen held."""
        return self._draw(random, self._held, account_id)

    def document(self, random: Random, account_id: str) -> KnownEntry | None:
        """Draw a document that somebody has recorded."""
        return self._draw(random, self._documents, account_id)

    def payment(self, random: Random, account_id: str) -> KnownEntry | None:
        """Draw a payment that somebody has recorded."""
        return self._draw(random, self._payments, account_id)

    def etag(self, account_id: str, order_id: str) -> str:
        """Return the state in which an order was seen last; empty if it never was."""
        with self._lock:
            return self._etags.get((account_id, order_id), "")

    def receivable_minor(self, account_id: str) -> int:
        """Return what an account was seen to owe."""
        with self._lock:
            return self._receivable_minor.get(account_id, 0)

    def available_minor(self, account_id: str) -> int:
        """Return what an account was seen to have left."""
        with self._lock:
            return self._available_minor.get(account_id, 0)

    def _draw(self, random: Random, known: "defaultdict[str, deque[T]]", account_id: str) -> T | None:
        with self._lock:
            return random.choice(known[account_id]) if known[account_id] else None
