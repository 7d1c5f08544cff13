"""Builds the request of every call: both clients take their parameters, defaults and documentation from here.

Amounts are integers in minor units of `currency_code` (1250.00 USD is 125000). The service checks every bound and names
the field that breaks one; nothing is checked twice here.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal, TypeAlias

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1.account_pb2 import ACCOUNT_STATUS_UNSPECIFIED, Account, AccountStatus, Block
from creditgate.v1.admin_service_pb2 import (
    CloseAccountRequest,
    ExchangeRate,
    GetGroupRequest,
    GetPolicyRequest,
    ListAccountsRequest,
    ListGroupsRequest,
    PutAccountRequest,
    PutExchangeRatesRequest,
    PutGroupRequest,
)
from creditgate.v1.credit_desk_service_pb2 import (
    BlockAccountRequest,
    ClearManualLimitRequest,
    ClearTemporaryLimitRequest,
    SetManualLimitRequest,
    SetTemporaryLimitRequest,
    UnblockAccountRequest,
)
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
from creditgate.v1.group_pb2 import CreditGroup
from creditgate.v1.receivables_service_pb2 import (
    OpenItem,
    PostReceivableRequest,
    RecordCreditNoteRequest,
    RecordPaymentRequest,
    UpdateAgingRequest,
)
from creditgate.v1.reservation_pb2 import ReservationState

ClearableField: TypeAlias = Literal["base_limit_minor", "block", "group_id", "limit_expire_time"]
"""A setting of an account that can be taken away."""


def _timestamp(name: str, instant: datetime) -> Timestamp:
    """Return an instant as a message; raise ValueError when it has no time zone."""
    if instant.tzinfo is None:
        msg = f"{name} must have a time zone, was {instant.isoformat()}"
        raise ValueError(msg)
    timestamp = Timestamp()
    timestamp.FromDatetime(instant.astimezone(UTC))
    return timestamp


def _optional_timestamp(name: str, instant: datetime | None) -> Timestamp | None:
    return None if instant is None else _timestamp(name, instant)


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
    return UpdateAgingRequest(
        account_id=account_id,
        overdue_minor=overdue_minor,
        disputed_minor=disputed_minor,
        oldest_due_date=oldest_due_date.isoformat() if oldest_due_date is not None else "",
        as_of=_timestamp("as_of", as_of),
    )


def put_account(  # noqa: PLR0913 - one parameter per setting of an account, all but the id by name
    account_id: str,
    *,
    currency_code: str = "",
    display_name: str | None = None,
    risk_class: str | None = None,
    status: AccountStatus.ValueType | None = None,
    base_limit_minor: int | None = None,
    unlimited: bool | None = None,
    limit_expire_time: datetime | None = None,
    group_id: str | None = None,
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
        limit_expire_time: when the limit ends, a whole second, with its time zone.
        group_id: the credit group that the account joins with all that it has.
        block: stops the account.
        clear: settings to take away: `base_limit_minor` (no limit is set), `limit_expire_time` (the limit does not
            end), `group_id` (in no group) and `block` (no longer blocked).

    Raises:
        ValueError: `limit_expire_time` has no time zone.

    """
    given = {
        "display_name": display_name,
        "risk_class": risk_class,
        "status": status,
        "base_limit_minor": base_limit_minor,
        "unlimited": unlimited,
        "limit_expire_time": limit_expire_time,
        "group_id": group_id,
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
        limit_expire_time=_optional_timestamp("limit_expire_time", limit_expire_time),
        group_id=group_id or "",
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


def put_group(
    group_id: str,
    *,
    currency_code: str,
    limit_minor: int | None = None,
    unlimited: bool = False,
    display_name: str = "",
) -> PutGroupRequest:
    """Create a credit group, or replace its settings; accounts join and leave by `put_account`.

    Args:
        group_id: the group.
        currency_code: the ISO 4217 currency of its limit; it can't change.
        limit_minor: the ceiling on the exposure of all its accounts together; either this or `unlimited` is given.
        unlimited: True: no ceiling.
        display_name: its name, for people.

    """
    group = CreditGroup(
        group_id=group_id,
        display_name=display_name,
        currency_code=currency_code,
        limit_minor=limit_minor,
        unlimited=unlimited,
    )
    return PutGroupRequest(group=group)


def get_group(group_id: str) -> GetGroupRequest:
    """Read one credit group with its exposure."""
    return GetGroupRequest(group_id=group_id)


def list_groups(*, page_size: int = 0) -> ListGroupsRequest:
    """Iterate over all credit groups, in no particular order; a page is fetched when it is needed.

    Args:
        page_size: most groups in one call, up to 1000; 0: 100.

    """
    return ListGroupsRequest(page_size=page_size)


def put_exchange_rates(
    rates: Mapping[tuple[str, str], Decimal | str], *, version: int, expire_time: datetime | None = None
) -> PutExchangeRatesRequest:
    """Replace exchange rates from now on; rates that are booked on reservations stay.

    Args:
        rates: what one unit of the first currency is worth in the second: `{("EUR", "USD"): "1.0842"}`; at most 500. A
            pair that is not named stays as it is, and the opposite direction is a rate of its own.
        version: counts the tables of rates, from 1: for a pair that has a newer one, this table is ignored.
        expire_time: when these rates are no longer to be used, a whole second, with its time zone.

    Raises:
        ValueError: `expire_time` has no time zone.

    """
    return PutExchangeRatesRequest(
        rates=[
            ExchangeRate(
                from_currency_code=from_code,
                to_currency_code=to_code,
                rate=f"{rate:f}" if isinstance(rate, Decimal) else rate,
            )
            for (from_code, to_code), rate in rates.items()
        ],
        version=version,
        expire_time=_optional_timestamp("expire_time", expire_time),
    )


def get_policy() -> GetPolicyRequest:
    """Read the policy that decides, and why its file is not used, if it is not."""
    return GetPolicyRequest()


def block_account(
    account_id: str, *, reason: str, actor: str, expire_time: datetime | None = None
) -> BlockAccountRequest:
    """Stop an account; what is held or owed can still be committed, released and paid.

    Args:
        account_id: the account.
        reason: why, for people.
        actor: who decides.
        expire_time: when the block ends by itself, a whole second, with its time zone; None: it does not.

    Raises:
        ValueError: `expire_time` has no time zone.

    """
    return BlockAccountRequest(
        account_id=account_id,
        reason=reason,
        actor=actor,
        expire_time=_optional_timestamp("expire_time", expire_time),
    )


def unblock_account(account_id: str, *, reason: str, actor: str) -> UnblockAccountRequest:
    """End an account's block.

    Args:
        account_id: the account.
        reason: why, for people.
        actor: who decides.

    """
    return UnblockAccountRequest(account_id=account_id, reason=reason, actor=actor)


def set_manual_limit(
    account_id: str,
    *,
    currency_code: str,
    reason: str,
    actor: str,
    limit_minor: int | None = None,
    unlimited: bool = False,
    expire_time: datetime | None = None,
) -> SetManualLimitRequest:
    """Set a limit that counts instead of the scorer's until it expires or is cleared.

    Args:
        account_id: the account.
        currency_code: the account's currency.
        reason: why, for people.
        actor: who decides.
        limit_minor: the limit, in minor units; 0 is a limit of zero. Either this or `unlimited` is given.
        unlimited: True: no ceiling.
        expire_time: when the base limit counts again, a whole second, with its time zone; None: not by itself.

    Raises:
        ValueError: neither or both of `limit_minor` and `unlimited` are given, or `expire_time` has no time zone.

    """
    if (limit_minor is None) != unlimited:
        msg = "either limit_minor or unlimited must be given"
        raise ValueError(msg)
    return SetManualLimitRequest(
        account_id=account_id,
        limit_minor=limit_minor or 0,
        currency_code=currency_code,
        unlimited=unlimited,
        expire_time=_optional_timestamp("expire_time", expire_time),
        reason=reason,
        actor=actor,
    )


def clear_manual_limit(account_id: str, *, reason: str, actor: str) -> ClearManualLimitRequest:
    """Take the manual limit away: the scorer's counts again.

    Args:
        account_id: the account.
        reason: why, for people.
        actor: who decides.

    """
    return ClearManualLimitRequest(account_id=account_id, reason=reason, actor=actor)


def set_temporary_limit(
    account_id: str,
    *,
    limit_minor: int,
    currency_code: str,
    end_time: datetime,
    reason: str,
    actor: str,
    start_time: datetime | None = None,
) -> SetTemporaryLimitRequest:
    """Set a limit that counts instead of every other between two instants, in the place of an earlier temporary one.

    Args:
        account_id: the account.
        limit_minor: the limit, in minor units; 0 is a limit of zero.
        currency_code: the account's currency.
        end_time: when it no longer counts, a whole second, with its time zone.
        reason: why, for people.
        actor: who decides.
        start_time: from when on it counts, a whole second, with its time zone; None: from now on.

    Raises:
        ValueError: `start_time` or `end_time` has no time zone.

    """
    return SetTemporaryLimitRequest(
        account_id=account_id,
        limit_minor=limit_minor,
        currency_code=currency_code,
        start_time=_optional_timestamp("start_time", start_time),
        end_time=_timestamp("end_time", end_time),
        reason=reason,
        actor=actor,
    )


def clear_temporary_limit(account_id: str, *, reason: str, actor: str) -> ClearTemporaryLimitRequest:
    """Take the temporary limit away.

    Args:
        account_id: the account.
        reason: why, for people.
        actor: who decides.

    """
    return ClearTemporaryLimitRequest(account_id=account_id, reason=reason, actor=actor)
