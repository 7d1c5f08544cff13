"""Unpacks what the library answers (`layouts.py`)."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final, NamedTuple, cast

from creditgate.domain.account import (
    Account,
    AccountStatus,
    Aging,
    Block,
    ManualLimit,
    ScheduledLimit,
    TemporaryLimit,
)
from creditgate.domain.decision import Action, Decision, Exposure, Outcome, Reason, ReasonCode
from creditgate.domain.group import CreditGroup, GroupCurrency
from creditgate.domain.operations import (
    AccountPut,
    AgingUpdated,
    Amended,
    AmendReservation,
    CheckCredit,
    CloseAccount,
    CommitReservation,
    Committed,
    GetAccount,
    GetGroup,
    GetReservation,
    GroupPut,
    ImportOpenItem,
    Operation,
    PostReceivable,
    PutAccount,
    PutGroup,
    RecordCreditNote,
    Recorded,
    RecordPayment,
    Released,
    ReleaseReservation,
    ReserveCredit,
    Reserved,
    SetBlock,
    SetManualLimit,
    SetTemporaryLimit,
    UpdateAging,
)
from creditgate.domain.rates import format_rate
from creditgate.domain.reservation import Reservation, ReservationState
from creditgate.store import layouts
from creditgate.store.constants import (
    ACCOUNT_MOVED,
    NO_EXPOSURE,
    SHADOW_BIT,
    AccountFlag,
    AnswerFlag,
    ExposureFlag,
    OrderFlag,
    ScheduleFlag,
)
from creditgate.store.failures import unpack_failure

Answer = bytes

# Numbers of the hot path, read once: a member of an enum costs more to find than the call it stands in.
_REPLAYED: Final = AnswerFlag.REPLAYED.value
_LATE: Final = AnswerFlag.LATE.value
_CREATED: Final = AnswerFlag.CREATED.value
_IGNORED: Final = AnswerFlag.IGNORED.value
_HELD: Final = ReservationState.HELD
_HAS_CEILING: Final = ExposureFlag.LIMIT_SET | ExposureFlag.UNLIMITED
_STATES: Final = {state.value: state for state in ReservationState}
_OUTCOMES: Final = {outcome.value: outcome for outcome in Outcome}
_ACTIONS: Final = {action.value: action for action in Action}
_CODES: Final = {code.value: code for code in ReasonCode}


def _texts(answer: bytes, start: int, count: int) -> list[str]:
    return [text.decode() for text in answer[start:].split(b"\0", count)[:count]]


_unpack_order_answer: Final = layouts.ORDER_ANSWER.packer.unpack_from
_unpack_order: Final = layouts.ORDER.packer.unpack_from
_unpack_decision: Final = layouts.DECISION.packer.unpack_from
_unpack_reason: Final = layouts.REASON.packer.unpack_from
_ORDER_START: Final = layouts.ORDER_ANSWER.size
_DECISION_START: Final = _ORDER_START + layouts.ORDER.size
_DECISION_SIZE: Final = layouts.DECISION.size
_unpack_rate: Final = layouts.RATE.packer.unpack_from
_REASON_SIZE: Final = layouts.REASON.size
_NO_CURRENCY: Final = b"   "
_FOREIGN: Final = OrderFlag.FOREIGN.value
_AMEND_PENDING: Final = OrderFlag.AMEND_PENDING.value
_RATE_SIZE: Final = layouts.RATE.size
_PENDING_AMEND_SIZE: Final = layouts.PENDING_AMEND.size


class _Verdicts(NamedTuple):
    """A decision's reasons by what they do, severest first; rules of the same severity keep their order."""

    reasons: tuple[Reason, ...] = ()
    shadow_reasons: tuple[Reason, ...] = ()
    passed_rules: tuple[Reason, ...] = ()


_NO_VERDICTS: Final = _Verdicts()


def _unpack_verdicts(answer: bytes, start: int, count: int) -> _Verdicts:
    effective: list[Reason] = []
    shadow: list[Reason] = []
    passed: list[Reason] = []
    for index in range(count):
        code, action, observed, threshold, currency = _unpack_reason(answer, start + index * _REASON_SIZE)
        currency_code = "" if currency == _NO_CURRENCY else currency.decode()
        if action >= SHADOW_BIT:
            shadow.append(Reason(_CODES[code], _ACTIONS[action - SHADOW_BIT], observed, threshold, currency_code))
            continue
        reason = Reason(_CODES[code], _ACTIONS[action], observed, threshold, currency_code)
        (effective if action > Action.SHADOW else shadow if action else passed).append(reason)
    for reasons in (effective, shadow):
        reasons.sort(key=lambda reason: -reason.action)
    return _Verdicts(tuple(effective), tuple(shadow), tuple(passed))


