"""A summary as tables for people."""

import json
from collections.abc import Iterator
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from creditgate.domain.money import format_amount, format_money
from creditgate.replay.answers import Difference
from creditgate.replay.summary import CurrencySummary, RowCounts, Summary, summary_document

_MS_PER_S: Final = 1000
_NEXT_DUE: Final = "next_due"
_PIPED_WIDTH: Final = 200
_STATE_STYLES: Final = {"ACTIVE": "green", "QUARANTINED": "yellow", "FAILED": "red"}
_OUTCOME_STYLES: Final = {"APPROVED": "green", "FLAGGED": "yellow", "PENDING_REVIEW": "yellow", "REJECTED": "red"}


def summary_text(summary: Summary) -> str:
    """Return the tables of a summary as text for standard output: with colours and in its width if it is a terminal."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    with console.capture() as capture:
        console.print(_tables(summary))
    return capture.get()


def summary_json(summary: Summary) -> str:
    """Return the summary as one JSON document."""
    return json.dumps(summary_document(summary), indent=2) + "\n"


def _tables(summary: Summary) -> RenderableType:
    parts: list[RenderableType] = [_overview(summary), "", _decisions(summary), "", _money(summary)]
    if summary.batches:
        parts += ["", _batches(summary)]
    largest = _largest_accounts(summary)
    if largest is not None:
        parts += ["", largest]
    if summary.latencies:
        parts += ["", _latencies(summary)]
    return Group(*parts)


def print_faults(summary: Summary) -> None:
    """Tell on standard error which rows are bad, calls failed, and sums differ: the first, and how many more."""
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if summary.rows is not None and summary.rows.bad:
        for line in _bad_row_lines(summary.rows):
            console.print(line, soft_wrap=True)
    failed = sum(error.calls for error in summary.errors)
    for failure in summary.failures:
        step = " ".join(filter(None, (failure.account_id, failure.step_id)))
        line = f"{failure.call} {step}: {failure.reason}: {failure.message}"
        console.print(line, soft_wrap=True)
    for difference in summary.differences:
        console.print(_difference_line(difference), soft_wrap=True)
    if summary.differing_sums > len(summary.differences):
        console.print(f"… and {summary.differing_sums - len(summary.differences)} more sums that differ")
    if failed > len(summary.failures):
        console.print(f"… and {failed - len(summary.failures)} more failed calls")


def _difference_line(difference: Difference) -> str:
    account_id, currency_code, sum_name, kept_minor, recomputed_minor = difference
    if sum_name == _NEXT_DUE:  # seconds, no amounts
        return f"{account_id}: {sum_name} is {kept_minor} and should be {recomputed_minor}"
    kept, recomputed = (format_money(amount, currency_code) for amount in (kept_minor, recomputed_minor))
    return f"{account_id}: {sum_name} is {kept} and should be {recomputed}"


def _bad_row_lines(rows: RowCounts) -> Iterator[str]:
    for row in rows.bad_rows:
        yield str(row)
    if rows.bad > len(rows.bad_rows):
        yield f"… and {rows.bad - len(rows.bad_rows)} more bad rows"


def _overview(summary: Summary) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    if summary.rows is not None:
        rows = summary.rows
        text = f"{rows.read:,} read, {rows.bad:,} bad"
        table.add_row("Rows", text + (f", {rows.repeated:,} repeated" if rows.repeated else ""))
    changes = ", ".join(f"{count:,} {change}" for change, count in summary.accounts.items())
    table.add_row("Accounts", changes or "none")
    planned = sum(currency.sums.planned_orders for currency in summary.currencies)
    table.add_row("Orders", f"{summary.orders + summary.rejected_before:,} of {planned:,}")
    speed = f"{summary.elapsed_s:,.1f} s, {summary.orders_per_second:,.0f} orders/s"
    table.add_row("Time", f"{speed}, {summary.answered:,} answers" if summary.answered else speed)
    table.add_row("Replayed", _replayed_text(summary))
    if summary.errors:
        errors = ", ".join(f"{error.calls:,} {error.call} {error.reason}" for error in summary.errors)
        table.add_row("Errors", Text(errors, style="red"))
    if summary.differing_sums:
        sums = "1 sum differs" if summary.differing_sums == 1 else f"{summary.differing_sums:,} sums differ"
        text = f"{sums}: `creditgate verify` tells more"
        table.add_row("Verified", Text(text, style="bold red"))
    elif summary.verified_accounts:
        text = f"{summary.verified_accounts:,} accounts: every sum is what its orders and entries add up to"
        table.add_row("Verified", text)
    if not summary.complete:
        table.add_row("Ended early", Text("play it again to carry on from here", style="yellow"))
    return table


def _replayed_text(summary: Summary) -> str:
    given = f"{summary.replayed:,} of {summary.answered:,} answers"
    if not summary.replayed:
        return f"{given} had been given before"
    if not summary.changed_nothing:
        return f"{given} had been given before: an order keeps its first decision"
    if summary.replayed == summary.answered:
        given = f"all {given}"
    else:
        given += ", and the other orders were rejected again"
    return f"{given}: everything had been played before, and nothing has changed"


def _decisions(summary: Summary) -> Table:
    table = _table("Decisions", "", "Orders", "Share")
    decided = sum(summary.outcomes.values()) + summary.rejected_before
    for outcome, orders in summary.outcomes.items():
        table.add_row(Text(outcome, style=_OUTCOME_STYLES.get(outcome, "")), *_share(orders, decided))
        for reason in summary.reasons:
            if reason.outcome == outcome:
                table.add_row(f"  {reason.reason}", *_share(reason.orders, decided), style="dim")
    if summary.rejected_before:
        table.add_row(
            Text("rejected when first played, not asked again", style="red"), *_share(summary.rejected_before, decided)
        )
    return table


def _batches(summary: Summary) -> Table:
    table = _table("Limits from the scorer", "", "In force", "Raised", "Cut", "State")
    for batch in summary.batches:
        counts = (batch.applied_rows, batch.raised_accounts, batch.cut_accounts)
        state = Text(batch.state, style=_STATE_STYLES.get(batch.state, ""))
        table.add_row(batch.batch_id, *(f"{count:,}" for count in counts), state)
        for message in batch.guard_rails:
            table.add_row(f"  {message}", style="dim")
    return table


def _share(orders: int, decided: int) -> tuple[str, str]:
    return f"{orders:,}", f"{orders / decided:.1%}"


def _money(summary: Summary) -> Table:
    source = "in the file" if summary.rows is not None else "planned"
    table = _table(
        "Money", "", f"Invoiced, {source}", "played", "not approved", f"Paid, {source}", "played", "not approved"
    )
    for currency in summary.currencies:
        sums = currency.sums
        amounts = (
            sums.planned_invoiced_minor,
            sums.invoiced_minor,
            sums.left_out_invoiced_minor,
            sums.planned_paid_minor,
            sums.paid_minor,
            sums.left_out_paid_minor,
        )
        table.add_row(currency.currency_code, *(format_amount(amount, currency.currency_code) for amount in amounts))
    return table


def _largest_accounts(summary: Summary) -> Table | None:
    """Return the peak exposures: of all accounts together, and of the largest ones in the currency with most orders."""
    if not summary.currencies:
        return None
    table = _table("Peak exposure", "", "At its highest")
    for currency in summary.currencies:
        table.add_row("all accounts", format_money(currency.sums.peak_exposure_minor, currency.currency_code))
    main: CurrencySummary = summary.currencies[0]
    for peak in main.largest_accounts:
        table.add_row(f"  {peak.account_id}", format_money(peak.peak_exposure_minor, main.currency_code), style="dim")
    return table


def _latencies(summary: Summary) -> Table:
    table = _table("Latency, ms", "", "Calls", "p50", "p90", "p99", "max")
    for call, figures in summary.latencies.items():
        times = (figures.p50_s, figures.p90_s, figures.p99_s, figures.max_s)
        table.add_row(call, f"{figures.count:,}", *(f"{time_s * _MS_PER_S:,.2f}" for time_s in times))
    return table


def _table(title: str, *headers: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(title, header_style="bold", no_wrap=True)
    for header in headers[1:]:
        table.add_column(header, justify="right", header_style="dim")
    return table
