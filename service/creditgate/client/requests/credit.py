"""Requests of CreditService: order entry."""

from collections.abc import Iterable

from google.protobuf.duration_pb2 import Duration

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
from creditgate.v1.reservation_pb2 import ReservationState


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

    A refusal is an answer (`decision.outcome`), not an exception. Asking again for an order that is held or waits for a
    person, with the same details, gives the first decision again (`replayed`) and holds nothing twice. An order that
    was refused, or whose hold has expired, is judged anew.

    Args:
        account_id: the account that buys.
        order_id: the order's id, unique within the account.
        amount_minor: the order's total, from 1 to 2^53-1.
        currency_code: the order's ISO 4217 currency.
        secured_minor: the part of the total covered by security, which takes no credit.
        hold_s: how many seconds to hold, up to what the policy allows; None: as long as the policy says.
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
        hold_s: how many seconds to hold from now on, up to what the policy allows; None: until it would have ended.
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
