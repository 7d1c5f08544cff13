"""The numbers that Python and Lua share; rendered into the library's prelude (`library.py`)."""

from enum import IntEnum, IntFlag, unique
from typing import Final

JOURNAL_ENTRIES_MAX: Final = 10_000
"""Entries a partition's journal keeps, approximately; the oldest go first. An entry holds the effects of one call."""

SWEEP_REFERENCES_MAX: Final = 100
"""References that one call of the sweeper looks at: few enough that orders hardly wait for it."""

RETENTION_STEP_S: Final = 3600
"""What ends within so many seconds waits in one list of the retention queue, and is cleaned up together."""

AGING_AHEAD_MAX_S: Final = 86_400
"""How far ahead of the store's clock an ageing may be: time zones, and clocks that are set."""

REFUSAL_CODE: Final = "REFUSED"
"""What the error begins with by which a function that is no operation refuses a call."""


@unique
class OperationCode(IntEnum):
    """What an operation's blob begins with."""

    CHECK_CREDIT = 1
    RESERVE_CREDIT = 2
    COMMIT_RESERVATION = 3
    RELEASE_RESERVATION = 4
    RECORD_PAYMENT = 5
    PUT_ACCOUNT = 6
    CLOSE_ACCOUNT = 7
    GET_ACCOUNT = 8
    GET_RESERVATION = 9
    AMEND_RESERVATION = 10
    POST_RECEIVABLE = 11
    RECORD_CREDIT_NOTE = 12
    IMPORT_OPEN_ITEM = 13
    UPDATE_AGING = 14
    SET_MANUAL_LIMIT = 15
    SET_TEMPORARY_LIMIT = 16
    SET_BLOCK = 17
    PUT_GROUP = 18
    GET_GROUP = 19


OPERATIONS_READ: Final = (
    OperationCode.CHECK_CREDIT,
    OperationCode.GET_ACCOUNT,
    OperationCode.GET_RESERVATION,
    OperationCode.GET_GROUP,
)
"""Operations that write nothing."""

OPERATIONS_SETTLE: Final = (
    OperationCode.COMMIT_RESERVATION,
    OperationCode.RELEASE_RESERVATION,
    OperationCode.RECORD_PAYMENT,
    OperationCode.CLOSE_ACCOUNT,
    OperationCode.POST_RECEIVABLE,
    OperationCode.RECORD_CREDIT_NOTE,
    OperationCode.UPDATE_AGING,
    OperationCode.SET_BLOCK,
)
"""Operations that are carried out even when the store is full: they make room, or record what has happened."""

OPERATIONS_APPLY: Final = (
    OperationCode.RESERVE_CREDIT,
    OperationCode.AMEND_RESERVATION,
    OperationCode.PUT_ACCOUNT,
    OperationCode.IMPORT_OPEN_ITEM,
    OperationCode.SET_MANUAL_LIMIT,
    OperationCode.SET_TEMPORARY_LIMIT,
    OperationCode.PUT_GROUP,
    *OPERATIONS_SETTLE,
)
"""Operations that write."""


@unique
class AccountFlag(IntFlag):
    """Switches of an account."""

    CLOSED = 1
    UNLIMITED = 2
    LIMIT_SET = 4
    BLOCKED = 8
    AGED = 16
    MANUAL = 32
    MANUAL_UNLIMITED = 64
    TEMPORARY = 128
    BLOCK_ENDS = 256
    GROUPED = 512
    MOVED = 1024
    FROZEN = 2048
    SCHEDULED = 4096
    REASONS_SWAPPED = 8192
    SCORED = 16384
    REASONED = 32768


@unique
class ScheduleFlag(IntFlag):
    """What a scheduled limit says beside its fields."""

    UNLIMITED = 1
    SCORED = 2
    REASONED = 4


@unique
class GroupFlag(IntFlag):
    """What a stored group has beside its fields."""

    UNLIMITED = 1
    DUE = 2


@unique
class Aging(IntEnum):
    """Where the numbers of layouts.AGING stand in the library's row of them."""

    OVERDUE = 1
    DISPUTED = 2
    DUE_DAY = 3
    AS_OF_MS = 4
    REPORTED_OVERDUE = 5
    REPORTED_DUE_DAY = 6


@unique
class GroupSum(IntEnum):
    """Where a sum of a group stands in the library's row of them, behind its currency."""

    RESERVED = 1
    RECEIVABLE = 2
    OWED = 3


