"""Requests of ReceivablesService: what the ERP reports."""

from datetime import date, datetime

from creditgate.client.requests.instants import timestamp_of
from creditgate.v1.receivables_service_pb2 import (
    OpenItem,
    PostReceivableRequest,
    RecordCreditNoteRequest,
    RecordPaymentRequest,
    UpdateAgingRequest,
)


def record_payment(account_id: str, payment_id: str, *, amount_minor: int, currency_code: str) -> RecordPaymentRequest:
    """Record that a customer has paid: the receivable goes down by the amount.

    Args:
        account_id: the account that paid.
        payment_id: the payment's id, unique among the account's payments: the same payment again is a replay.
        amount_minor: what was paid, from 1 to 2^53-1.
        currency_code: the account's currency.

    """
    return RecordPaymentRequest(
        account_id=account_id, payment_id=payment_id, amount_minor=amount_minor, currency_code=currency_code
    )


def post_receivable(
    account_id: str, document_id: str, *, amount_minor: int, currency_code: str
) -> PostReceivableRequest:
    """Record an invoice that no reservation stands for. Never refused for credit.

    Args:
        account_id: the account that owes.
        document_id: the invoice's id, unique among the account's documents: the same document again is a replay.
        amount_minor: what is invoiced, from 1 to 2^53-1.
        currency_code: the account's currency.

    """
    return PostReceivableRequest(
        account_id=account_id, document_id=document_id, amount_minor=amount_minor, currency_code=currency_code
    )


def record_credit_note(
    account_id: str, document_id: str, *, amount_minor: int, currency_code: str
) -> RecordCreditNoteRequest:
    """Record a credit note: the receivable goes down by the amount.

    Args:
        account_id: the account that is credited.
        document_id: the credit note's id, unique among the account's documents: the same document again is a replay.
        amount_minor: what is credited, from 1 to 2^53-1.
        currency_code: the account's currency.

    """
    return RecordCreditNoteRequest(
        account_id=account_id, document_id=document_id, amount_minor=amount_minor, currency_code=currency_code
    )


def open_item(account_id: str, document_id: str, *, amount_minor: int, currency_code: str) -> OpenItem:
    """Return an open item for `import_open_items`.

    Args:
        account_id: the account that owes.
        document_id: the document's id, unique among the account's documents: the same document again is a replay.
        amount_minor: what is still open, from -(2^53-1) to 2^53-1 and not 0; below 0: a credit that is not used yet.
        currency_code: the account's currency.

    """
    return OpenItem(
        account_id=account_id, document_id=document_id, amount_minor=amount_minor, currency_code=currency_code
    )


def update_aging(
    account_id: str,
    *,
    overdue_minor: int,
    as_of: datetime,
    disputed_minor: int = 0,
    oldest_due_date: date | None = None,
) -> UpdateAgingRequest:
    """Replace what the ERP says of an account's overdue items; figures of an earlier instant are ignored.

    Args:
        account_id: the account.
        overdue_minor: the sum of its overdue items, disputed ones included, in minor units of its currency.
        as_of: the instant that the figures describe, with its time zone.
        disputed_minor: the part of `overdue_minor` that the customer disputes.
        oldest_due_date: due date of the oldest overdue item.

    Raises:
        ValueError: `as_of` has no time zone.

    """
    return UpdateAgingRequest(
        account_id=account_id,
        overdue_minor=overdue_minor,
        disputed_minor=disputed_minor,
        oldest_due_date=oldest_due_date.isoformat() if oldest_due_date is not None else "",
        as_of=timestamp_of("as_of", as_of),
    )
