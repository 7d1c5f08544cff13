"""The one place where every command ends: failures become a sentence and an exit code."""

import os
import re
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import typer
from typer.core import TyperGroup

from creditgate.cli.failures import CommandFailure, ExitCode, print_failure, usage_failure

_AMOUNT_AS_OPTION: Final = re.compile(r"No such option:? '?(-[0-9.])")


class CommandGroup(TyperGroup):
    """A group of commands that shows its help when it is asked nothing. The outermost one ends the program."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - typer does not export the type
        """Return the arguments for the command; without any, ask for help."""
        return super().parse_args(ctx, args or ["--help"])

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as the method it overrides; typer does not export the type
        """Run a command and return its exit code; what it printed has left when this returns."""
        try:
            exit_code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # The interpreter flushes once more at its end, which must not fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(ExitCode.BROKEN_PIPE) from None
        return exit_code

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 - as the method it overrides
        windows_expand_args: bool = True,  # noqa: FBT001, FBT002 - as the method it overrides
        **extra: Any,  # noqa: ANN401 - as the method it overrides
    ) -> NoReturn:
        """Run the command that the arguments ask for, and end the program with its exit code."""
        del standalone_mode, windows_expand_args
        words = list(sys.argv[1:] if args is None else args)
        try:
            exit_code = super().main(words, prog_name, complete_var, standalone_mode=False, **extra)
        except typer.TyperException as error:
            failure = usage_failure(_without_amount_as_option(error.format_message(), words))
        except CommandFailure as error:
            failure = error
        else:
            sys.exit(exit_code or ExitCode.DONE)
        print_failure(failure, as_json="--json" in words)
        sys.exit(failure.exit_code)


def _without_amount_as_option(message: str, words: Sequence[str]) -> str:
    """Return what is wrong with the words; an amount below 0 is read as an option, which says nothing to a person."""
    option = _AMOUNT_AS_OPTION.match(message)
    if not option:
        return message
    amount = next((word for word in words if word.startswith(option[1])), option[1])
    return f"an amount can't be below 0, was {amount}"
