"""The commands `creditgate policy ...`: show what decides, check a file, explain one order."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from creditgate.cli.command_group import CommandGroup
from creditgate.cli.deferred import connection
from creditgate.cli.failures import USAGE_CODE, CommandFailure, ExitCode
from creditgate.cli.options import (
    ADDRESS_DEFAULT,
    TIMEOUT_DEFAULT_S,
    AccountArgument,
    AddressOption,
    AmountArgument,
    CurrencyArgument,
    JsonOption,
    LanguageOption,
    SecuredOption,
    TermsOption,
    TimeoutOption,
)

app = typer.Typer(cls=CommandGroup, help="Show, check and explain the policy.")


@app.command(
    epilog="Exit code: 0 the policy file is used, or there is none, 1 an earlier version still decides, 2 error."
)
def show(
    *,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Show the policy that decides, with every default."""
    with connection.connect(address, timeout_s, as_json=as_json) as service:
        return service.show(service.client.get_policy())


@app.command(epilog="Example: creditgate policy check policy.yaml\n\nExit code: 0 it can be used, 1 it can't, 2 error.")
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A policy file.", show_default=False)],
    *,
    as_json: JsonOption = False,
) -> ExitCode:
    """Check a policy file, without a service.

    Every mistake is told with its line, its key and what is allowed.
    """
    from creditgate.policies import PolicyError, PolicyFile  # noqa: PLC0415 - help comes without what it imports

    if not file.is_file():
        raise CommandFailure(f"there is no file {file}", code=USAGE_CODE)
    mistakes: list[str] = []
    version = ""
    try:
        version = PolicyFile(file, shadow=False).policy.version
    except PolicyError as error:
        mistakes = error.sentences
    if as_json:
        document = {"usable": not mistakes, "policy_version": version, "mistakes": mistakes}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        for mistake in mistakes:
            sys.stdout.write(f"{mistake}\n")
        sys.stdout.write(f"{file} can't be used\n" if mistakes else f"{file} can be used: policy {version}\n")
    return ExitCode.REFUSED if mistakes else ExitCode.DONE


@app.command(
    epilog="Example: creditgate policy explain acme 1250.00 USD\n\n"
    "Exit code: 0 it may be sold on credit, 1 refused or to be reviewed, 2 error."
)
def explain(  # noqa: PLR0913 - one parameter per option of the command
    account: AccountArgument,
    amount: AmountArgument,
    currency: CurrencyArgument = "",
    *,
    secured: SecuredOption = None,
    terms_days: TermsOption = 0,
    language: LanguageOption = "",
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Explain what every rule says about an order; hold nothing.

    For each rule that is on: what it does when it fires, its threshold, what
    it saw, and whether it would fire. Rules that are off are named below.
    """
    from creditgate.cli.explanation import Explanation  # noqa: PLC0415 - help comes without what it imports

    money = connection.parse_amount("AMOUNT", amount, currency)
    with connection.connect(address, timeout_s, as_json=as_json, language=language) as service:
        checked = service.client.check_credit(
            account,
            amount_minor=money.amount_minor,
            currency_code=money.currency_code,
            secured_minor=connection.parse_part_minor("--secured", secured, money) if secured else 0,
            explain=True,
            payment_terms_days=terms_days,
        )
        risk_class = service.client.get_account(account).account.risk_class
        explanation = Explanation(checked.decision, service.client.get_policy(), risk_class)
        if as_json:
            explanation.print_json()
        else:
            explanation.print_table()
        return connection.exit_code(checked)
