"""Each guard rail at its threshold and one beyond, and what it says."""

from dataclasses import replace

import pytest

from creditgate.domain.guard_rails import CurrencyChange, RowsSeen, is_version_before, judge_batch
from creditgate.domain.limit_batch import GuardRail, LimitBatch, LimitBatchHeader, LimitBatchMode, LimitBatchState
from creditgate.domain.policy import AccountsCut, GuardRails

HEADER = LimitBatchHeader("b2", "scorer", "2.1", 5000, LimitBatchMode.APPLY)
BATCH = LimitBatch(HEADER, LimitBatchState.RECEIVING, received_rows=100)
LAST = replace(BATCH, header=replace(HEADER, batch_id="b1"))
OFF = GuardRails(None, None, None, None, None, None, None, as_of_backwards=False, model_version_backwards=False)


def totals(before: int, after: int, accounts: int = 10) -> dict[str, CurrencyChange]:
    return {"EUR": CurrencyChange(10, 100, 100), "USD": CurrencyChange(accounts, before, after)}


def from_0(accounts: int, after: int) -> dict[str, CurrencyChange]:
    """Return a change of accounts of which some had a limit of 0, and the others none at all."""
    return {"EUR": CurrencyChange(10, 100, 100), "USD": CurrencyChange(100, 0, after + 500, accounts, after)}


def test_of_limits_of_0_what_becomes_of_them_is_told() -> None:
    (report,) = judge_batch(GuardRails(), BATCH, RowsSeen(changes=from_0(30, 600)), None)
    assert (report.observed, report.threshold) == (30, 9)
    what = "30 accounts go from a limit of 0 to 600 minor units in USD, where no account had one above"
    assert report.message == f"{what}; at most 9 may"


@pytest.mark.parametrize(
    ("seen", "trips"),
    [
        (RowsSeen(accounts=100, deep_cuts=20), []),
        (RowsSeen(accounts=100, deep_cuts=21), [GuardRail.ACCOUNTS_CUT]),
        (RowsSeen(accounts=9, deep_cuts=9), []),
        (RowsSeen(changes=totals(100, 130)), []),
        (RowsSeen(changes=totals(10_000, 13_001)), [GuardRail.TOTAL_CHANGE]),
        (RowsSeen(changes=totals(10_000, 7_000)), []),
        (RowsSeen(changes=totals(10_000, 6_999)), [GuardRail.TOTAL_CHANGE]),
        (RowsSeen(changes=totals(100, 1000, accounts=9)), []),
        (RowsSeen(changes=totals(0, 1000)), []),
        (RowsSeen(changes=from_0(9, 10**13)), []),
        (RowsSeen(changes=from_0(10, 1)), [GuardRail.TOTAL_CHANGE]),
        (RowsSeen(steep_raises=1), [GuardRail.SINGLE_RAISE]),
        (RowsSeen(unknown_rows=5), []),
        (RowsSeen(unknown_rows=6), [GuardRail.UNKNOWN_ACCOUNTS]),
        (RowsSeen(mismatched_rows=5), []),
        (RowsSeen(mismatched_rows=6), [GuardRail.WRONG_ROWS]),
    ],
)
def test_what_is_seen_of_the_rows(seen: RowsSeen, trips: list[GuardRail]) -> None:
    assert [report.guard_rail for report in judge_batch(GuardRails(), BATCH, seen, LAST)] == trips
    assert judge_batch(OFF, BATCH, seen, LAST) == ()


def test_unknown_accounts_that_are_to_be_created_are_not_looked_at() -> None:
    batch = replace(BATCH, header=replace(HEADER, create_accounts=True))
    assert judge_batch(GuardRails(), batch, RowsSeen(unknown_rows=100), LAST) == ()


