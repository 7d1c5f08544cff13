"""Packs operations into blobs for the library, and unpacks its answers (`layouts.py`)."""

from collections.abc import Callable
from typing import Final, cast

from creditgate.domain.account import Account, AccountStatus, Block
from creditgate.domain.bounds import AMOUNT_MAX_MINOR
from creditgate.domain.decision import Action, Decision, Exposure, Outcome, Reason, ReasonCode
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.money import format_money
from creditgate.domain.operations import (
    AccountPut,
    CheckCredit,
    CloseAccount,
    CommitReservation,
    Committed,
    GetAccount,
    GetReservation,
    Operation,
    PaymentRecorded,
    PutAccount,
    RecordPayment,
    Released,
    ReleaseReservation,
    ReserveCredit,
    Reserved,
)
from creditgate.domain.policy import Policy
from creditgate.domain.reservation import Reservation, ReservationState
from creditgate.store import layouts
from creditgate.store.constants import AccountFlag, AnswerFlag, ExposureFlag, OperationCode, PutMask

Answer = bytes

# Numbers of the hot path, read once: a member of an enum costs more to find than the call it stands in.
_REPLAYED: Final = AnswerFlag.REPLAYED.value
_LATE: Final = AnswerFlag.LATE.value
_CREATED: Final = AnswerFlag.CREATED.value
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


def _pack_release(operation: ReleaseReservation, part: int) -> bytes:
    return (
        layouts.RELEASE_RESERVATION.packer.pack(OperationCode.RELEASE_RESERVATION, part)
        + f"{operation.account_id}\0{operation.order_id}\0{operation.request_id}\0{operation.reason}\0".encode()
    )


def _pack_payment(operation: RecordPayment, part: int) -> bytes:
    return (
        layouts.RECORD_PAYMENT.packer.pack(OperationCode.RECORD_PAYMENT, part, operation.amount_minor)
        + f"{operation.account_id}\0{operation.payment_id}\0{operation.currency_code}\0".encode()
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
_unpack_reason: Final = layouts.REASON.packer.unpack_from
_ORDER_START: Final = layouts.ORDER_ANSWER.size
_ORDER_TEXTS: Final = _ORDER_START + layouts.ORDER.size
_REASON_SIZE: Final = layouts.REASON.size


def _unpack_reasons(answer: bytes, start: int, count: int) -> tuple[Reason, ...]:
    reasons = []
    for index in range(count):
        code, action, observed, threshold = _unpack_reason(answer, start + index * _REASON_SIZE)
        reasons.append(Reason(_CODES[code], _ACTIONS[action], observed, threshold))
    # Severest first, as the contract says; rules of the same severity keep their order.
    reasons.sort(key=lambda reason: -reason.action)
    return tuple(reasons)


def _unpack_order_result(
    account_id: str, order_id: str, answer: bytes
) -> tuple[Decision, Reservation | None, int, int]:
    """Return the decision, the reservation or None, the answer's flags and the over-committed amount."""
    _, flags, state, over_committed, account_currency = _unpack_order_answer(answer)
    (
        _,
        outcome,
        exposure_flags,
        reason_count,
        _,
        revision,
        amount,
        secured,
        committed,
        held,
        create_ms,
        expire_s,
        seen_limit,
        seen_reserved,
        seen_receivable,
        seen_pending,
        limit_version,
        currency,
    ) = _unpack_order(answer, _ORDER_START)
    version_end = answer.index(b"\0", _ORDER_TEXTS)
    reasons = _unpack_reasons(answer, version_end + 1, reason_count) if reason_count else ()
    decision = Decision(
        _OUTCOMES[outcome],
        tuple(reason for reason in reasons if reason.action > Action.SHADOW) if reasons else (),
        tuple(reason for reason in reasons if reason.action == Action.SHADOW) if reasons else (),
        tuple(reason for reason in reasons if reason.action == Action.OFF) if reasons else (),
        Exposure(
            account_currency.decode(),
            seen_limit if exposure_flags == ExposureFlag.LIMIT_SET else None,
            exposure_flags >= ExposureFlag.UNLIMITED,
            seen_reserved,
            seen_receivable,
            seen_pending,
        ),
        answer[_ORDER_TEXTS:version_end].decode(),
        limit_version,
        create_ms,
    )
    if not state:
        return decision, None, flags, over_committed
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
        create_ms,
        expire_s,
        revision,
        decision,
    )
    return decision, reservation, flags, over_committed


