"""The binary layouts that Python and Lua exchange, each written once.

A layout is a row of little-endian numbers, then three-letter codes, then texts that end with a zero byte. It renders
itself as a format of Python's `struct` (texts excluded) and as one of Redis' Lua `struct`.
"""

import struct
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Final

EPOCH: Final = date(1970, 1, 1)
"""Days are counted from here; 0 is no day."""


class FieldType(Enum):
    """A field's type: its format in Python and in Lua."""

    U8 = ("B", "B")
    U16 = ("H", "I2")
    U32 = ("I", "I4")
    I64 = ("q", "i8")
    F64 = ("d", "d")
    CODE = ("3s", "c3")
    TEXT = ("", "s")


@dataclass(frozen=True)
class Layout:
    """A named layout. `size` is the length in bytes of everything before the texts."""

    name: str
    fields: tuple[tuple[str, FieldType], ...]
    packer: struct.Struct = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "packer", struct.Struct("<" + "".join(kind.value[0] for _, kind in self.fields)))

    @property
    def size(self) -> int:
        """Length in bytes of everything before the texts."""
        return self.packer.size

    @property
    def text_count(self) -> int:
        """How many texts follow the numbers."""
        return sum(kind is FieldType.TEXT for _, kind in self.fields)

    @property
    def lua_format(self) -> str:
        """The layout as a format of Redis' Lua `struct`."""
        return "<" + "".join(kind.value[1] for _, kind in self.fields)


def _layout(name: str, **kinds: FieldType) -> Layout:
    return Layout(name, tuple(kinds.items()))


_U8, _U16, _U32, _I64, _F64, _CODE, _TEXT = (
    FieldType.U8,
    FieldType.U16,
    FieldType.U32,
    FieldType.I64,
    FieldType.F64,
    FieldType.CODE,
    FieldType.TEXT,
)

# --- what is stored (read and written by the library alone, but for ORDER, which its answers carry)

