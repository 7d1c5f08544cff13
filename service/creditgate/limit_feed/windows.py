"""Windows of a batch's rows, and how its record changes with each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import le

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.limit_batch import WINDOW_ROWS, LimitBatch, LimitBatchState, LimitRow, LimitRowError
from creditgate.limit_feed.rows_digest import WindowDigest


class Window:
    """The rows of a window that is being received.

    Attributes:
        next_digest: that of the rows up to the end of the next window, once that is full, too.

    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.first_row = number * WINDOW_ROWS + 1
        self.last_row = number * WINDOW_ROWS
        self.digest = WindowDigest()
        self.next_digest = ""
        self.rows: list[LimitRow] = []
        self.errors: list[LimitRowError] = []

    @property
    def end_row(self) -> int:
        """The row with which the window is full."""
        return self.first_row + WINDOW_ROWS - 1


@dataclass(frozen=True, slots=True)
class Kept:
    """How the record changes with a window whose rows are stored.

    With the last one it learns that all rows are there. `next_digest` is that of the rows up to the end of the next
    window, where that is full already: so it needs no announcing by itself.
    """

    first_row: int
    last_row: int
    digest_before: str
    digest: str
    next_digest: str = ""
    sorted_to: str = ""
    indexed: bool = False
    errors: tuple[LimitRowError, ...] = ()
    duplicates: int = 0
    receive_time_ms: int = 0

    def announce(self, found: LimitBatch) -> LimitBatch:
        """Return the record before the window is stored.

        A window that was stored and not recorded, because its server was killed, may only be sent again as it was: else
        rows of both would be there.
        """
        if found.received_rows >= self.last_row and not is_given_up(found):
            return found
        self._check_follows(found)
        if found.next_digest == self.digest:
            return found
        return replace(found, next_digest=self.digest, row_errors=())

    def change(self, found: LimitBatch) -> LimitBatch:
        """Return the record with the window; as it is when another sender of the same rows was faster."""
        if found.received_rows >= self.last_row and not is_given_up(found):
            return self._behind_another(found)
        self._check_follows(found)
        received_errors = found.received_errors + len(self.errors)
        return replace(
            found,
            received_rows=self.last_row,
            received_errors=received_errors,
            rejected_rows=received_errors,
            duplicate_rows=found.duplicate_rows + self.duplicates,
            rows_digest=self.digest,
            next_digest=self.next_digest,
            sorted_to=self.sorted_to,
            indexed=self.indexed,
            receive_time_ms=self.receive_time_ms,
            row_errors=self.errors,
        )

    def pass_over(self, found: LimitBatch) -> LimitBatch:
        """Return the record behind a window that another sender of the same rows has brought.

        Raises LIMIT_BATCH_CHANGED when the record does not say so any more: a store may have lost its last change.
        """
        if found.received_rows < self.last_row or is_given_up(found):
            self._check_follows(found)
            raise CreditError(
                ErrorReason.LIMIT_BATCH_CHANGED,
                f"batch {found.batch_id} has lost rows that were kept; push it again to go on",
            )
        return self._behind_another(found)

    def _check_follows(self, found: LimitBatch) -> None:
        if is_given_up(found):
            raise CreditError(
                ErrorReason.LIMIT_BATCH_STATE,
                f"batch {found.batch_id} is {found.state.name} since rows were being sent",
            )
        follows = found.received_rows == self.first_row - 1 and found.rows_digest == self.digest_before
        if found.receive_time_ms or not follows or found.next_digest not in ("", self.digest):
            raise other_details(found, f"its rows from {self.first_row} on are not those that were sent before")

    def _behind_another(self, found: LimitBatch) -> LimitBatch:
        if found.received_rows == self.last_row:
            if found.rows_digest != self.digest:
                raise other_details(found, f"its rows up to {self.last_row} are not those that were sent before")
            if self.receive_time_ms and not found.receive_time_ms:
                return replace(found, receive_time_ms=self.receive_time_ms, row_errors=())
        elif self.receive_time_ms:
            raise other_details(found, f"it ends with row {self.last_row}, and {found.received_rows} were sent before")
        return found


def sorted_to(batch: LimitBatch, rows: Sequence[LimitRow]) -> str | None:
    """Return the account of the last row, those of the next window included, if all of them are sorted by account.

    A row can then name an account again only of its own window. None: they are not, or that is not known.
    """
    before = batch.sorted_to
    if batch.indexed or (batch.received_rows and not before):
        return None
    if not rows:
        return before
    account_ids = [row.account_id for row in rows]
    are_sorted = before < account_ids[0] and all(map(le, account_ids, account_ids[1:]))
    return account_ids[-1] if are_sorted else None


def is_given_up(batch: LimitBatch) -> bool:
    """Return whether a batch was ended before all its rows were there."""
    return batch.state is not LimitBatchState.RECEIVING and not batch.receive_time_ms


def other_details(batch: LimitBatch, how: str) -> CreditError:
    """Return the fault of a sender that sends something else under a batch's id."""
    return CreditError(
        ErrorReason.LIMIT_BATCH_EXISTS_WITH_DIFFERENT_DETAILS,
        f"batch {batch.batch_id} exists with other details: {how}",
    )
