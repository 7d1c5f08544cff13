"""Answers of the domain into messages.

Each function fills a message that is already in its place: setting fields one by one costs less than half of
constructing messages with keywords and copying them into their parents. An enum of the domain is set as it is, since
its numbers are those of the contract; the stubs want another type there, hence the ignored assignments.
"""

from collections.abc import Callable

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.api.etag import render_etag
from creditgate.api.reason_texts import ENGLISH, Language, reason_text
from creditgate.domain.account import Account, ManualLimit, ScheduledLimit, TemporaryLimit
from creditgate.domain.decision import Decision, Exposure, Reason
from creditgate.domain.group import CreditGroup
from creditgate.domain.operations import Reserved
from creditgate.domain.reservation import Reservation
from creditgate.v1 import account_pb2, decision_pb2, group_pb2, reservation_pb2
from creditgate.v1.credit_service_pb2 import ReserveCreditResponse

Speak = Callable[[], Language]
"""Tells the language of the sentences, when there are any: finding it out costs more than a decision without them."""

_MS_PER_SECOND = 1000
_NANOS_PER_MS = 1_000_000


def speak_english() -> Language:
    """Return English."""
    return ENGLISH


def fill_reserved(target: ReserveCreditResponse, reserved: Reserved, speak: Speak = speak_english) -> None:
    """Write the answer to one order."""
    fill_decision(target.decision, reserved.decision, speak)
    reservation = reserved.reservation
    if reservation is not None:
        _fill_reservation(target.reservation, reservation)
        if reservation.decision == reserved.decision:
            target.reservation.decision.CopyFrom(target.decision)
        else:
            fill_decision(target.reservation.decision, reservation.decision, speak)
    if reserved.replayed:
        target.replayed = True


def fill_decision(target: decision_pb2.Decision, decision: Decision, speak: Speak = speak_english) -> None:
    """Write a decision with the sentences of its reasons."""
    exposure = decision.exposure
    target.outcome = decision.outcome  # type: ignore[assignment]
    if decision.reasons or decision.shadow_reasons or decision.passed_rules:
        _fill_reasons(target, decision, speak())
    fill_exposure(target.exposure, exposure)
    target.policy_version = decision.policy_version
    target.limit_version = decision.limit_version
    fill_time(target.decide_time, decision.decide_time_ms)


def _fill_reasons(target: decision_pb2.Decision, decision: Decision, language: Language) -> None:
    exposure = decision.exposure
    for reason in decision.reasons:
        _fill_reason(target.reasons.add(), reason, exposure, language)
    for reason in decision.shadow_reasons:
        _fill_reason(target.shadow_reasons.add(), reason, exposure, language)
    for reason in decision.passed_rules:
        _fill_reason(target.passed_rules.add(), reason, exposure, language)


def _fill_reason(target: decision_pb2.Reason, reason: Reason, exposure: Exposure, language: Language) -> None:
    target.code = reason.code  # type: ignore[assignment]
    target.action = reason.action  # type: ignore[assignment]
    target.message = reason_text(reason, exposure, language)
    target.observed = reason.observed
    target.threshold = reason.threshold
    target.currency_code = reason.currency_code


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


def fill_reservation(
    target: reservation_pb2.Reservation, reservation: Reservation, speak: Speak = speak_english
) -> None:
    """Write a reservation with the decision that made it."""
    _fill_reservation(target, reservation)
    fill_decision(target.decision, reservation.decision, speak)


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
    target.rate = reservation.rate
    if reservation.pending_amount_minor:
        target.pending_amount_minor = reservation.pending_amount_minor
    fill_time(target.create_time, reservation.create_time_ms)
    if reservation.expire_time_s:
        target.expire_time.seconds = reservation.expire_time_s
    target.etag = render_etag(reservation.etag)


