"""What answers and the journal say, in the words of the check: both are read into these, and compared with what the
expected account says in them.
"""

from typing import Any, Final, NamedTuple, TypeAlias

from creditgate.store import layouts
from creditgate.store.constants import AccountFlag, EffectKind, ExposureFlag, LedgerFlag
from creditgate.store.journal import Effect
from creditgate.store.layouts import FieldType, Layout
from creditgate.v1.account_pb2 import Account
from creditgate.v1.admin_service_pb2 import PutAccountResponse
from creditgate.v1.credit_service_pb2 import (
    AmendReservationResponse,
    CommitReservationResponse,
    GetAccountResponse,
    GetReservationResponse,
    ReleaseReservationResponse,
    ReserveCreditResponse,
)
from creditgate.v1.decision_pb2 import Decision
from creditgate.v1.reservation_pb2 import Reservation
from tests.history.calls import Answer, Fault, Imported

MS_PER_S: Final = 1000
_NS_PER_MS: Final = 1_000_000


class ReasonReading(NamedTuple):
    """A rule that fired, and what it saw."""

    code: int
    observed: int
    threshold: int


class DecisionReading(NamedTuple):
    """A decision, and the account as it found it; no limit is None."""

    outcome: int
    reasons: tuple[ReasonReading, ...]
    limit_minor: int | None
    unlimited: bool
    reserved_minor: int
    receivable_minor: int
    decide_ms: int


class OrderReading(NamedTuple):
    """A reservation as it is kept; state 0 is that of an order which was rejected, and is not kept."""

    state: int
    terms_days: int
    revision: int
    amount_minor: int
    first_amount_minor: int
    secured_minor: int
    committed_minor: int
    held_minor: int
    expire_s: int
    decision: DecisionReading


class ReservationReading(NamedTuple):
    """A reservation as the API shows it."""

    order_id: str
    state: int
    amount_minor: int
    secured_minor: int
    committed_minor: int
    remaining_minor: int
    exposure_minor: int
    create_ms: int
    expire_s: int
    etag: str
    decision: DecisionReading


class AccountReading(NamedTuple):
    """An account's limit and sums."""

    display_name: str
    limit_minor: int | None
    unlimited: bool
    reserved_minor: int
    receivable_minor: int
    secured_receivable_minor: int
    pending_minor: int


class EntryReading(NamedTuple):
    """An entry of the receivable ledger."""

    kind: int
    late: bool
    final: bool
    posted: bool
    amount_minor: int
    change_minor: int
    over_committed_minor: int
    order_id: str


class AmendReading(NamedTuple):
    """A change of a reservation, with the decision about it."""

    amount_minor: int
    hold_s: int
    decision: DecisionReading


class SumsReading(NamedTuple):
    """An account's sums after an effect."""

    reserved_minor: int
    receivable_minor: int
    secured_receivable_minor: int
    pending_minor: int


class Happened(NamedTuple):
    """An effect: what it did to which order or entry, and what was there afterwards.

    `of` is the document of a commit, the request id of an amend, and empty for all others.
    """

    kind: EffectKind
    name: str = ""
    of: str = ""
    sums: SumsReading | None = None
    order: OrderReading | None = None
    entry: EntryReading | None = None
    amend: AmendReading | None = None
    account: AccountReading | None = None


class Reserved(NamedTuple):
    """The answer to an order."""

    decision: DecisionReading
    reservation: ReservationReading | None
    replayed: bool


class Amended(NamedTuple):
    """The answer to a change."""

    decision: DecisionReading
    reservation: ReservationReading
    replayed: bool


class Committed(NamedTuple):
    """The answer to a commit."""

    reservation: ReservationReading
    over_committed_minor: int
    late: bool
    replayed: bool


class Released(NamedTuple):
    """The answer to a release."""

    reservation: ReservationReading
    replayed: bool


class Recorded(NamedTuple):
    """The answer to an invoice, a credit note or a payment."""

    account: AccountReading
    replayed: bool


class Put(NamedTuple):
    """The answer to a change of settings."""

    account: AccountReading
    created: bool


