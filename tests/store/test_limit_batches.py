"""Rows of limit batches: staged, measured, put in force and taken back."""

from collections.abc import Callable

import pytest

from creditgate.domain.limit_batch import CHUNK_ROWS_MAX, LimitRow, LimitRowErrorReason, RowEffect, RowStanding
from creditgate.store import RedisCreditStore
from tests.store.batches import Batch, account_of, limits_of, put_accounts, rows_of

NewId = Callable[[str], str]


@pytest.fixture
def batch(each_store: RedisCreditStore, new_id: NewId) -> Batch:
    return Batch(each_store, new_id("batch"))


@pytest.fixture
def store(each_store: RedisCreditStore) -> RedisCreditStore:
    return each_store


async def test_rows_are_in_force_once_they_are_applied(store: RedisCreditStore, batch: Batch, new_id: NewId) -> None:
    account_ids = [new_id("acc") for _ in range(3 * CHUNK_ROWS_MAX)]
    await put_accounts(store, account_ids)
    assert await batch.stage(rows_of(account_ids, 5000, 7)) == []
    assert set(await limits_of(store, account_ids)) == {(1000, 0)}
    applied = await batch.apply()
    assert (applied.applied_rows, applied.skipped_rows, applied.errors) == (len(account_ids), 0, ())
    assert set(await limits_of(store, account_ids)) == {(5000, 7)}
    assert await batch.applied() == applied
    assert (await batch.apply()).applied_rows == 0


async def test_a_row_replaces_all_that_belongs_to_the_base_limit(
    store: RedisCreditStore, batch: Batch, account_id: str, new_id: NewId
) -> None:
    await put_accounts(store, [account_id])
    row = LimitRow(1, account_id, 700, "USD", 3, "high", -1.25, 0, 4_000_000_000, "pays late\ngrows")
    await batch.put([row])
    account = await account_of(store, account_id)
    assert (account.base_limit_minor, account.limit_version, account.risk_class) == (700, 3, "high")
    assert (account.score, account.limit_reasons) == (-1.25, ("pays late", "grows"))
    assert account.limit_expire_time_s == 4_000_000_000
    await Batch(store, new_id("batch")).put([LimitRow(1, account_id, None, "USD", 4)])
    account = await account_of(store, account_id)
    assert (account.base_limit_minor, account.unlimited, account.limit_version) == (None, True, 4)
    assert (account.score, account.limit_reasons, account.limit_expire_time_s) == (None, (), 0)
    assert account.risk_class == "high"


async def test_what_becomes_of_each_kind_of_row(store: RedisCreditStore, batch: Batch, new_id: NewId) -> None:
    fresh, same, older, unknown, foreign = (new_id(kind) for kind in ("fresh", "same", "older", "unknown", "foreign"))
    await put_accounts(store, [fresh, same, older, foreign])
    await Batch(store, new_id("batch")).put(rows_of([same, older], 900, 5))
    await batch.stage(
        [
            LimitRow(1, fresh, 0, "USD", 1),
            LimitRow(2, same, 1, "USD", 5),
            LimitRow(3, older, 1, "USD", 4),
            LimitRow(4, unknown, 1, "USD", 1),
            LimitRow(5, foreign, 1, "EUR", 1),
        ]
    )
    standings = [(effect.row, effect.standing) for effect in await batch.measure()]
    assert standings == [
        (1, RowStanding.APPLICABLE),
        (2, RowStanding.SKIPPED),
        (3, RowStanding.SKIPPED),
        (4, RowStanding.UNKNOWN_ACCOUNT),
        (5, RowStanding.CURRENCY_MISMATCH),
    ]
    applied = await batch.apply()
    assert (applied.applied_rows, applied.skipped_rows, applied.created_accounts) == (1, 2, 0)
    errors = sorted(applied.errors, key=lambda error: error.row)
    assert [(error.row, error.account_id, error.field, error.reason) for error in errors] == [
        (4, unknown, "account_id", LimitRowErrorReason.UNKNOWN_ACCOUNT),
        (5, foreign, "currency_code", LimitRowErrorReason.CURRENCY_MISMATCH),
    ]
    assert await limits_of(store, [fresh, same, older, foreign]) == [(0, 1), (900, 5), (900, 5), (1000, 0)]


async def test_effect(store: RedisCreditStore, batch: Batch, account_id: str) -> None:
    await put_accounts(store, [account_id])
    await batch.stage(rows_of([account_id], 1, 1))
    assert await batch.measure() == [
        RowEffect(
            1,
            account_id,
            RowStanding.APPLICABLE,
            "USD",
            before_minor=1000,
            after_minor=1,
            headroom_before_minor=1000,
            headroom_after_minor=1,
        )
    ]


async def test_rollback(store: RedisCreditStore, batch: Batch, account_id: str) -> None:
    await put_accounts(store, [account_id])
    await batch.put(rows_of([account_id], 1, 1))
    assert (await batch.restore()).restored_rows == 1
    assert await limits_of(store, [account_id]) == [(1000, 1)]