def fill_account(target: account_pb2.Account, account: Account) -> None:
    """Write an account with its exposure."""
    target.account_id = account.account_id
    target.display_name = account.display_name
    target.currency_code = account.currency_code
    target.group_id = account.group_id
    target.risk_class = account.risk_class
    target.status = account.status  # type: ignore[assignment]
    fill_exposure(target.exposure, account.exposure)
    if account.base_limit_minor is not None:
        target.base_limit_minor = account.base_limit_minor
    target.unlimited = account.unlimited
    target.secured_receivable_minor = account.secured_receivable_minor
    target.limit_version = account.limit_version
    _fill_second(target.limit_expire_time, account.limit_expire_time_s)
    _fill_second(target.limit_confirm_time, account.limit_confirm_time_s)
    _fill_manual_limit(target, account.manual_limit)
    _fill_temporary_limit(target, account.temporary_limit)
    _fill_scheduled_limit(target, account.scheduled_limit)
    if account.score is not None:
        target.score = account.score
    target.limit_reasons.extend(account.limit_reasons)
    if account.block is not None:
        target.block.reason = account.block.reason
        target.block.actor = account.block.actor
        fill_time(target.block.create_time, account.block.create_time_ms)
        _fill_second(target.block.expire_time, account.block.expire_time_s)
    aging = account.aging
    if aging is not None:
        target.overdue_minor = aging.overdue_minor
        target.disputed_minor = aging.disputed_minor
        target.oldest_due_date = aging.oldest_due_date.isoformat() if aging.oldest_due_date is not None else ""
        fill_time(target.aging_as_of, aging.as_of_ms)
    fill_time(target.create_time, account.create_time_ms)


def _fill_manual_limit(target: account_pb2.Account, manual: ManualLimit | None) -> None:
    if manual is not None:
        target.manual_limit.limit_minor = manual.limit_minor or 0
        target.manual_limit.unlimited = manual.limit_minor is None
        _fill_second(target.manual_limit.expire_time, manual.expire_time_s)
        target.manual_limit.reason = manual.reason
        target.manual_limit.actor = manual.actor
        fill_time(target.manual_limit.create_time, manual.create_time_ms)


def _fill_temporary_limit(target: account_pb2.Account, temporary: TemporaryLimit | None) -> None:
    if temporary is not None:
        target.temporary_limit.limit_minor = temporary.limit_minor
        target.temporary_limit.start_time.seconds = temporary.start_time_s
        target.temporary_limit.end_time.seconds = temporary.end_time_s
        target.temporary_limit.reason = temporary.reason
        target.temporary_limit.actor = temporary.actor
        fill_time(target.temporary_limit.create_time, temporary.create_time_ms)


def _fill_scheduled_limit(target: account_pb2.Account, scheduled: ScheduledLimit | None) -> None:
    if scheduled is not None:
        target.scheduled_limit.limit_minor = scheduled.limit_minor or 0
        target.scheduled_limit.unlimited = scheduled.limit_minor is None
        target.scheduled_limit.version = scheduled.version
        target.scheduled_limit.effective_time.seconds = scheduled.effective_time_s
        _fill_second(target.scheduled_limit.expire_time, scheduled.expire_time_s)
        target.scheduled_limit.risk_class = scheduled.risk_class


def fill_group(target: group_pb2.CreditGroup, group: CreditGroup) -> None:
    """Write a credit group with its exposure; the exposure stays absent when a rate is missing."""
    target.group_id = group.group_id
    target.display_name = group.display_name
    target.currency_code = group.currency_code
    if group.limit_minor is not None:
        target.limit_minor = group.limit_minor
    target.unlimited = group.limit_minor is None
    target.account_count = group.account_count
    for sums in group.currencies:
        target.currencies.add(
            currency_code=sums.currency_code,
            reserved_minor=sums.reserved_minor,
            receivable_minor=sums.receivable_minor,
            owed_minor=sums.owed_minor,
        )
    if group.exposure_minor is not None:
        target.exposure_minor = group.exposure_minor
    fill_time(target.create_time, group.create_time_ms)


def _fill_second(target: Timestamp, second: int) -> None:
    """Write an instant; 0 is none and stays absent."""
    if second:
        target.seconds = second


def fill_time(target: Timestamp, time_ms: int) -> None:
    """Write an instant."""
    target.seconds, rest_ms = divmod(time_ms, _MS_PER_SECOND)
    target.nanos = rest_ms * _NANOS_PER_MS
