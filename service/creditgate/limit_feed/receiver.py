"""Receives a batch's rows: from the messages of one stream into the store, window by window."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final, NamedTuple, Protocol

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.limit_batch import WINDOW_ROWS, LimitBatch, LimitBatchState, LimitRow, LimitRowError
from creditgate.domain.ports import LimitBatchStore
from creditgate.limit_feed.records import Change, put_or_change, soon
from creditgate.limit_feed.rows_digest import RowsContent, WindowDigest
from creditgate.limit_feed.turns import Turns

FIRST_ROW_FIELD: Final = "updates.first_row"
_MS_PER_SECOND: Final = 1000
_ROWS_AT_ONCE: Final = 200
"""Rows that are read before other calls get their turn: about a millisecond's work."""


class ParsedRows(NamedTuple):
    """Rows that can be applied, and those that are wrong."""

    rows: Sequence[LimitRow]
    errors: Sequence[LimitRowError]


class SentRows(Protocol):
    """Rows as a sender's message has them, from `first_row` to `last_row`."""

    @property
    def first_row(self) -> int:
        """The number of the first row."""
        ...

    @property
    def last_row(self) -> int:
        """The number of the last row."""
        ...

    def content(self, first_row: int, last_row: int) -> RowsContent:
        """Return what the sender said of some of the rows."""
        ...

    def parse(self, first_row: int, last_row: int, now_s: int) -> ParsedRows:
        """Return some of the rows; what ends by `now_s`, in seconds since 1970, is wrong."""
        ...


