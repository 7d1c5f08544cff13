"""Builds the request of every call: both clients take their parameters, defaults and documentation from here.

Amounts are integers in minor units of `currency_code` (1250.00 USD is 125000). The service checks every bound and names
the field that breaks one; nothing is checked twice here.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Literal, TypeAlias

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from creditgate.v1.account_pb2 import ACCOUNT_STATUS_UNSPECIFIED, Account, AccountStatus, Block
from creditgate.v1.admin_service_pb2 import CloseAccountRequest, ListAccountsRequest, PutAccountRequest
from creditgate.v1.credit_service_pb2 import (
    AmendReservationRequest,
    CheckCreditRequest,
    CommitReservationRequest,
    GetAccountRequest,
    GetReservationRequest,
    ListReservationsRequest,
    ReleaseReservationRequest,
    ReserveCreditRequest,
)
from creditgate.v1.receivables_service_pb2 import (
    OpenItem,
    PostReceivableRequest,
    RecordCreditNoteRequest,
    RecordPaymentRequest,
    UpdateAgingRequest,
)
from creditgate.v1.reservation_pb2 import ReservationState

ClearableField: TypeAlias = Literal["base_limit_minor", "block"]
"""A setting of an account that can be taken away."""


def check_credit(
    account_id: str,
    *,
    amount_minor: int,
    currency_code: str,
    secured_minor: int = 0,
    explain: bool = False,
    payment_terms_days: int = 0,
) -> CheckCreditRequest:
    """Ask what `reserve_credit` would decide now; nothing is written or held.

    Args:
        account_id: the account that would buy.
        amount_minor: the order's total, from 1 to 2^53-1.
        currency_code: the order's ISO 4217 currency.
        secured_minor: the part of the total covered by security, which takes no credit.
        explain: also return the rules that did not fire, in `decision.passed_rules`.
        payment_terms_days: the order's payment terms.

    """
    return CheckCreditRequest(
        account_id=account_id,
        amount_minor=amount_minor,
        currency_code=currency_code,
        secured_minor=secured_minor,
        explain=explain,
        payment_terms_days=payment_terms_days,
    )


def reserve_credit(  # noqa: PLR0913 - one parameter per field of the contract, all but the ids by name
    account_id: str,
    order_id: str,
    *,
    amount_minor: int,
    currency_code: str,
    secured_minor: int = 0,
    hold_s: int | None = None,
    payment_terms_days: int = 0,
    source: str = "",
) -> ReserveCreditRequest:
    """Decide about an order and, if it is approved, hold its exposure in the same atomic step.

    A refusal is an answer (`decision.outcome`), not an exception. Asking again for the same order with the same details
    gives the first decision again (`replayed`) and holds nothing twice.

    Args:
        account_id: the account that buys.
        order_id: the order's id, unique within the account.
        amount_minor: the order's total, from 1 to 2^53-1.
        currency_code: the order's ISO 4217 currency.
        secured_minor: the part of the total covered by security, which takes no credit.
        hold_s: how many seconds to hold, up to 400 days; None: 30 days.
        payment_terms_days: the order's payment terms.
        source: which system asks, for the journal.

    """
    return ReserveCreditRequest(
        account_id=account_id,
        order_id=order_id,
        amount_minor=amount_minor,
        currency_code=currency_code,
        secured_minor=secured_minor,
        hold_duration=None if hold_s is None else Duration(seconds=hold_s),
        payment_terms_days=payment_terms_days,
        source=source,
    )


def amend_reservation(
    account_id: str,
    order_id: str,
    *,
    amount_minor: int,
    currency_code: str,
    hold_s: int | None = None,
    request_id: str = "",
    etag: str = "",
) -> AmendReservationRequest:
    """Change the total of an order that is held, or how long it is held.

    An increase is judged like an order of that amount; when it is rejected (`decision.outcome`), nothing changes. A
    decrease never fails.

    Args:
        account_id: the account that buys.
        order_id: the order.
        amount_minor: the order's new total, from 1 to 2^53-1; one that is invoiced already ends the reservation.
        currency_code: the order's currency.
        hold_s: how many seconds to hold from now on, up to 400 days; None: the hold ends when it would have ended.
        request_id: the caller's id of this change: the same again is a replay.
        etag: the reservation's etag as it was read: ABORTED when it has changed since; empty: not compared.

    """
    return AmendReservationRequest(
        account_id=account_id,
        order_id=order_id,
        amount_minor=amount_minor,
        currency_code=currency_code,
        hold_duration=None if hold_s is None else Duration(seconds=hold_s),
        request_id=request_id,
        etag=etag,
    )


def commit_reservation(
    account_id: str, order_id: str, *, amount_minor: int, currency_code: str, document_id: str, final: bool = False
) -> CommitReservationRequest:
    """Turn (part of) a reservation into receivable, when goods ship or the invoice posts. Never refused for credit.

    Args:
        account_id: the account that buys.
        order_id: the order.
        amount_minor: the invoice's amount; 0 only with `final`.
        currency_code: the order's currency.
        document_id: the invoice's id, unique within the account: the same document again is a replay.
        final: nothing more will be invoiced for this order; what remains is given back.

    """
    return CommitReservationRequest(
        account_id=account_id,
        order_id=order_id,
        amount_minor=amount_minor,
        currency_code=currency_code,
        document_id=document_id,
        final=final,
    )


def release_reservation(
    account_id: str, order_id: str, *, request_id: str = "", reason: str = "", etag: str = ""
) -> ReleaseReservationRequest:
    """Give back what is still held for an order.

    Args:
        account_id: the account that buys.
        order_id: the order.
        request_id: the caller's id of this release, for the journal.
        reason: why, for the journal.
        etag: the reservation's etag as it was read: ABORTED when it has changed since; empty: not compared.

    """
    return ReleaseReservationRequest(
        account_id=account_id, order_id=order_id, request_id=request_id, reason=reason, etag=etag
    )


def get_reservation(account_id: str, order_id: str) -> GetReservationRequest:
    """Read one reservation."""
    return GetReservationRequest(account_id=account_id, order_id=order_id)


def list_reservations(
    account_id: str, *, states: Iterable[ReservationState.ValueType] = (), page_size: int = 0
) -> ListReservationsRequest:
    """Iterate over an account's reservations, in no particular order; a page is fetched when it is needed.

    Args:
        account_id: the account.
        states: only reservations in one of these states; empty: all.
        page_size: most reservations in one call, up to 1000; 0: 100.

    """
    return ListReservationsRequest(account_id=account_id, states=states, page_size=page_size)


def get_account(account_id: str) -> GetAccountRequest:
    """Read one account with its exposure."""
    return GetAccountRequest(account_id=account_id)


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
    if as_of.tzinfo is None:
        msg = f"as_of must have a time zone, was {as_of.isoformat()}"
        raise ValueError(msg)
    request = UpdateAgingRequest(
        account_id=account_id,
        overdue_minor=overdue_minor,
        disputed_minor=disputed_minor,
        oldest_due_date=oldest_due_date.isoformat() if oldest_due_date is not None else "",
    )
    request.as_of.FromDatetime(as_of.astimezone(UTC))
    return request


def put_account(  # noqa: PLR0913 - one parameter per setting of an account, all but the id by name
    account_id: str,
    *,
    currency_code: str = "",
    display_name: str | None = None,
    risk_class: str | None = None,
    status: AccountStatus.ValueType | None = None,
    base_limit_minor: int | None = None,
    unlimited: bool | None = None,
    block: Block | None = None,
    clear: Iterable[ClearableField] = (),
) -> PutAccountRequest:
    """Create an account, or change the given settings of an existing one; None leaves a setting as it is.

    Args:
        account_id: the account.
        currency_code: the account's ISO 4217 currency; required for a new account.
        display_name: the customer's name.
        risk_class: name of the policy's class that judges the account.
        status: open or closed.
        base_limit_minor: the limit, in minor units of the account's currency; 0 is a limit of zero.
        unlimited: True: no ceiling.
        block: stops the account.
        clear: settings to take away: `base_limit_minor` (no limit is set) and `block` (no longer blocked).

    """
    given = {
        "display_name": display_name,
        "risk_class": risk_class,
        "status": status,
        "base_limit_minor": base_limit_minor,
        "unlimited": unlimited,
        "block": block,
    }
    paths = {field for field, value in given.items() if value is not None} | set(clear)
    account = Account(
        account_id=account_id,
        currency_code=currency_code,
        display_name=display_name or "",
        risk_class=risk_class or "",
        status=status or ACCOUNT_STATUS_UNSPECIFIED,
        base_limit_minor=base_limit_minor,
        unlimited=unlimited or False,
        block=block,
    )
    for field in clear:
        account.ClearField(field)
    return PutAccountRequest(account=account, update_mask=FieldMask(paths=sorted(paths)) if paths else None)


def close_account(account_id: str) -> CloseAccountRequest:
    """Close an account to new orders; what is held or owed can still be committed, released and paid."""
    return CloseAccountRequest(account_id=account_id)


def list_accounts(*, page_size: int = 0) -> ListAccountsRequest:
    """Iterate over all accounts, in no particular order; a page is fetched when it is needed.

    Args:
        page_size: most accounts in one call, up to 1000; 0: 100.

    """
    return ListAccountsRequest(page_size=page_size)