@pytest.mark.parametrize(
    ("rows", "errors", "duplicates", "trips"),
    [
        (100, 5, 0, []),
        (100, 6, 0, [GuardRail.WRONG_ROWS]),
        (100, 6, 1, [GuardRail.DUPLICATE_ROWS]),
        (100, 7, 1, [GuardRail.WRONG_ROWS, GuardRail.DUPLICATE_ROWS]),
        (9, 9, 0, []),
        (10, 10, 0, [GuardRail.WRONG_ROWS]),
    ],
)
def test_rows_that_are_wrong_in_themselves(rows: int, errors: int, duplicates: int, trips: list[GuardRail]) -> None:
    """Rows that name an account again have a rail of their own."""
    batch = replace(BATCH, received_rows=rows, received_errors=errors, duplicate_rows=duplicates)
    reports = judge_batch(GuardRails(), batch, RowsSeen(), None)
    assert [report.guard_rail for report in reports] == trips
    assert judge_batch(OFF, batch, RowsSeen(), None) == ()


def test_what_is_told_of_wrong_rows() -> None:
    batch = replace(BATCH, received_errors=8)
    (report,) = judge_batch(GuardRails(), batch, RowsSeen(mismatched_rows=2), None)
    assert (report.observed, report.threshold) == (1000, 500)
    assert report.message == "10 of 100 rows are wrong in themselves (10 %); at most 5 % may be"


@pytest.mark.parametrize(
    ("batch", "trips"),
    [
        (replace(BATCH, received_rows=150), []),
        (replace(BATCH, received_rows=151), [GuardRail.ROW_COUNT]),
        (replace(BATCH, received_rows=50), []),
        (replace(BATCH, received_rows=49), [GuardRail.ROW_COUNT]),
        (replace(BATCH, received_rows=0), [GuardRail.ROW_COUNT]),
        (replace(BATCH, duplicate_rows=1), [GuardRail.DUPLICATE_ROWS]),
        (replace(BATCH, header=replace(HEADER, as_of_ms=4999)), [GuardRail.AS_OF_BACKWARDS]),
        (replace(BATCH, header=replace(HEADER, model_version="2.0.9")), [GuardRail.MODEL_BACKWARDS]),
        (replace(BATCH, header=replace(HEADER, model_version="")), []),
    ],
)
def test_what_a_batch_is_against_the_last_active_one(batch: LimitBatch, trips: list[GuardRail]) -> None:
    assert [report.guard_rail for report in judge_batch(GuardRails(), batch, RowsSeen(), LAST)] == trips
    assert judge_batch(OFF, batch, RowsSeen(), LAST) == ()
    alone = [] if batch.duplicate_rows == 0 else trips
    assert [report.guard_rail for report in judge_batch(GuardRails(), batch, RowsSeen(), None)] == alone


def test_a_share_just_above_its_threshold_does_not_look_as_if_it_were_on_it() -> None:
    rails = replace(OFF, accounts_cut=AccountsCut(2000, 2000))
    (report,) = judge_batch(rails, BATCH, RowsSeen(accounts=1_000_000, deep_cuts=200_001), None)
    assert (report.observed, report.threshold) == (2001, 2000)
    assert report.message == (
        "200001 of 1000000 accounts lose more than 20 % of their limit (20.01 %); at most 20 % may"
    )


def test_the_currency_that_changes_most_is_told() -> None:
    changes = {
        "EUR": CurrencyChange(10, 100, 200),
        "JPY": CurrencyChange(10, 100, 10),
        "USD": CurrencyChange(10, 100, 260),
    }
    (report,) = judge_batch(GuardRails(), BATCH, RowsSeen(changes=changes), None)
    assert (report.observed, report.threshold) == (16_000, 3000)
    assert report.message == "the limits in USD go from 100 to 260 minor units (160 %); at most 30 % may change"


@pytest.mark.parametrize(
    ("version", "other"),
    [("1", "2"), ("2.9", "2.10"), ("v2.9", "v2.10"), ("2", "2.1"), ("2024-12-31", "2025-01-01"), ("", "1"), ("a", "b")],
)
def test_a_version_before_another(version: str, other: str) -> None:
    assert is_version_before(version, other)
    assert not is_version_before(other, version)
    assert not is_version_before(version, version)
