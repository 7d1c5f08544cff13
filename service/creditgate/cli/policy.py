"""The commands `creditgate policy ...`: look at a policy file before it decides."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from creditgate.cli.command_group import CommandGroup
from creditgate.cli.failures import CommandFailure, ExitCode
from creditgate.cli.options import JsonOption

if TYPE_CHECKING:
    from creditgate.policies import PolicyFile

app = typer.Typer(cls=CommandGroup, help="Check a policy file, or show it with every default.")

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The policy file.", show_default=False)]


@app.command(epilog="Example: creditgate policy check policy.yaml")
def check(file: FileArgument, *, as_json: JsonOption = False) -> ExitCode:
    """Say whether a service would decide by a policy file.

    Every mistake is named with its line, its key and what is allowed.

    Exit code: 0 the file can be used, 2 it can't.
    """
    policy = _read(file).policy
    if as_json:
        sys.stdout.write(json.dumps({"usable": True, "policy_version": policy.version}) + "\n")
    else:
        sys.stdout.write(f"{file} can be used; its policy version is {policy.version}\n")
    return ExitCode.DONE


@app.command(epilog="Example: creditgate policy show > policy.yaml")
def show(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="The policy file; without one, what decides by default.", show_default=False
        ),
    ] = None,
) -> ExitCode:
    """Print a policy with every default written out, as YAML.

    What a risk class takes over from the default is written out too. The output is a policy file.
    """
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
        raise CommandFailure(f"{file} can't be used as a policy:\n{error}") from None
