"""What operations answer, in a table's words: one function for each type of answer."""

from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Final

from creditgate.domain.account import Account, AccountStatus
from creditgate.domain.decision import Decision, Outcome, Reason, ReasonCode
from creditgate.domain.operations import (
    AccountPut,
    AgingUpdated,
    Amended,
    Committed,
    GroupPut,
    Recorded,
    Released,
    Reserved,
)
from creditgate.domain.reservation import Reservation, ReservationState
from tests.scenarios.scene import Scene
from tests.scenarios.shown import NOTHING, PASSED, Field, Row, Shown, a_field
from tests.scenarios.words import MS_PER_S, optional, read_amount, read_count, read_instant, read_yes

_SHADOW = "shadow:"
_REASONS = frozenset(prefix + code.name for prefix in ("", _SHADOW, PASSED) for code in ReasonCode)


@singledispatch
def shown(answer: object, _scene: Scene) -> Shown:
    """Return an answer in a table's words."""
    raise AssertionError(answer)


@shown.register
def _(answer: Decision, scene: Scene) -> Shown:
    return _shown_decision(answer, scene, {}, {})


@shown.register
def _(answer: Reserved, scene: Scene) -> Shown:
    fields = _reservation_fields(answer.reservation, scene)
    return _shown_decision(answer.decision, scene, {"replayed": answer.replayed}, fields, answer.reservation)


@shown.register
def _(answer: Amended, scene: Scene) -> Shown:
    fields = _reservation_fields(answer.reservation, scene)
    return _shown_decision(answer.decision, scene, {"replayed": answer.replayed}, fields, answer.reservation)


@shown.register
def _(answer: Committed, scene: Scene) -> Shown:
    over = a_field(answer.over_committed_minor, read_amount)
    return Shown(
        fields={"over": over, **_reservation_fields(answer.reservation, scene)},
        marks={"late": answer.late, "replayed": answer.replayed},
        facts=_state_facts(answer.reservation),
        unstated={"over": "0"},
    )


@shown.register
def _(answer: Released, scene: Scene) -> Shown:
    return Shown(
        fields=_reservation_fields(answer.reservation, scene),
        marks={"replayed": answer.replayed},
        facts=_state_facts(answer.reservation),
    )


@shown.register
def _(answer: Reservation, scene: Scene) -> Shown:
    fields = {**_decision_fields(answer.decision, scene), **_reservation_fields(answer, scene)}
    return Shown(fields=fields, facts={**_outcome_words(answer.decision), **_state_facts(answer)})


@shown.register
def _(answer: Account, scene: Scene) -> Shown:
    return _shown_account(answer, scene, {})


@shown.register
def _(answer: AccountPut, scene: Scene) -> Shown:
    return _shown_account(answer.account, scene, {"created": answer.created})


@shown.register
def _(answer: GroupPut, _scene: Scene) -> Shown:
    group = answer.group
    return Shown(
        fields={
            "limit": a_field(group.limit_minor, optional(read_amount)),
            "exposure": a_field(group.exposure_minor, optional(read_amount)),
            "accounts": a_field(group.account_count, read_count),
        },
        facts={"created": answer.created},
    )


@shown.register
def _(answer: Recorded, scene: Scene) -> Shown:
    return _shown_account(answer.account, scene, {"replayed": answer.replayed})


@shown.register
def _(answer: AgingUpdated, scene: Scene) -> Shown:
    return _shown_account(answer.account, scene, {"replayed": answer.replayed, "ignored": answer.ignored})


# --- decisions


def _shown_decision(
    decision: Decision,
    scene: Scene,
    marks: Mapping[str, bool],
    fields: Mapping[str, Field],
    reservation: Reservation | None = None,
) -> Shown:
    return Shown(
        fields={**_decision_fields(decision, scene), **fields},
        marks={**_outcome_words(decision), **marks},
        facts=_state_facts(reservation),
        rows=[_row("", each) for each in decision.reasons] + [_row(_SHADOW, each) for each in decision.shadow_reasons],
        row_names=_REASONS.__contains__,
        passed=[_row(PASSED, each) for each in decision.passed_rules],
    )


