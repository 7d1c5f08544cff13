"""Limit batches of a store, and short names for what is done to them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TypeVar, cast

from creditgate.domain.account import Account
from creditgate.domain.limit_batch import (
    BATCH_ACCOUNTS_MAX,
    ROW_ERRORS_MAX,
    LimitBatch,
    LimitBatchHeader,
    LimitBatchMode,
    LimitBatchState,
    LimitRow,
    LimitRowError,
    Noteworthy,
    RowEffect,
    RowsApplied,
    RowsEffect,
    RowsRestored,
    WindowRows,
    WindowStaged,
)
from creditgate.domain.operations import GetAccount, LimitSetting, PutAccount
from creditgate.domain.ports import LimitBatchStore
from creditgate.store import RedisCreditStore
from creditgate.store.limit_row_blobs import join_applied, join_restored
from tests.store.desk import deadline

T = TypeVar("T")


def batch_of(batch_id: str, *, create_accounts: bool = False) -> LimitBatch:
    """Return a batch that nothing has been received of."""
    header = LimitBatchHeader(batch_id, "scorer", "m-1", 1_772_000_000_000, LimitBatchMode.APPLY)
    return LimitBatch(replace(header, create_accounts=create_accounts), LimitBatchState.RECEIVING)


def rows_of(account_ids: Sequence[str], limit: int, version: int, **details: object) -> list[LimitRow]:
    """Return a row for each account."""
    return [
        LimitRow(number, account_id, limit, "USD", version, **details)  # type: ignore[arg-type]  # details by name
        for number, account_id in enumerate(account_ids, 1)
    ]


async def put_accounts(store: RedisCreditStore, account_ids: Sequence[str], limit: int | None = 1000) -> None:
    setting = LimitSetting(limit) if limit is not None else None
    puts = [PutAccount(account_id, "USD", base_limit=setting) for account_id in account_ids]
    await store.run_each(puts, deadline())


async def account_of(store: RedisCreditStore, account_id: str) -> Account:
    return await store.run(GetAccount(account_id), deadline())


async def limits_of(store: RedisCreditStore, account_ids: Sequence[str]) -> list[tuple[int | None, int]]:
    """Return each account's base limit and version."""
    asked = [GetAccount(account_id) for account_id in account_ids]
    found = cast("list[Account]", await store.run_each(asked, deadline()))
    return [(account.base_limit_minor, account.limit_version) for account in found]


async def some(outcomes: AsyncIterator[T], count: int | None = None) -> list[T]:
    """Return the first outcomes, or all of them; whoever tells them is then ended as if killed."""
    found: list[T] = []
    if count == 0:
        return found
    async with aclosing(outcomes) as told:  # type: ignore[type-var]  # the store's are generators
        async for outcome in told:
            found.append(outcome)
            if len(found) == count:
                break
    return found


class Batch:
    """One limit batch of a store."""

    def __init__(self, store: RedisCreditStore, batch_id: str, *, create_accounts: bool = False) -> None:
        self.store = store
        self.batches: LimitBatchStore = store.limit_batches
        self.batch_id = batch_id
        self.record = batch_of(batch_id, create_accounts=create_accounts)

    def on(self, store: RedisCreditStore) -> "Batch":
        """Return the same batch as another server sees it."""
        return Batch(store, self.batch_id, create_accounts=self.record.header.create_accounts)

    async def stage(self, rows: Sequence[LimitRow], window: int = 0, *, is_sorted: bool = False) -> list[LimitRowError]:
        of_window = WindowRows(window, rows, is_sorted)
        return [*(await self.batches.stage_window(self.record, of_window, None, deadline())).left_out]

    async def stage_measured(
        self, rows: Sequence[LimitRow], noteworthy: Noteworthy, window: int = 0, *, is_sorted: bool = False
    ) -> WindowStaged:
        return await self.batches.stage_window(self.record, WindowRows(window, rows, is_sorted), noteworthy, deadline())

    async def index(self) -> int:
        """Let the store remember which accounts the rows name; return how many rows those are."""
        return sum(await some(self.batches.index_accounts(self.batch_id, deadline())))

    async def measure(self) -> list[RowEffect]:
        """Measure all rows one by one."""
        chunks = await self.measure_in_sums(Noteworthy())
        assert not any(chunk.sums for chunk in chunks)
        return sorted(row for chunk in chunks for row in chunk.rows)

    async def measure_in_sums(self, noteworthy: Noteworthy) -> list[RowsEffect]:
        return await some(self.batches.measure_rows(self.record, lambda: noteworthy, deadline()))

    async def apply(self, chunks: int | None = None) -> RowsApplied:
        told = await some(self.batches.apply_rows(self.record, deadline()), chunks)
        return join_applied(told, ROW_ERRORS_MAX, BATCH_ACCOUNTS_MAX)

    async def applied(self) -> RowsApplied:
        return await self.batches.count_applied(self.batch_id, deadline())

    async def restore(self, chunks: int | None = None) -> RowsRestored:
        told = await some(self.batches.restore_rows(self.record, deadline()), chunks)
        return join_restored(told, BATCH_ACCOUNTS_MAX)

    async def restored(self) -> RowsRestored:
        return await self.batches.count_restored(self.batch_id, deadline())

    async def put(self, rows: Sequence[LimitRow]) -> RowsApplied:
        """Stage rows and put them in force."""
        assert await self.stage(rows) == []
        return await self.apply()
