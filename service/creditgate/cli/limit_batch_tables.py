"""Batches of limits as people read them: how far one is, what it does to the accounts, and what holds it back."""

from collections.abc import Iterable, Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from creditgate.cli.tables import (
    INDENT,
    Facts,
    OutputConsole,
    counted,
    headline,
    local_time,
    print_answer,
    print_facts,
    printable,
    short_name,
)
from creditgate.domain.money import format_amount, format_money
from creditgate.v1.limit_batch_pb2 import (
    LIMIT_BATCH_MODE_PREVIEW,
    LIMIT_BATCH_STATE_ACTIVATING,
    LIMIT_BATCH_STATE_ACTIVE,
    LIMIT_BATCH_STATE_CANCELLED,
    LIMIT_BATCH_STATE_FAILED,
    LIMIT_BATCH_STATE_QUARANTINED,
    LIMIT_BATCH_STATE_RECEIVING,
    LIMIT_BATCH_STATE_ROLLED_BACK,
    LIMIT_BATCH_STATE_ROLLING_BACK,
    LIMIT_BATCH_STATE_STAGED,
    GuardRail,
    GuardRailReport,
    LimitBatch,
    LimitBatchMode,
    LimitBatchState,
    LimitChange,
    LimitEffect,
)
from creditgate.v1.limit_feed_service_pb2 import (
    ActivateLimitBatchResponse,
    CancelLimitBatchResponse,
    GetLimitBatchResponse,
    PushLimitsResponse,
    RollbackLimitBatchResponse,
)

_IDS_SHOWN_MAX: Final = 10
_ROW_ERRORS_SHOWN_MAX: Final = 20

_NOTES: Final = {
    LIMIT_BATCH_STATE_RECEIVING: "rows are missing: push it again, and it goes on",
    LIMIT_BATCH_STATE_STAGED: "no limit is in force yet: activate it with `creditgate limits activate`",
    LIMIT_BATCH_STATE_QUARANTINED: "a guard rail has tripped: no limit is in force; if it is right, activate it with"
    " `creditgate limits activate --force`, else give it up with `creditgate limits cancel`",
    LIMIT_BATCH_STATE_ACTIVATING: "limits are being put in force; the service finishes this by itself",
    LIMIT_BATCH_STATE_CANCELLED: "given up: no limit is in force; the same rows can be pushed under another --batch",
    LIMIT_BATCH_STATE_ROLLED_BACK: "the limits before it are in force again, where they have not been changed since",
    LIMIT_BATCH_STATE_FAILED: "a row is wrong, and the batch is all or nothing: no limit is in force",
    LIMIT_BATCH_STATE_ROLLING_BACK: "limits are being restored; the service finishes this by itself",
}


_BEGUN: Final = (LIMIT_BATCH_STATE_ACTIVATING, LIMIT_BATCH_STATE_ACTIVE)
_TAKEN_BACK: Final = (LIMIT_BATCH_STATE_ROLLING_BACK, LIMIT_BATCH_STATE_ROLLED_BACK)


@print_answer.register
def _(
    answer: PushLimitsResponse | ActivateLimitBatchResponse | CancelLimitBatchResponse | RollbackLimitBatchResponse,
) -> None:
    _print_batch(answer.batch)


@print_answer.register
def _(answer: GetLimitBatchResponse) -> None:
    _print_batch(answer.batch)
    _print_row_errors(OutputConsole(), answer.batch)


def batch_table(batches: Sequence[LimitBatch]) -> Table:
    """Return a row for each batch."""
    table = _table(("batch", "state", "source", "model"), ("rows", "wrong", "skipped", "in force"))
    table.add_column("created")
    for batch in batches:
        in_force = 0 if batch.state == LIMIT_BATCH_STATE_ROLLED_BACK else batch.applied_rows
        counts = (batch.received_rows, batch.rejected_rows, batch.skipped_rows, in_force)
        table.add_row(
            batch.batch_id,
            _state(batch),
            printable(batch.source),
            printable(batch.model_version),
            *(f"{count:,}" for count in counts),
            local_time(batch.create_time),
        )
    return table


