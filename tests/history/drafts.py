"""Draws what clients ask for: mostly sensible requests on few accounts, so that they meet, and some that are not."""

import itertools
from collections.abc import Sequence
from random import Random
from typing import Final

from creditgate.client import requests
from creditgate.v1.admin_service_pb2 import PutAccountRequest
from creditgate.v1.credit_service_pb2 import (
    AmendReservationRequest,
    CommitReservationRequest,
    GetAccountRequest,
    GetReservationRequest,
    ReleaseReservationRequest,
    ReserveCreditRequest,
)
from creditgate.v1.receivables_service_pb2 import (
    OpenItem,
    PostReceivableRequest,
    RecordCreditNoteRequest,
    RecordPaymentRequest,
)
from tests.history.book import Book, KnownEntry, KnownOrder

CURRENCY: Final = "USD"
LIMITS_MINOR: Final = (300, 600, 1000, 2500, None)
"""What the accounts begin with; None: unlimited."""

_HOLDS_S: Final = (1, 1, 2, 3, 20)
_AMOUNT_MAX_MINOR: Final = 200
_ITEMS_MAX: Final = 6

# How often an order is secured, somebody else's id is used again, that with other details, and a change is about an
# order that was seen held.
_SECURED: Final = 0.2
_REPEATED: Final = 0.2
_ALTERED: Final = 0.1
_HELD: Final = 0.8


def put_account(account_id: str, limit_minor: int | None) -> PutAccountRequest:
    """Return the request for an account with this limit; None: unlimited. The display name is the attempt's mark."""
    return requests.put_account(
        account_id,
        currency_code=CURRENCY,
        display_name="",
        base_limit_minor=limit_minor,
        unlimited=True if limit_minor is None else None,
    )


