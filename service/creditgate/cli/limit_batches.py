"""The commands `creditgate limits ...`: batches of the scorer's limits, from a file into force and back."""

from pathlib import Path
from typing import Annotated, Final

import typer

from creditgate.cli.command_group import CommandGroup
from creditgate.cli.deferred import connection
from creditgate.cli.failures import ExitCode, usage_failure
from creditgate.cli.options import (
    ADDRESS_DEFAULT,
    FILE_PANEL,
    INSTANT_HELP,
    TIMEOUT_DEFAULT_S,
    ActorOption,
    AddressOption,
    DelimiterOption,
    FileCurrencyOption,
    JsonOption,
    MaxOption,
    TimeoutOption,
)
from creditgate.domain.limit_batch import LimitBatchMode

_ACTIVATE_TIMEOUT_DEFAULT_S: Final = 60.0

_PUSH_EXAMPLES: Final = """Examples:

creditgate limits push limits.csv --model-version 4.2

creditgate limits push scores.parquet --column account=customer --column limit=approved --stage

The columns are account, limit (1250.00) or limit_minor (125000) and, where there are such, unlimited (true or false),
currency, risk_class, score, version, effective and expire (instants), reasons (parted by |).
"""

app = typer.Typer(
    cls=CommandGroup,
    help="Push, preview and take back batches of the scorer's limits.\n\nLimits that a person decides for one account:"
    " `creditgate limit`.",
)

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A CSV or Parquet file, a row for each account.", show_default=False)
]
BatchArgument = Annotated[str, typer.Argument(metavar="BATCH", help="The batch's id.", show_default=False)]
CommentOption = Annotated[str, typer.Option("--comment", help="Why, for the journal.")]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="FIELD=HEADER",
        help="Which column a field is read from; repeat it for each. An empty HEADER turns a field off.",
        show_default="each field from the column of its name",
        rich_help_panel=FILE_PANEL,
    ),
]
VersionOption = Annotated[
    int | None,
    typer.Option(
        "--version",
        min=1,
        help="The version of rows that name none: only a limit of a higher version replaces an account's.",
        show_default="the seconds from 1970 to --as-of",
        rich_help_panel=FILE_PANEL,
    ),
]
SourceOption = Annotated[str, typer.Option("--source", help="The scorer or job that the file comes from.")]
ModelOption = Annotated[str, typer.Option("--model-version", help="The version of its model.")]
AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="INSTANT",
        help=f"The instant whose facts were scored{INSTANT_HELP}.",
        show_default="when the file was last changed",
    ),
]
AllOrNothingOption = Annotated[
    bool, typer.Option("--all-or-nothing", help="One wrong row, and no limit is put in force.")
]
CreateAccountsOption = Annotated[
    bool, typer.Option("--create-accounts", help="Create accounts that do not exist, with their row's risk class.")
]


