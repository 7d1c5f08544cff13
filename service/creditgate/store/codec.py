"""Packs operations into blobs for the library, and unpacks its answers (`layouts.py`)."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Final, NamedTuple, cast

from creditgate.domain.account import Account, AccountStatus, Aging, Block
from creditgate.domain.decision import Action, Decision, Exposure, Outcome, Reason, ReasonCode
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
    GetReservation,
    ImportOpenItem,
    Operation,
    PostReceivable,
    PutAccount,
    RecordCreditNote,
    Recorded,
    RecordPayment,
    Released,
    ReleaseReservation,
    ReserveCredit,
    Reserved,
    UpdateAging,
)
from creditgate.domain.policy import Policy
from creditgate.domain.reservation import Etag, Reservation, ReservationState
from creditgate.store import layouts
from creditgate.store.constants import (
    OPERATIONS_READ,
    OPERATIONS_SETTLE,
    AccountFlag,
    AnswerFlag,
    ExposureFlag,
    OperationCode,
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
_STATES: Final = {state.value: state for state in ReservationState}
_OUTCOMES: Final = {outcome.value: outcome for outcome in Outcome}
_ACTIONS: Final = {action.value: action for action in Action}
_CODES: Final = {code.value: code for code in ReasonCode}


def pack_policy(policy: Policy) -> bytes:
    """Return the policy as an argument of a call: its version, then an action for each rule in the rules' order."""
    return policy.version.encode() + b"\0" + bytes(policy.actions[code] for code in ReasonCode)


# --- operations


def _pack_check(operation: CheckCredit, part: int) -> bytes:
    return (
        layouts.CHECK_CREDIT.packer.pack(
            OperationCode.CHECK_CREDIT, part, operation.explain, operation.amount_minor, operation.secured_minor
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
            operation.hold_s,
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
    )
    return (
        layouts.PUT_ACCOUNT.packer.pack(OperationCode.PUT_ACCOUNT, part, _put_mask(operation), flags, limit or 0)
        + "".join(f"{text}\0" for text in texts).encode()
    )


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
_REASON_SIZE: Final = layouts.REASON.size


def _unpack_reasons(answer: bytes, start: int, count: int) -> tuple[Reason, ...]:
    reasons = []
    for index in range(count):
        code, action, observed, threshold = _unpack_reason(answer, start + index * _REASON_SIZE)
        reasons.append(Reason(_CODES[code], _ACTIONS[action], observed, threshold))
    # Severest first, as the contract says; rules of the same severity keep their order.
    reasons.sort(key=lambda reason: -reason.action)
    return tuple(reasons)


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
    reasons = _unpack_reasons(answer, version_end + 1, reason_count) if reason_count else ()
    decision = Decision(
        _OUTCOMES[outcome],
        tuple(reason for reason in reasons if reason.action > Action.SHADOW) if reasons else (),
        tuple(reason for reason in reasons if reason.action == Action.SHADOW) if reasons else (),
        tuple(reason for reason in reasons if reason.action == Action.OFF) if reasons else (),
        Exposure(
            currency_code,
            seen_limit if exposure_flags == ExposureFlag.LIMIT_SET else None,
            exposure_flags >= ExposureFlag.UNLIMITED,
            seen_reserved,
            seen_receivable,
            seen_pending,
        ),
        answer[version_start:version_end].decode(),
        limit_version,
        decide_ms,
    )
    return decision, version_end + 1 + reason_count * _REASON_SIZE


class _OrderResult(NamedTuple):
    """An answer about an order; `reservation` is None when there is none, `end` where its decision ends."""

    decision: Decision
    reservation: Reservation | None
    flags: int
    over_committed_minor: int
    end: int


def _unpack_order_result(account_id: str, order_id: str, answer: Answer) -> _OrderResult:
    _, flags, state, over_committed, account_currency = _unpack_order_answer(answer)
    decision, end = _decision_at(answer, _DECISION_START, account_currency.decode())
    if not state:
        return _OrderResult(decision, None, flags, over_committed, end)
    _, _, revision, amount, _, secured, committed, held, expire_s, _, currency = _unpack_order(answer, _ORDER_START)
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


def unpack_account(answer: Answer) -> tuple[Account, int]:
    """Return the account of an answer, and the answer's flags."""
    (
        _,
        answer_flags,
        flags,
        limit,
        limit_version,
        create_ms,
        reserved,
        receivable,
        secured,
        pending,
        block_ms,
        overdue,
        disputed,
        due_day,
        as_of_ms,
    ) = layouts.ACCOUNT_ANSWER.packer.unpack_from(answer)
    account_id, currency, risk_class, display_name, block_reason, block_actor = _texts(
        answer, layouts.ACCOUNT_ANSWER.size, layouts.ACCOUNT_ANSWER.text_count
    )
    unlimited = bool(flags & AccountFlag.UNLIMITED)
    base_limit = limit if flags & AccountFlag.LIMIT_SET else None
    account = Account(
        account_id=account_id,
        display_name=display_name,
        currency_code=currency,
        risk_class=risk_class,
        status=AccountStatus.CLOSED if flags & AccountFlag.CLOSED else AccountStatus.OPEN,
        exposure=Exposure(currency, None if unlimited else base_limit, unlimited, reserved, receivable, pending),
        base_limit_minor=base_limit,
        unlimited=unlimited,
        secured_receivable_minor=secured,
        limit_version=limit_version,
        block=Block(block_reason, block_actor, block_ms) if flags & AccountFlag.BLOCKED else None,
        aging=_aging(overdue, disputed, due_day, as_of_ms) if flags & AccountFlag.AGED else None,
        create_time_ms=create_ms,
    )
    return account, answer_flags


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


def _unpack_account_only(_: CloseAccount | GetAccount, answer: Answer) -> Account:
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
    CloseAccount: _coding(OperationCode.CLOSE_ACCOUNT, _pack_close, _unpack_account_only),
    GetAccount: _coding(OperationCode.GET_ACCOUNT, _pack_get_account, _unpack_account_only),
    GetReservation: _coding(OperationCode.GET_RESERVATION, _pack_get_reservation, _unpack_got_reservation),
}
_PACKERS: Final = {kind: coding.pack for kind, coding in _CODINGS.items()}
_UNPACKERS: Final = {kind: coding.unpack for kind, coding in _CODINGS.items()}

READ_OPERATIONS: Final = frozenset(kind for kind, coding in _CODINGS.items() if coding.code in OPERATIONS_READ)
"""Types of operations that write nothing."""

SETTLE_OPERATIONS: Final = frozenset(kind for kind, coding in _CODINGS.items() if coding.code in OPERATIONS_SETTLE)
"""Types of operations that are carried out even when the store is full."""


def pack(operation: Operation[object], part: int) -> bytes:
    """Return the operation as an argument of a call.

    `part` is the index of its partition among the call's keys, from 1.
    """
    return _PACKERS[type(operation)](operation, part)


def unpack(operation: Operation[object], answer: Answer) -> object:
    """Return the operation's answer or the `CreditError` it ended with (not raised)."""
    if answer[0]:
        return unpack_failure(operation, answer)
    return _UNPACKERS[type(operation)](operation, answer)
