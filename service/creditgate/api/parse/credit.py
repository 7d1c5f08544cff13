"""Requests of CreditService."""

from typing import Final, NamedTuple

from creditgate.api.parse.fields import (
    Violations,
    check_amount,
    check_currency,
    check_id,
    check_optional_id,
    check_page_token,
    check_payment_terms,
    check_secured,
    check_source,
    check_text,
    raise_violations,
    read_etag,
    read_hold_s,
    read_page_size,
    was,
)
from creditgate.domain.bounds import RELEASE_REASON_LENGTH_MAX
from creditgate.domain.errors import FieldViolation
from creditgate.domain.operations import (
    AmendReservation,
    CheckCredit,
    CommitReservation,
    GetAccount,
    GetReservation,
    ReleaseReservation,
    ReserveCredit,
)
from creditgate.domain.reservation import ReservationState
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

_STATES: Final = {state.value: state for state in ReservationState}
_STATE_UNSPECIFIED: Final = 0


def parse_check_credit(request: CheckCreditRequest) -> CheckCredit:
    """Return the operation, or raise INVALID_FIELD."""
    found: Violations = []
    account_id, amount_minor, currency_code = request.account_id, request.amount_minor, request.currency_code
    secured_minor = request.secured_minor
    check_id(found, "account_id", account_id)
    check_amount(found, "amount_minor", amount_minor)
    check_currency(found, "currency_code", currency_code)
    check_secured(found, "secured_minor", secured_minor, amount_minor)
    check_payment_terms(found, "payment_terms_days", request.payment_terms_days)
    raise_violations(found)
    return CheckCredit(
        account_id, amount_minor, currency_code, secured_minor, request.explain, request.payment_terms_days
    )


def parse_reserve_credit(request: ReserveCreditRequest) -> ReserveCredit:
    """Return the operation, or raise INVALID_FIELD."""
    found: Violations = []
    account_id, order_id, currency_code = request.account_id, request.order_id, request.currency_code
    amount_minor, secured_minor = request.amount_minor, request.secured_minor
    terms_days, source = request.payment_terms_days, request.source
    check_id(found, "account_id", account_id)
    check_id(found, "order_id", order_id)
    check_amount(found, "amount_minor", amount_minor)
    check_currency(found, "currency_code", currency_code)
    check_secured(found, "secured_minor", secured_minor, amount_minor)
    hold_s = read_hold_s(found, "hold_duration", request.hold_duration) if request.HasField("hold_duration") else None
    check_payment_terms(found, "payment_terms_days", terms_days)
    check_source(found, "source", source)
    raise_violations(found)
    return ReserveCredit(account_id, order_id, amount_minor, currency_code, hold_s, secured_minor, terms_days, source)


def parse_amend_reservation(request: AmendReservationRequest) -> AmendReservation:
    """Return the operation, or raise INVALID_FIELD."""
    found: Violations = []
    account_id, order_id, currency_code = request.account_id, request.order_id, request.currency_code
    check_id(found, "account_id", account_id)
    check_id(found, "order_id", order_id)
    check_amount(found, "amount_minor", request.amount_minor)
    check_currency(found, "currency_code", currency_code)
    hold_s = None
    if request.HasField("hold_duration"):
        hold_s = read_hold_s(found, "hold_duration", request.hold_duration)
    check_optional_id(found, "request_id", request.request_id)
    etag = read_etag(found, "etag", request.etag)
    raise_violations(found)
    return AmendReservation(account_id, order_id, request.amount_minor, currency_code, hold_s, request.request_id, etag)


def parse_commit_reservation(request: CommitReservationRequest) -> CommitReservation:
    """Return the operation, or raise INVALID_FIELD. Only a final commit may be of nothing."""
    found: Violations = []
    account_id, order_id, document_id = request.account_id, request.order_id, request.document_id
    amount_minor, currency_code, final = request.amount_minor, request.currency_code, request.final
    check_id(found, "account_id", account_id)
    check_id(found, "order_id", order_id)
    check_amount(found, "amount_minor", amount_minor, least_minor=0 if final else 1)
    check_currency(found, "currency_code", currency_code)
    check_id(found, "document_id", document_id)
    raise_violations(found)
    return CommitReservation(account_id, order_id, amount_minor, currency_code, document_id, final)


def parse_release_reservation(request: ReleaseReservationRequest) -> ReleaseReservation:
    """Return the operation, or raise INVALID_FIELD."""
    found: Violations = []
    check_id(found, "account_id", request.account_id)
    check_id(found, "order_id", request.order_id)
    check_optional_id(found, "request_id", request.request_id)
    check_text(found, "reason", request.reason, RELEASE_REASON_LENGTH_MAX)
    etag = read_etag(found, "etag", request.etag)
    raise_violations(found)
    return ReleaseReservation(request.account_id, request.order_id, request.request_id, request.reason, etag)


def parse_get_reservation(request: GetReservationRequest) -> GetReservation:
    """Return the operation, or raise INVALID_FIELD."""
    found: Violations = []
    check_id(found, "account_id", request.account_id)
    check_id(found, "order_id", request.order_id)
    raise_violations(found)
    return GetReservation(request.account_id, request.order_id)


def parse_get_account(request: GetAccountRequest) -> GetAccount:
    """Return the operation, or raise INVALID_FIELD."""
    found: Violations = []
    check_id(found, "account_id", request.account_id)
    raise_violations(found)
    return GetAccount(request.account_id)


class ReservationListing(NamedTuple):
    """Which page of an account's reservations is asked for; no states mean all."""

    account_id: str
    states: frozenset[ReservationState]
    page_size: int
    page_token: str


def parse_list_reservations(request: ListReservationsRequest) -> ReservationListing:
    """Return what to list, or raise INVALID_FIELD."""
    found: Violations = []
    check_id(found, "account_id", request.account_id)
    states = _read_states(found, request)
    page_size = read_page_size(found, request.page_size)
    check_page_token(found, request.page_token)
    raise_violations(found)
    return ReservationListing(request.account_id, states, page_size, request.page_token)


def _read_states(found: Violations, request: ListReservationsRequest) -> frozenset[ReservationState]:
    """Return the states to list; the unspecified state stands for all of them."""
    states = set()
    for index, number in enumerate(request.states):
        state = _STATES.get(number)
        if state is not None:
            states.add(state)
        elif number != _STATE_UNSPECIFIED:
            found.append(FieldViolation(f"states[{index}]", f"must be a value of ReservationState, {was(number)}"))
    return frozenset() if _STATE_UNSPECIFIED in request.states else frozenset(states)
