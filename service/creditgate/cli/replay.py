"""The command `creditgate replay`: plays a file of invoices or orders against the service."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from creditgate.cli.deferred import connection
from creditgate.cli.failures import USAGE_CODE, CommandFailure, ExitCode
from creditgate.cli.options import (
    ADDRESS_DEFAULT,
    FILE_PANEL,
    TIMEOUT_DEFAULT_S,
    AddressOption,
    DelimiterOption,
    FileCurrencyOption,
    JsonOption,
    TimeoutOption,
)
from creditgate.csv_rows.errors import FileError

if TYPE_CHECKING:
    from creditgate.replay.summary import Summary

IN_FLIGHT_DEFAULT: Final = 16
IN_FLIGHT_MAX: Final = 1000

_LIMIT_PANEL: Final = "Limits of the accounts"
_PLAY_PANEL: Final = "The play"


def replay(  # noqa: PLR0913 - one parameter per option of the command
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A CSV file, a row for each invoice or order.", show_default=False)
    ],
    *,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=HEADER",
            help="Which column a field is read from; repeat it for each. Fields: account, invoice, amount, invoiced"
            " (a date) and, turned off by an empty HEADER, due, settled (never paid without it), currency.",
            show_default="account=customerID invoice=invoiceNumber amount=InvoiceAmount invoiced=InvoiceDate"
            " due=DueDate settled=SettledDate currency=",
            rich_help_panel=FILE_PANEL,
        ),
    ] = None,
    date_format: Annotated[
        str,
        typer.Option(metavar="FORMAT", help="How dates are written, as in strptime.", rich_help_panel=FILE_PANEL),
    ] = "%m/%d/%Y",
    delimiter: DelimiterOption = None,
    currency: FileCurrencyOption = "USD",
    errors_file: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Write all rows that can't be read here: line, column, reason.",
            rich_help_panel=FILE_PANEL,
        ),
    ] = None,
    unlimited: Annotated[
        bool, typer.Option("--unlimited", help="No limits. This is the default.", rich_help_panel=_LIMIT_PANEL)
    ] = False,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AMOUNT",
            help='The same limit for every account, as "50000.00 USD"; repeat it for each currency.',
            show_default=False,
            rich_help_panel=_LIMIT_PANEL,
        ),
    ] = None,
    limit_multiple: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Each account's limit is N times its mean invoice.",
            show_default=False,
            rich_help_panel=_LIMIT_PANEL,
        ),
    ] = None,
    speed: Annotated[
        str,
        typer.Option(
            metavar="max|N[smhdw]/s",
            help="How much time of the file passes in a second, as 7d/s.",
            rich_help_panel=_PLAY_PANEL,
        ),
    ] = "max",
    in_flight: Annotated[
        int,
        typer.Option(min=1, max=IN_FLIGHT_MAX, help="Most calls at a time.", rich_help_panel=_PLAY_PANEL),
    ] = IN_FLIGHT_DEFAULT,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Play a file of invoices or orders against the service, and sum up.

    The accounts come first. Each invoice is reserved and committed on its date,
    and paid on its settlement date; what is rejected is neither committed nor
    paid. Playing a file again with the same limits changes nothing, and after
    an interrupted play it carries on: for as long as the service remembers
    what was played (CREDITGATE_IDEMPOTENCY_RETENTION).

    At the end, the accounts played are verified (see `creditgate verify`).

    Rows that can't be read are listed and left out. Exit code: 0 played, 2 the
    play can't start, calls failed or a sum differs, 130 interrupted (with the
    summary so far).
    """
    from creditgate.replay import file_play, pace, session  # noqa: PLC0415 - help comes without what they import

    request = file_play.FileRequest(
        file, column or [], date_format, currency, delimiter, limit or [], limit_multiple, unlimited, errors_file
    )
    try:
        options = session.PlayOptions(timeout_s, in_flight, pace.parse_speed(speed))
        play, rows = file_play.read_play(request)
    except FileError as error:
        raise CommandFailure(str(error), code=USAGE_CODE) from None
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        next(service.client.list_accounts(page_size=1), None)  # a service that is not there is told as everywhere
    playing = session.Session(play, rows, options)
    try:
        playing.run_alone(address, file.name)
    except KeyboardInterrupt:
        end_play(playing.summary(), as_json=as_json)
        return ExitCode.INTERRUPTED
    return end_play(playing.summary(), as_json=as_json)


def end_play(summary: "Summary", *, as_json: bool) -> ExitCode:
    """Print the summary, and on standard error what went wrong; return what it means for the calling program."""
    from creditgate.replay import render  # noqa: PLC0415 - help comes without what it imports

    sys.stdout.write(render.summary_json(summary) if as_json else render.summary_text(summary))
    sys.stdout.flush()
    render.print_faults(summary)
    return ExitCode.FAILED if summary.errors or summary.differing_sums else ExitCode.DONE
