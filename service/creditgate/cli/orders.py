"""The commands of order entry: check, reserve, amend, commit, release."""

from functools import partial
from typing import Annotated, Final

import typer

from creditgate.cli.deferred import connection
from creditgate.cli.failures import ExitCode
from creditgate.cli.options import (
    ADDRESS_DEFAULT,
    TIMEOUT_DEFAULT_S,
    AccountArgument,
    AddressOption,
    AmountArgument,
    CurrencyArgument,
    EtagOption,
    JsonOption,
    LanguageOption,
    OrderArgument,
    SecuredOption,
    TermsOption,
    TimeoutOption,
    parse_duration_s,
)

_ORDERS_PANEL: Final = "Orders"
_SAID_OF_COMMIT: Final = {"document_id": "--document"}
_EXIT_CODES: Final = "Exit code: 0 it may be sold on credit, 1 refused or to be reviewed, 2 error."


def check(  # noqa: PLR0913 - one parameter per option of the command
    account: AccountArgument,
    amount: AmountArgument,
    currency: CurrencyArgument = "",
    *,
    secured: SecuredOption = None,
    terms_days: TermsOption = 0,
    explain: Annotated[bool, typer.Option("--explain", help="Also show the rules that did not fire.")] = False,
    language: LanguageOption = "",
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Say what would be decided about an order; hold nothing."""
    money = connection.parse_total("AMOUNT", amount, currency)
    with connection.connect(
        address, timeout_s, as_json=as_json, language=language, currency_code=money.currency_code
    ) as service:
        return service.show(
            service.client.check_credit(
                account,
                amount_minor=money.amount_minor,
                currency_code=money.currency_code,
                secured_minor=connection.parse_part_minor("--secured", secured, money) if secured else 0,
                explain=explain,
                payment_terms_days=terms_days,
            )
        )


def reserve(  # noqa: PLR0913 - one parameter per option of the command
    account: AccountArgument,
    order: OrderArgument,
    amount: AmountArgument,
    currency: CurrencyArgument = "",
    *,
    secured: SecuredOption = None,
    hold: Annotated[
        str | None,
        typer.Option("--hold", help="How long to hold: 90s, 45m, 12h or 30d.", show_default="as the policy says"),
    ] = None,
    terms_days: TermsOption = 0,
    source: Annotated[str, typer.Option("--source", help="Which system asks, for the journal.")] = "",
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Decide about an order and hold its exposure.

    The same order with the same details again gives the first decision and
    holds nothing twice. An order that was refused, or whose hold has expired,
    is judged anew.
    """
    money = connection.parse_total("AMOUNT", amount, currency)
    hold_s = parse_duration_s("--hold", hold) if hold else None
    with connection.connect(address, timeout_s, as_json=as_json, currency_code=money.currency_code) as service:
        return service.show(
            service.client.reserve_credit(
                account,
                order,
                amount_minor=money.amount_minor,
                currency_code=money.currency_code,
                secured_minor=connection.parse_part_minor("--secured", secured, money) if secured else 0,
                hold_s=hold_s,
                payment_terms_days=terms_days,
                source=source,
            )
        )


def amend(  # noqa: PLR0913 - one parameter per option of the command
    account: AccountArgument,
    order: OrderArgument,
    amount: AmountArgument,
    currency: CurrencyArgument = "",
    *,
    hold: Annotated[
        str | None,
        typer.Option(
            "--hold", help="How long to hold from now: 90s, 45m, 12h or 30d.", show_default="until it would have ended"
        ),
    ] = None,
    request_id: Annotated[
        str, typer.Option("--request-id", help="An id of this change: the same again changes nothing.")
    ] = "",
    etag: EtagOption = "",
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Change the total of an order that is held.

    AMOUNT is the new total. More is judged like an order of that amount, and
    if it is refused, the order stays as it is; less is never refused.
    """
    money = connection.parse_total("AMOUNT", amount, currency)
    hold_s = parse_duration_s("--hold", hold) if hold else None
    with connection.connect(address, timeout_s, as_json=as_json, currency_code=money.currency_code) as service:
        return service.show(
            service.client.amend_reservation(
                account,
                order,
                amount_minor=money.amount_minor,
                currency_code=money.currency_code,
                hold_s=hold_s,
                request_id=request_id,
                etag=etag,
            )
        )


def commit(  # noqa: PLR0913 - one parameter per option of the command
    account: AccountArgument,
    order: OrderArgument,
    amount: AmountArgument,
    currency: CurrencyArgument = "",
    *,
    document: Annotated[str, typer.Option("--document", help="The invoice's id.", show_default=False)],
    final: Annotated[bool, typer.Option("--final", help="Nothing more will be invoiced: give back the rest.")] = False,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Turn (part of) a reservation into receivable.

    For goods that ship or an invoice that posts. Never refused for credit; the same document again changes nothing.
    """
    money = connection.parse_total("AMOUNT", amount, currency)
    with connection.connect(
        address, timeout_s, as_json=as_json, said_as=_SAID_OF_COMMIT, currency_code=money.currency_code
    ) as service:
        return service.show(
            service.client.commit_reservation(
                account,
                order,
                amount_minor=money.amount_minor,
                currency_code=money.currency_code,
                document_id=document,
                final=final,
            )
        )


def release(  # noqa: PLR0913 - one parameter per option of the command
    account: AccountArgument,
    order: OrderArgument,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the journal.")] = "",
    request_id: Annotated[str, typer.Option("--request-id", help="An id of this release, for the journal.")] = "",
    etag: EtagOption = "",
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Give back what is still held for an order."""
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        return service.show(
            service.client.release_reservation(account, order, request_id=request_id, reason=reason, etag=etag)
        )


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for_orders = partial(app.command, rich_help_panel=_ORDERS_PANEL)
    for_orders(epilog=f"Example: creditgate check acme 1250.00 USD\n\n{_EXIT_CODES}")(check)
    for_orders(epilog=f"Example: creditgate reserve acme order-7 1250.00 USD --hold 14d\n\n{_EXIT_CODES}")(reserve)
    for_orders(epilog=f"Example: creditgate amend acme order-7 1400.00 USD\n\n{_EXIT_CODES}")(amend)
    for_orders(epilog="Example: creditgate commit acme order-7 1250.00 USD --document inv-1 --final")(commit)
    for_orders(epilog="Example: creditgate release acme order-7 --reason cancelled")(release)
