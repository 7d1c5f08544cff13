"""The command `creditgate verify`: recomputes sums, and puts them right when it is asked to."""

from typing import Annotated, Final

import typer

from creditgate.cli.deferred import connection
from creditgate.cli.failures import ExitCode
from creditgate.cli.options import ADDRESS_DEFAULT, AddressOption, JsonOption, TimeoutOption

_TIMEOUT_DEFAULT_S: Final = 60.0

_ACCOUNTS_A_CALL: Final = 20
"""Few, so that a call ends in time also where accounts have a hundred thousand orders each."""


def verify(
    accounts: Annotated[
        list[str] | None,
        typer.Argument(metavar="ACCOUNT", help="The accounts; all accounts without any.", show_default=False),
    ] = None,
    *,
    repair: Annotated[bool, typer.Option("--repair", help="Put sums right that differ, and journal it.")] = False,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = _TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Check that every sum is what its orders and entries add up to.

    Recomputes what accounts have reserved, owe and have under review, and
    what falls due at which second, from their reservations, receivable
    entries and opening balances. Orders go on meanwhile.

    Exit code: 0 every sum is right, 1 a sum differed (also when it was put
    right), 2 error.
    """
    from creditgate.cli.differences import Differences  # noqa: PLC0415 - help comes without what they import
    from creditgate.progress import show_progress  # noqa: PLC0415 - as above

    found = Differences()
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        with show_progress("Verifying", "accounts") as progress:
            progress.begin(len(accounts) if accounts else None)
            for page in service.client.verify_accounts(accounts or (), repair=repair, page_size=_ACCOUNTS_A_CALL):
                found.add(page)
                progress.advance(page.verified)
        if as_json:
            found.print_json()
        else:
            found.print_tables(lambda account_id: service.client.get_account(account_id).account.currency_code)
    return ExitCode.REFUSED if found.sums else ExitCode.DONE