def unpack_reservation(account_id: str, order_id: str, answer: Answer) -> Reservation:
    """Return the reservation of an answer that is known to hold one."""
    return cast("Reservation", _unpack_order_result(account_id, order_id, answer)[1])


def _unpack_check(operation: CheckCredit, answer: Answer) -> Decision:
    return _unpack_order_result(operation.account_id, "", answer)[0]


def _unpack_reserved(operation: ReserveCredit, answer: Answer) -> Reserved:
    decision, reservation, flags, _ = _unpack_order_result(operation.account_id, operation.order_id, answer)
    return Reserved(decision, reservation, flags == _REPLAYED)


def _unpack_committed(operation: CommitReservation, answer: Answer) -> Committed:
    _, reservation, flags, over_committed = _unpack_order_result(operation.account_id, operation.order_id, answer)
    return Committed(
        cast("Reservation", reservation), over_committed, late=bool(flags & _LATE), replayed=bool(flags & _REPLAYED)
    )


def _unpack_released(operation: ReleaseReservation, answer: Answer) -> Released:
    _, reservation, flags, _ = _unpack_order_result(operation.account_id, operation.order_id, answer)
    return Released(cast("Reservation", reservation), flags == _REPLAYED)


def _unpack_got_reservation(operation: GetReservation, answer: Answer) -> Reservation:
    return unpack_reservation(operation.account_id, operation.order_id, answer)


def unpack_account(answer: Answer) -> tuple[Account, int]:
    """Return the account of an answer, and the answer's flags."""
    _, answer_flags, flags, limit, limit_version, create_ms, reserved, receivable, secured, pending, block_ms = (
        layouts.ACCOUNT_ANSWER.packer.unpack_from(answer)
    )
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
        create_time_ms=create_ms,
    )
    return account, answer_flags


def _unpack_payment(_: RecordPayment, answer: Answer) -> PaymentRecorded:
    account, flags = unpack_account(answer)
    return PaymentRecorded(account, replayed=flags == _REPLAYED)


def _unpack_put(_: PutAccount, answer: Answer) -> AccountPut:
    account, flags = unpack_account(answer)
    return AccountPut(account, created=flags == _CREATED)


def _unpack_account_only(_: CloseAccount | GetAccount, answer: Answer) -> Account:
    return unpack_account(answer)[0]


_Packer = Callable[[Operation[object], int], bytes]
_Unpacker = Callable[[Operation[object], Answer], object]

_PACKERS: Final = cast(
    "dict[type, _Packer]",
    {
        CheckCredit: _pack_check,
        ReserveCredit: _pack_reserve,
        CommitReservation: _pack_commit,
        ReleaseReservation: _pack_release,
        RecordPayment: _pack_payment,
        PutAccount: _pack_put,
        CloseAccount: _pack_close,
        GetAccount: _pack_get_account,
        GetReservation: _pack_get_reservation,
    },
)
_UNPACKERS: Final = cast(
    "dict[type, _Unpacker]",
    {
        CheckCredit: _unpack_check,
        ReserveCredit: _unpack_reserved,
        CommitReservation: _unpack_committed,
        ReleaseReservation: _unpack_released,
        RecordPayment: _unpack_payment,
        PutAccount: _unpack_put,
        CloseAccount: _unpack_account_only,
        GetAccount: _unpack_account_only,
        GetReservation: _unpack_got_reservation,
    },
)

READ_OPERATIONS: Final = frozenset({CheckCredit, GetAccount, GetReservation})
"""Types of operations that write nothing."""

SETTLE_OPERATIONS: Final = frozenset({CommitReservation, ReleaseReservation, RecordPayment, CloseAccount})
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


# --- failures


def unpack_failure(operation: Operation[object], answer: Answer) -> CreditError:
    """Return the error that an answer stands for, in words that name the field and the bound."""
    _, number = layouts.FAILURE.packer.unpack_from(answer)
    (text,) = _texts(answer, layouts.FAILURE.size, 1)
    reason = ErrorReason(answer[0])
    return _FAILURES[reason](operation, reason, number, text)


