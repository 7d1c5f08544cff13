"""A `LimitBatchStore` in memory, as its docstrings say: for tests that need a fault at a certain step."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.limit_batch import (
    BATCH_ACCOUNTS_MAX,
    CHUNK_ROWS_MAX,
    ROW_ERRORS_MAX,
    LimitBatch,
    LimitBatchState,
    LimitRow,
    LimitRowError,
    Noteworthy,
    RowEffect,
    RowsApplied,
    RowsEffect,
    RowsRestored,
    RowStanding,
    WindowRows,
    WindowStaged,
)
from creditgate.domain.limit_row_errors import currency_mismatch, duplicate_account, unknown_account
from creditgate.domain.ports import Page


@dataclass
class MemoryAccount:
    """An account's base limit; a `limit_minor` of None is none, or no ceiling with `unlimited`."""

    currency_code: str = "USD"
    limit_minor: int | None = None
    unlimited: bool = False
    version: int = 0
    exposure_minor: int = 0
    confirm_s: int = 0


@dataclass
class _Rows:
    windows: dict[int, list[LimitRow]] = field(default_factory=dict)
    accounts: dict[str, int] = field(default_factory=dict)
    duplicates: dict[int, list[LimitRowError]] = field(default_factory=dict)
    applied: dict[int, RowsApplied] = field(default_factory=dict)
    undo: dict[int, list[tuple[LimitRow, MemoryAccount]]] = field(default_factory=dict)
    restored: dict[int, RowsRestored] = field(default_factory=dict)
    received: bool = False


def nothing(_: str) -> None:
    """No fault."""


