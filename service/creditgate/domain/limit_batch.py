"""A run of the scorer: what it is, how far it is, and what its guard rails saw; numbers are those of `creditgate.v1`.

Instants are milliseconds since 1970 where the name ends in `_ms`, seconds where it ends in `_s`; 0 is none. Amounts are
in minor units of the account's currency.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Final, NamedTuple

ROW_ERRORS_MAX: Final = 10_000
"""Most wrong rows of a batch that are told; all are counted."""

BATCH_ACCOUNTS_MAX: Final = 1000
"""Most accounts that a batch tells as over their limit, or as left alone by its rollback; all are counted."""

EXAMPLES_MAX: Final = 10
"""How many of the largest changes, and of the worst examples of a guard rail, are told."""

UNDO_BATCHES_MAX: Final = 3
"""How many of the batches that were activated last can be rolled back."""

CHUNK_ROWS_MAX: Final = 200
"""Most rows of a batch that are stored, and put in force, in one step."""

WINDOW_ROWS: Final = 6400
"""Rows are staged by windows of so many, counted from row 1, whatever messages they came in: so that sending a window
again writes the same chunks."""


@unique
class LimitBatchMode(IntEnum):
    """What a push of limits is for."""

    APPLY = 1
    STAGE = 2
    PREVIEW = 3


@unique
class LimitBatchState(IntEnum):
    """How far a batch is."""

    RECEIVING = 1
    STAGED = 2
    QUARANTINED = 3
    ACTIVATING = 4
    ACTIVE = 5
    CANCELLED = 6
    ROLLED_BACK = 7
    FAILED = 8
    ROLLING_BACK = 9


@unique
class LimitRowErrorReason(IntEnum):
    """What is wrong with a row."""

    UNREADABLE = 1
    INVALID_FIELD = 2
    DUPLICATE_ACCOUNT = 3
    UNKNOWN_ACCOUNT = 4
    CURRENCY_MISMATCH = 5


@unique
class GuardRail(IntEnum):
    """What a batch must not do without a person's consent."""

    ACCOUNTS_CUT = 1
    TOTAL_CHANGE = 2
    SINGLE_RAISE = 3
    ROW_COUNT = 4
    UNKNOWN_ACCOUNTS = 5
    DUPLICATE_ROWS = 6
    AS_OF_BACKWARDS = 7
    MODEL_BACKWARDS = 8
    WRONG_ROWS = 9


class LimitRow(NamedTuple):
    """A valid row of a batch; `row` counts from 1, a `limit_minor` of None is no ceiling.

    An empty `risk_class` leaves the account's. `reasons` are parted by line feeds.
    """

    row: int
    account_id: str
    limit_minor: int | None
    currency_code: str
    version: int
    risk_class: str = ""
    score: float | None = None
    effective_time_s: int = 0
    expire_time_s: int = 0
    reasons: str = ""


@dataclass(frozen=True, slots=True)
class LimitRowError:
    """A row that is not applied."""

    row: int
    account_id: str
    field: str
    reason: LimitRowErrorReason
    message: str


@dataclass(frozen=True, slots=True)
class LimitChange:
    """A change of one account's base limit; None before is no limit or no ceiling, None after is no ceiling."""

    account_id: str
    currency_code: str
    before_minor: int | None
    after_minor: int | None
    exposure_minor: int


@dataclass(frozen=True, slots=True)
class GuardRailReport:
    """A guard rail that has tripped."""

    guard_rail: GuardRail
    message: str
    observed: int
    threshold: int
    examples: tuple[LimitChange, ...] = ()


@dataclass(frozen=True, slots=True)
class LimitTotals:
    """Sums over the accounts of one currency that a batch names."""

    currency_code: str
    limit_before_minor: int
    limit_after_minor: int
    headroom_before_minor: int
    headroom_after_minor: int


@dataclass(frozen=True, slots=True)
class LimitEffect:
    """What a batch does to the accounts."""

    raised_accounts: int = 0
    cut_accounts: int = 0
    confirmed_accounts: int = 0
    new_accounts: int = 0
    over_limit_accounts: int = 0
    fitting_reviews: int = 0
    totals: tuple[LimitTotals, ...] = ()
    largest_raises: tuple[LimitChange, ...] = ()
    largest_cuts: tuple[LimitChange, ...] = ()


@dataclass(frozen=True, slots=True)
class LimitBatchHeader:
    """What a sender says of a batch before its rows."""

    batch_id: str
    source: str
    model_version: str
    as_of_ms: int
    mode: LimitBatchMode
    all_or_nothing: bool = False
    create_accounts: bool = False