ACCOUNT: Final = _layout(
    "ACCOUNT",
    flags=_U16,
    reserved=_I64,
    receivable=_I64,
    secured_receivable=_I64,
    pending=_I64,
    next_due_s=_U32,
    limit=_I64,
    limit_expire_s=_U32,
    limit_confirm_s=_U32,
    limit_version=_I64,
    create_ms=_I64,
    epoch=_U32,
    currency=_CODE,
    risk_class=_TEXT,
)
"""As the flags say, LIMIT_SCORE, AGING, MANUAL_LIMIT, TEMPORARY_LIMIT, BLOCK_END, MEMBERSHIP, SCHEDULED_LIMIT and
MOVING follow, in this order; what is left is a VELOCITY. `epoch` counts how often the account was moved."""
LIMIT_SCORE: Final = _layout("LIMIT_SCORE", score=_F64)
AGING: Final = _layout(
    "AGING",
    overdue=_I64,
    disputed=_I64,
    due_day=_U32,
    as_of_ms=_I64,
    reported_overdue=_I64,
    reported_due_day=_U32,
)
"""What the ERP reported, and what payments have left of it; days are counted from 1970-01-01, 0 is none."""
MANUAL_LIMIT: Final = _layout("MANUAL_LIMIT", limit=_I64, expire_s=_U32)
TEMPORARY_LIMIT: Final = _layout("TEMPORARY_LIMIT", limit=_I64, start_s=_U32, end_s=_U32)
BLOCK_END: Final = _layout("BLOCK_END", expire_s=_U32)
MEMBERSHIP: Final = _layout("MEMBERSHIP", group_id=_TEXT)
SCHEDULED_LIMIT: Final = _layout(
    "SCHEDULED_LIMIT",
    flags=_U8,
    limit=_I64,
    version=_I64,
    effective_s=_U32,
    expire_s=_U32,
    score=_F64,
    risk_class=_TEXT,
)
"""The next base limit; an empty `risk_class` leaves the account's."""
MOVING: Final = _layout("MOVING", partition=_U16, epoch=_U32, arriving=_U8)
"""The account is being moved to a partition or, `arriving`, from it; `epoch` is the one that it will have there."""
MOVED_STUB: Final = _layout("MOVED_STUB", flags=_U16, partition=_U16, epoch=_U32)
"""Stands in the place of an ACCOUNT that lives in another partition."""
GROUP: Final = _layout(
    "GROUP",
    flags=_U8,
    currency_count=_U8,
    limit=_I64,
    next_due_s=_U32,
    account_count=_U32,
    create_ms=_I64,
    sorted_until_s=_U32,
    currency=_CODE,
)
"""`currency_count` GROUP_SUMS follow, then any number of DUE_SUM: what falls due after `sorted_until_s` stands there,
not yet in the group's sorted set."""
SORTED_GROUP: Final = _layout(
    "SORTED_GROUP",
    unlimited=_U8,
    currency_count=_U8,
    limit=_I64,
    next_due_s=_U32,
    account_count=_U32,
    create_ms=_I64,
    currency=_CODE,
)
"""As a GROUP was stored once, and is until it changes: `currency_count` GROUP_SUMS follow, and all that falls due
stands in the sorted set. It has no GroupFlag.DUE."""
GROUP_SUMS: Final = _layout("GROUP_SUMS", currency=_CODE, reserved=_I64, receivable=_I64, owed=_I64)
DUE_SUM: Final = _layout("DUE_SUM", second_s=_U32, tag=_CODE, amount=_I64)
VELOCITY: Final = _layout("VELOCITY", window_s=_U32, bucket=_U32, count=_U8)
"""What was approved within a window, as of a bucket of it; `count` VELOCITY_BUCKETs follow."""
VELOCITY_BUCKET: Final = _layout("VELOCITY_BUCKET", age=_U8, amount=_I64)
RATE: Final = _layout("RATE", mantissa=_I64, scale=_U8, shift=_U8)
"""An exchange rate; `shift` is SHIFT_ZERO plus the decimals that the converted currency's minor unit has more."""
STORED_RATE: Final = _layout("STORED_RATE", version=_I64, expire_s=_U32)
"""What a partition keeps of a pair of currencies; the RATE follows."""
ORDER: Final = _layout(
    "ORDER",
    state=_U8,
    flags=_U8,
    terms_days=_U16,
    revision=_U32,
    amount=_I64,
    first_amount=_I64,
    secured=_I64,
    committed=_I64,
    held=_I64,
    expire_s=_U32,
    update_s=_U32,
    currency=_CODE,
)
"""A reservation. As its flags say, a RATE and a PENDING_AMEND follow, in this order, then the DECISION that made it.
`first_amount` is the total that it was asked for with. `held` is in the account's currency, all else in the order's."""
PENDING_AMEND: Final = _layout("PENDING_AMEND", amount=_I64, more=_I64)
"""The total that waits for a person, and what it would hold more, in the account's currency."""
DECISION: Final = _layout(
    "DECISION",
    outcome=_U8,
    exposure_flags=_U8,
    reason_count=_U8,
    decide_ms=_I64,
    seen_limit=_I64,
    seen_reserved=_I64,
    seen_receivable=_I64,
    seen_pending=_I64,
    limit_version=_I64,
    policy_version=_TEXT,
)
"""`reason_count` REASONs follow."""
REASON: Final = _layout("REASON", code=_U8, action=_U8, observed=_I64, threshold=_I64, currency=_CODE)
"""The currency is three blanks when the numbers are no amounts."""
LIMIT_ROW: Final = _layout(
    "LIMIT_ROW",
    row=_U32,
    flags=_U8,
    limit=_I64,
    version=_I64,
    effective_s=_U32,
    expire_s=_U32,
    score=_F64,
    currency=_CODE,
    account_id=_TEXT,
    risk_class=_TEXT,
    reasons=_TEXT,
)
"""A row of a limit batch; a chunk is a string of them."""
LIMIT_UNDO: Final = _layout("LIMIT_UNDO", count=_U16, rows_size=_U32)
"""What undoes a chunk: so many RowFates, a byte each, then the LIMIT_ROWs, in so many bytes, then a LIMIT_BEFORE for
each row that is in force."""
LIMIT_BEFORE: Final = _layout(
    "LIMIT_BEFORE",
    flags=_U16,
    limit=_I64,
    limit_expire_s=_U32,
    limit_confirm_s=_U32,
    score=_F64,
    risk_class=_TEXT,
    reasons=_TEXT,
    scheduled_reasons=_TEXT,
)
"""An account's base limit before a row, with the account's flags; SCHEDULED_LIMIT follows if they say so."""
LEDGER_ENTRY: Final = _layout(
    "LEDGER_ENTRY",
    kind=_U8,
    flags=_U8,
    amount=_I64,
    receivable_change=_I64,
    over_committed=_I64,
    time_s=_U32,
    secured_change=_I64,
    order_id=_TEXT,
)
"""`amount` is below 0 for what reduces the receivable; for a commit it is in the order's currency, the changes in the
account's. `secured_change` is what of it security covers."""
AMEND_MARKER: Final = _layout("AMEND_MARKER", amount=_I64, hold_s=_U32)
"""The change that a request id stands for; the DECISION about it follows."""