class MemoryBatchStore:
    """Accounts and batches. `before` is called with a method's name before each of its steps, and may raise."""

    def __init__(self, before: Callable[[str], None] = nothing) -> None:
        self.accounts: dict[str, MemoryAccount] = {}
        self.batches: dict[str, LimitBatch] = {}
        self.received: dict[str, dict[int, LimitRowError]] = {}
        self.measured: dict[str, tuple[LimitRowError, ...]] = {}
        self.rows: dict[str, _Rows] = {}
        self.before = before
        self.clock_ms = 1_700_000_000_000

    def now_ms(self) -> int:
        self.clock_ms += 1
        return self.clock_ms

    async def read_clock(self, deadline: float) -> int:  # noqa: ARG002 - the port's signature
        await self._step("read_clock")
        return self.now_ms()

    async def put_batch(self, batch: LimitBatch, deadline: float) -> LimitBatch:  # noqa: ARG002 - the port's signature
        await self._step("put_batch")
        return self._put(batch, self.measured.get(batch.batch_id, ()), batch.row_errors)

    async def put_measured(self, batch: LimitBatch, deadline: float) -> LimitBatch:  # noqa: ARG002 - as above
        await self._step("put_batch")
        return self._put(batch, batch.row_errors, ())

    def _put(
        self, batch: LimitBatch, measured: tuple[LimitRowError, ...], received: tuple[LimitRowError, ...]
    ) -> LimitBatch:
        found = self.batches.get(batch.batch_id)
        if (found.revision if found is not None else 0) != batch.revision:
            raise CreditError(ErrorReason.LIMIT_BATCH_CHANGED, "changed")
        now_ms = self.now_ms()
        told = self.received.setdefault(batch.batch_id, {})
        for error in received:
            if len(told) < ROW_ERRORS_MAX:
                told.setdefault(error.row, error)
        self.measured[batch.batch_id] = measured
        kept = replace(
            batch,
            revision=batch.revision + 1,
            create_time_ms=batch.create_time_ms or now_ms,
            update_time_ms=now_ms,
            row_errors=(*told.values(), *measured)[:ROW_ERRORS_MAX],
        )
        self.batches[batch.batch_id] = kept
        return replace(kept, row_errors=())

    async def get_batch(self, batch_id: str, deadline: float) -> LimitBatch:  # noqa: ARG002 - as above
        await self._step("get_batch")
        if batch_id not in self.batches:
            raise CreditError(ErrorReason.LIMIT_BATCH_NOT_FOUND, "not found")
        return self.batches[batch_id]

    async def list_batches(
        self,
        states: frozenset[LimitBatchState],
        page_size: int,
        page_token: str,
        deadline: float,  # noqa: ARG002 - as above
    ) -> Page[LimitBatch]:
        await self._step("list_batches")
        newest = sorted(self.batches.values(), key=lambda batch: -batch.create_time_ms)
        wanted = [replace(batch, row_errors=()) for batch in newest if not states or batch.state in states]
        start = int(page_token or 0)
        end = start + page_size
        return Page(tuple(wanted[start:end]), str(end) if end < len(wanted) else "")

    async def stage_window(
        self,
        batch: LimitBatch,
        rows: WindowRows,
        noteworthy: Noteworthy | None,
        deadline: float,  # noqa: ARG002 - as above
    ) -> WindowStaged:
        await self._step("stage_window")
        kept, window = self.rows.setdefault(batch.batch_id, _Rows()), rows.window
        if kept.received:
            return WindowStaged((), (), is_late=True)
        if window not in kept.windows:
            kept.windows[window], kept.duplicates[window] = [], []
            accounts = {} if rows.is_sorted else kept.accounts
            for row in rows.rows:
                first = accounts.setdefault(row.account_id, row.row)
                if first == row.row:
                    kept.windows[window].append(row)
                else:
                    kept.duplicates[window].append(duplicate_account(row, first))
        measured = [RowsEffect([self._effect(batch, row) for row in kept.windows[window]])]
        return WindowStaged(list(kept.duplicates[window]), measured if noteworthy is not None else [])

    async def index_accounts(self, batch_id: str, deadline: float) -> AsyncIterator[int]:  # noqa: ARG002 - as above
        kept = self._kept(batch_id)
        for _, window in sorted(kept.windows.items()):
            await self._step("index_accounts")
            kept.accounts |= {row.account_id: row.row for row in window}
            yield len(window)

    async def measure_rows(
        self,
        batch: LimitBatch,
        noteworthy: Callable[[], Noteworthy],  # noqa: ARG002 - all rows are told one by one
        deadline: float,  # noqa: ARG002 - as above
    ) -> AsyncIterator[RowsEffect]:
        for number, chunk in enumerate(self._chunks(batch.batch_id)):
            await self._step("measure_rows")
            if number not in self._kept(batch.batch_id).applied:
                yield RowsEffect([self._effect(batch, row) for row in chunk])

    async def apply_rows(self, batch: LimitBatch, deadline: float) -> AsyncIterator[RowsApplied]:  # noqa: ARG002 - as above
        kept = self._kept(batch.batch_id)
        for number, chunk in enumerate(self._chunks(batch.batch_id)):
            await self._step("apply_rows")
            if number not in kept.applied:
                kept.applied[number], kept.undo[number] = self._apply(batch, chunk)
                yield kept.applied[number]

    async def count_applied(self, batch_id: str, deadline: float) -> RowsApplied:  # noqa: ARG002 - as above
        await self._step("count_applied")
        parts = self._kept(batch_id).applied.values()
        return RowsApplied(
            sum(part.applied_rows for part in parts),
            sum(part.scheduled_rows for part in parts),
            sum(part.created_accounts for part in parts),
            sum(part.skipped_rows for part in parts),
            sum(part.released_reviews for part in parts),
            tuple(error for part in parts for error in part.errors)[:ROW_ERRORS_MAX],
            tuple(each for part in parts for each in part.over_limit_accounts)[:BATCH_ACCOUNTS_MAX],
            sum(part.over_limit_count for part in parts),
            sum(part.refused_rows for part in parts),
        )

    async def restore_rows(
        self,
        batch: LimitBatch,
        deadline: float,  # noqa: ARG002 - as above
        in_force_s: int = 0,
    ) -> AsyncIterator[RowsRestored]:
        kept = self._kept(batch.batch_id)
        for number, undo in list(kept.undo.items()):
            await self._step("restore_rows")
            if number not in kept.restored:
                kept.restored[number] = self._restore(undo, in_force_s)
                yield kept.restored[number]

    async def count_restored(self, batch_id: str, deadline: float) -> RowsRestored:  # noqa: ARG002 - as above
        await self._step("count_restored")
        parts = self._kept(batch_id).restored.values()
        return RowsRestored(
            sum(part.restored_rows for part in parts),
            tuple(each for part in parts for each in part.kept_changes)[:BATCH_ACCOUNTS_MAX],
            sum(part.kept_rows for part in parts),
        )

    async def drop_received(self, batch_id: str, deadline: float) -> None:  # noqa: ARG002 - as above
        await self._step("drop_received")
        kept = self.rows.setdefault(batch_id, _Rows())
        kept.accounts.clear()
        kept.received = True

    async def drop_rows(self, batch_id: str, deadline: float) -> None:  # noqa: ARG002 - as above
        await self._step("drop_rows")
        self.rows.pop(batch_id, None)

    async def drop_gone(self, deadline: float) -> int:  # noqa: ARG002 - as above
        await self._step("drop_gone")
        return 0  # it keeps all records

    async def _step(self, method: str) -> None:
        await asyncio.sleep(0)  # others come in between
        self.before(method)

    def _kept(self, batch_id: str) -> _Rows:
        return self.rows.get(batch_id, _Rows())

    def _chunks(self, batch_id: str) -> list[list[LimitRow]]:
        rows = [row for _, window in sorted(self._kept(batch_id).windows.items()) for row in window]
        return [rows[start : start + CHUNK_ROWS_MAX] for start in range(0, len(rows), CHUNK_ROWS_MAX)]

    def _standing(self, batch: LimitBatch, row: LimitRow) -> RowStanding:
        account = self.accounts.get(row.account_id)
        if account is None:
            create = batch.header.create_accounts
            return RowStanding.NEW_ACCOUNT if create else RowStanding.UNKNOWN_ACCOUNT
        if account.currency_code != row.currency_code:
            return RowStanding.CURRENCY_MISMATCH
        return RowStanding.SKIPPED if row.version <= account.version else RowStanding.APPLICABLE

    def _effect(self, batch: LimitBatch, row: LimitRow) -> RowEffect:
        account = self.accounts.get(row.account_id, MemoryAccount(row.currency_code))
        return RowEffect(
            row.row,
            row.account_id,
            self._standing(batch, row),
            account.currency_code,
            account.limit_minor,
            account.unlimited,
            row.limit_minor,
            account.exposure_minor,
            over_limit=_is_over(row, account),
        )

    def _apply(
        self, batch: LimitBatch, chunk: Sequence[LimitRow]
    ) -> tuple[RowsApplied, list[tuple[LimitRow, MemoryAccount]]]:
        standings = [(row, self._standing(batch, row)) for row in chunk]
        undo, over = [], []
        for row, standing in standings:
            if standing in (RowStanding.APPLICABLE, RowStanding.NEW_ACCOUNT):
                account = self.accounts.setdefault(row.account_id, MemoryAccount(row.currency_code))
                undo.append((row, replace(account)))
                if _is_over(row, account):
                    over.append(row.account_id)
                account.limit_minor, account.unlimited = row.limit_minor, row.limit_minor is None
                account.version, account.confirm_s = row.version, self.now_ms() // 1000
        errors = tuple(
            currency_mismatch(row.row, row.account_id, self.accounts[row.account_id].currency_code)
            if standing is RowStanding.CURRENCY_MISMATCH
            else unknown_account(row.row, row.account_id)
            for row, standing in standings
            if standing in (RowStanding.UNKNOWN_ACCOUNT, RowStanding.CURRENCY_MISMATCH)
        )
        created = sum(standing is RowStanding.NEW_ACCOUNT for _, standing in standings)
        skipped = sum(standing is RowStanding.SKIPPED for _, standing in standings)
        return RowsApplied(len(undo), 0, created, skipped, 0, errors, tuple(over), len(over), len(errors)), undo

    def _restore(self, undo: Sequence[tuple[LimitRow, MemoryAccount]], in_force_s: int) -> RowsRestored:
        restored, kept = 0, []
        for row, before in undo:
            account = self.accounts[row.account_id]
            is_ours = account.version == row.version or account.confirm_s <= in_force_s
            if is_ours and account.limit_minor == row.limit_minor:
                account.limit_minor, account.unlimited = before.limit_minor, before.unlimited
                account.confirm_s = before.confirm_s
                restored += 1
            else:
                kept.append(row.account_id)
        return RowsRestored(restored, tuple(kept), len(kept))


def _is_over(row: LimitRow, account: MemoryAccount) -> bool:
    within_before = account.unlimited or account.exposure_minor <= (account.limit_minor or 0)
    return within_before and row.limit_minor is not None and account.exposure_minor > row.limit_minor
