"""What is added up of the rows: rises and cuts, the largest of them, sums, and rows that their accounts refuse."""

from creditgate.domain.limit_batch import (
    EXAMPLES_MAX,
    ROW_ERRORS_MAX,
    LimitChange,
    LimitRowErrorReason,
    LimitTotals,
    RowEffect,
    RowsEffect,
    RowStanding,
)
from creditgate.domain.policy import GuardRails
from creditgate.limit_feed.measurer import Measured, Measurer


def effect(row: int, before: int | None, after: int | None, **fields: object) -> RowEffect:
    given = {"standing": RowStanding.APPLICABLE, "currency_code": "USD"} | fields
    return RowEffect(row, f"acc-{row}", before_minor=before, after_minor=after, **given)  # type: ignore[arg-type]


def measured(*effects: RowEffect) -> Measured:
    measurer = Measurer(GuardRails())
    for each in effects:
        measurer.add(RowsEffect([each]))
    return measurer.measured()


def test_rises_cuts_and_confirmations() -> None:
    told = measured(
        effect(1, 100, 101),
        effect(2, 100, 99),
        effect(3, 100, 100),
        effect(4, None, 0),
        effect(5, None, 5, unlimited_before=True),
        effect(6, 100, None),
        effect(7, None, None, unlimited_before=True),
        effect(8, None, 7, standing=RowStanding.NEW_ACCOUNT),
    ).effect
    assert (told.raised_accounts, told.cut_accounts, told.confirmed_accounts, told.new_accounts) == (4, 2, 2, 1)
    assert [change.account_id for change in told.largest_raises] == ["acc-6", "acc-8", "acc-1", "acc-4"]
    assert [change.account_id for change in told.largest_cuts] == ["acc-5", "acc-2"]
    assert told.totals == (LimitTotals("USD", 400, 312, 0, 0),)


def test_only_the_largest_changes_are_told_and_of_equal_ones_the_first() -> None:
    told = measured(*(effect(row, 1000, 1000 + row % 50, exposure_minor=row) for row in range(1, 200))).effect
    assert len(told.largest_raises) == EXAMPLES_MAX
    assert told.largest_raises[:5] == tuple(
        LimitChange(f"acc-{row}", "USD", 1000, after, row)
        for row, after in [(49, 1049), (99, 1049), (149, 1049), (199, 1049), (48, 1048)]
    )


def test_deep_cuts_are_those_beyond_the_share() -> None:
    seen = measured(
        effect(1, 100, 80), effect(2, 100, 79), effect(3, None, 1, unlimited_before=True), effect(4, 10**15, 10**13)
    ).seen
    assert (seen.accounts, seen.deep_cuts) == (4, 3)
    assert [change.account_id for change in seen.deepest_cuts] == ["acc-3", "acc-4", "acc-2"]


def test_steep_raises_are_those_beyond_the_factor() -> None:
    seen = measured(effect(1, 100, 1000), effect(2, 100, 1001), effect(3, 0, 5000), effect(4, 5, None)).seen
    assert seen.steep_raises == 2
    assert [change.account_id for change in seen.steepest_raises] == ["acc-4", "acc-2"]
    seen = measured(effect(1, 0, None), effect(2, None, None), effect(3, 0, 0)).seen
    assert (seen.steep_raises, [change.account_id for change in seen.steepest_raises]) == (1, ["acc-1"])


def test_raises_from_0_are_told_apart_from_first_limits() -> None:
    seen = measured(effect(1, 0, 5), effect(2, 0, 7), effect(3, None, 9), effect(4, 0, 0), effect(5, 0, None)).seen
    change = seen.changes["USD"]
    assert (change.accounts, change.before_minor, change.after_minor) == (4, 0, 21)
    assert (change.accounts_from_0, change.from_0_minor) == (2, 12)


def test_sums_leave_out_what_has_no_ceiling_and_are_cut_off() -> None:
    many = 2**62
    got = measured(
        effect(1, 100, None),
        effect(2, None, 100, unlimited_before=True),
        effect(3, None, 7),
        effect(4, 5, 6, currency_code="EUR"),
        effect(5, many, many),
        effect(6, many, many, headroom_before_minor=3, headroom_after_minor=4),
    )
    assert got.effect.totals == (LimitTotals("EUR", 5, 6, 0, 0), LimitTotals("USD", 2**63 - 1, 2**63 - 1, 3, 4))
    changes = {code: (each.accounts, each.before_minor, each.after_minor) for code, each in got.seen.changes.items()}
    assert changes == {"EUR": (1, 5, 6), "USD": (3, 2 * many, 2 * many + 7)}


def test_rows_that_their_accounts_refuse() -> None:
    got = measured(
        effect(1, None, 5, standing=RowStanding.UNKNOWN_ACCOUNT),
        effect(2, None, 5, standing=RowStanding.CURRENCY_MISMATCH, currency_code="EUR"),
        effect(3, None, 5, standing=RowStanding.SKIPPED),
    )
    assert (got.rejected_rows, got.skipped_rows, got.seen.accounts, got.seen.unknown_rows) == (2, 1, 0, 1)
    unknown, mismatch = got.errors
    assert (unknown.row, unknown.field, unknown.reason) == (1, "account_id", LimitRowErrorReason.UNKNOWN_ACCOUNT)
    assert (mismatch.field, mismatch.reason) == ("currency_code", LimitRowErrorReason.CURRENCY_MISMATCH)
    assert mismatch.message == "must be EUR, the currency of the account"


def test_errors_are_counted_beyond_those_that_are_told() -> None:
    refused = [effect(row, None, 5, standing=RowStanding.UNKNOWN_ACCOUNT) for row in range(ROW_ERRORS_MAX + 5)]
    got = measured(*refused)
    assert (got.rejected_rows, len(got.errors)) == (ROW_ERRORS_MAX + 5, ROW_ERRORS_MAX)


def test_accounts_that_go_over_their_limit_and_reviews_that_would_fit() -> None:
    told = measured(effect(1, 100, 50, over_limit=True), effect(2, 100, 200, fitting_reviews=3), effect(3, 1, 1)).effect
    assert (told.over_limit_accounts, told.fitting_reviews) == (1, 3)
