"""Answers of the domain into messages.

Each function fills a message that is already in its place: setting fields one by one costs less than half of
constructing messages with keywords and copying them into their parents. An enum of the domain is set as it is, since
its numbers are those of the contract; the stubs want another type there, hence the ignored assignments.
"""

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.api.etag import render_etag
from creditgate.api.reason_texts import reason_text
from creditgate.domain.account import Account
from creditgate.domain.decision import Decision, Exposure, Reason
from creditgate.domain.operations import Reserved
from creditgate.domain.reservation import Reservation
from creditgate.v1 import account_pb2, decision_pb2, reservation_pb2
from creditgate.v1.credit_service_pb2 import ReserveCreditResponse

_MS_PER_SECOND = 1000
_NANOS_PER_MS = 1_000_000


def fill_reserved(target: ReserveCreditResponse, reserved: Reserved) -> None:
    """Write the answer to one order."""
    fill_decision(target.decision, reserved.decision)
    reservation = reserved.reservation
    if reservation is not None:
        _fill_reservation(target.reservation, reservation)
        if reservation.decision == reserved.decision:
            target.reservation.decision.CopyFrom(target.decision)
        else:
            fill_decision(target.reservation.decision, reservation.decision)
    if reserved.replayed:
        target.replayed = True


def fill_decision(target: decision_pb2.Decision, decision: Decision) -> None:
    """Write a decision with the sentences of its reasons."""
    exposure = decision.exposure
    target.outcome = decision.outcome  # type: ignore[assignment]
    for reason in decision.reasons:
        _fill_reason(target.reasons.add(), reason, exposure)
    for reason in decision.shadow_reasons:
        _fill_reason(target.shadow_reasons.add(), reason, exposure)
    for reason in decision.passed_rules:
        _fill_reason(target.passed_rules.add(), reason, exposure)
    fill_exposure(target.exposure, exposure)
    target.policy_version = decision.policy_version
    target.limit_version = decision.limit_version
    _fill_time(target.decide_time, decision.decide_time_ms)


def _fill_reason(target: decision_pb2.Reason, reason: Reason, exposure: Exposure) -> None:
    target.code = reason.code  # type: ignore[assignment]
    target.action = reason.action  # type: ignore[assignment]
    target.message = reason_text(reason, exposure)
    target.observed = reason.observed
    target.threshold = reason.threshold


def fill_exposure(target: decision_pb2.Exposure, exposure: Exposure) -> None:
    """Write an exposure; limit and available stay absent when there is no limit."""
    target.currency_code = exposure.currency_code
    available_minor = exposure.available_minor
    if available_minor is not None and exposure.limit_minor is not None:
        target.limit_minor = exposure.limit_minor
        target.available_minor = available_minor
    if exposure.unlimited:
        target.unlimited = True
    target.reserved_minor = exposure.reserved_minor
    target.receivable_minor = exposure.receivable_minor
    target.pending_review_minor = exposure.pending_review_minor


def fill_reservation(target: reservation_pb2.Reservation, reservation: Reservation) -> None:
    """Write a reservation with the decision that made it."""
    _fill_reservation(target, reservation)
    fill_decision(target.decision, reservation.decision)


def _fill_reservation(target: reservation_pb2.Reservation, reservation: Reservation) -> None:
    """Write a reservation without its decision."""
    target.account_id = reservation.account_id
    target.order_id = reservation.order_id
    target.state = reservation.state  # type: ignore[assignment]
    target.currency_code = reservation.currency_code
    target.amount_minor = reservation.amount_minor
    target.secured_minor = reservation.secured_minor
    target.committed_minor = reservation.committed_minor
    target.remaining_minor = reservation.remaining_minor
    target.exposure_minor = reservation.exposure_minor
    _fill_time(target.create_time, reservation.create_time_ms)
    if reservation.expire_time_s:
        target.expire_time.seconds = reservation.expire_time_s
    target.etag = render_etag(reservation.etag)


def fill_account(target: account_pb2.Account, account: Account) -> None:
    """Write an account with its exposure."""
    target.account_id = account.account_id
    target.display_name = account.display_name
    target.currency_code = account.currency_code
    target.risk_class = account.risk_class
    target.status = account.status  # type: ignore[assignment]
    fill_exposure(target.exposure, account.exposure)
    if account.base_limit_minor is not None:
        target.base_limit_minor = account.base_limit_minor
    target.unlimited = account.unlimited
    target.secured_receivable_minor = account.secured_receivable_minor
    target.limit_version = account.limit_version
    if account.block is not None:
        target.block.reason = account.block.reason
        target.block.actor = account.block.actor
        _fill_time(target.block.create_time, account.block.create_time_ms)
    aging = account.aging
    if aging is not None:
        target.overdue_minor = aging.overdue_minor
        target.disputed_minor = aging.disputed_minor
        target.oldest_due_date = aging.oldest_due_date.isoformat() if aging.oldest_due_date is not None else ""
        _fill_time(target.aging_as_of, aging.as_of_ms)
    _fill_time(target.create_time, account.create_time_ms)


def _fill_time(target: Timestamp, time_ms: int) -> None:
    target.seconds, rest_ms = divmod(time_ms, _MS_PER_SECOND)
    target.nanos = rest_ms * _NANOS_PER_MS
