"""Adds up what a batch's rows would do to the accounts."""

from collections import defaultdict
from dataclasses import dataclass
from heapq import heappush, heappushpop
from typing import Final

from creditgate.domain.bounds import AMOUNT_MAX_MINOR, SUM_TOLD_MAX_MINOR
from creditgate.domain.guard_rails import CurrencyChange, RowsSeen
from creditgate.domain.limit_batch import (
    EXAMPLES_MAX,
    ROW_ERRORS_MAX,
    LimitChange,
    LimitEffect,
    LimitRowError,
    LimitSums,
    LimitTotals,
    Noteworthy,
    RowEffect,
    RowsEffect,
    RowStanding,
)
from creditgate.domain.limit_row_errors import currency_mismatch, unknown_account
from creditgate.domain.policy import BASIS_POINTS, GuardRails

_ENDLESS: Final = float("inf")
_REFUSED: Final = (RowStanding.UNKNOWN_ACCOUNT, RowStanding.CURRENCY_MISMATCH)


class _Largest:
    """The largest changes of many, by a measure of theirs."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, LimitChange]] = []
        self._least: float = -1

    def offer(self, measure: float, effect: RowEffect) -> None:
        """Keep a change if it is among the largest; of equal ones the first is kept."""
        if measure <= self._least:
            return
        entry = (measure, -effect.row, _change_of(effect))
        if len(self._heap) < EXAMPLES_MAX:
            heappush(self._heap, entry)
        else:
            heappushpop(self._heap, entry)
        if len(self._heap) == EXAMPLES_MAX:
            self._least = self._heap[0][0]

    @property
    def bound(self) -> int:
        """The measure, rounded down, above which a change may be among the largest."""
        return int(max(self._least, 0)) if self._least < _ENDLESS else AMOUNT_MAX_MINOR

    def all(self) -> tuple[LimitChange, ...]:
        """Return them, the largest first."""
        return tuple(change for _, _, change in sorted(self._heap, reverse=True))


@dataclass(slots=True)
class _Totals:
    limit_before_minor: int = 0
    limit_after_minor: int = 0
    headroom_before_minor: int = 0
    headroom_after_minor: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """What a batch would do.

    `rejected_rows` counts the rows that their accounts refuse; `errors` tells the first `ROW_ERRORS_MAX` of them.
    """

    effect: LimitEffect
    seen: RowsSeen
    skipped_rows: int
    rejected_rows: int
    errors: tuple[LimitRowError, ...]


class Measurer:
    """Adds up what rows do. Its memory does not grow with the batch."""

    def __init__(self, rails: GuardRails) -> None:
        self._cut_over_bps = rails.accounts_cut.cut_over_bps if rails.accounts_cut is not None else BASIS_POINTS
        self._factor = rails.single_raise_factor or 0
        self._raised = self._cut = self._confirmed = 0
        self._over_limit = self._fitting = 0
        self._deep_cuts = self._steep_raises = 0
        self._standings: dict[RowStanding, int] = defaultdict(int)
        self._totals: dict[str, _Totals] = defaultdict(_Totals)
        self._changes: dict[str, CurrencyChange] = defaultdict(CurrencyChange)
        self._largest_raises, self._largest_cuts = _Largest(), _Largest()
        self._deepest_cuts, self._steepest_raises = _Largest(), _Largest()
        self._errors: list[LimitRowError] = []

    def noteworthy(self) -> Noteworthy:
        """Return which rows are to be told one by one from now on, so that nothing is missed.

        The store tells a raise from 0 by itself, whatever is noteworthy: its sums can't tell it from a first limit.
        """
        return Noteworthy(self._largest_raises.bound, self._largest_cuts.bound, self._cut_over_bps, self._factor)

    def add(self, effect: RowsEffect) -> None:
        """Add what some rows would do."""
        for row in effect.rows:
            standing = row.standing
            self._standings[standing] += 1
            if standing is RowStanding.APPLICABLE or standing is RowStanding.NEW_ACCOUNT:
                self._add_applicable(row)
            elif standing in _REFUSED and len(self._errors) < ROW_ERRORS_MAX:
                self._errors.append(_error_of(row))
        for sums in effect.sums:
            self._add_all(sums)

    def measured(self) -> Measured:
        """Return what all rows together would do."""
        standings = self._standings
        return Measured(
            LimitEffect(
                self._raised,
                self._cut,
                self._confirmed,
                standings[RowStanding.NEW_ACCOUNT],
                self._over_limit,
                self._fitting,
                tuple(_told(code, totals) for code, totals in sorted(self._totals.items())),
                self._largest_raises.all(),
                self._largest_cuts.all(),
            ),
            RowsSeen(
                standings[RowStanding.APPLICABLE] + standings[RowStanding.NEW_ACCOUNT],
                self._deep_cuts,
                self._deepest_cuts.all(),
                self._steep_raises,
                self._steepest_raises.all(),
                self._changes,
                standings[RowStanding.UNKNOWN_ACCOUNT],
                standings[RowStanding.CURRENCY_MISMATCH],
            ),
            standings[RowStanding.SKIPPED],
            sum(standings[standing] for standing in _REFUSED),
            tuple(self._errors),
        )

    def _add_applicable(self, effect: RowEffect) -> None:
        before, after = effect.before_minor, effect.after_minor
        if effect.unlimited_before:
            before_or_endless: float = _ENDLESS
        else:
            before_or_endless = before or 0
        after_or_endless: float = _ENDLESS if after is None else after
        if after_or_endless > before_or_endless or (before is None and not effect.unlimited_before):
            self._raised += 1
            self._add_raise(effect, before, after)
        elif after_or_endless < before_or_endless:
            self._cut += 1
            self._add_cut(effect, before, after or 0)
        else:
            self._confirmed += 1
        self._over_limit += effect.over_limit
        self._fitting += effect.fitting_reviews
        self._add_sums(effect, before, after)

    def _add_all(self, sums: LimitSums) -> None:
        """Add rows that are told in sums: each puts a ceiling in the place of another or of none."""
        accounts = sums.raised + sums.cut + sums.confirmed
        self._standings[RowStanding.APPLICABLE] += accounts
        self._raised += sums.raised
        self._cut += sums.cut
        self._confirmed += sums.confirmed
        totals, change = self._totals[sums.currency_code], self._changes[sums.currency_code]
        totals.limit_before_minor += sums.before_minor
        totals.limit_after_minor += sums.after_minor
        totals.headroom_before_minor += sums.headroom_before_minor
        totals.headroom_after_minor += sums.headroom_after_minor
        change.accounts += accounts
        change.before_minor += sums.before_minor
        change.after_minor += sums.after_minor

    def _add_raise(self, effect: RowEffect, before: int | None, after: int | None) -> None:
        self._largest_raises.offer(_ENDLESS if after is None else after - (before or 0), effect)
        if not self._factor or before is None:
            return
        if after is None:
            self._steep_raises += 1
            self._steepest_raises.offer(_ENDLESS, effect)
        elif before and after > before * self._factor:
            self._steep_raises += 1
            self._steepest_raises.offer(after / before, effect)

    def _add_cut(self, effect: RowEffect, before: int | None, after: int) -> None:
        self._largest_cuts.offer(_ENDLESS if before is None else before - after, effect)
        if before is None or (before - after) * BASIS_POINTS > before * self._cut_over_bps:
            self._deep_cuts += 1
            self._deepest_cuts.offer(_ENDLESS if before is None else (before - after) / before, effect)

    def _add_sums(self, effect: RowEffect, before: int | None, after: int | None) -> None:
        totals = self._totals[effect.currency_code]
        totals.limit_before_minor += before or 0
        totals.limit_after_minor += after or 0
        totals.headroom_before_minor += effect.headroom_before_minor
        totals.headroom_after_minor += effect.headroom_after_minor
        if after is not None and not effect.unlimited_before:
            change = self._changes[effect.currency_code]
            change.accounts += 1
            change.before_minor += before or 0
            change.after_minor += after
            if before == 0 and after:
                change.accounts_from_0 += 1
                change.from_0_minor += after


def _change_of(effect: RowEffect) -> LimitChange:
    return LimitChange(
        effect.account_id, effect.currency_code, effect.before_minor, effect.after_minor, effect.exposure_minor
    )


def _error_of(effect: RowEffect) -> LimitRowError:
    if effect.standing is RowStanding.CURRENCY_MISMATCH:
        return currency_mismatch(effect.row, effect.account_id, effect.currency_code)
    return unknown_account(effect.row, effect.account_id)


def _told(currency_code: str, totals: _Totals) -> LimitTotals:
    return LimitTotals(
        currency_code,
        min(totals.limit_before_minor, SUM_TOLD_MAX_MINOR),
        min(totals.limit_after_minor, SUM_TOLD_MAX_MINOR),
        min(totals.headroom_before_minor, SUM_TOLD_MAX_MINOR),
        min(totals.headroom_after_minor, SUM_TOLD_MAX_MINOR),
    )