@dataclass(frozen=True, slots=True)
class LimitBatch:
    """A batch as its record has it.

    `revision` counts the changes of the record. `rows_digest` tells the received rows apart from others, `next_digest`
    those too that are just being stored (empty: none are). `sorted_to` is the account of the last row received, as long
    as all rows came sorted by account; once they do not, the accounts of all that are there are `indexed`.
    `received_errors` are the wrong rows found on receipt, the other ones of `rejected_rows` when the batch was measured
    or activated. `row_errors` are read only where one batch is.
    """

    header: LimitBatchHeader
    state: LimitBatchState
    revision: int = 0
    received_rows: int = 0
    received_errors: int = 0
    duplicate_rows: int = 0
    rows_digest: str = ""
    next_digest: str = ""
    sorted_to: str = ""
    indexed: bool = False
    rejected_rows: int = 0
    skipped_rows: int = 0
    applied_rows: int = 0
    scheduled_rows: int = 0
    created_accounts: int = 0
    guard_rails: tuple[GuardRailReport, ...] = ()
    effect: LimitEffect | None = None
    over_limit_count: int = 0
    over_limit_accounts: tuple[str, ...] = ()
    released_reviews: int = 0
    restored_rows: int = 0
    kept_count: int = 0
    kept_changes: tuple[str, ...] = ()
    actor: str = ""
    comment: str = ""
    forced: bool = False
    create_time_ms: int = 0
    update_time_ms: int = 0
    receive_time_ms: int = 0
    activate_time_ms: int = 0
    row_errors: tuple[LimitRowError, ...] = ()

    @property
    def batch_id(self) -> str:
        """The batch's id."""
        return self.header.batch_id


@unique
class RowStanding(IntEnum):
    """How a row stands against its account as it is now."""

    APPLICABLE = 1
    NEW_ACCOUNT = 2
    SKIPPED = 3
    UNKNOWN_ACCOUNT = 4
    CURRENCY_MISMATCH = 5


class RowEffect(NamedTuple):
    """What a staged row would do to its account as it is now.

    `before_minor` is the base limit that stands, None with `unlimited_before` for no ceiling and without for none at
    all; `after_minor` None is no ceiling. The headrooms are below the limits that count, manual and temporary ones
    included, 0 where nothing is free or no ceiling is; `over_limit` tells that the account is within its limit now and
    would not be then. For rows that are not applicable only `standing` counts, and `currency_code` is the account's.
    """

    row: int
    account_id: str
    standing: RowStanding
    currency_code: str
    before_minor: int | None = None
    unlimited_before: bool = False
    after_minor: int | None = None
    exposure_minor: int = 0
    headroom_before_minor: int = 0
    headroom_after_minor: int = 0
    over_limit: bool = False
    fitting_reviews: int = 0


class Noteworthy(NamedTuple):
    """From where on a change of a limit is told by itself, and not in sums alone: above any of these bounds.

    A raise or a cut in minor units, the share of a limit that a cut takes, in basis points, and how many times its
    limit an account gets (0: whatever that is). A raise from a limit of 0 is always told by itself. All changes are
    noteworthy as long as nothing else is said.
    """

    raise_over_minor: int = -1
    cut_over_minor: int = -1
    cut_share_bps: int = 0
    raise_factor: int = 0


class LimitSums(NamedTuple):
    """What some rows do in one currency that each put one ceiling in the place of another, or of none at all."""

    raised: int
    cut: int
    confirmed: int
    before_minor: int
    after_minor: int
    headroom_before_minor: int
    headroom_after_minor: int
    currency_code: str


class RowsEffect(NamedTuple):
    """What staged rows would do: some told one by one, the others in sums."""

    rows: Sequence[RowEffect]
    sums: Sequence[LimitSums] = ()


class WindowRows(NamedTuple):
    """The valid rows of a window of `WINDOW_ROWS` rows; window 0 begins with row 1.

    `is_sorted` says that these rows and all before them are sorted by account: no earlier window names one of theirs.
    """

    window: int
    rows: Sequence[LimitRow]
    is_sorted: bool = False


class WindowStaged(NamedTuple):
    """Rows of a window that were left out, and what those that are stored would do, where that was asked for.

    `is_late` says that nothing was stored, as all rows of the batch had been there before.
    """

    left_out: Sequence[LimitRowError]
    effects: Sequence[RowsEffect] = ()
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class RowsApplied:
    """What chunks of a batch have become: rows in force or not, by why.

    `over_limit_count` and `refused_rows` also count those that the bounded `over_limit_accounts` and `errors` have no
    room for.
    """

    applied_rows: int = 0
    scheduled_rows: int = 0
    created_accounts: int = 0
    skipped_rows: int = 0
    released_reviews: int = 0
    errors: tuple[LimitRowError, ...] = ()
    over_limit_accounts: tuple[str, ...] = ()
    over_limit_count: int = 0
    refused_rows: int = 0


@dataclass(frozen=True, slots=True)
class RowsRestored:
    """What a rollback made of chunks: rows restored, and accounts left alone since they have been changed.

    `kept_rows` also counts the accounts that a bounded `kept_changes` has no room for.
    """

    restored_rows: int = 0
    kept_changes: tuple[str, ...] = ()
    kept_rows: int = 0
