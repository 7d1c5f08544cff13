"""The command line: `creditgate --help`."""

from creditgate.cli.application import main

__all__ = ["main"]