# --- what a call takes: the operation's code and the index of its partition among the call's keys, from 1, come first

CHECK_CREDIT: Final = _layout(
    "CHECK_CREDIT",
    code=_U8,
    part=_U8,
    explain=_U8,
    amount=_I64,
    secured=_I64,
    terms_days=_U16,
    account_id=_TEXT,
    currency=_TEXT,
)
RESERVE_CREDIT: Final = _layout(
    "RESERVE_CREDIT",
    code=_U8,
    part=_U8,
    amount=_I64,
    secured=_I64,
    hold_s=_U32,
    terms_days=_U16,
    account_id=_TEXT,
    order_id=_TEXT,
    currency=_TEXT,
    source=_TEXT,
)
COMMIT_RESERVATION: Final = _layout(
    "COMMIT_RESERVATION",
    code=_U8,
    part=_U8,
    final=_U8,
    amount=_I64,
    account_id=_TEXT,
    order_id=_TEXT,
    currency=_TEXT,
    document_id=_TEXT,
)
AMEND_RESERVATION: Final = _layout(
    "AMEND_RESERVATION",
    code=_U8,
    part=_U8,
    amount=_I64,
    hold_s=_U32,
    etag_ms=_I64,
    etag_revision=_U32,
    account_id=_TEXT,
    order_id=_TEXT,
    currency=_TEXT,
    request_id=_TEXT,
)
"""`hold_s` 0 keeps the hold's end, `etag_revision` 0 compares nothing."""
RELEASE_RESERVATION: Final = _layout(
    "RELEASE_RESERVATION",
    code=_U8,
    part=_U8,
    etag_ms=_I64,
    etag_revision=_U32,
    account_id=_TEXT,
    order_id=_TEXT,
    request_id=_TEXT,
    reason=_TEXT,
)
RECORD_ENTRY: Final = _layout(
    "RECORD_ENTRY",
    code=_U8,
    part=_U8,
    amount=_I64,
    account_id=_TEXT,
    entry_id=_TEXT,
    currency=_TEXT,
)
"""A payment, an invoice, a credit note or an open item; `entry_id` is that of the payment or the document."""
UPDATE_AGING: Final = _layout(
    "UPDATE_AGING",
    code=_U8,
    part=_U8,
    overdue=_I64,
    disputed=_I64,
    due_day=_U32,
    as_of_ms=_I64,
    account_id=_TEXT,
)
SET_MANUAL_LIMIT: Final = _layout(
    "SET_MANUAL_LIMIT",
    code=_U8,
    part=_U8,
    present=_U8,
    unlimited=_U8,
    limit=_I64,
    expire_s=_U32,
    account_id=_TEXT,
    currency=_TEXT,
    reason=_TEXT,
    actor=_TEXT,
)
"""`present` 0 takes the limit away."""
SET_TEMPORARY_LIMIT: Final = _layout(
    "SET_TEMPORARY_LIMIT",
    code=_U8,
    part=_U8,
    present=_U8,
    limit=_I64,
    start_s=_U32,
    end_s=_U32,
    account_id=_TEXT,
    currency=_TEXT,
    reason=_TEXT,
    actor=_TEXT,
)
"""`present` 0 takes the limit away; a `start_s` of 0 is now."""
SET_BLOCK: Final = _layout(
    "SET_BLOCK",
    code=_U8,
    part=_U8,
    present=_U8,
    expire_s=_U32,
    account_id=_TEXT,
    reason=_TEXT,
    actor=_TEXT,
)
"""`present` 0 ends the block."""
PUT_GROUP: Final = _layout(
    "PUT_GROUP",
    code=_U8,
    part=_U8,
    unlimited=_U8,
    limit=_I64,
    group_id=_TEXT,
    currency=_TEXT,
    display_name=_TEXT,
)
PUT_ACCOUNT: Final = _layout(
    "PUT_ACCOUNT",
    code=_U8,
    part=_U8,
    mask=_U8,
    flags=_U8,
    limit=_I64,
    limit_expire_s=_U32,
    block_expire_s=_U32,
    account_id=_TEXT,
    currency=_TEXT,
    risk_class=_TEXT,
    display_name=_TEXT,
    block_reason=_TEXT,
    block_actor=_TEXT,
    group_id=_TEXT,
)
ACCOUNT_NAMED: Final = _layout("ACCOUNT_NAMED", code=_U8, part=_U8, account_id=_TEXT)
ORDER_NAMED: Final = _layout("ORDER_NAMED", code=_U8, part=_U8, account_id=_TEXT, order_id=_TEXT)

