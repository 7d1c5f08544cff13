"""The commands about the service itself: serve, config, version."""

import json
import sys
from typing import Annotated

import typer

import creditgate
from creditgate.cli.deferred import bootstrap, settings, tables
from creditgate.cli.failures import CommandFailure, ExitCode
from creditgate.cli.options import JsonOption


def print_version_and_exit(requested: bool) -> None:  # noqa: FBT001 - how typer calls back
    """Print the version and end the program, when `--version` was given."""
    if requested:
        sys.stdout.write(f"creditgate {creditgate.__version__}\n")
        raise typer.Exit(ExitCode.DONE)


def serve(
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            help="Answer calls with so many processes, on one port; SIGHUP then replaces one after another.",
            show_default="CREDITGATE_WORKERS, else 1",
        ),
    ] = None,
) -> ExitCode:
    """Run the service until it is stopped with Ctrl-C or SIGTERM.

    It is set up by environment variables: `creditgate config` lists them. Without CREDITGATE_REDIS_URL it starts a
    private Redis and keeps its data between runs.
    """
    try:
        bootstrap.run(settings.read_settings() if workers is None else settings.read_settings(workers=workers))
    except (settings.SettingsError, bootstrap.ServiceStartError) as error:
        raise CommandFailure(_one_line(error), "`creditgate config` lists the settings") from None
    return ExitCode.DONE


def config(*, as_json: JsonOption = False) -> ExitCode:
    """List the settings of the service: value, default and meaning.

    Each is an environment variable, read when the service starts. A value
    that it would not start with is listed too, and then told.
    """
    try:
        described, wrong = settings.describe_settings(settings.read_settings()), ""
    except settings.SettingsError as error:
        described, wrong = settings.describe_environment(), _one_line(error)
    if as_json:
        sys.stdout.write(json.dumps([setting._asdict() for setting in described], indent=2) + "\n")
    else:
        tables.print_settings(described)
    if wrong:
        sys.stdout.flush()
        raise CommandFailure(wrong)
    return ExitCode.DONE


def version(*, as_json: JsonOption = False) -> ExitCode:
    """Print the version."""
    text = json.dumps({"version": creditgate.__version__}) if as_json else f"creditgate {creditgate.__version__}"
    sys.stdout.write(f"{text}\n")
    return ExitCode.DONE


def _one_line(error: Exception) -> str:
    return "; ".join(str(error).splitlines())