class _Window:
    """The rows of a window that is being received."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.first_row = number * WINDOW_ROWS + 1
        self.last_row = number * WINDOW_ROWS
        self.digest = WindowDigest()
        self.rows: list[LimitRow] = []
        self.errors: list[LimitRowError] = []

    @property
    def end_row(self) -> int:
        """The row with which the window is full."""
        return self.first_row + WINDOW_ROWS - 1


@dataclass(frozen=True, slots=True)
class _Kept:
    """How the record changes with a window whose rows are stored.

    With the last one it learns that all rows are there.
    """

    first_row: int
    last_row: int
    digest_before: str
    digest: str
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
            next_digest="",
            receive_time_ms=self.receive_time_ms,
            row_errors=self.errors,
        )

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


class Receiver:
    """One stream's rows. At most two windows are in memory: one that is stored while the next is received.

    Rows that are there already are passed over; where all of them are sent again, they must be the same.
    """

    def __init__(self, store: LimitBatchStore, batch: LimitBatch, turns: Turns) -> None:
        self._store = store
        self._turns = turns
        self._begun_behind = batch.received_rows
        self._is_given_up = is_given_up(batch)
        self._takes_more = batch.state is LimitBatchState.RECEIVING and not batch.receive_time_ms
        self._taken_row: int | None = None
        self._digest: str | None = None
        self._window: _Window | None = None
        self._storing: asyncio.Task[None] | None = None
        self.batch = batch
        """The record as it was last seen."""

    @property
    def storing(self) -> asyncio.Task[None] | None:
        """The storing of a window, if one is under way."""
        return self._storing

    async def receive(self, sent: SentRows) -> None:
        """Take a message's rows.

        Raises INVALID_FIELD for a gap, LIMIT_BATCH_EXISTS_WITH_DIFFERENT_DETAILS for other rows than those that are
        there, LIMIT_BATCH_STATE when the batch has been cancelled, or what storing the window before has raised.
        """
        self._check_place(sent.first_row)
        first_row = sent.first_row
        while first_row <= sent.last_row:
            window = self._window
            if window is None:
                window = self._window = _Window((first_row - 1) // WINDOW_ROWS)
            last_row = min(sent.last_row, window.end_row)
            await self._take(window, sent, first_row, last_row)
            if last_row == window.end_row:
                await self._close(window)
            first_row = last_row + 1

    async def finish(self) -> None:
        """Learn that all rows have been sent; they are stored when this returns. Raises as `receive` does."""
        await self.stored()
        taken, window = self._taken_row, self._window
        if self._is_given_up:
            return
        if taken is not None and taken < self._begun_behind:
            raise other_details(self.batch, f"it ends with row {taken}, and {self._begun_behind} were sent before")
        if not self._takes_more:
            if window is not None and self._digest is not None:
                self._compare(window.digest.behind(self._digest))
            return
        if window is not None:
            await self._store_window(window, self._digest_before(), is_last=True)
            return
        self.batch = await put_or_change(self._store, self.batch, lambda found: replace(found, row_errors=()))
        digest, rows = self._digest_before(), self.batch.received_rows
        await self._write(_Kept(rows + 1, rows, digest, digest, receive_time_ms=self.batch.update_time_ms).change)

    async def stored(self) -> None:
        """Wait until no window is being stored. Raises what storing has raised."""
        if self._storing is not None:
            storing, self._storing = self._storing, None
            await storing

    async def close(self) -> None:
        """Let go of what is under way."""
        if self._storing is not None:
            self._storing.cancel()
            await asyncio.gather(self._storing, return_exceptions=True)

    def _check_place(self, first_row: int) -> None:
        behind = self._begun_behind
        if self._taken_row is not None:
            if first_row != self._taken_row + 1:
                bound = f"must be {self._taken_row + 1}, the row behind the last one"
                raise CreditError.of_field(FIRST_ROW_FIELD, f"{bound}, was {first_row}")
        elif first_row > behind + 1:
            bound = f"must be at most {behind + 1}, the row behind those that are there"
            raise CreditError.of_field(FIRST_ROW_FIELD, f"{bound}, was {first_row}")
        elif first_row == 1:
            self._digest = ""
        elif first_row == behind + 1:
            self._digest = self.batch.rows_digest

    async def _take(self, window: _Window, sent: SentRows, first_row: int, last_row: int) -> None:
        self._taken_row = window.last_row = last_row
        if self._is_given_up:
            return
        if self._digest is not None:
            window.digest.add(sent.content(first_row, last_row))
        if last_row <= self._begun_behind:
            return
        if not self._takes_more:
            raise other_details(self.batch, f"it has {self._begun_behind} rows, and row {last_row} is sent")
        begin_s = self.batch.create_time_ms // _MS_PER_SECOND
        for first in range(first_row, last_row + 1, _ROWS_AT_ONCE):
            parsed = sent.parse(first, min(last_row, first + _ROWS_AT_ONCE - 1), begin_s)
            window.rows += parsed.rows
            window.errors += parsed.errors
            await asyncio.sleep(0)  # orders get their turn

    async def _close(self, window: _Window) -> None:
        """Begin to store a full window; one that is there already is compared."""
        self._window = None
        if self._is_given_up:
            return
        digest_before = self._digest
        self._digest = window.digest.behind(digest_before) if digest_before is not None else None
        if window.last_row > self._begun_behind:
            await self.stored()
            self._storing = asyncio.create_task(self._store_window(window, digest_before or "", is_last=False))
        elif window.last_row == self._begun_behind:
            if self._digest is not None:
                self._compare(self._digest)
            self._digest = self.batch.rows_digest

    async def _store_window(self, window: _Window, digest_before: str, *, is_last: bool) -> None:
        kept = _Kept(window.first_row, window.last_row, digest_before, window.digest.behind(digest_before))
        await self._write(kept.announce)
        self._turns.begin()
        duplicates = await self._store.stage_window(self.batch.batch_id, window.number, window.rows, soon())
        await self._turns.rest()
        kept = replace(
            kept,
            errors=tuple(sorted([*window.errors, *duplicates], key=attrgetter("row"))),
            duplicates=len(duplicates),
            receive_time_ms=self.batch.update_time_ms if is_last else 0,
        )
        await self._write(kept.change)

    async def _write(self, change: Change) -> None:
        try:
            self.batch = await put_or_change(self._store, self.batch, change)
        except CreditError as error:
            if error.reason is ErrorReason.LIMIT_BATCH_STATE:
                # What was stored behind the back of whoever cancelled the batch is nobody's.
                await self._store.drop_rows(self.batch.batch_id, soon())
            raise

    def _digest_before(self) -> str:
        return self._digest if self._digest is not None else self.batch.rows_digest

    def _compare(self, digest: str) -> None:
        if digest != self.batch.rows_digest:
            raise other_details(self.batch, f"its {self._begun_behind} rows are not those that were sent before")


def is_given_up(batch: LimitBatch) -> bool:
    """Return whether a batch was ended before all its rows were there."""
    return batch.state is not LimitBatchState.RECEIVING and not batch.receive_time_ms


def other_details(batch: LimitBatch, how: str) -> CreditError:
    """Return the fault of a sender that sends something else under a batch's id."""
    return CreditError(
        ErrorReason.LIMIT_BATCH_EXISTS_WITH_DIFFERENT_DETAILS,
        f"batch {batch.batch_id} exists with other details: {how}",
    )
