"""The one place where every command ends: failures become a sentence and an exit code."""

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from creditgate.cli.failures import CommandFailure, ExitCode, print_failure, usage_failure


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
            failure = usage_failure(error.format_message())
        except CommandFailure as error:
            failure = error
        else:
            sys.exit(exit_code or ExitCode.DONE)
        print_failure(failure, as_json="--json" in words)
        sys.exit(failure.exit_code)