def _decision_at(answer: Answer, start: int, currency_code: str) -> tuple[Decision, int]:
    """Return the decision that begins at a byte of an answer, and where it ends."""
    (
        outcome,
        exposure_flags,
        reason_count,
        decide_ms,
        seen_limit,
        seen_reserved,
        seen_receivable,
        seen_pending,
        limit_version,
    ) = _unpack_decision(answer, start)
    version_start = start + _DECISION_SIZE
    version_end = answer.index(b"\0", version_start)
    verdicts = _unpack_verdicts(answer, version_end + 1, reason_count) if reason_count else _NO_VERDICTS
    decision = Decision(
        _OUTCOMES[outcome],
        verdicts.reasons,
        verdicts.shadow_reasons,
        verdicts.passed_rules,
        _exposure(exposure_flags, currency_code, seen_limit, seen_reserved, seen_receivable, seen_pending),
        answer[version_start:version_end].decode(),
        limit_version,
        decide_ms,
    )
    return decision, version_end + 1 + reason_count * _REASON_SIZE


def _exposure(flags: int, currency_code: str, limit: int, reserved: int, receivable: int, pending: int) -> Exposure:
    return Exposure(
        currency_code,
        limit if flags & _HAS_CEILING == ExposureFlag.LIMIT_SET else None,
        flags & ExposureFlag.UNLIMITED != 0,
        reserved,
        receivable,
        pending,
        flags >= ExposureFlag.CREDIT_COUNTS,
    )


class _OrderResult(NamedTuple):
    """An answer about an order; `reservation` is None when there is none, `end` where its decision ends."""

    decision: Decision
    reservation: Reservation | None
    flags: int
    over_committed_minor: int
    end: int


def _unpack_extras(answer: Answer, order_flags: int) -> tuple[str, int, int]:
    """Return an order's rate, the total that waits for a person, and where its decision begins."""
    rate, pending_amount, at = "1", 0, _DECISION_START
    if order_flags & _FOREIGN:
        mantissa, scale, _ = _unpack_rate(answer, at)
        rate, at = format_rate(mantissa, scale), at + _RATE_SIZE
    if order_flags & _AMEND_PENDING:
        pending_amount, _ = layouts.PENDING_AMEND.packer.unpack_from(answer, at)
        at += _PENDING_AMEND_SIZE
    return rate, pending_amount, at


def _unpack_order_result(account_id: str, order_id: str, answer: Answer) -> _OrderResult:
    _, flags, state, over_committed, account_currency = _unpack_order_answer(answer)
    _, order_flags, _, revision, amount, _, secured, committed, held, expire_s, _, currency = _unpack_order(
        answer, _ORDER_START
    )
    rate, pending_amount, decision_start = "1", 0, _DECISION_START
    if order_flags:
        rate, pending_amount, decision_start = _unpack_extras(answer, order_flags)
    decision, end = _decision_at(answer, decision_start, account_currency.decode())
    if not state:
        return _OrderResult(decision, None, flags, over_committed, end)
    now_held = state == _HELD
    reservation = Reservation(
        account_id,
        order_id,
        _STATES[state],
        currency.decode(),
        amount,
        secured,
        committed,
        max(0, amount - committed) if now_held else 0,
        held if now_held else 0,
        rate,
        pending_amount if now_held else 0,
        decision.decide_time_ms,
        expire_s,
        revision,
        decision,
    )
    return _OrderResult(decision, reservation, flags, over_committed, end)


def unpack_reservation(account_id: str, order_id: str, answer: Answer) -> Reservation:
    """Return the reservation of an answer that is known to hold one."""
    return cast("Reservation", _unpack_order_result(account_id, order_id, answer).reservation)


def _unpack_check(operation: CheckCredit, answer: Answer) -> Decision:
    return _unpack_order_result(operation.account_id, "", answer).decision


def _unpack_reserved(operation: ReserveCredit, answer: Answer) -> Reserved:
    decision, reservation, flags, _, _ = _unpack_order_result(operation.account_id, operation.order_id, answer)
    return Reserved(decision, reservation, flags == _REPLAYED)


def _unpack_amended(operation: AmendReservation, answer: Answer) -> Amended:
    result = _unpack_order_result(operation.account_id, operation.order_id, answer)
    decision, _ = _decision_at(answer, result.end, result.decision.exposure.currency_code)
    return Amended(decision, cast("Reservation", result.reservation), result.flags == _REPLAYED)


