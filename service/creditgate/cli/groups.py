"""The commands `creditgate group ...`: create, change, show, list."""

from typing import Annotated

import typer

from creditgate.cli.command_group import CommandGroup
from creditgate.cli.deferred import connection
from creditgate.cli.failures import ExitCode, usage_failure
from creditgate.cli.options import (
    ADDRESS_DEFAULT,
    TIMEOUT_DEFAULT_S,
    AddressOption,
    GroupArgument,
    JsonOption,
    MaxOption,
    TimeoutOption,
)

app = typer.Typer(cls=CommandGroup, help="Create, change, show and list credit groups.")


@app.command(
    epilog='Example: creditgate group put acme-family --limit "200000.00 USD"\n\n'
    "Accounts join with `creditgate account put ACCOUNT --group GROUP`."
)
def put(  # noqa: PLR0913 - one parameter per option of the command
    group: GroupArgument,
    *,
    limit: Annotated[
        str | None, typer.Option("--limit", help='The limit on all its accounts together, such as "200000.00 USD".')
    ] = None,
    unlimited: Annotated[bool, typer.Option("--unlimited", help="No ceiling; needs --currency.")] = False,
    currency: Annotated[str, typer.Option("--currency", help="The group's currency, unless --limit names it.")] = "",
    name: Annotated[str | None, typer.Option("--name", help="Its name, for people.", show_default="as it is")] = None,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Create a credit group, or change its limit."""
    if unlimited == (limit is not None):
        raise usage_failure("either --limit or --unlimited must be given")
    money = connection.parse_amount("--limit", limit) if limit is not None else None
    currency_code = currency.upper() or (money.currency_code if money else "")
    if money and money.currency_code != currency_code:
        raise usage_failure(f"--limit is in {money.currency_code} and --currency says {currency_code}")
    if not currency_code:
        raise usage_failure("--unlimited needs --currency")
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        return service.show(
            service.client.put_group(
                group,
                currency_code=currency_code,
                limit_minor=money.amount_minor if money else None,
                unlimited=unlimited,
                display_name=service.group_name(group) if name is None else name,
            )
        )


@app.command(epilog="Example: creditgate group show acme-family")
def show(
    group: GroupArgument,
    *,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Show a credit group, its exposure and what it is made of."""
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        return service.show(service.client.get_group(group))


@app.command("list", epilog="With --json each group is a line of its own.")
def list_(
    *,
    rows_max: MaxOption = None,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """List credit groups, in no particular order."""
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        return service.show_each(service.client.list_groups(), rows_max, connection.group_table)
