"""Guard rails: what a limit batch must not do without a person's consent, judged from what was measured of it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from creditgate.domain.limit_batch import GuardRail, GuardRailReport, LimitBatch, LimitChange
from creditgate.domain.policy import BASIS_POINTS, GuardRails

SHARES_COUNT_FROM: Final = 10
"""Accounts (or rows) below which shares say nothing: of three accounts, one is a third."""

_split_version: Final = re.compile(r"[0-9]+|[^0-9.]+").findall


@dataclass(slots=True)
class CurrencyChange:
    """Sums over the accounts of one currency that have a ceiling before and after, in minor units.

    An account without a limit counts as 0 before. Those that had a limit, and one of 0, and get one above are told by
    themselves, too.
    """

    accounts: int = 0
    before_minor: int = 0
    after_minor: int = 0
    accounts_from_0: int = 0
    from_0_minor: int = 0


@dataclass(frozen=True, slots=True)
class RowsSeen:
    """What the rails look at of a batch's rows.

    Attributes:
        accounts: accounts whose limit the batch sets.
        deep_cuts: of these, those that are cut by more than the policy's `cut_over`.
        deepest_cuts: the worst of them, at most `EXAMPLES_MAX`.
        steep_raises: accounts that get more than the policy's factor times their limit, or no ceiling in its place.
        steepest_raises: the worst of them, at most `EXAMPLES_MAX`.
        changes: by currency.
        unknown_rows: rows that name accounts that don't exist.
        mismatched_rows: rows in another currency than their account's.

    """

    accounts: int = 0
    deep_cuts: int = 0
    deepest_cuts: tuple[LimitChange, ...] = ()
    steep_raises: int = 0
    steepest_raises: tuple[LimitChange, ...] = ()
    changes: Mapping[str, CurrencyChange] = field(default_factory=dict)
    unknown_rows: int = 0
    mismatched_rows: int = 0


def judge_batch(
    rails: GuardRails, batch: LimitBatch, seen: RowsSeen, last_active: LimitBatch | None
) -> tuple[GuardRailReport, ...]:
    """Return the rails that a batch trips; `last_active` is the one in force, if there is one."""
    return (*_judge_accounts(rails, batch, seen), *_judge_header(rails, batch, last_active))


def _judge_accounts(rails: GuardRails, batch: LimitBatch, seen: RowsSeen) -> Iterator[GuardRailReport]:
    if rails.accounts_cut is not None and seen.accounts >= SHARES_COUNT_FROM:
        share, most = _share(seen.deep_cuts, seen.accounts), rails.accounts_cut.share_bps
        if share > most:
            cut_over = _percent(rails.accounts_cut.cut_over_bps)
            what = f"{seen.deep_cuts} of {seen.accounts} accounts lose more than {cut_over} of their limit"
            message = f"{what} ({_percent(share)}); at most {_percent(most)} may"
            yield GuardRailReport(GuardRail.ACCOUNTS_CUT, message, share, most, seen.deepest_cuts)
    if rails.total_change_bps is not None:
        yield from _judge_totals(rails.total_change_bps, seen)
    if rails.single_raise_factor is not None and seen.steep_raises:
        what = f"{seen.steep_raises} accounts get more than {rails.single_raise_factor} times their limit"
        message = f"{what}, or no ceiling; none may"
        yield GuardRailReport(GuardRail.SINGLE_RAISE, message, seen.steep_raises, 0, seen.steepest_raises)
    yield from _judge_rows(rails, batch, seen)


def _judge_totals(most: int, seen: RowsSeen) -> Iterator[GuardRailReport]:
    """Yield a report of the currency that changes most; of nothing, any change is the largest."""
    from_0 = max(seen.changes.items(), key=_accounts_from_nothing, default=None)
    if from_0 is not None and _accounts_from_nothing(from_0) >= SHARES_COUNT_FROM:
        code, change = from_0
        what = f"{change.accounts_from_0} accounts go from a limit of 0 to {change.from_0_minor} minor units in {code}"
        message = f"{what}, where no account had one above; at most {SHARES_COUNT_FROM - 1} may"
        yield GuardRailReport(GuardRail.TOTAL_CHANGE, message, change.accounts_from_0, SHARES_COUNT_FROM - 1)
        return
    worst, worst_code = 0, ""
    for code, change in seen.changes.items():
        if change.accounts >= SHARES_COUNT_FROM and change.before_minor:
            share = _share(abs(change.after_minor - change.before_minor), change.before_minor)
            if share > worst:
                worst, worst_code = share, code
    if worst > most:
        change = seen.changes[worst_code]
        what = f"the limits in {worst_code} go from {change.before_minor} to {change.after_minor} minor units"
        yield GuardRailReport(
            GuardRail.TOTAL_CHANGE, f"{what} ({_percent(worst)}); at most {_percent(most)} may change", worst, most
        )


def _accounts_from_nothing(of_currency: tuple[str, CurrencyChange]) -> int:
    """Return how many accounts go from a limit of 0 to one above where the limits add up to nothing before."""
    change = of_currency[1]
    return 0 if change.before_minor else change.accounts_from_0


def _judge_rows(rails: GuardRails, batch: LimitBatch, seen: RowsSeen) -> Iterator[GuardRailReport]:
    rows, most = batch.received_rows, rails.unknown_accounts_bps
    if most is not None and not batch.header.create_accounts and rows >= SHARES_COUNT_FROM:
        share = _share(seen.unknown_rows, rows)
        if share > most:
            what = f"{seen.unknown_rows} of {rows} rows name accounts that do not exist ({_percent(share)})"
            yield GuardRailReport(GuardRail.UNKNOWN_ACCOUNTS, f"{what}; at most {_percent(most)} may", share, most)
    wrong_rows = batch.received_errors - batch.duplicate_rows + seen.mismatched_rows
    if rails.wrong_rows_bps is not None and rows >= SHARES_COUNT_FROM:
        share, most = _share(wrong_rows, rows), rails.wrong_rows_bps
        if share > most:
            what = f"{wrong_rows} of {rows} rows are wrong in themselves ({_percent(share)})"
            yield GuardRailReport(GuardRail.WRONG_ROWS, f"{what}; at most {_percent(most)} may be", share, most)
    if rails.duplicate_rows is not None and batch.duplicate_rows > rails.duplicate_rows:
        what = f"{batch.duplicate_rows} rows name an account that an earlier row names"
        yield GuardRailReport(
            GuardRail.DUPLICATE_ROWS,
            f"{what}; at most {rails.duplicate_rows} may",
            batch.duplicate_rows,
            rails.duplicate_rows,
        )


def _judge_header(rails: GuardRails, batch: LimitBatch, last: LimitBatch | None) -> Iterator[GuardRailReport]:
    if last is None:
        return
    most = rails.row_count_change_bps
    if most is not None and last.received_rows:
        share = _share(abs(batch.received_rows - last.received_rows), last.received_rows)
        if share > most:
            what = f"there are {batch.received_rows} rows; the last active batch, {last.batch_id}, had"
            message = f"{what} {last.received_rows} ({_percent(share)} apart); at most {_percent(most)} may be"
            yield GuardRailReport(GuardRail.ROW_COUNT, message, share, most)
    if rails.as_of_backwards and batch.header.as_of_ms < last.header.as_of_ms:
        behind_s = -((batch.header.as_of_ms - last.header.as_of_ms) // 1000)
        what = f"as_of is {behind_s} seconds before that of the last active batch, {last.batch_id}"
        yield GuardRailReport(GuardRail.AS_OF_BACKWARDS, what, behind_s, 0)
    ours, theirs = batch.header.model_version, last.header.model_version
    if rails.model_version_backwards and ours and theirs and is_version_before(ours, theirs):
        what = f"model_version {ours!r} is before {theirs!r} of the last active batch, {last.batch_id}"
        yield GuardRailReport(GuardRail.MODEL_BACKWARDS, what, 1, 0)


def is_version_before(version: str, other: str) -> bool:
    """Return whether a model version is before another: numbers are compared as such, `2.9` is before `2.10`."""
    return _version_parts(version) < _version_parts(other)


def _version_parts(version: str) -> list[tuple[bool, int, str]]:
    """Return the parts of a version so that they compare; a word is before a number, as in `2.0rc1` and `2.0.1`."""
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in _split_version(version)]


def _share(part: int, whole: int) -> int:
    """Return a share in basis points, rounded up: what is above a threshold must not look as if it were on it."""
    return -(-part * BASIS_POINTS // whole)


def _percent(bps: int) -> str:
    whole, rest = divmod(bps, BASIS_POINTS // 100)
    return f"{whole}.{rest:02} %" if rest else f"{whole} %"
