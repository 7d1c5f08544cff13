"""Receives a batch's rows: from the messages of one stream into the store, window by window."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Final, NamedTuple, Protocol

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.limit_batch import (
    WINDOW_ROWS,
    LimitBatch,
    LimitBatchState,
    LimitRow,
    LimitRowError,
    WindowRows,
)
from creditgate.domain.ports import LimitBatchStore
from creditgate.limit_feed.gathering import Gathered, Gathering
from creditgate.limit_feed.records import Change, change_batch, put_or_change, soon, work_deadline
from creditgate.limit_feed.rows_digest import RowsContent
from creditgate.limit_feed.turns import Turns
from creditgate.limit_feed.windows import Kept, Window, is_given_up, other_details, sorted_to

FIRST_ROW_FIELD: Final = "updates.first_row"
_MS_PER_SECOND: Final = 1000
_ROWS_AT_ONCE: Final = 200
"""Rows that are read before other calls get their turn: about a millisecond's work."""

_REST_S_MAX: Final = 0.1
"""Longest rest after a window, which is many steps, while there are orders."""

_FULL_WINDOWS_MAX: Final = 2
"""Windows that are stored or wait for it while the next is received: so rows are read while Redis is busy, and Redis
finds the next window ready."""


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


class Receiver:
    """One stream's rows. At most three windows are in memory: one that is stored, the next, and one that is received.

    Rows that are there already are passed over; where all of them are sent again, they must be the same.
    """

    def __init__(self, store: LimitBatchStore, batch: LimitBatch, turns: Turns, gathering: Gathering) -> None:
        self._store = store
        self._gathering = gathering if batch.received_rows == 0 else None
        self._turns = turns
        self._begun_behind = batch.received_rows
        self._is_given_up = is_given_up(batch)
        self._takes_more = batch.state is LimitBatchState.RECEIVING and not batch.receive_time_ms
        self._taken_row: int | None = None
        self._digest: str | None = None
        self._window: Window | None = None
        self._full: Window | None = None
        self._storing: deque[asyncio.Task[None]] = deque()
        self.batch = batch
        """The record as it was last seen."""
        self.gathered: Gathered | None = None
        """What all rows would do, when this stream alone has brought them."""

    @property
    def storing(self) -> asyncio.Task[None] | None:
        """The storing of the first window that is not stored yet, if it is full."""
        return self._storing[0] if self._storing else None

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
                window = self._window = Window((first_row - 1) // WINDOW_ROWS)
            last_row = min(sent.last_row, window.end_row)
            await self._take(window, sent, first_row, last_row)
            if last_row == window.end_row:
                await self._close(window)
            first_row = last_row + 1

    async def finish(self) -> None:
        """Learn that all rows have been sent; they are stored when this returns. Raises as `receive` does."""
        while self._storing:
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
        else:
            await self._end_behind()
        if self._gathering is not None:
            self.gathered = self._gathering.gathered()

    async def _end_behind(self) -> None:
        """Write that the rows that are stored are all."""
        self.batch = await put_or_change(self._store, self.batch, lambda found: replace(found, row_errors=()))
        digest, rows = self._digest_before(), self.batch.received_rows
        await self._write(Kept(rows + 1, rows, digest, digest, receive_time_ms=self.batch.update_time_ms).change)

    async def stored(self) -> None:
        """Wait until the first full window is stored. Raises what storing has raised."""
        await self._storing.popleft()

    async def close(self) -> None:
        """Let go of what is under way."""
        for storing in self._storing:
            storing.cancel()
        await asyncio.gather(*self._storing, return_exceptions=True)

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

    async def _take(self, window: Window, sent: SentRows, first_row: int, last_row: int) -> None:
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

    async def _close(self, window: Window) -> None:
        """Begin to store a full window; one that is there already is compared."""
        self._window = None
        if self._is_given_up:
            return
        digest_before = self._digest
        self._digest = window.digest.behind(digest_before) if digest_before is not None else None
        if window.last_row > self._begun_behind:
            if self._full is not None:
                self._full.next_digest = window.digest.behind(digest_before or "")
            while len(self._storing) >= _FULL_WINDOWS_MAX:
                await self.stored()
            self._full = window
            before = self._storing[-1] if self._storing else None
            self._storing.append(asyncio.create_task(self._store_behind(before, window, digest_before or "")))
        elif window.last_row == self._begun_behind:
            if self._digest is not None:
                self._compare(self._digest)
            self._digest = self.batch.rows_digest

    async def _store_behind(self, before: asyncio.Task[None] | None, window: Window, digest_before: str) -> None:
        if before is not None:
            await before  # nobody but `close` cancels one of them, and it cancels all
        await self._store_window(window, digest_before, is_last=False)

    async def _store_window(self, window: Window, digest_before: str, *, is_last: bool) -> None:
        kept = Kept(window.first_row, window.last_row, digest_before, window.digest.behind(digest_before))
        if self.batch.next_digest != kept.digest:
            await self._write(kept.announce)
        if self.batch.received_rows >= window.last_row:
            await self._pass_over(kept, is_last=is_last)
            return
        last_account = sorted_to(self.batch, window.rows)
        if last_account is None and self.batch.received_rows and not self.batch.indexed:
            await self._index_accounts()
        self._turns.begin()
        noteworthy = self._gathering.noteworthy() if self._gathering is not None else None
        rows = WindowRows(window.number, window.rows, is_sorted=last_account is not None)
        staged = await self._store.stage_window(self.batch, rows, noteworthy, soon())
        if staged.is_late:
            await self._pass_over(kept, is_last=is_last)
            return
        await self._turns.rest(_REST_S_MAX)
        kept = replace(
            kept,
            next_digest=window.next_digest,
            sorted_to=last_account or "",
            indexed=last_account is None,
            errors=tuple(sorted([*window.errors, *staged.left_out], key=attrgetter("row"))),
            duplicates=len(staged.left_out),
            receive_time_ms=self.batch.update_time_ms if is_last else 0,
        )
        await self._write(kept.change)
        if self._gathering is not None:
            self._gathering.add(staged, kept.digest)

    async def _pass_over(self, kept: Kept, *, is_last: bool) -> None:
        """Leave a window to another sender of the same rows, who was faster."""
        self._gathering = None
        kept = replace(kept, receive_time_ms=self.batch.update_time_ms if is_last else 0)
        await self._record(change_batch(self._store, self.batch.batch_id, kept.pass_over, soon()))

    async def _index_accounts(self) -> None:
        """Let the store learn which accounts the rows name that came sorted, now that one does not."""
        self._turns.begin()
        async for _ in self._store.index_accounts(self.batch.batch_id, work_deadline()):
            await self._turns.rest()

    async def _write(self, change: Change) -> None:
        await self._record(put_or_change(self._store, self.batch, change))

    async def _record(self, changing: Awaitable[LimitBatch]) -> None:
        try:
            self.batch = await changing
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