class Drafts:
    """Draws requests for one client, whose name begins every id that it makes up."""

    def __init__(self, client: str, random: Random, account_ids: Sequence[str], book: Book) -> None:
        self._client = client
        self._random = random
        self._account_ids = account_ids
        self._book = book
        self._numbers = itertools.count(1)

    def new_id(self, kind: str) -> str:
        """Return an id that nobody has used."""
        return f"{kind}{self._client}.{next(self._numbers)}"

    def reserve(self) -> ReserveCreditRequest:
        """An order: a new one, or one that somebody has asked for, with the same details or not."""
        account_id = self._account_id()
        known = self._book.order(self._random, account_id)
        if known is not None and self._happens(_REPEATED):
            order = ReserveCreditRequest()
            order.CopyFrom(known)
            if self._happens(_ALTERED):
                order.amount_minor += 1
            return order
        amount_minor = self._order_amount(account_id)
        order = requests.reserve_credit(
            account_id,
            self.new_id("o"),
            amount_minor=amount_minor,
            currency_code=CURRENCY,
            secured_minor=self._random.randint(0, amount_minor) if self._happens(_SECURED) else 0,
            hold_s=self._random.choice(_HOLDS_S),
            payment_terms_days=self._random.choice((0, 0, 30)),
        )
        self._book.note_order(order)
        return order

    def reserve_several(self) -> list[ReserveCreditRequest]:
        """Orders of several accounts; the same one may be among them twice."""
        return [self.reserve() for _ in range(self._random.randint(2, _ITEMS_MAX))]

    def amend(self) -> AmendReservationRequest:
        """A change of a total, and sometimes of the hold: upwards, downwards, or below what is invoiced."""
        order = self._order()
        return requests.amend_reservation(
            order.account_id,
            order.order_id,
            amount_minor=max(1, order.amount_minor + self._random.randint(-_AMOUNT_MAX_MINOR, 2 * _AMOUNT_MAX_MINOR)),
            currency_code=CURRENCY,
            hold_s=self._random.choice((None, None, *_HOLDS_S)),
            request_id=self.new_id("r") if self._happens(0.7) else "",
            etag=self._book.etag(order.account_id, order.order_id) if self._happens(0.4) else "",
        )

    def commit(self) -> CommitReservationRequest:
        """An invoice for part of an order, all of it or more; its document may be one that was posted."""
        order = self._order()
        account_id, final = order.account_id, self._happens(0.4)
        part_minor = self._random.randint(0 if final else 1, order.amount_minor)
        amount_minor = self._random.choice((part_minor, part_minor, order.amount_minor, order.amount_minor + 5))
        document = self._document(account_id, amount_minor)
        return requests.commit_reservation(
            account_id,
            order.order_id,
            amount_minor=max(0 if final else 1, document.amount_minor),
            currency_code=CURRENCY,
            document_id=document.entry_id,
            final=final,
        )

    def release(self) -> ReleaseReservationRequest:
        """The end of an order."""
        order = self._order()
        etag = self._book.etag(order.account_id, order.order_id) if self._happens(0.2) else ""
        return requests.release_reservation(order.account_id, order.order_id, etag=etag)

    def post(self) -> PostReceivableRequest:
        """An invoice without an order, or the one of an order that somebody commits."""
        account_id = self._account_id()
        document = self._document(account_id, self._random.randint(1, _AMOUNT_MAX_MINOR // 2))
        return requests.post_receivable(
            account_id, document.entry_id, amount_minor=max(1, document.amount_minor), currency_code=CURRENCY
        )

    def credit_note(self) -> RecordCreditNoteRequest:
        """A credit note."""
        account_id = self._account_id()
        document = self._document(account_id, self._random.randint(1, _AMOUNT_MAX_MINOR // 4))
        return requests.record_credit_note(
            account_id, document.entry_id, amount_minor=max(1, document.amount_minor), currency_code=CURRENCY
        )

    def pay(self) -> RecordPaymentRequest:
        """A payment: often of all that is owed, so that there is room for orders; sometimes somebody else's again."""
        account_id = self._account_id()
        payment = self._book.payment(self._random, account_id)
        if payment is None or not self._happens(_REPEATED):
            owed_minor = max(1, self._book.receivable_minor(account_id))
            amount_minor = self._random.choice((owed_minor, owed_minor, self._random.randint(1, _AMOUNT_MAX_MINOR)))
            payment = KnownEntry(self.new_id("p"), amount_minor)
            self._book.note_payment(account_id, payment)
        elif self._happens(_ALTERED):
            payment = payment._replace(amount_minor=payment.amount_minor + 1)
        return requests.record_payment(
            account_id, payment.entry_id, amount_minor=payment.amount_minor, currency_code=CURRENCY
        )

    def open_items(self) -> list[OpenItem]:
        """Open items of several accounts; some are credits, some are documents that others record too."""
        items = []
        for _ in range(self._random.randint(1, _ITEMS_MAX)):
            account_id = self._account_id()
            amount_minor = self._random.choice((-1, 1, 1)) * self._random.randint(1, _AMOUNT_MAX_MINOR // 4)
            document = self._document(account_id, amount_minor)
            items.append(
                OpenItem(
                    account_id=account_id,
                    document_id=document.entry_id,
                    amount_minor=document.amount_minor or 1,
                    currency_code=CURRENCY,
                )
            )
        return items

    def put_limit(self) -> PutAccountRequest:
        """Another limit for an account that has one."""
        limited = [
            (account_id, limit_minor)
            for account_id, limit_minor in zip(self._account_ids, LIMITS_MINOR, strict=True)
            if limit_minor is not None
        ]
        account_id, limit_minor = self._random.choice(limited)
        return put_account(account_id, limit_minor + self._random.randint(-100, 100))

    def get_reservation(self) -> GetReservationRequest:
        """A look at an order."""
        order = self._order()
        return requests.get_reservation(order.account_id, order.order_id)

    def get_account(self) -> GetAccountRequest:
        """A look at an account."""
        return requests.get_account(self._account_id())

    def _happens(self, probability: float) -> bool:
        return self._random.random() < probability

    def _account_id(self) -> str:
        return self._random.choice(self._account_ids)

    def _order(self) -> KnownOrder:
        """Draw an order that was seen held, or one that is asked for and may never be."""
        account_id = self._account_id()
        held = self._book.held_order(self._random, account_id) if self._happens(_HELD) else None
        if held is not None:
            return held
        asked = self._book.order(self._random, account_id) or self.reserve()
        return KnownOrder(asked.account_id, asked.order_id, asked.amount_minor)

    def _order_amount(self, account_id: str) -> int:
        """Draw an amount; often what is just within the limit, or just beyond it."""
        available_minor = self._book.available_minor(account_id)
        amounts = [self._random.randint(1, _AMOUNT_MAX_MINOR), self._random.randint(1, _AMOUNT_MAX_MINOR // 5)]
        if available_minor > 0:
            amounts += (available_minor, available_minor + 1)
        return self._random.choice(amounts)

    def _document(self, account_id: str, amount_minor: int) -> KnownEntry:
        """Draw a document: a new one of this amount, or one that somebody records."""
        known = self._book.document(self._random, account_id)
        if known is not None and self._happens(_REPEATED):
            return known._replace(amount_minor=known.amount_minor + 1) if self._happens(_ALTERED) else known
        document = KnownEntry(self.new_id("d"), amount_minor)
        self._book.note_document(account_id, document)
        return document
