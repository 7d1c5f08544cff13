"""Answers about limits, blocks, groups, rates and the policy, as people read them."""

import sys
from collections.abc import Sequence

from rich import box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from creditgate.cli.tables import (
    INDENT,
    Facts,
    OutputConsole,
    headline,
    local_time,
    print_account,
    print_answer,
    print_facts,
    printable,
)
from creditgate.domain.money import format_amount, format_money
from creditgate.v1.admin_service_pb2 import (
    GetGroupResponse,
    GetPolicyResponse,
    PutExchangeRatesResponse,
    PutGroupResponse,
)
from creditgate.v1.credit_desk_service_pb2 import (
    BlockAccountResponse,
    SetManualLimitResponse,
    SetTemporaryLimitResponse,
)
from creditgate.v1.group_pb2 import CreditGroup

_UNKNOWN: str = "unknown: a rate is missing"


@print_answer.register
def _(answer: SetManualLimitResponse) -> None:
    print_account("manual limit set", answer.account)


@print_answer.register
def _(answer: SetTemporaryLimitResponse) -> None:
    print_account("temporary limit set", answer.account)


@print_answer.register
def _(answer: BlockAccountResponse) -> None:
    print_account("account blocked", answer.account)


@print_answer.register
def _(answer: PutGroupResponse) -> None:
    console = OutputConsole()
    console.print(headline("group created" if answer.created else "group changed"))
    _print_group(console, answer.group)


@print_answer.register
def _(answer: GetGroupResponse) -> None:
    _print_group(OutputConsole(), answer.group)


@print_answer.register
def _(answer: PutExchangeRatesResponse) -> None:
    note = f"{answer.ignored} ignored: a newer version is there" if answer.ignored else ""
    OutputConsole().print(headline(f"{answer.applied} in force", note))


@print_answer.register
def _(answer: GetPolicyResponse) -> None:
    notes = [f"policy {answer.policy_version}"]
    if answer.shadow:
        notes.append("The whole gate is in shadow mode: every order is approved.")
    if answer.problem:
        notes += ["The policy file as it is now is not used:", *answer.problem.splitlines()]
    for note in notes:
        sys.stdout.write(f"# {printable(note)}\n")
    sys.stdout.write(answer.document)


def group_table(groups: Sequence[CreditGroup]) -> Table:
    """Return a row for each group."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("group", "name"):
        table.add_column(heading, overflow="fold")
    for heading in ("accounts", "limit", "exposure", "available"):
        table.add_column(heading, justify="right", overflow="fold")
    table.add_column("currency")
    for group in groups:
        table.add_row(*_group_row(group))
    return table


def _group_row(group: CreditGroup) -> Sequence[str]:
    known, limited, code = group.HasField("exposure_minor"), group.HasField("limit_minor"), group.currency_code
    return (
        group.group_id,
        printable(group.display_name),
        str(group.account_count),
        format_amount(group.limit_minor, code) if limited else "unlimited",
        format_amount(group.exposure_minor, code) if known else "unknown",
        format_amount(group.limit_minor - group.exposure_minor, code) if known and limited else "",
        code,
    )


def _print_group(console: OutputConsole, group: CreditGroup) -> None:
    print_facts(console, _group_facts(group))
    if group.currencies:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for heading in ("reserved", "receivable", "owed"):
            table.add_column(heading, justify="right")
        table.add_column("currency")
        for sums in group.currencies:
            amounts = (sums.reserved_minor, sums.receivable_minor, sums.owed_minor)
            table.add_row(*(format_amount(amount, sums.currency_code) for amount in amounts), sums.currency_code)
        console.print(Padding(table, INDENT, expand=False))


def _group_facts(group: CreditGroup) -> Facts:
    known, limited, code = group.HasField("exposure_minor"), group.HasField("limit_minor"), group.currency_code
    facts: list[tuple[str, str | Text]] = [("group", group.group_id)]
    if group.display_name:
        facts.append(("name", printable(group.display_name)))
    facts += [
        ("accounts", str(group.account_count)),
        ("limit", format_money(group.limit_minor, code) if limited else "unlimited"),
        ("exposure", format_money(group.exposure_minor, code) if known else _UNKNOWN),
    ]
    if known and limited:
        facts.append(("available", format_money(group.limit_minor - group.exposure_minor, code)))
    return [*facts, ("created", local_time(group.create_time))]