def _row(prefix: str, reason: Reason) -> Row:
    observed, threshold = a_field(reason.observed, read_amount), a_field(reason.threshold, read_amount)
    return Row(prefix + reason.code.name, observed, threshold)


def _outcome_words(decision: Decision) -> dict[str, bool]:
    return {outcome.name.lower(): outcome is decision.outcome for outcome in Outcome}


def _decision_fields(decision: Decision, scene: Scene) -> dict[str, Field]:
    exposure = decision.exposure
    return {
        "seen_limit": a_field(exposure.limit_minor, optional(read_amount)),
        "seen_reserved": a_field(exposure.reserved_minor, read_amount),
        "seen_receivable": a_field(exposure.receivable_minor, read_amount),
        "seen_pending": a_field(exposure.pending_review_minor, read_amount),
        "seen_available": a_field(exposure.available_minor, optional(read_amount)),
        "decided": a_field(scene.instant(decision.decide_time_ms), read_instant),
    }


# --- reservations


def _state_facts(reservation: Reservation | None) -> dict[str, bool]:
    return {state.name: reservation is not None and reservation.state is state for state in ReservationState}


def _etag_field(reservation: Reservation, scene: Scene) -> Field:
    etag = reservation.etag
    return Field(scene.etag_name(etag), lambda name: scene.is_etag(name, etag))


_RESERVATION: Final[Mapping[str, Callable[[Reservation, Scene], Field]]] = {
    "amount": lambda reservation, _: a_field(reservation.amount_minor, read_amount),
    "currency": lambda reservation, _: a_field(reservation.currency_code, str),
    "secured": lambda reservation, _: a_field(reservation.secured_minor, read_amount),
    "committed": lambda reservation, _: a_field(reservation.committed_minor, read_amount),
    "remaining": lambda reservation, _: a_field(reservation.remaining_minor, read_amount),
    "held": lambda reservation, _: a_field(reservation.exposure_minor, read_amount),
    "created": lambda reservation, scene: a_field(scene.instant(reservation.create_time_ms), read_instant),
    "expires": lambda reservation, scene: a_field(scene.instant(reservation.expire_time_s * MS_PER_S), read_instant),
    "etag": _etag_field,
}


def _reservation_fields(reservation: Reservation | None, scene: Scene) -> dict[str, Field]:
    """Return the fields of a reservation; of a rejected order they are nothing."""
    if reservation is None:
        return dict.fromkeys(_RESERVATION, NOTHING)
    return {name: make(reservation, scene) for name, make in _RESERVATION.items()}


# --- accounts


def _shown_account(account: Account, scene: Scene, marks: Mapping[str, bool]) -> Shown:
    exposure, aging, block = account.exposure, account.aging, account.block
    return Shown(
        fields={
            "currency": a_field(account.currency_code, str),
            "name": a_field(account.display_name, str),
            "class": a_field(account.risk_class, str),
            "limit": a_field(exposure.limit_minor, optional(read_amount)),
            "base_limit": a_field(account.base_limit_minor, optional(read_amount)),
            "unlimited": a_field(account.unlimited, read_yes),
            "reserved": a_field(exposure.reserved_minor, read_amount),
            "receivable": a_field(exposure.receivable_minor, read_amount),
            "secured_receivable": a_field(account.secured_receivable_minor, read_amount),
            "pending": a_field(exposure.pending_review_minor, read_amount),
            "available": a_field(exposure.available_minor, optional(read_amount)),
            "overdue": a_field(aging and aging.overdue_minor, optional(read_amount)),
            "disputed": a_field(aging and aging.disputed_minor, optional(read_amount)),
            "oldest_due": a_field(aging and aging.oldest_due_date, optional(scene.date)),
            "as_of": a_field(aging and scene.instant(aging.as_of_ms), optional(read_instant)),
            "block": a_field(block and block.reason, optional(str)),
            "actor": a_field(block and block.actor, optional(str)),
            "blocked_at": a_field(block and scene.instant(block.create_time_ms), optional(read_instant)),
            "created_at": a_field(scene.instant(account.create_time_ms), read_instant),
        },
        marks=marks,
        facts={status.name: account.status is status for status in AccountStatus},
    )