def _account_not_found(operation: Operation[object], reason: ErrorReason, _number: int, _text: str) -> CreditError:
    if isinstance(operation, PutAccount):
        return CreditError.of_field("account.currency_code", "must be set for a new account")
    return CreditError(reason, f"there is no account {operation.account_id}")


def _reservation_not_found(operation: Operation[object], reason: ErrorReason, _number: int, _text: str) -> CreditError:
    order_id = getattr(operation, "order_id", "")
    return CreditError(reason, f"account {operation.account_id} has no reservation for order {order_id}")


def _sum_out_of_range(operation: Operation[object], reason: ErrorReason, number: int, text: str) -> CreditError:
    amount = cast("int", getattr(operation, "amount_minor", 0))
    return CreditError.of_field(
        "amount_minor",
        f"of {amount} would bring the account's sum of {number} {text} minor units beyond ±{AMOUNT_MAX_MINOR}",
        reason,
    )


def _currency_mismatch(_operation: Operation[object], reason: ErrorReason, _number: int, text: str) -> CreditError:
    kept_by = "the account" if isinstance(_operation, RecordPayment) else "the order"
    return CreditError.of_field("currency_code", f"must be {text}, the currency of {kept_by}", reason)


def _no_exchange_rate(operation: Operation[object], reason: ErrorReason, _number: int, text: str) -> CreditError:
    currency = cast("str", getattr(operation, "currency_code", ""))
    return CreditError(
        reason,
        f"currency_code is {currency}, account {operation.account_id} is kept in {text}, and there is no exchange rate "
        f"from {currency} to {text}",
    )


def _order_differs(operation: Operation[object], reason: ErrorReason, number: int, text: str) -> CreditError:
    order_id = getattr(operation, "order_id", "")
    return CreditError(
        reason,
        f"order {order_id} was decided with other details (amount_minor, currency_code, secured_minor or "
        f"payment_terms_days); its amount is {format_money(number, text)}",
    )


def _document_differs(operation: Operation[object], reason: ErrorReason, number: int, text: str) -> CreditError:
    document_id = getattr(operation, "document_id", "")
    return CreditError(
        reason,
        f"document {document_id} was recorded with other details (amount_minor, order_id or final); "
        f"it has {number} minor units for order {text}",
    )


def _payment_differs(operation: Operation[object], reason: ErrorReason, number: int, text: str) -> CreditError:
    payment_id = getattr(operation, "payment_id", "")
    return CreditError(reason, f"payment {payment_id} was recorded with another amount, {format_money(number, text)}")


def _currency_differs(_operation: Operation[object], reason: ErrorReason, _number: int, text: str) -> CreditError:
    return CreditError.of_field("account.currency_code", f"is {text} and can't change", reason)


def _not_held(operation: Operation[object], reason: ErrorReason, number: int, _text: str) -> CreditError:
    order_id = getattr(operation, "order_id", "")
    advice = "; record the invoice with PostReceivable" if isinstance(operation, CommitReservation) else ""
    return CreditError(reason, f"order {order_id} is {ReservationState(number).name}: nothing is held for it{advice}")


def _internal(operation: Operation[object], reason: ErrorReason, _number: int, text: str) -> CreditError:
    return CreditError(reason, f"{type(operation).__name__} met a defect of the function library: {text}")


_Failure = Callable[[Operation[object], ErrorReason, int, str], CreditError]
_FAILURES: Final[dict[ErrorReason, _Failure]] = {
    ErrorReason.ACCOUNT_NOT_FOUND: _account_not_found,
    ErrorReason.RESERVATION_NOT_FOUND: _reservation_not_found,
    ErrorReason.SUM_OUT_OF_RANGE: _sum_out_of_range,
    ErrorReason.CURRENCY_MISMATCH: _currency_mismatch,
    ErrorReason.EXCHANGE_RATE_NOT_FOUND: _no_exchange_rate,
    ErrorReason.ORDER_EXISTS_WITH_DIFFERENT_DETAILS: _order_differs,
    ErrorReason.DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS: _document_differs,
    ErrorReason.PAYMENT_EXISTS_WITH_DIFFERENT_DETAILS: _payment_differs,
    ErrorReason.ACCOUNT_EXISTS_WITH_DIFFERENT_CURRENCY: _currency_differs,
    ErrorReason.RESERVATION_NOT_HELD: _not_held,
    ErrorReason.INTERNAL: _internal,
}