@unique
class LimitRowFlag(IntFlag):
    """What a row of a limit batch says beside its fields."""

    UNLIMITED = 1
    SCORED = 2


@unique
class RowFate(IntEnum):
    """What has become of a row of a chunk; MOVED: its account lives elsewhere, and the row has gone on there."""

    APPLIED = 1
    SCHEDULED = 2
    CREATED = 3
    CREATED_SCHEDULED = 4
    SKIPPED = 5
    UNKNOWN_ACCOUNT = 6
    CURRENCY_MISMATCH = 7
    MOVED = 8
    RESTORED = 9
    KEPT = 10


@unique
class RowEffectFlag(IntFlag):
    """What the measured effect of a row says beside its numbers."""

    BEFORE_SET = 1
    UNLIMITED_BEFORE = 2
    UNLIMITED_AFTER = 4
    OVER_LIMIT = 8


@unique
class ExposureFlag(IntFlag):
    """Switches of an exposure: of its limit, and whether a negative receivable counts in it."""

    LIMIT_SET = 1
    UNLIMITED = 2
    CREDIT_COUNTS = 4


@unique
class OrderFlag(IntFlag):
    """What a reservation's record has beside the fields of all of them."""

    FOREIGN = 1
    AMEND_PENDING = 2


@unique
class AnswerFlag(IntFlag):
    """What an answer says beside its resource."""

    REPLAYED = 1
    LATE = 2
    CREATED = 4
    IGNORED = 8


@unique
class PutMask(IntFlag):
    """The settings that `PutAccount` writes."""

    LIMIT = 1
    UNLIMITED = 2
    STATUS = 4
    RISK_CLASS = 8
    DISPLAY_NAME = 16
    BLOCK = 32
    GROUP = 64
    LIMIT_EXPIRE = 128


@unique
class LedgerKind(IntEnum):
    """What a ledger entry records."""

    COMMIT = 1
    PAYMENT = 2
    POSTING = 3
    CREDIT_NOTE = 4
    OPEN_ITEM = 5
    OPENING_BALANCE = 6


@unique
class LedgerFlag(IntFlag):
    """What a ledger entry says beside its amounts. POSTED: the ERP had posted the document before it was committed."""

    LATE = 1
    FINAL = 2
    POSTED = 4


@unique
class EffectKind(IntEnum):
    """What an effect in the journal did."""

    RESERVED = 1
    REJECTED = 2
    COMMITTED = 3
    RELEASED = 4
    EXPIRED = 5
    ACCOUNT_CHANGED = 7
    AMENDED = 8
    AMEND_REJECTED = 9
    RECORDED = 10
    AGED = 11
    FORGOTTEN = 12
    FOLDED = 13
    REPAIRED = 14
    GROUP_CHANGED = 15
    RATE_CHANGED = 16
    MOVED_AWAY = 17
    MOVED_HERE = 18
    REVIEW_RELEASED = 19
    LIMITS_APPLIED = 20
    LIMITS_RESTORED = 21
    LIMIT_BATCH_CHANGED = 22


SHADOW_BIT: Final = 128
"""Added to the action of a reason that has no effect because the whole gate is in shadow mode."""

ACCOUNT_MOVED: Final = 255
"""The error of an operation that came to a partition which its account has left; never leaves the store."""

GROUP_SUMS_STEP: Final = 4
"""How many places a currency's sums take in the library's row of a group's sums: its code, then GroupSum."""

UNSORTED_MAX: Final = 16
"""How many sums that fall due a group's record keeps before they go into its sorted set."""

VELOCITY_BUCKETS: Final = 24
"""A velocity window is counted in so many buckets; the present one and so many before it are summed."""

DUE_PENDING: Final = "P"
"""Tag of the due sums of what waits for a person."""

SHIFT_ZERO: Final = 8
"""The `shift` of a rate between currencies whose minor units have as many decimals."""

NO_EXPOSURE: Final = -(2**53)
"""The exposure of a group that can't be told, since a rate is missing: no sum is so small."""

LIMIT_BATCHES_MAX: Final = 1000
"""Records of limit batches that are kept; beyond, those that are over go, the last active ones excepted."""

LIMIT_BATCHES_BYTES_MAX: Final = 250_000
"""Records of limit batches that one page holds, about, in bytes."""

MOVE_PATIENCE_S: Final = 10
"""A move of an account that is not finished after so many seconds is finished by the sweeper; what it had to leave
alone meanwhile it looks at again as long after."""