def _print_batch(batch: LimitBatch) -> None:
    console = OutputConsole()
    console.print(_headline(batch))
    print_facts(console, [*_batch_facts(batch), *_row_facts(batch), *_decision_facts(batch)])
    if batch.HasField("effect"):
        does = "does" if batch.state in _BEGUN else "did" if batch.state in _TAKEN_BACK else "would do"
        console.print(f"What it {does} to the accounts:")
        print_facts(console, _effect_facts(batch.effect))
    for report in batch.guard_rails:
        _print_guard_rail(console, report)
    _print_changes(console, "Largest raises:", batch.effect.largest_raises)
    _print_changes(console, "Largest cuts:", batch.effect.largest_cuts)


def _headline(batch: LimitBatch) -> Text:
    if batch.mode == LIMIT_BATCH_MODE_PREVIEW and batch.HasField("effect"):
        return headline("PREVIEW", f"nothing is in force; {_prospect(batch)}")
    if batch.state == LIMIT_BATCH_STATE_ACTIVE and _is_without_use(batch):
        return Text(f"{_state(batch)}  (nothing is in force: {_why_without_use(batch)})", style="bold red")
    return headline(_state(batch), _NOTES.get(batch.state, ""))


def _prospect(batch: LimitBatch) -> str:
    """Return what would become of a batch that was previewed, were it pushed."""
    if batch.all_or_nothing and batch.rejected_rows:
        return f"it would fail: all or nothing, and {counted(batch.rejected_rows, 'row')} wrong"
    if batch.guard_rails:
        return "a guard rail would hold it back"
    if _is_without_use(batch):
        return f"nothing would be: {_why_without_use(batch)}"
    return "no guard rail would hold it back"


def _is_without_use(batch: LimitBatch) -> bool:
    """Return whether a batch has rows, each of them wrong or skipped."""
    return 0 < batch.received_rows == batch.rejected_rows + batch.skipped_rows


def _why_without_use(batch: LimitBatch) -> str:
    if batch.rejected_rows:
        return f"{counted(batch.rejected_rows, 'row')} wrong, {batch.skipped_rows:,} skipped"
    return (
        f"{counted(batch.skipped_rows, 'row')} skipped, none above the version that its account has; if they are meant"
        " to count, push them with a higher --version or a later --as-of, or higher ones in the file's column version"
    )


def _batch_facts(batch: LimitBatch) -> Facts:
    demands = (
        short_name(LimitBatchMode.DESCRIPTOR, batch.mode),
        "all or nothing" if batch.all_or_nothing else "",
        "creates accounts" if batch.create_accounts else "",
    )
    return [
        ("batch", batch.batch_id),
        ("source", printable(f"{batch.source}, model {batch.model_version}" if batch.model_version else batch.source)),
        ("as of", local_time(batch.as_of)),
        ("mode", ", ".join(filter(None, demands))),
    ]


def _row_facts(batch: LimitBatch) -> Facts:
    applied = f"{batch.applied_rows:,}"
    if batch.state in _TAKEN_BACK:
        none = "none; " if batch.state == LIMIT_BATCH_STATE_ROLLED_BACK else ""
        applied = f"{none}{applied} until the rollback"
    elif batch.scheduled_rows:
        applied += f", {batch.scheduled_rows:,} of them from a later time on"
    facts: list[tuple[str, str | Text]] = [("rows", f"{batch.received_rows:,} received"), ("in force", applied)]
    over_limit, kept = batch.over_limit_count, batch.kept_count
    counts = (
        ("wrong", batch.rejected_rows, "", ""),
        ("skipped", batch.skipped_rows, "", ": the accounts have limits of these or later versions"),
        ("created", batch.created_accounts, "account", ""),
        ("restored", batch.restored_rows, "", ""),
        ("over limit", over_limit, "account", f": {_ids(batch.over_limit_accounts, over_limit)}"),
        ("left alone", kept, "", f", changed since: {_ids(batch.kept_changes, kept)}"),
        ("released", batch.released_reviews, "order", " that waited for review"),
    )
    for name, count, word, more in counts:
        if count:
            facts.append((name, (counted(count, word) if word else f"{count:,}") + more))
    return facts


