"""The commands `creditgate reservation ...`: show, list."""

from typing import Annotated

import typer

from creditgate.cli.command_group import CommandGroup
from creditgate.cli.deferred import connection
from creditgate.cli.failures import ExitCode
from creditgate.cli.options import (
    ADDRESS_DEFAULT,
    TIMEOUT_DEFAULT_S,
    AccountArgument,
    AddressOption,
    JsonOption,
    MaxOption,
    OrderArgument,
    TimeoutOption,
)

app = typer.Typer(cls=CommandGroup, help="Show and list reservations.")


@app.command(epilog="Example: creditgate reservation show acme order-7")
def show(
    account: AccountArgument,
    order: OrderArgument,
    *,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Show a reservation and the decision that made it."""
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        return service.show(service.client.get_reservation(account, order))


@app.command(
    "list", epilog="Example: creditgate reservation list acme --state HELD\n\nWith --json each is a line of its own."
)
def list_(
    account: AccountArgument,
    *,
    states: Annotated[
        list[str] | None, typer.Option("--state", help="Only those in this state; may be given more than once.")
    ] = None,
    rows_max: MaxOption = None,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """List an account's reservations, in no particular order."""
    numbers = connection.parse_states("--state", states or ())
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        return service.show_each(
            service.client.list_reservations(account, states=numbers), rows_max, connection.reservation_table
        )
