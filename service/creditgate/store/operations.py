"""Packs operations into blobs for the library (`layouts.py`)."""

from collections.abc import Callable
from typing import Final, cast

from creditgate.domain.account import AccountStatus
from creditgate.domain.operations import (
    AmendReservation,
    CheckCredit,
    CloseAccount,
    CommitReservation,
    GetAccount,
    GetGroup,
    GetReservation,
    ImportOpenItem,
    Operation,
    PostReceivable,
    PutAccount,
    PutGroup,
    RecordCreditNote,
    RecordPayment,
    ReleaseReservation,
    ReserveCredit,
    SetBlock,
    SetManualLimit,
    SetTemporaryLimit,
    UpdateAging,
)
from creditgate.domain.rates import ExchangeRate
from creditgate.domain.reservation import Etag
from creditgate.store import layouts
from creditgate.store.constants import (
    OPERATIONS_READ,
    OPERATIONS_SETTLE,
    SHIFT_ZERO,
    AccountFlag,
    OperationCode,
    PutMask,
)


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


def _pack_aging(operation: UpdateAging, part: int) -> bytes:
    due = operation.oldest_due_date
    return (
        layouts.UPDATE_AGING.packer.pack(
            OperationCode.UPDATE_AGING,
            part,
            operation.overdue_minor,
            operation.disputed_minor,
            (due - layouts.EPOCH).days if due is not None else 0,
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


_Packer = Callable[[Operation[object], int], bytes]

# Each packer takes exactly the operation it stands for, which the type of a table of different ones can't say.
_CODED: Final[dict[type, tuple[OperationCode, object]]] = {
    CheckCredit: (OperationCode.CHECK_CREDIT, _pack_check),
    ReserveCredit: (OperationCode.RESERVE_CREDIT, _pack_reserve),
    AmendReservation: (OperationCode.AMEND_RESERVATION, _pack_amend),
    CommitReservation: (OperationCode.COMMIT_RESERVATION, _pack_commit),
    ReleaseReservation: (OperationCode.RELEASE_RESERVATION, _pack_release),
    RecordPayment: (OperationCode.RECORD_PAYMENT, _pack_payment),
    PostReceivable: (OperationCode.POST_RECEIVABLE, _document_packer(OperationCode.POST_RECEIVABLE)),
    RecordCreditNote: (OperationCode.RECORD_CREDIT_NOTE, _document_packer(OperationCode.RECORD_CREDIT_NOTE)),
    ImportOpenItem: (OperationCode.IMPORT_OPEN_ITEM, _document_packer(OperationCode.IMPORT_OPEN_ITEM)),
    UpdateAging: (OperationCode.UPDATE_AGING, _pack_aging),
    PutAccount: (OperationCode.PUT_ACCOUNT, _pack_put),
    SetManualLimit: (OperationCode.SET_MANUAL_LIMIT, _pack_manual_limit),
    SetTemporaryLimit: (OperationCode.SET_TEMPORARY_LIMIT, _pack_temporary_limit),
    SetBlock: (OperationCode.SET_BLOCK, _pack_block),
    PutGroup: (OperationCode.PUT_GROUP, _pack_put_group),
    GetGroup: (OperationCode.GET_GROUP, _pack_get_group),
    CloseAccount: (OperationCode.CLOSE_ACCOUNT, _pack_close),
    GetAccount: (OperationCode.GET_ACCOUNT, _pack_get_account),
    GetReservation: (OperationCode.GET_RESERVATION, _pack_get_reservation),
}
_PACKERS: Final = {kind: cast("_Packer", packer) for kind, (_, packer) in _CODED.items()}

GROUP_OPERATIONS: Final = frozenset({PutGroup, GetGroup})
"""Types of operations on a group: its partition is that which its id hashes onto."""

READ_OPERATIONS: Final = frozenset(kind for kind, (code, _) in _CODED.items() if code in OPERATIONS_READ)
"""Types of operations that write nothing."""

SETTLE_OPERATIONS: Final = frozenset(kind for kind, (code, _) in _CODED.items() if code in OPERATIONS_SETTLE)
"""Types of operations that are carried out even when the store is full."""


def pack_operation(operation: Operation[object], part: int) -> bytes:
    """Return the operation as an argument of a call.

    `part` is the index of its partition among the call's keys, from 1.
    """
    return _PACKERS[type(operation)](operation, part)
