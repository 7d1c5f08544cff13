"""Packs operations into blobs for the library, and unpacks its answers (`layouts.py`)."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Final, NamedTuple, cast

from creditgate.domain.account import Account, AccountStatus, Aging, Block, ManualLimit, TemporaryLimit
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
from creditgate.domain.rates import ExchangeRate, format_rate
from creditgate.domain.reservation import Etag, Reservation, ReservationState
from creditgate.store import layouts
from creditgate.store.constants import (
    ACCOUNT_MOVED,
    OPERATIONS_READ,
    OPERATIONS_SETTLE,
    SHADOW_BIT,
    SHIFT_ZERO,
    AccountFlag,
    AnswerFlag,
    ExposureFlag,
    OperationCode,
    OrderFlag,
    PutMask,
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


# --- operations


def _pack_check(operation: CheckCredit, part: int) -> bytes:
    return (
        layouts.CHECK_CREDIT.packer.pack(
            OperationCode.CHECK_CREDIT,
            part,
            operation.explain,
            operation.amount_minor,
            operation.secured_minor,
            operation.payment_terms_days,
        )
        + f"{operation.account_id}\0{operation.currency_code}\0".encode()
    )


_pack_reserve_numbers: Final = layouts.RESERVE_CREDIT.packer.pack
_RESERVE: Final = OperationCode.RESERVE_CREDIT.value


def _pack_reserve(operation: ReserveCredit, part: int) -> bytes:
    return (
        _pack_reserve_numbers(
            _RESERVE,
            part,
            operation.amount_minor,
            operation.secured_minor,
            operation.hold_s or 0,
            operation.payment_terms_days,
        )
        + f"{operation.account_id}\0{operation.order_id}\0{operation.currency_code}\0{operation.source}\0".encode()
    )


def _pack_commit(operation: CommitReservation, part: int) -> bytes:
    return (
        layouts.COMMIT_RESERVATION.packer.pack(
            OperationCode.COMMIT_RESERVATION, part, operation.final, operation.amount_minor
        )
        + f"{operation.account_id}\0{operation.order_id}\0{operation.currency_code}\0{operation.document_id}\0".encode()
    )


_NO_ETAG: Final = Etag(0, 0)


def _pack_amend(operation: AmendReservation, part: int) -> bytes:
    return (
        layouts.AMEND_RESERVATION.packer.pack(
            OperationCode.AMEND_RESERVATION,
            part,
            operation.amount_minor,
            operation.hold_s or 0,
            *(operation.etag or _NO_ETAG),
        )
        + f"{operation.account_id}\0{operation.order_id}\0{operation.currency_code}\0{operation.request_id}\0".encode()
    )


def _pack_release(operation: ReleaseReservation, part: int) -> bytes:
    return (
        layouts.RELEASE_RESERVATION.packer.pack(OperationCode.RELEASE_RESERVATION, part, *(operation.etag or _NO_ETAG))
        + f"{operation.account_id}\0{operation.order_id}\0{operation.request_id}\0{operation.reason}\0".encode()
    )


def _pack_payment(operation: RecordPayment, part: int) -> bytes:
    return (
        layouts.RECORD_ENTRY.packer.pack(OperationCode.RECORD_PAYMENT, part, operation.amount_minor)
        + f"{operation.account_id}\0{operation.payment_id}\0{operation.currency_code}\0".encode()
    )


def _document_packer(
    code: OperationCode,
) -> Callable[[PostReceivable | RecordCreditNote | ImportOpenItem, int], bytes]:
    def pack_document(operation: PostReceivable | RecordCreditNote | ImportOpenItem, part: int) -> bytes:
        return (
            layouts.RECORD_ENTRY.packer.pack(code, part, operation.amount_minor)
            + f"{operation.account_id}\0{operation.document_id}\0{operation.currency_code}\0".encode()
        )

    return pack_document


_EPOCH: Final = date(1970, 1, 1)


def _pack_aging(operation: UpdateAging, part: int) -> bytes:
    due = operation.oldest_due_date
    return (
        layouts.UPDATE_AGING.packer.pack(
            OperationCode.UPDATE_AGING,
            part,
            operation.overdue_minor,
            operation.disputed_minor,
            (due - _EPOCH).days if due is not None else 0,
            operation.as_of_ms,
        )
        + f"{operation.account_id}\0".encode()
    )


def _put_mask(operation: PutAccount) -> PutMask:
    mask = PutMask(0)
    for setting, bit in (
        (operation.base_limit, PutMask.LIMIT),
        (operation.unlimited, PutMask.UNLIMITED),
        (operation.status, PutMask.STATUS),
        (operation.risk_class, PutMask.RISK_CLASS),
        (operation.display_name, PutMask.DISPLAY_NAME),
        (operation.block, PutMask.BLOCK),
        (operation.group_id, PutMask.GROUP),
        (operation.limit_expire_time_s, PutMask.LIMIT_EXPIRE),
    ):
        if setting is not None:
            mask |= bit
    return mask


def _pack_put(operation: PutAccount, part: int) -> bytes:
    limit = operation.base_limit.limit_minor if operation.base_limit is not None else None
    block = operation.block.block if operation.block is not None else None
    flags = AccountFlag(0)
    if limit is not None:
        flags |= AccountFlag.LIMIT_SET
    if operation.unlimited:
        flags |= AccountFlag.UNLIMITED
    if operation.status is AccountStatus.CLOSED:
        flags |= AccountFlag.CLOSED
    if block is not None:
        flags |= AccountFlag.BLOCKED
    texts = (
        operation.account_id,
        operation.currency_code,
        operation.risk_class or "",
        operation.display_name or "",
        block.reason if block is not None else "",
        block.actor if block is not None else "",
        operation.group_id or "",
    )
    return (
        layouts.PUT_ACCOUNT.packer.pack(
            OperationCode.PUT_ACCOUNT,
            part,
            _put_mask(operation),
            flags,
            limit or 0,
            operation.limit_expire_time_s or 0,
            block.expire_time_s if block is not None else 0,
        )
        + "".join(f"{text}\0" for text in texts).encode()
    )


def _pack_manual_limit(operation: SetManualLimit, part: int) -> bytes:
    manual = operation.manual_limit
    return (
        layouts.SET_MANUAL_LIMIT.packer.pack(
            OperationCode.SET_MANUAL_LIMIT,
            part,
            manual is not None,
            manual is not None and manual.limit_minor is None,
            (manual.limit_minor or 0) if manual is not None else 0,
            manual.expire_time_s if manual is not None else 0,
        )
        + f"{operation.account_id}\0{operation.currency_code}\0{operation.reason}\0{operation.actor}\0".encode()
    )


def _pack_temporary_limit(operation: SetTemporaryLimit, part: int) -> bytes:
    temporary = operation.temporary_limit
    numbers = (
        (True, temporary.limit_minor, temporary.start_time_s, temporary.end_time_s)
        if temporary is not None
        else (False, 0, 0, 0)
    )
    return (
        layouts.SET_TEMPORARY_LIMIT.packer.pack(OperationCode.SET_TEMPORARY_LIMIT, part, *numbers)
        + f"{operation.account_id}\0{operation.currency_code}\0{operation.reason}\0{operation.actor}\0".encode()
    )


def _pack_block(operation: SetBlock, part: int) -> bytes:
    block = operation.block
    return (
        layouts.SET_BLOCK.packer.pack(
            OperationCode.SET_BLOCK, part, block is not None, block.expire_time_s if block is not None else 0
        )
        + f"{operation.account_id}\0{operation.reason}\0{operation.actor}\0".encode()
    )


def _pack_put_group(operation: PutGroup, part: int) -> bytes:
    limit = operation.limit_minor
    return (
        layouts.PUT_GROUP.packer.pack(OperationCode.PUT_GROUP, part, limit is None, limit or 0)
        + f"{operation.group_id}\0{operation.currency_code}\0{operation.display_name}\0".encode()
    )


def _pack_get_group(operation: GetGroup, part: int) -> bytes:
    return _pack_account_named(OperationCode.GET_GROUP, operation.group_id, part)


def _pack_account_named(code: OperationCode, account_id: str, part: int) -> bytes:
    return layouts.ACCOUNT_NAMED.packer.pack(code, part) + f"{account_id}\0".encode()


def _pack_close(operation: CloseAccount, part: int) -> bytes:
    return _pack_account_named(OperationCode.CLOSE_ACCOUNT, operation.account_id, part)


def _pack_get_account(operation: GetAccount, part: int) -> bytes:
    return _pack_account_named(OperationCode.GET_ACCOUNT, operation.account_id, part)


def _pack_get_reservation(operation: GetReservation, part: int) -> bytes:
    return (
        layouts.ORDER_NAMED.packer.pack(OperationCode.GET_RESERVATION, part)
        + f"{operation.account_id}\0{operation.order_id}\0".encode()
    )


def pack_rate(rate: ExchangeRate) -> bytes:
    """Return a rate as the library keeps it."""
    return layouts.RATE.packer.pack(rate.mantissa, rate.scale, SHIFT_ZERO + rate.shift)


# --- answers


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
    texts = dict(zip(_ACCOUNT_TEXTS, _texts(answer, layouts.ACCOUNT_ANSWER.size, len(_ACCOUNT_TEXTS)), strict=True))
    flags, currency = numbers["flags"], texts["currency"]
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
    )
    return account, numbers["answer_flags"]


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
        exposure if exposure >= 0 else None,
        create_ms,
    )
    return group, bool(created)


def _aging(overdue_minor: int, disputed_minor: int, due_day: int, as_of_ms: int) -> Aging:
    due_date = _EPOCH + timedelta(days=due_day) if due_day else None
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


_Packer = Callable[[Operation[object], int], bytes]
_Unpacker = Callable[[Operation[object], Answer], object]


class _Coding(NamedTuple):
    """How an operation is packed, and its answer unpacked."""

    code: OperationCode
    pack: _Packer
    unpack: _Unpacker


def _coding(code: OperationCode, pack_operation: object, unpack_answer: object) -> _Coding:
    # Each takes exactly the operation it stands for, which the type of a table of different ones can't say.
    return _Coding(code, cast("_Packer", pack_operation), cast("_Unpacker", unpack_answer))


_CODINGS: Final[dict[type, _Coding]] = {
    CheckCredit: _coding(OperationCode.CHECK_CREDIT, _pack_check, _unpack_check),
    ReserveCredit: _coding(OperationCode.RESERVE_CREDIT, _pack_reserve, _unpack_reserved),
    AmendReservation: _coding(OperationCode.AMEND_RESERVATION, _pack_amend, _unpack_amended),
    CommitReservation: _coding(OperationCode.COMMIT_RESERVATION, _pack_commit, _unpack_committed),
    ReleaseReservation: _coding(OperationCode.RELEASE_RESERVATION, _pack_release, _unpack_released),
    RecordPayment: _coding(OperationCode.RECORD_PAYMENT, _pack_payment, _unpack_recorded),
    PostReceivable: _coding(
        OperationCode.POST_RECEIVABLE, _document_packer(OperationCode.POST_RECEIVABLE), _unpack_recorded
    ),
    RecordCreditNote: _coding(
        OperationCode.RECORD_CREDIT_NOTE, _document_packer(OperationCode.RECORD_CREDIT_NOTE), _unpack_recorded
    ),
    ImportOpenItem: _coding(
        OperationCode.IMPORT_OPEN_ITEM, _document_packer(OperationCode.IMPORT_OPEN_ITEM), _unpack_recorded
    ),
    UpdateAging: _coding(OperationCode.UPDATE_AGING, _pack_aging, _unpack_aging),
    PutAccount: _coding(OperationCode.PUT_ACCOUNT, _pack_put, _unpack_put),
    SetManualLimit: _coding(OperationCode.SET_MANUAL_LIMIT, _pack_manual_limit, _unpack_account_only),
    SetTemporaryLimit: _coding(OperationCode.SET_TEMPORARY_LIMIT, _pack_temporary_limit, _unpack_account_only),
    SetBlock: _coding(OperationCode.SET_BLOCK, _pack_block, _unpack_account_only),
    PutGroup: _coding(OperationCode.PUT_GROUP, _pack_put_group, _unpack_put_group),
    GetGroup: _coding(OperationCode.GET_GROUP, _pack_get_group, _unpack_get_group),
    CloseAccount: _coding(OperationCode.CLOSE_ACCOUNT, _pack_close, _unpack_account_only),
    GetAccount: _coding(OperationCode.GET_ACCOUNT, _pack_get_account, _unpack_account_only),
    GetReservation: _coding(OperationCode.GET_RESERVATION, _pack_get_reservation, _unpack_got_reservation),
}
_PACKERS: Final = {kind: coding.pack for kind, coding in _CODINGS.items()}
_UNPACKERS: Final = {kind: coding.unpack for kind, coding in _CODINGS.items()}

GROUP_OPERATIONS: Final = frozenset({PutGroup, GetGroup})
"""Types of operations on a group: its partition is that which its id hashes onto."""

READ_OPERATIONS: Final = frozenset(kind for kind, coding in _CODINGS.items() if coding.code in OPERATIONS_READ)
"""Types of operations that write nothing."""

SETTLE_OPERATIONS: Final = frozenset(kind for kind, coding in _CODINGS.items() if coding.code in OPERATIONS_SETTLE)
"""Types of operations that are carried out even when the store is full."""


def pack(operation: Operation[object], part: int) -> bytes:
    """Return the operation as an argument of a call.

    `part` is the index of its partition among the call's keys, from 1.
    """
    return _PACKERS[type(operation)](operation, part)


class MovedTo(NamedTuple):
    """An operation came to a partition which its account has left, and nothing was done."""

    partition: int


def moved_to(answer: Answer) -> MovedTo | None:
    """Return where an account lives, when an answer says that it lives elsewhere."""
    return MovedTo(layouts.FAILURE.packer.unpack_from(answer)[1]) if answer[0] == ACCOUNT_MOVED else None


def unpack(operation: Operation[object], answer: Answer) -> object:
    """Return the operation's answer, the `CreditError` it ended with (not raised), or where it has to go."""
    if answer[0]:
        return moved_to(answer) or unpack_failure(operation, answer)
    return _UNPACKERS[type(operation)](operation, answer)