def _unpack_committed(operation: CommitReservation, answer: Answer) -> Committed:
    _, reservation, flags, over_committed, _ = _unpack_order_result(operation.account_id, operation.order_id, answer)
    return Committed(
        cast("Reservation", reservation), over_committed, late=bool(flags & _LATE), replayed=bool(flags & _REPLAYED)
    )


def _unpack_released(operation: ReleaseReservation, answer: Answer) -> Released:
    _, reservation, flags, _, _ = _unpack_order_result(operation.account_id, operation.order_id, answer)
    return Released(cast("Reservation", reservation), flags == _REPLAYED)


def _unpack_got_reservation(operation: GetReservation, answer: Answer) -> Reservation:
    return unpack_reservation(operation.account_id, operation.order_id, answer)


_ACCOUNT_NUMBERS: Final = tuple(
    name for name, kind in layouts.ACCOUNT_ANSWER.fields if kind is not layouts.FieldType.TEXT
)
_ACCOUNT_TEXTS: Final = tuple(name for name, kind in layouts.ACCOUNT_ANSWER.fields if kind is layouts.FieldType.TEXT)


def unpack_account(answer: Answer) -> tuple[Account, int]:
    """Return the account of an answer, and the answer's flags."""
    numbers = dict(zip(_ACCOUNT_NUMBERS, layouts.ACCOUNT_ANSWER.packer.unpack_from(answer), strict=True))
    *parts, rest = answer[layouts.ACCOUNT_ANSWER.size :].split(b"\0", len(_ACCOUNT_TEXTS))
    texts = dict(zip(_ACCOUNT_TEXTS, (part.decode() for part in parts), strict=True))
    flags, currency = numbers["flags"], texts["currency"]
    score, limit_reasons, scheduled_limit = _unpack_scoring(flags, rest)
    account = Account(
        account_id=texts["account_id"],
        display_name=texts["display_name"],
        currency_code=currency,
        group_id=texts["group_id"],
        risk_class=texts["risk_class"],
        status=AccountStatus.CLOSED if flags & AccountFlag.CLOSED else AccountStatus.OPEN,
        exposure=_exposure(
            numbers["effective_flags"],
            currency,
            numbers["effective_limit"],
            numbers["reserved"],
            numbers["receivable"],
            numbers["pending"],
        ),
        base_limit_minor=numbers["limit"] if flags & AccountFlag.LIMIT_SET else None,
        unlimited=bool(flags & AccountFlag.UNLIMITED),
        secured_receivable_minor=numbers["secured_receivable"],
        limit_version=numbers["limit_version"],
        limit_expire_time_s=numbers["limit_expire_s"],
        limit_confirm_time_s=numbers["limit_confirm_s"],
        manual_limit=_manual_limit(flags, numbers, texts) if flags & AccountFlag.MANUAL else None,
        temporary_limit=_temporary_limit(numbers, texts) if flags & AccountFlag.TEMPORARY else None,
        block=Block(texts["block_reason"], texts["block_actor"], numbers["block_ms"], numbers["block_expire_s"])
        if flags & AccountFlag.BLOCKED
        else None,
        aging=_aging(numbers["overdue"], numbers["disputed"], numbers["due_day"], numbers["as_of_ms"])
        if flags & AccountFlag.AGED
        else None,
        create_time_ms=numbers["create_ms"],
        scheduled_limit=scheduled_limit,
        score=score,
        limit_reasons=limit_reasons,
    )
    return account, numbers["answer_flags"]


def _unpack_scoring(flags: int, rest: bytes) -> tuple[float | None, tuple[str, ...], ScheduledLimit | None]:
    """Return what stands behind an account's texts: its score, its limit's reasons and its scheduled limit."""
    score, reasons, scheduled = None, b"", None
    if flags & AccountFlag.SCORED:
        (score,) = layouts.LIMIT_SCORE.packer.unpack_from(rest)
        rest = rest[layouts.LIMIT_SCORE.size :]
    if flags & AccountFlag.REASONED:
        reasons, rest = rest.split(b"\0", 1)
    if flags & AccountFlag.SCHEDULED:
        schedule_flags, limit, version, effective_s, expire_s, _ = layouts.SCHEDULED_LIMIT.packer.unpack_from(rest)
        scheduled = ScheduledLimit(
            None if schedule_flags & ScheduleFlag.UNLIMITED else limit,
            version,
            effective_s,
            expire_s,
            *_texts(rest, layouts.SCHEDULED_LIMIT.size, 1),
        )
    return score, tuple(reasons.decode().split("\n")) if reasons else (), scheduled


