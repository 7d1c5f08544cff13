"""The commands of credit analysts: `creditgate limit ...`, block, unblock."""

from functools import partial
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
    ActorOption,
    AddressOption,
    AmountArgument,
    CurrencyArgument,
    JsonOption,
    ReasonOption,
    TimeoutOption,
    UntilOption,
    parse_instant,
    parse_optional_instant,
)

_SET_EXAMPLES: Final = """Examples:

creditgate limit set acme 75000.00 USD --until 2026-12-31T18:00 --reason "season"

creditgate limit set acme --unlimited --reason "the parent company pays"
"""

_SAID_AS: Final = {"expire_time": "--until"}
_SAID_AS_BETWEEN: Final = {"start_time": "--from", "end_time": "--until"}

app = typer.Typer(
    cls=CommandGroup,
    help="Set and clear limits that a person decides.\n\nThe scorer's limits come in batches: `creditgate limits`.",
)


@app.command("set", epilog=_SET_EXAMPLES)
def set_(  # noqa: PLR0913 - one parameter per option of the command
    account: AccountArgument,
    amount: Annotated[
        str, typer.Argument(metavar="[AMOUNT]", help='The limit, such as 1250.00 USD, or "1250.00 USD".')
    ] = "",
    currency: CurrencyArgument = "",
    *,
    unlimited: Annotated[bool, typer.Option("--unlimited", help="No ceiling.")] = False,
    reason: ReasonOption,
    actor: ActorOption,
    until: UntilOption = None,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Set a manual limit.

    It counts instead of the base limit until it ends or is cleared.
    """
    if unlimited == bool(amount):
        raise usage_failure("either AMOUNT or --unlimited must be given")
    money = connection.parse_amount("AMOUNT", amount, currency) if amount else None
    expire_time = parse_optional_instant("--until", until)
    with connection.connect(address, timeout_s, as_json=as_json, said_as=_SAID_AS) as service:
        return service.show(
            service.client.set_manual_limit(
                account,
                limit_minor=money.amount_minor if money else None,
                unlimited=unlimited,
                currency_code=money.currency_code if money else service.currency_of(account),
                reason=reason,
                actor=actor,
                expire_time=expire_time,
            )
        )


@app.command(epilog='Example: creditgate limit temporary acme 90000.00 USD --until 2026-12-31 --reason "fair"')
def temporary(  # noqa: PLR0913 - one parameter per option of the command
    account: AccountArgument,
    amount: AmountArgument,
    currency: CurrencyArgument = "",
    *,
    until: Annotated[
        str,
        typer.Option(
            "--until",
            metavar="INSTANT",
            help=f"When it no longer counts, such as 2026-12-31T18:00{INSTANT_HELP}.",
            show_default=False,
        ),
    ],
    since: Annotated[
        str | None, typer.Option("--from", metavar="INSTANT", help="From when on it counts.", show_default="now")
    ] = None,
    reason: ReasonOption,
    actor: ActorOption,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Set a limit for some time.

    Between two instants it counts instead of every other limit. It takes the place of an earlier temporary limit.
    """
    money = connection.parse_amount("AMOUNT", amount, currency)
    start_time, end_time = parse_optional_instant("--from", since), parse_instant("--until", until)
    with connection.connect(address, timeout_s, as_json=as_json, said_as=_SAID_AS_BETWEEN) as service:
        return service.show(
            service.client.set_temporary_limit(
                account,
                limit_minor=money.amount_minor,
                currency_code=money.currency_code,
                start_time=start_time,
                end_time=end_time,
                reason=reason,
                actor=actor,
            )
        )


@app.command(epilog='Example: creditgate limit clear acme --reason "season is over"')
def clear(
    account: AccountArgument,
    *,
    only_temporary: Annotated[
        bool, typer.Option("--temporary", help="Take the temporary limit away, not the manual one.")
    ] = False,
    reason: ReasonOption,
    actor: ActorOption,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Take the manual or the temporary limit away."""
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        before = service.client.get_account(account).account
        if only_temporary:
            cleared = service.client.clear_temporary_limit(account, reason=reason, actor=actor)
            there = before.HasField("temporary_limit")
            return service.show_account(cleared, "temporary limit cleared" if there else "there was no temporary limit")
        answer = service.client.clear_manual_limit(account, reason=reason, actor=actor)
        there = before.HasField("manual_limit")
        note = "a temporary limit is set, too: clear it with --temporary"
        return service.show_account(
            answer,
            "manual limit cleared" if there else "there was no manual limit",
            note if answer.account.HasField("temporary_limit") else "",
        )


def block(
    account: AccountArgument,
    *,
    reason: ReasonOption,
    actor: ActorOption,
    until: UntilOption = None,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Stop an account.

    What is held or owed can still be committed, released and paid.
    """
    expire_time = parse_optional_instant("--until", until)
    with connection.connect(address, timeout_s, as_json=as_json, said_as=_SAID_AS) as service:
        return service.show(service.client.block_account(account, reason=reason, actor=actor, expire_time=expire_time))


def unblock(
    account: AccountArgument,
    *,
    reason: ReasonOption,
    actor: ActorOption,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """End an account's block."""
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        blocked = service.client.get_account(account).account.HasField("block")
        answer = service.client.unblock_account(account, reason=reason, actor=actor)
        return service.show_account(answer, "account unblocked" if blocked else "the account was not blocked")


def register(program: typer.Typer, panel: str) -> None:
    """Add the commands to the program."""
    program.add_typer(app, name="limit", rich_help_panel=panel)
    add = partial(program.command, rich_help_panel=panel)
    add(epilog='Example: creditgate block acme --reason "cheque bounced" --until 2026-12-31')(block)
    add(epilog='Example: creditgate unblock acme --reason "has paid"')(unblock)
