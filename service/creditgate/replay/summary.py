"""What a play came to, as one value: rendered as tables for people and as one JSON document for programs."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

from creditgate.csv_rows.rows import BadRow
from creditgate.replay.answers import BatchPushed, Difference
from creditgate.replay.csv_source import Invoice, RepeatedRow
from creditgate.replay.latency import LatencyFigures
from creditgate.replay.tally import CurrencySums, Failure, Tally

BAD_ROWS_SHOWN_MAX: Final = 20
LARGEST_ACCOUNTS: Final = 5

_ORDER_CALL: Final = "ReserveCredit"
_MS_PER_S: Final = 1000


@dataclass(slots=True)
class RowCounts:
    """How the rows of a file turned out; the first bad ones are kept, the rest are counted."""

    read: int = 0
    bad: int = 0
    repeated: int = 0
    bad_rows: list[BadRow] = field(default_factory=list)

    def add(self, row: Invoice | BadRow | RepeatedRow) -> None:
        """Count a row."""
        self.read += 1
        if isinstance(row, BadRow):
            self.bad += 1
            if len(self.bad_rows) < BAD_ROWS_SHOWN_MAX:
                self.bad_rows.append(row)
        elif isinstance(row, RepeatedRow):
            self.repeated += 1


class CallCount(NamedTuple):
    """How many calls of one kind were answered, and how many of them had been answered before."""

    answered: int
    replayed: int


class ReasonCount(NamedTuple):
    """How many orders had a reason under an outcome; an order may have several."""

    outcome: str
    reason: str
    orders: int


class ErrorCount(NamedTuple):
    """How many calls of one kind ended with an error reason."""

    call: str
    reason: str
    calls: int


class AccountPeak(NamedTuple):
    """The highest exposure of an account (see `Tally`), in minor units."""

    account_id: str
    peak_exposure_minor: int


@dataclass(frozen=True, slots=True)
class CurrencySummary:
    """The sums in one currency, and the accounts with the highest exposure."""

    currency_code: str
    sums: CurrencySums
    largest_accounts: tuple[AccountPeak, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a play came to. `rows` is None when what was played is not from a file.

    `verified_accounts` is 0 when the play ended early; `differences` are the first of the `differing_sums`.
    """

    complete: bool
    elapsed_s: float
    rows: RowCounts | None
    accounts: dict[str, int]
    orders: int
    outcomes: dict[str, int]
    rejected_before: int
    reasons: tuple[ReasonCount, ...]
    calls: dict[str, CallCount]
    errors: tuple[ErrorCount, ...]
    failures: tuple[Failure, ...]
    batches: tuple[BatchPushed, ...]
    verified_accounts: int
    differing_sums: int
    differences: tuple[Difference, ...]
    currencies: tuple[CurrencySummary, ...]
    latencies: dict[str, LatencyFigures]

    @property
    def orders_per_second(self) -> float:
        """Orders decided in each second of the play, its other calls included in the time."""
        return self.orders / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def answered(self) -> int:
        """All answers to orders, commits, releases and payments."""
        return sum(call.answered for call in self.calls.values())

    @property
    def replayed(self) -> int:
        """The answers that had been given before."""
        return sum(call.replayed for call in self.calls.values())

    @property
    def changed_nothing(self) -> bool:
        """Whether everything had been played before: an order rejected once more changes nothing either."""
        rejected = self.outcomes.get("REJECTED", 0)
        return self.answered == self.replayed + rejected and not self.errors and set(self.accounts) <= {"unchanged"}


def summarize(tally: Tally, rows: RowCounts | None, elapsed_s: float, *, complete: bool) -> Summary:
    """Return what has been added up so far; most frequent first, currencies by their orders."""
    currencies = sorted(tally.currencies.items(), key=lambda item: (-item[1].planned_orders, item[0]))
    return Summary(
        complete=complete,
        elapsed_s=elapsed_s,
        rows=rows,
        accounts={str(change): count for change, count in tally.accounts.most_common()},
        orders=tally.asked[_ORDER_CALL],
        outcomes=dict(tally.outcomes.most_common()),
        rejected_before=tally.rejected_before,
        reasons=tuple(ReasonCount(*names, count) for names, count in tally.reasons.most_common()),
        calls={call: CallCount(count, tally.replayed[call]) for call, count in sorted(tally.asked.items())},
        errors=tuple(ErrorCount(*names, count) for names, count in tally.errors.most_common()),
        failures=tuple(tally.failures),
        batches=tuple(tally.batches),
        verified_accounts=tally.verified_accounts,
        differing_sums=tally.differing_sums,
        differences=tuple(tally.differences),
        currencies=tuple(CurrencySummary(code, sums, _largest_accounts(tally, code)) for code, sums in currencies),
        latencies={call: histogram.figures() for call, histogram in sorted(tally.latencies.items())},
    )


def summary_document(summary: Summary) -> dict[str, Any]:
    """Return the summary as JSON values. Money is in minor units, `latency_ms` in milliseconds."""
    rows = summary.rows
    return {
        "complete": summary.complete,
        "elapsed_s": round(summary.elapsed_s, 3),
        "orders_per_second": round(summary.orders_per_second, 1),
        "rows": rows
        and {
            "read": rows.read,
            "bad": rows.bad,
            "repeated": rows.repeated,
            "bad_rows": _documents(rows.bad_rows),
        },
        "accounts": summary.accounts,
        "orders": summary.orders,
        "outcomes": summary.outcomes,
        "rejected_before": summary.rejected_before,
        "changed_nothing": summary.changed_nothing,
        "reasons": _documents(summary.reasons),
        "calls": {call: count._asdict() for call, count in summary.calls.items()},
        "errors": _documents(summary.errors),
        "failures": _documents(summary.failures),
        "limit_batches": _documents(summary.batches),
        "verified": {
            "accounts": summary.verified_accounts,
            "differing_sums": summary.differing_sums,
            "differences": _documents(summary.differences),
        },
        "currencies": [
            {
                "currency_code": currency.currency_code,
                **asdict(currency.sums),
                "largest_accounts": _documents(currency.largest_accounts),
            }
            for currency in summary.currencies
        ],
        "latency_ms": {call: _latency_document(figures) for call, figures in summary.latencies.items()},
    }


def _documents(
    values: Iterable[BadRow | BatchPushed | ReasonCount | ErrorCount | Failure | Difference | AccountPeak],
) -> list[dict[str, Any]]:
    return [value._asdict() for value in values]


def _latency_document(figures: LatencyFigures) -> dict[str, float]:
    return {
        "count": figures.count,
        "p50": round(figures.p50_s * _MS_PER_S, 3),
        "p90": round(figures.p90_s * _MS_PER_S, 3),
        "p99": round(figures.p99_s * _MS_PER_S, 3),
        "max": round(figures.max_s * _MS_PER_S, 3),
    }


def _largest_accounts(tally: Tally, currency_code: str) -> tuple[AccountPeak, ...]:
    peaks = (
        AccountPeak(account_id, level.peak_minor)
        for account_id, level in tally.levels.items()
        if level.currency_code == currency_code and level.peak_minor > 0
    )
    return tuple(sorted(peaks, key=lambda peak: (-peak.peak_exposure_minor, peak.account_id))[:LARGEST_ACCOUNTS])
