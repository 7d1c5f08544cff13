"""The commands `creditgate policy ...`: check and show a policy, explain what it says about one order."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from creditgate.cli.command_group import CommandGroup
from creditgate.cli.deferred import connection
from creditgate.cli.failures import USAGE_CODE, CommandFailure, ExitCode, Violation, usage_failure
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

if TYPE_CHECKING:
    from creditgate.policies import PolicyFile

_SHOW_EXAMPLES: Final = """Examples:

creditgate policy show > policy.yaml

creditgate policy show --running
"""

app = typer.Typer(cls=CommandGroup, help="Check, show and explain the policy.")

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The policy file.", show_default=False)]


@app.command(epilog="Example: creditgate policy check policy.yaml")
def check(file: FileArgument, *, as_json: JsonOption = False) -> ExitCode:
    """Say whether a service would decide by a policy file.

    Every mistake is named with its line, its key and what is allowed; with
    --json, as the violations of the error.

    Exit code: 0 the file can be used, 2 it can't.
    """
    policy = _read(file).policy
    if as_json:
        sys.stdout.write(json.dumps({"usable": True, "policy_version": policy.version}) + "\n")
    else:
        sys.stdout.write(f"{file} can be used; its policy version is {policy.version}\n")
    return ExitCode.DONE


@app.command(epilog=_SHOW_EXAMPLES)
def show(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="The policy file; without one, what decides by default.", show_default=False
        ),
    ] = None,
    *,
    running: Annotated[bool, typer.Option("--running", help="Show what a running service decides by.")] = False,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
) -> ExitCode:
    """Print a policy with every default written out, as YAML.

    What a risk class takes over from the default is written out too. The output is a policy file.

    Exit code: 0, or with --running 1 when the service does not use its policy file as it is now.
    """
    if running:
        if file is not None:
            raise usage_failure("FILE and --running exclude each other")
        with connection.connect(address, timeout_s, as_json=False) as service:
            return service.show(service.client.get_policy())
    if file is None:
        from creditgate.policies import FixedPolicy  # noqa: PLC0415 - help comes without what it imports

        document = FixedPolicy().document
    else:
        document = _read(file).document
    sys.stdout.write(document)
    return ExitCode.DONE


def _read(file: Path) -> "PolicyFile":
    from creditgate.policies import PolicyError, PolicyFile  # noqa: PLC0415 - help comes without what they import

    try:
        return PolicyFile(file, shadow=False)
    except PolicyError as error:
        violations = tuple(Violation(mistake.key, mistake.what, mistake.line) for mistake in error.mistakes)
        message = f"{file} can't be used as a policy:\n{error}"
        raise CommandFailure(message, code=USAGE_CODE, violations=violations) from None


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