# --- the policy, the first argument of each call

POLICY: Final = _layout(
    "POLICY",
    shadow=_U8,
    credit_counts=_U8,
    hold_default_s=_U32,
    hold_longest_s=_U32,
    offset_count=_U16,
    class_count=_U16,
    version=_TEXT,
)
"""`offset_count` POLICY_OFFSETs and `class_count` POLICY_CLASSes follow."""
POLICY_OFFSET: Final = _layout("POLICY_OFFSET", from_s=_I64, offset_s=_I64)
"""From a second on, the policy's time zone is so many seconds ahead of UTC."""
POLICY_CLASS: Final = _layout("POLICY_CLASS", credit_counts=_U8, releases_reviews=_U8, rule_count=_U8, class_name=_TEXT)
"""`class_name` is `class|currency`, where an empty class stands for all others, and so does an empty currency.
`rule_count` POLICY_RULEs follow, in the order in which they are evaluated."""
POLICY_RULE: Final = _layout("POLICY_RULE", code=_U8, action=_U8, number=_I64, share_bps=_I64, amount=_I64)
"""A rule that is on; an `amount` of -1 is none."""

# --- what a call answers: the error's number, 0 for none, comes first

FAILURE: Final = _layout("FAILURE", error=_U8, number=_I64, text=_TEXT)
ORDER_ANSWER: Final = _layout(
    "ORDER_ANSWER", error=_U8, flags=_U8, state=_U8, over_committed=_I64, account_currency=_CODE
)
"""An ORDER with all that belongs to it follows; behind it, the answer to an amend has the DECISION about the change."""
ACCOUNT_ANSWER: Final = _layout(
    "ACCOUNT_ANSWER",
    error=_U8,
    answer_flags=_U8,
    flags=_U16,
    limit=_I64,
    limit_version=_I64,
    create_ms=_I64,
    reserved=_I64,
    receivable=_I64,
    secured_receivable=_I64,
    pending=_I64,
    block_ms=_I64,
    overdue=_I64,
    disputed=_I64,
    due_day=_U32,
    as_of_ms=_I64,
    limit_expire_s=_U32,
    limit_confirm_s=_U32,
    effective_flags=_U8,
    effective_limit=_I64,
    block_expire_s=_U32,
    manual_limit=_I64,
    manual_expire_s=_U32,
    manual_ms=_I64,
    temporary_limit=_I64,
    temporary_start_s=_U32,
    temporary_end_s=_U32,
    temporary_ms=_I64,
    account_id=_TEXT,
    currency=_TEXT,
    group_id=_TEXT,
    risk_class=_TEXT,
    display_name=_TEXT,
    block_reason=_TEXT,
    block_actor=_TEXT,
    manual_reason=_TEXT,
    manual_actor=_TEXT,
    temporary_reason=_TEXT,
    temporary_actor=_TEXT,
)
"""As the flags say, LIMIT_SCORE, a text with the limit's reasons, and SCHEDULED_LIMIT follow, in this order."""
GROUP_ANSWER: Final = _layout(
    "GROUP_ANSWER",
    error=_U8,
    created=_U8,
    unlimited=_U8,
    currency_count=_U8,
    limit=_I64,
    exposure=_I64,
    account_count=_U32,
    create_ms=_I64,
    currency=_CODE,
    group_id=_TEXT,
    display_name=_TEXT,
)
"""`currency_count` GROUP_SUMS follow. An `exposure` of NO_EXPOSURE can't be told: a rate is missing."""
AUDIT_SUMS: Final = _layout(
    "AUDIT_SUMS",
    reserved=_I64,
    receivable=_I64,
    secured_receivable=_I64,
    pending=_I64,
    next_due_s=_U32,
)
"""The sums that an account keeps, with what has fallen due already taken off."""