@app.command(epilog=_PUSH_EXAMPLES)
def push(  # noqa: PLR0913 - one parameter per option of the command
    file: FileArgument,
    *,
    batch: Annotated[
        str,
        typer.Option("--batch", metavar="ID", help="The batch's id.", show_default="from the file's name and content"),
    ] = "",
    stage: Annotated[
        bool, typer.Option("--stage", help="Put nothing in force yet: `creditgate limits activate` does.")
    ] = False,
    all_or_nothing: AllOrNothingOption = False,
    create_accounts: CreateAccountsOption = False,
    source: SourceOption = "cli",
    model_version: ModelOption = "",
    as_of: AsOfOption = None,
    column: ColumnOption = None,
    delimiter: DelimiterOption = None,
    currency: FileCurrencyOption = "USD",
    version: VersionOption = None,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Put the limits of a file in force.

    All rows are checked first: a batch that would change too much, by the
    guard rails of the policy, is quarantined, and no limit is in force until
    a person activates it. Pushing a file again changes nothing, and after an
    interrupt it carries on. Wrong rows are listed and left out.

    Exit code: 0 the limits are in force (or staged), 1 the batch is
    quarantined, has failed or was given up, or every row is wrong, 2 the push
    can't start or was cut off, 130 interrupted.
    """
    from creditgate.cli import limit_push  # noqa: PLC0415 - help comes without what it imports

    instant = limit_push.parse_as_of(file, as_of)
    read_as = limit_push.ReadAs(column or (), delimiter, currency, version, instant)
    mode = LimitBatchMode.STAGE if stage else LimitBatchMode.APPLY
    about = limit_push.About(batch, mode, source, model_version, all_or_nothing, create_accounts)
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        return limit_push.push_file(service, file, read_as, about)


@app.command(epilog="Example: creditgate limits preview limits.csv")
def preview(  # noqa: PLR0913 - one parameter per option of the command
    file: FileArgument,
    *,
    all_or_nothing: AllOrNothingOption = False,
    create_accounts: CreateAccountsOption = False,
    source: SourceOption = "cli",
    model_version: ModelOption = "",
    as_of: AsOfOption = None,
    column: ColumnOption = None,
    delimiter: DelimiterOption = None,
    currency: FileCurrencyOption = "USD",
    version: VersionOption = None,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Say what the limits of a file would do to the accounts; change nothing.

    How many limits rise and fall, how many accounts go over theirs, how many
    waiting orders would fit, the totals, and the largest changes.

    Exit code: 0 no guard rail would hold the batch back, 1 one would, or every
    row is wrong (with --all-or-nothing: any), 2 error.
    """
    from creditgate.cli import limit_push  # noqa: PLC0415 - help comes without what it imports

    instant = limit_push.parse_as_of(file, as_of)
    read_as = limit_push.ReadAs(column or (), delimiter, currency, version, instant)
    about = limit_push.About("", LimitBatchMode.PREVIEW, source, model_version, all_or_nothing, create_accounts)
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        return limit_push.push_file(service, file, read_as, about)


@app.command(epilog="Example: creditgate limits batches --state QUARANTINED\n\nWith --json each is a line of its own.")
def batches(
    *,
    states: Annotated[
        list[str] | None, typer.Option("--state", help="Only those in this state; may be given more than once.")
    ] = None,
    rows_max: MaxOption = None,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """List the batches, newest first."""
    numbers = connection.parse_batch_states("--state", states or ())
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        return service.show_each(service.client.list_limit_batches(states=numbers), rows_max, connection.batch_table)


@app.command(epilog="Example: creditgate limits show limits.csv-0f343b093112")
def show(
    batch: BatchArgument,
    *,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Show a batch: how far it is, what it does to the accounts, what holds it back, and its wrong rows."""
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        return service.show(service.client.get_limit_batch(batch))


@app.command(epilog='Example: creditgate limits activate limits.csv-0f343b093112 --force --comment "checked"')
def activate(
    batch: BatchArgument,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="In spite of its guard rails; --comment is then required.")
    ] = False,
    comment: CommentOption = "",
    actor: ActorOption,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = _ACTIVATE_TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Put a staged batch in force; with --force one that is quarantined.

    It is measured anew before: a large batch takes some seconds.

    Exit code: 0 its limits are being put in force, 1 its guard rails hold it
    back, 2 error.
    """
    if force and not comment.strip():
        raise usage_failure("--force takes a --comment that says why, for the journal")
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        return service.show(service.client.activate_limit_batch(batch, force=force, actor=actor, comment=comment))


@app.command(epilog="Example: creditgate limits cancel limits.csv-0f343b093112")
def cancel(
    batch: BatchArgument,
    *,
    comment: CommentOption = "",
    actor: ActorOption,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Give up a batch of which no limit is in force."""
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        return service.show(service.client.cancel_limit_batch(batch, actor=actor, comment=comment))


@app.command(epilog='Example: creditgate limits rollback limits.csv-0f343b093112 --comment "wrong model"')
def rollback(
    batch: BatchArgument,
    *,
    comment: Annotated[str, typer.Option("--comment", help="Why, for the journal.", show_default=False)],
    actor: ActorOption,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Restore the limits before an active batch, where they have not been changed since."""
    if not comment.strip():
        raise usage_failure("--comment must say why, for the journal")
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        return service.show(service.client.rollback_limit_batch(batch, actor=actor, comment=comment))