def _ids(account_ids: Sequence[str], count: int) -> str:
    shown = account_ids[:_IDS_SHOWN_MAX]
    return ", ".join(shown) + (f" and {count - len(shown):,} more" if count > len(shown) else "")


def _decision_facts(batch: LimitBatch) -> Facts:
    facts: list[tuple[str, str | Text]] = []
    if batch.state in _TAKEN_BACK:
        facts.append(("rolled back", printable(f"by {batch.actor}")))
    elif batch.actor:
        forced = ", in spite of its guard rails" if batch.forced else ""
        facts.append(("decided by", printable(f"{batch.actor}{forced}")))
    if batch.comment:
        facts.append(("comment", printable(batch.comment)))
    times = (
        ("created", batch.create_time),
        ("received", batch.receive_time),
        ("active", batch.activate_time),
    )
    facts += ((name, local_time(instant)) for name, instant in times if instant.ByteSize())
    if batch.forced and batch.state in _TAKEN_BACK:
        facts.append(("forced", "it was activated in spite of its guard rails"))
    return facts


def _effect_facts(effect: LimitEffect) -> Facts:
    counts = (
        (effect.raised_accounts, "raised"),
        (effect.cut_accounts, "cut"),
        (effect.confirmed_accounts, "confirmed"),
        (effect.new_accounts, "new"),
    )
    facts: list[tuple[str, str | Text]] = [("accounts", ", ".join(f"{count:,} {what}" for count, what in counts))]
    if effect.over_limit_accounts:
        go = "goes over its limit" if effect.over_limit_accounts == 1 else "go over their limit"
        facts.append(("over limit", f"{counted(effect.over_limit_accounts, 'account')} {go}"))
    if effect.fitting_reviews:
        fit = "that waits for review fits" if effect.fitting_reviews == 1 else "that wait for review fit"
        facts.append(("reviews", f"{counted(effect.fitting_reviews, 'order')} {fit}"))
    for totals in effect.totals:
        code = totals.currency_code
        facts += [
            ("limits", _before_after(totals.limit_before_minor, totals.limit_after_minor, code)),
            ("headroom", _before_after(totals.headroom_before_minor, totals.headroom_after_minor, code)),
        ]
    return facts


def _before_after(before_minor: int, after_minor: int, currency_code: str) -> str:
    change = f" ({(after_minor - before_minor) / before_minor:+.1%})" if before_minor else ""
    return f"{format_amount(before_minor, currency_code)} → {format_money(after_minor, currency_code)}{change}"


def _print_guard_rail(console: Console, report: GuardRailReport) -> None:
    name = short_name(GuardRail.DESCRIPTOR, report.guard_rail)
    console.print(Text.assemble("Guard rail ", (name, "bold yellow"), f": {printable(report.message)}"), soft_wrap=True)
    _print_changes(console, "", report.examples)


def _print_changes(console: Console, title: str, changes: Iterable[LimitChange]) -> None:
    table = _table(("account",), ("limit before", "limit after", "exposure"))
    table.add_column("currency")
    for change in changes:
        code = change.currency_code
        table.add_row(
            printable(change.account_id),
            format_amount(change.before_minor, code) if change.HasField("before_minor") else "none",
            format_amount(change.after_minor, code) if change.HasField("after_minor") else "unlimited",
            format_amount(change.exposure_minor, code),
            code,
        )
    if table.row_count:
        if title:
            console.print(title)
        console.print(Padding(table, INDENT, expand=False))


def _print_row_errors(console: Console, batch: LimitBatch) -> None:
    errors = batch.row_errors[:_ROW_ERRORS_SHOWN_MAX]
    for error in errors:
        told = ": ".join(filter(None, (error.account_id, error.field, error.message)))
        console.print(f"row {error.row:,}: {printable(told)}", soft_wrap=True)
    if batch.rejected_rows > len(errors):
        more = counted(batch.rejected_rows - len(errors), "more wrong row")
        console.print(f"… and {more}; --json tells the first 10,000")


def _table(identity: Sequence[str], amounts: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in identity:
        table.add_column(heading, overflow="fold")
    for heading in amounts:
        table.add_column(heading, justify="right", overflow="fold")
    return table


def _state(batch: LimitBatch) -> str:
    return short_name(LimitBatchState.DESCRIPTOR, batch.state)