class Refused(NamedTuple):
    """A fault, by its reason."""

    reason: str


AnswerReading: TypeAlias = (
    Reserved
    | Amended
    | Committed
    | Released
    | Recorded
    | Put
    | Imported
    | ReservationReading
    | AccountReading
    | Refused
)


def read_answer(answer: Answer) -> AnswerReading:  # noqa: PLR0911 - one line per kind of answer
    """Return what an answer says."""
    match answer:
        case ReserveCreditResponse():
            kept = _reservation(answer.reservation) if answer.HasField("reservation") else None
            return Reserved(_decision(answer.decision), kept, answer.replayed)
        case AmendReservationResponse():
            return Amended(_decision(answer.decision), _reservation(answer.reservation), answer.replayed)
        case CommitReservationResponse():
            return Committed(
                _reservation(answer.reservation), answer.over_committed_minor, answer.late, answer.replayed
            )
        case ReleaseReservationResponse():
            return Released(_reservation(answer.reservation), answer.replayed)
        case Imported():
            return answer
        case PutAccountResponse():
            return Put(_account(answer.account), answer.created)
        case GetReservationResponse():
            return _reservation(answer.reservation)
        case GetAccountResponse():
            return _account(answer.account)
        case Fault():
            return Refused(answer.reason)
        case _:
            return Recorded(_account(answer.account), answer.replayed)


def _decision(decision: Decision) -> DecisionReading:
    exposure = decision.exposure
    return DecisionReading(
        decision.outcome,
        tuple(ReasonReading(reason.code, reason.observed, reason.threshold) for reason in decision.reasons),
        exposure.limit_minor if exposure.HasField("limit_minor") else None,
        exposure.unlimited,
        exposure.reserved_minor,
        exposure.receivable_minor,
        decision.decide_time.seconds * MS_PER_S + decision.decide_time.nanos // _NS_PER_MS,
    )


def _reservation(reservation: Reservation) -> ReservationReading:
    create = reservation.create_time
    return ReservationReading(
        reservation.order_id,
        reservation.state,
        reservation.amount_minor,
        reservation.secured_minor,
        reservation.committed_minor,
        reservation.remaining_minor,
        reservation.exposure_minor,
        create.seconds * MS_PER_S + create.nanos // _NS_PER_MS,
        reservation.expire_time.seconds,
        reservation.etag,
        _decision(reservation.decision),
    )


def _account(account: Account) -> AccountReading:
    exposure = account.exposure
    return AccountReading(
        account.display_name,
        account.base_limit_minor if account.HasField("base_limit_minor") else None,
        account.unlimited,
        exposure.reserved_minor,
        exposure.receivable_minor,
        account.secured_receivable_minor,
        exposure.pending_review_minor,
    )


_ON_ORDERS: Final = frozenset(
    {
        EffectKind.RESERVED,
        EffectKind.REJECTED,
        EffectKind.AMENDED,
        EffectKind.AMEND_REJECTED,
        EffectKind.COMMITTED,
        EffectKind.RELEASED,
        EffectKind.EXPIRED,
    }
)
_NAMED_BY_THE_CALLER: Final = frozenset({EffectKind.AMENDED, EffectKind.AMEND_REJECTED, EffectKind.COMMITTED})


class JournaledEffect(NamedTuple):
    """An effect in its place in the journal. `update_s` is when its order was changed, 0 where there is none."""

    entry_id: str
    effect: Effect
    happened: Happened
    update_s: int

    @property
    def entry_ms(self) -> int:
        """When its entry was written, by the store's clock, or a moment later."""
        return int(self.entry_id.partition("-")[0])


