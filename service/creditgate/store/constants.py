"""The numbers that Python and Lua share; rendered into the library's prelude (`library.py`)."""

from enum import IntEnum, IntFlag, unique
from typing import Final

JOURNAL_ENTRIES_MAX: Final = 10_000
"""Entries a partition's journal keeps, approximately; the oldest go first. An entry holds the effects of one call."""

SWEEP_REFERENCES_MAX: Final = 100
"""Holds that one call of the sweeper looks at: few enough that orders hardly wait for it."""


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


OPERATIONS_READ: Final = (OperationCode.CHECK_CREDIT, OperationCode.GET_ACCOUNT, OperationCode.GET_RESERVATION)
"""Operations that write nothing."""

OPERATIONS_SETTLE: Final = (
    OperationCode.COMMIT_RESERVATION,
    OperationCode.RELEASE_RESERVATION,
    OperationCode.RECORD_PAYMENT,
    OperationCode.CLOSE_ACCOUNT,
)
"""Operations that are carried out even when the store is full: they make room, or record what has happened."""

OPERATIONS_APPLY: Final = (OperationCode.RESERVE_CREDIT, OperationCode.PUT_ACCOUNT, *OPERATIONS_SETTLE)
"""Operations that write."""


@unique
class AccountFlag(IntFlag):
    """Switches of an account."""

    CLOSED = 1
    UNLIMITED = 2
    LIMIT_SET = 4
    BLOCKED = 8


@unique
class ExposureFlag(IntFlag):
    """Switches of the exposure that a decision saw."""

    LIMIT_SET = 1
    UNLIMITED = 2


@unique
class AnswerFlag(IntFlag):
    """What an answer says beside its resource."""

    REPLAYED = 1
    LATE = 2
    CREATED = 4


@unique
class PutMask(IntFlag):
    """The settings that `PutAccount` writes."""

    LIMIT = 1
    UNLIMITED = 2
    STATUS = 4
    RISK_CLASS = 8
    DISPLAY_NAME = 16
    BLOCK = 32


@unique
class LedgerKind(IntEnum):
    """What a ledger entry records."""

    COMMIT = 1
    PAYMENT = 2


@unique
class LedgerFlag(IntFlag):
    """What a commit's ledger entry says beside its amounts."""

    LATE = 1
    FINAL = 2


@unique
class EffectKind(IntEnum):
    """What an effect in the journal did."""

    RESERVED = 1
    REJECTED = 2
    COMMITTED = 3
    RELEASED = 4
    EXPIRED = 5
    PAID = 6
    ACCOUNT_CHANGED = 7
