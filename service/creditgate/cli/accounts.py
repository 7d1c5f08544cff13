"""The commands `creditgate account ...`: create, change, show, list, close."""

from typing import Annotated, Final

import typer

from creditgate.cli.command_group import CommandGroup
from creditgate.cli.deferred import connection
from creditgate.cli.failures import ExitCode, usage_failure
from creditgate.cli.options import (
    ADDRESS_DEFAULT,
    INSTANT_HELP,
    TIMEOUT_DEFAULT_S,
    AccountArgument,
    AddressOption,
    JsonOption,
    MaxOption,
    TimeoutOption,
    login_name,
    only_one,
    parse_optional_instant,
)

_PUT_EXAMPLES: Final = """Examples:

creditgate account put acme --limit "50000.00 USD" --name "Acme Inc."

creditgate account put acme --group acme-family

creditgate account put acme --block "cheque bounced"
"""

app = typer.Typer(cls=CommandGroup, help="Create, change, show, list and close accounts.")


@app.command(epilog=_PUT_EXAMPLES)
def put(  # noqa: PLR0913 - one parameter per option of the command
    account: AccountArgument,
    *,
    limit: Annotated[str | None, typer.Option("--limit", help='The limit, such as "50000.00 USD".')] = None,
    unlimited: Annotated[bool, typer.Option("--unlimited", help="No ceiling.")] = False,
    no_limit: Annotated[bool, typer.Option("--no-limit", help="No limit is set: orders are refused.")] = False,
    currency: Annotated[
        str, typer.Option("--currency", help="The account's currency; needed once, unless --limit names it.")
    ] = "",
    name: Annotated[str | None, typer.Option("--name", help="The customer's name.")] = None,
    risk_class: Annotated[str | None, typer.Option("--risk-class", help="The policy's class that judges it.")] = None,
    group: Annotated[
        str | None, typer.Option("--group", help="The credit group that it joins, with all that it has.")
    ] = None,
    no_group: Annotated[bool, typer.Option("--no-group", help="Leave its credit group.")] = False,
    limit_until: Annotated[
        str | None,
        typer.Option(
            "--limit-until", metavar="INSTANT", help=f"When the limit ends, such as 2026-12-31T18:00{INSTANT_HELP}."
        ),
    ] = None,
    block: Annotated[str | None, typer.Option("--block", help="Stop the account, for this reason.")] = None,
    actor: Annotated[
        str,
        typer.Option(
            "--actor",
            default_factory=login_name,
            help="Who blocks it.",
            show_default="whoever runs this",
        ),
    ],
    unblock: Annotated[bool, typer.Option("--unblock", help="End the block.")] = False,
    reopen: Annotated[bool, typer.Option("--open", help="Open a closed account again.")] = False,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Create an account, or change what the options name.

    What is not named stays as it is.
    """
    only_one({"--limit": limit is not None, "--unlimited": unlimited, "--no-limit": no_limit})
    only_one({"--block": block is not None, "--unblock": unblock})
    only_one({"--group": group is not None, "--no-group": no_group})
    money = connection.parse_amount("--limit", limit) if limit is not None else None
    if money and currency and money.currency_code != currency.upper():
        raise usage_failure(f"--limit is in {money.currency_code} and --currency says {currency.upper()}")
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        return service.show(
            service.client.put_account(
                account,
                currency_code=money.currency_code if money else currency.upper(),
                display_name=name,
                risk_class=risk_class,
                status=connection.ACCOUNT_STATUS_OPEN if reopen else None,
                base_limit_minor=money.amount_minor if money else None,
                unlimited=unlimited if money or unlimited or no_limit else None,
                limit_expire_time=parse_optional_instant("--limit-until", limit_until),
                group_id=group,
                block=connection.Block(reason=block, actor=actor) if block is not None else None,
                clear=connection.cleared_fields(limit=no_limit, block=unblock, group=no_group),
            )
        )


@app.command(epilog="Example: creditgate account show acme")
def show(
    account: AccountArgument,
    *,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Show an account and its exposure."""
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        return service.show(service.client.get_account(account))


@app.command("list", epilog="With --json each account is a line of its own.")
def list_(
    *,
    rows_max: MaxOption = None,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """List accounts, in no particular order."""
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        return service.show_each(service.client.list_accounts(), rows_max, connection.account_table)


@app.command(epilog="Example: creditgate account close acme")
def close(
    account: AccountArgument,
    *,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Close an account to new orders.

    What is held or owed can still be committed, released and paid. `account put --open` opens it again.
    """
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        return service.show(service.client.close_account(account))