def read_journaled(entry_id: str, effect: Effect) -> JournaledEffect | None:
    """Return what an effect did, or None for a kind that no client here asks for."""
    sums = SumsReading(*effect.sums) if effect.sums is not None else None
    if effect.kind in _ON_ORDERS:
        order, update_s, end = _read_order(effect.record)
        of = effect.texts[0] if effect.kind in _NAMED_BY_THE_CALLER else ""
        happened = Happened(effect.kind, effect.name, of, sums, order)
        if effect.kind is EffectKind.COMMITTED:
            happened = happened._replace(entry=_read_entry(effect.record, end))
        elif effect.kind in {EffectKind.AMENDED, EffectKind.AMEND_REJECTED}:
            happened = happened._replace(amend=_read_amend(effect.record, end))
        return JournaledEffect(entry_id, effect, happened, update_s)
    if effect.kind is EffectKind.RECORDED:
        happened = Happened(effect.kind, effect.name, sums=sums, entry=_read_entry(effect.record, 0))
        return JournaledEffect(entry_id, effect, happened, 0)
    if effect.kind is EffectKind.ACCOUNT_CHANGED:
        return JournaledEffect(entry_id, effect, Happened(effect.kind, account=_read_account(effect.record)), 0)
    return None


def _take(layout: Layout, record: bytes, start: int) -> tuple[dict[str, Any], int]:
    """Return the fields of a layout by their names, and where it ends."""
    names = [name for name, kind in layout.fields if kind is not FieldType.TEXT]
    fields: dict[str, Any] = dict(zip(names, layout.packer.unpack_from(record, start), strict=True))
    end = start + layout.size
    for name, kind in layout.fields:
        if kind is FieldType.TEXT:
            text_end = record.index(b"\0", end)
            fields[name] = record[end:text_end].decode()
            end = text_end + 1
    return fields, end


def _read_order(record: bytes) -> tuple[OrderReading, int, int]:
    """Return a reservation with its decision, when it was changed, and where it ends."""
    fields, end = _take(layouts.ORDER, record, 0)
    decision, end = _read_decision(record, end)
    order = OrderReading(
        fields["state"],
        fields["terms_days"],
        fields["revision"],
        fields["amount"],
        fields["first_amount"],
        fields["secured"],
        fields["committed"],
        fields["held"],
        fields["expire_s"],
        decision,
    )
    return order, fields["update_s"], end


def _read_decision(record: bytes, start: int) -> tuple[DecisionReading, int]:
    fields, end = _take(layouts.DECISION, record, start)
    reasons = []
    for _ in range(fields["reason_count"]):
        reason, end = _take(layouts.REASON, record, end)
        reasons.append(ReasonReading(reason["code"], reason["observed"], reason["threshold"]))
    unlimited = bool(fields["exposure_flags"] & ExposureFlag.UNLIMITED)
    limited = fields["exposure_flags"] & ExposureFlag.LIMIT_SET and not unlimited
    decision = DecisionReading(
        fields["outcome"],
        tuple(reasons),
        fields["seen_limit"] if limited else None,
        unlimited,
        fields["seen_reserved"],
        fields["seen_receivable"],
        fields["decide_ms"],
    )
    return decision, end


def _read_entry(record: bytes, start: int) -> EntryReading:
    fields, _ = _take(layouts.LEDGER_ENTRY, record, start)
    flags = LedgerFlag(fields["flags"])
    return EntryReading(
        fields["kind"],
        LedgerFlag.LATE in flags,
        LedgerFlag.FINAL in flags,
        LedgerFlag.POSTED in flags,
        fields["amount"],
        fields["receivable_change"],
        fields["over_committed"],
        fields["order_id"],
    )


def _read_amend(record: bytes, start: int) -> AmendReading:
    fields, end = _take(layouts.AMEND_MARKER, record, start)
    decision, _ = _read_decision(record, end)
    return AmendReading(fields["amount"], fields["hold_s"], decision)


def _read_account(record: bytes) -> AccountReading:
    fields, _ = _take(layouts.ACCOUNT_ANSWER, record, 0)
    flags = AccountFlag(fields["flags"])
    return AccountReading(
        fields["display_name"],
        fields["limit"] if AccountFlag.LIMIT_SET in flags else None,
        AccountFlag.UNLIMITED in flags,
        fields["reserved"],
        fields["receivable"],
        fields["secured_receivable"],
        fields["pending"],
    )
