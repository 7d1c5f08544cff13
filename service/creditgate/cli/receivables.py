"""The commands of accounts receivable: post, credit-note, pay, aging, import."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from creditgate.cli.deferred import connection
from creditgate.cli.failures import USAGE_CODE, CommandFailure, ExitCode
from creditgate.cli.options import (
    ADDRESS_DEFAULT,
    FILE_PANEL,
    TIMEOUT_DEFAULT_S,
    AccountArgument,
    AddressOption,
    AmountArgument,
    CurrencyArgument,
    DelimiterOption,
    DocumentArgument,
    FileCurrencyOption,
    JsonOption,
    TimeoutOption,
    parse_date,
    parse_instant,
)
from creditgate.csv_rows.errors import FileError

if TYPE_CHECKING:
    from creditgate.open_items.load import OpenItemLoad

_PANEL: Final = "Receivables"


def post(
    account: AccountArgument,
    document: DocumentArgument,
    amount: AmountArgument,
    currency: CurrencyArgument = "",
    *,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Record an invoice that has no order.

    Never refused for credit. The same document again changes nothing.
    """
    money = connection.parse_total("AMOUNT", amount, currency)
    with connection.connect(address, timeout_s, as_json=as_json, currency_code=money.currency_code) as service:
        return service.show(
            service.client.post_receivable(
                account, document, amount_minor=money.amount_minor, currency_code=money.currency_code
            )
        )


def credit_note(
    account: AccountArgument,
    document: DocumentArgument,
    amount: AmountArgument,
    currency: CurrencyArgument = "",
    *,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Record a credit note.

    The customer owes AMOUNT less. The same document again changes nothing.
    """
    money = connection.parse_total("AMOUNT", amount, currency)
    with connection.connect(address, timeout_s, as_json=as_json, currency_code=money.currency_code) as service:
        return service.show(
            service.client.record_credit_note(
                account, document, amount_minor=money.amount_minor, currency_code=money.currency_code
            )
        )


def pay(
    account: AccountArgument,
    payment: Annotated[str, typer.Argument(metavar="PAYMENT", help="The payment's id.", show_default=False)],
    amount: AmountArgument,
    currency: CurrencyArgument = "",
    *,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Record that a customer has paid.

    The same payment again changes nothing.
    """
    money = connection.parse_total("AMOUNT", amount, currency)
    with connection.connect(address, timeout_s, as_json=as_json, currency_code=money.currency_code) as service:
        return service.show(
            service.client.record_payment(
                account, payment, amount_minor=money.amount_minor, currency_code=money.currency_code
            )
        )


def aging(  # noqa: PLR0913 - one parameter per option of the command
    account: AccountArgument,
    overdue: Annotated[
        str,
        typer.Argument(
            metavar="OVERDUE",
            help='All that is overdue, disputed or not, such as 250.00 USD, or "250.00 USD".',
            show_default=False,
        ),
    ],
    currency: Annotated[
        str,
        typer.Argument(
            metavar="CURRENCY", help="The account's currency, if OVERDUE is without it.", show_default=False
        ),
    ] = "",
    *,
    disputed: Annotated[
        str | None, typer.Option("--disputed", help='The part that the customer disputes, such as "50.00 USD".')
    ] = None,
    oldest_due: Annotated[
        str | None, typer.Option("--oldest-due", metavar="DATE", help="When the oldest of it was due: 2026-04-01.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            metavar="INSTANT",
            help="When this was so: 2026-05-31T18:00+02:00; local time without a zone, the day's beginning without a"
            " time. Figures of an earlier instant than those that are there change nothing.",
            show_default="now",
        ),
    ] = None,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Say what a customer has overdue.

    It replaces what was said before. A payment reduces it at once.
    """
    money = connection.parse_amount("OVERDUE", overdue, currency)
    disputed_minor = connection.parse_part_minor("--disputed", disputed, money) if disputed else 0
    instant = parse_instant("--as-of", as_of)
    oldest_due_date = parse_date("--oldest-due", oldest_due) if oldest_due else None
    with connection.connect(address, timeout_s, as_json=as_json, currency_code=money.currency_code) as service:
        service.check_currency(account, "OVERDUE", money)
        return service.show(
            service.client.update_aging(
                account,
                overdue_minor=money.amount_minor,
                disputed_minor=disputed_minor,
                oldest_due_date=oldest_due_date,
                as_of=instant,
            )
        )


def import_(  # noqa: PLR0913 - one parameter per option of the command
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A CSV file, a row for each open item.", show_default=False)
    ],
    *,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=HEADER",
            help="Which column a field is read from; repeat it for each. Fields: account, document, amount (below 0: a"
            " credit that is not used yet) and, turned off by an empty HEADER, currency.",
            show_default="account=account document=document amount=amount currency=",
            rich_help_panel=FILE_PANEL,
        ),
    ] = None,
    delimiter: DelimiterOption = None,
    currency: FileCurrencyOption = "USD",
    errors_file: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Write all rows that are not taken over here: line, column, reason.",
            rich_help_panel=FILE_PANEL,
        ),
    ] = None,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Take over a file of open items.

    What customers owed before the service came, as the ERP lists it. The
    accounts have to be there. Importing a file again changes nothing, and
    after an interrupt it carries on: for as long as the service remembers
    what was imported (CREDITGATE_IDEMPOTENCY_RETENTION).

    Rows that can't be read, or that the service does not take, are listed and
    left out. Exit code: 0 all rows are there, 1 some are not, 2 the import
    can't start or was cut off, 130 interrupted (with the summary so far).
    """
    from creditgate.open_items import csv_source, load  # noqa: PLC0415 - help comes without what they import
    from creditgate.progress import show_progress  # noqa: PLC0415 - as above

    try:
        layout = csv_source.parse_layout(column or (), currency, delimiter)
    except FileError as error:
        raise _file_failure(error) from None
    items = load.OpenItemLoad(file, layout, errors_file)
    try:
        with connection.connect(address, timeout_s, as_json=as_json) as service:
            next(service.client.list_accounts(page_size=1), None)  # a service that is not there is told at once
            with show_progress(file.name, "rows") as progress:
                service.run(lambda client: items.run(client, progress))
    except FileError as error:
        raise _file_failure(error) from None
    except CommandFailure:
        if items.summary.read:
            _end_import(items, as_json=as_json)
        raise
    except KeyboardInterrupt:
        _end_import(items, as_json=as_json)
        return ExitCode.INTERRUPTED
    return _end_import(items, as_json=as_json)


def _file_failure(error: FileError) -> CommandFailure:
    return CommandFailure(str(error), code=USAGE_CODE)


def _end_import(items: "OpenItemLoad", *, as_json: bool) -> ExitCode:
    """Print the summary, and on standard error the rows that are not there; return what it means."""
    from creditgate.cli import import_summary  # noqa: PLC0415 - help comes without what it imports

    import_summary.print_summary(items.summary, as_json=as_json)
    return ExitCode.REFUSED if items.summary.bad or items.summary.failed else ExitCode.DONE


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    add = partial(app.command, rich_help_panel=_PANEL)
    add(epilog="Example: creditgate post acme invoice-9 300.00 USD")(post)
    add(epilog="Example: creditgate credit-note acme note-1 50.00 USD")(credit_note)
    add(epilog="Example: creditgate pay acme payment-1 1250.00 USD")(pay)
    add(epilog="Example: creditgate aging acme 250.00 USD --oldest-due 2026-04-01")(aging)
    add("import", epilog="Example: creditgate import open-items.csv --column account=customer_no")(import_)