ROW_EFFECT: Final = _layout(
    "ROW_EFFECT",
    row=_U32,
    standing=_U8,
    flags=_U8,
    before=_I64,
    after=_I64,
    exposure=_I64,
    headroom_before=_I64,
    headroom_after=_I64,
    fitting_reviews=_U16,
    currency=_CODE,
)
"""What a row of a limit batch would do; the accounts' ids come apart from these."""
ROW_SUMS: Final = _layout(
    "ROW_SUMS",
    raised=_U16,
    cut=_U16,
    confirmed=_U16,
    before=_I64,
    after=_I64,
    headroom_before=_I64,
    headroom_after=_I64,
    currency=_CODE,
)
"""What rows of a limit batch would do in one currency that are told in sums."""
ROWS_APPLIED: Final = _layout(
    "ROWS_APPLIED",
    error=_U8,
    moved=_U16,
    applied=_U16,
    scheduled=_U16,
    created=_U16,
    skipped=_U16,
    released=_U16,
    error_count=_U16,
    over_count=_U16,
)
"""What has become of a chunk: `error_count` ROW_REFUSEDs follow, then the ids of `over_count` accounts. `moved` rows
have gone on elsewhere, and are counted there."""
ROW_REFUSED: Final = _layout("ROW_REFUSED", row=_U32, fate=_U8, account_id=_TEXT, currency=_TEXT)
"""A row that is not applied, and its account's currency where there is an account."""
ROWS_RESTORED: Final = _layout("ROWS_RESTORED", error=_U8, moved=_U16, restored=_U16, kept_count=_U16)
"""What a rollback made of a chunk: the ids of `kept_count` accounts follow."""

# --- what is journaled: an entry of the stream has one field `e`, a row of effects; `size` is the length of a whole
# effect

ORDER_EFFECT: Final = _layout(
    "ORDER_EFFECT",
    size=_U32,
    kind=_U8,
    time_ms=_I64,
    reserved=_I64,
    receivable=_I64,
    secured_receivable=_I64,
    pending=_I64,
    account_id=_TEXT,
    order_id=_TEXT,
)
"""The kind's own texts follow (source; document id; request id; request id and reason), then the ORDER as it is
afterwards with its DECISION, then what else was written: the LEDGER_ENTRY of a commit, the AMEND_MARKER of an amend."""
ENTRY_EFFECT: Final = _layout(
    "ENTRY_EFFECT",
    size=_U32,
    kind=_U8,
    time_ms=_I64,
    reserved=_I64,
    receivable=_I64,
    secured_receivable=_I64,
    pending=_I64,
    account_id=_TEXT,
    field=_TEXT,
)
"""`field` names what was recorded, folded into the opening balance, or forgotten (`lua/ledger.lua`, or `o:` order id).
The LEDGER_ENTRY of what was recorded follows, or the opening balance after folding."""
ACCOUNT_EFFECT: Final = _layout("ACCOUNT_EFFECT", size=_U32, kind=_U8, time_ms=_I64, actor=_TEXT, reason=_TEXT)
"""The ACCOUNT_ANSWER with the account as it is afterwards follows."""

BATCH_EFFECT: Final = _layout("BATCH_EFFECT", size=_U32, kind=_U8, time_ms=_I64, batch_id=_TEXT, model_version=_TEXT)
"""What happened to a limit batch. Of a chunk that was restored, its LIMIT_UNDO follows with all that belongs to it; of
one that was put in force, without its LIMIT_BEFOREs; of a changed state, the batch's record."""

EFFECT_HEADS: Final = {"ORDER": ORDER_EFFECT, "ENTRY": ENTRY_EFFECT, "ACCOUNT": ACCOUNT_EFFECT, "BATCH": BATCH_EFFECT}
"""What effects begin with: their own texts' zero bytes count as part of the head."""

LAYOUTS: Final = tuple(value for value in list(globals().values()) if isinstance(value, Layout))
