"""The program `creditgate`: its commands, in the order of its help."""

from typing import Annotated, Final

import typer

from creditgate.cli import (
    accounts,
    demo,
    groups,
    library,
    limit_batches,
    limits,
    orders,
    policy,
    rates,
    receivables,
    replay,
    reservations,
    service,
    verification,
)
from creditgate.cli.command_group import CommandGroup

_SERVICE_PANEL: Final = "Service"
_DESK_PANEL: Final = "Credit management"
_ACCOUNTS_PANEL: Final = "Accounts and reservations"

_EPILOG: Final = """Start with `creditgate demo`, or in two terminals:

  creditgate serve

  creditgate account put acme --limit "50000.00 USD"

  creditgate reserve acme order-7 1250.00 USD

Exit codes: 0 done, 1 refused by the gate, 2 error.
"""

app = typer.Typer(
    cls=CommandGroup,
    help="Real-time credit check: may I sell this order to this customer on credit?",
    epilog=_EPILOG,
    pretty_exceptions_enable=False,
)


@app.callback()
def _options(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=service.print_version_and_exit, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


app.command(rich_help_panel=_SERVICE_PANEL)(demo.demo)
app.command(rich_help_panel=_SERVICE_PANEL)(service.serve)
app.command(rich_help_panel=_SERVICE_PANEL)(service.config)
app.command(rich_help_panel=_SERVICE_PANEL)(replay.replay)
app.add_typer(library.app, name="library", rich_help_panel=_SERVICE_PANEL)
app.add_typer(policy.app, name="policy", rich_help_panel=_SERVICE_PANEL)
app.command(rich_help_panel=_SERVICE_PANEL)(service.version)
orders.register(app)
receivables.register(app)
app.add_typer(accounts.app, name="account", rich_help_panel=_ACCOUNTS_PANEL)
app.add_typer(reservations.app, name="reservation", rich_help_panel=_ACCOUNTS_PANEL)
limits.register(app, _DESK_PANEL)
app.add_typer(limit_batches.app, name="limits", rich_help_panel=_DESK_PANEL)
app.add_typer(groups.app, name="group", rich_help_panel=_DESK_PANEL)
app.add_typer(rates.app, name="rates", rich_help_panel=_DESK_PANEL)
app.command(rich_help_panel=_ACCOUNTS_PANEL, epilog="Example: creditgate verify acme --repair")(verification.verify)


def main() -> None:
    """Run the program with the arguments of the command line; it ends with its exit code."""
    app(prog_name="creditgate")