def _manual_limit(flags: int, numbers: Mapping[str, int], texts: Mapping[str, str]) -> ManualLimit:
    return ManualLimit(
        None if flags & AccountFlag.MANUAL_UNLIMITED else numbers["manual_limit"],
        numbers["manual_expire_s"],
        texts["manual_reason"],
        texts["manual_actor"],
        numbers["manual_ms"],
    )


def _temporary_limit(numbers: Mapping[str, int], texts: Mapping[str, str]) -> TemporaryLimit:
    return TemporaryLimit(
        numbers["temporary_limit"],
        numbers["temporary_start_s"],
        numbers["temporary_end_s"],
        texts["temporary_reason"],
        texts["temporary_actor"],
        numbers["temporary_ms"],
    )


def unpack_group(answer: Answer) -> tuple[CreditGroup, bool]:
    """Return the group of an answer, and whether it was created."""
    _, created, unlimited, currency_count, limit, exposure, account_count, create_ms, currency = (
        layouts.GROUP_ANSWER.packer.unpack_from(answer)
    )
    group_id, display_name, sums = answer[layouts.GROUP_ANSWER.size :].split(b"\0", 2)
    currencies = []
    for index in range(currency_count):
        of, reserved, receivable, owed = layouts.GROUP_SUMS.packer.unpack_from(sums, index * layouts.GROUP_SUMS.size)
        currencies.append(GroupCurrency(of.decode(), reserved, receivable, owed))
    group = CreditGroup(
        group_id.decode(),
        display_name.decode(),
        currency.decode(),
        None if unlimited else limit,
        account_count,
        tuple(currencies),
        exposure if exposure != NO_EXPOSURE else None,
        create_ms,
    )
    return group, bool(created)


def _aging(overdue_minor: int, disputed_minor: int, due_day: int, as_of_ms: int) -> Aging:
    due_date = layouts.EPOCH + timedelta(days=due_day) if due_day else None
    return Aging(overdue_minor, disputed_minor, due_date, as_of_ms)


def _unpack_recorded(_: Operation[Recorded], answer: Answer) -> Recorded:
    account, flags = unpack_account(answer)
    return Recorded(account, replayed=flags == _REPLAYED)


def _unpack_aging(_: UpdateAging, answer: Answer) -> AgingUpdated:
    account, flags = unpack_account(answer)
    return AgingUpdated(account, replayed=flags == _REPLAYED, ignored=flags == _IGNORED)


def _unpack_put(_: PutAccount, answer: Answer) -> AccountPut:
    account, flags = unpack_account(answer)
    return AccountPut(account, created=flags == _CREATED)


def _unpack_put_group(_: PutGroup, answer: Answer) -> GroupPut:
    return GroupPut(*unpack_group(answer))


def _unpack_get_group(_: GetGroup, answer: Answer) -> CreditGroup:
    return unpack_group(answer)[0]


def _unpack_account_only(_: Operation[Account], answer: Answer) -> Account:
    return unpack_account(answer)[0]


_Unpacker = Callable[[Operation[object], Answer], object]

# As with packers: each takes exactly the operation it stands for.
_UNPACKERS: Final = cast(
    "dict[type, _Unpacker]",
    {
        CheckCredit: _unpack_check,
        ReserveCredit: _unpack_reserved,
        AmendReservation: _unpack_amended,
        CommitReservation: _unpack_committed,
        ReleaseReservation: _unpack_released,
        RecordPayment: _unpack_recorded,
        PostReceivable: _unpack_recorded,
        RecordCreditNote: _unpack_recorded,
        ImportOpenItem: _unpack_recorded,
        UpdateAging: _unpack_aging,
        PutAccount: _unpack_put,
        SetManualLimit: _unpack_account_only,
        SetTemporaryLimit: _unpack_account_only,
        SetBlock: _unpack_account_only,
        PutGroup: _unpack_put_group,
        GetGroup: _unpack_get_group,
        CloseAccount: _unpack_account_only,
        GetAccount: _unpack_account_only,
        GetReservation: _unpack_got_reservation,
    },
)


class MovedTo(NamedTuple):
    """An operation came to a partition which its account has left, and nothing was done."""

    partition: int


def moved_to(answer: Answer) -> MovedTo | None:
    """Return where an account lives, when an answer says that it lives elsewhere."""
    return MovedTo(layouts.FAILURE.packer.unpack_from(answer)[1]) if answer[0] == ACCOUNT_MOVED else None


def unpack_answer(operation: Operation[object], answer: Answer) -> object:
    """Return the operation's answer, the `CreditError` it ended with (not raised), or where it has to go."""
    if answer[0]:
        return moved_to(answer) or unpack_failure(operation, answer)
    return _UNPACKERS[type(operation)](operation, answer)
