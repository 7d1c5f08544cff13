"""The arguments and options that several commands have, each spelled once."""

import getpass
import re
from datetime import UTC, date, datetime
from typing import Annotated, Final

import typer

from creditgate.cli.failures import usage_failure
from creditgate.domain.bounds import HOLD_MAX_S, SECONDS_PER_DAY

ADDRESS_DEFAULT: Final = "127.0.0.1:50051"
TIMEOUT_DEFAULT_S: Final = 5.0

LANGUAGES: Final = ("en", "zh")
"""What the service has its sentences in; a region may follow, as in zh-CN."""

FILE_PANEL: Final = "The file"
_CONNECTION_PANEL: Final = "Connection and output"
_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": SECONDS_PER_DAY}
_DURATION_PATTERN: Final = re.compile(r"(\d{1,9})([smhd])")


INSTANT_HELP: Final = ", in local time without a zone; without a time, the first moment of that day"
"""How an instant is read."""


def reachable_address(address: str) -> str:
    """Return the address at which to reach a service that listens at one: a wildcard becomes the loopback."""
    host, colon, port = address.rpartition(":")
    loopback = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 - where a service may listen
    return f"{loopback}{colon}{port}"


def login_name() -> str:
    """Return the name of whoever runs the command; empty when the system does not tell."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def known_language(language: str) -> str:
    """Return the language to be read; raise `CommandFailure` when there are no sentences in it."""
    if language and language.partition("-")[0].lower() not in LANGUAGES:
        raise usage_failure(f"--language: {language!r} is none of {', '.join(LANGUAGES)}")
    return language


def someone(actor: str) -> str:
    """Return who decides; raise `CommandFailure` when neither the option nor the system says."""
    if not actor.strip():
        raise usage_failure("--actor must say who decides")
    return actor


AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's id.", show_default=False)]
OrderArgument = Annotated[str, typer.Argument(metavar="ORDER", help="The order's id.", show_default=False)]
DocumentArgument = Annotated[str, typer.Argument(metavar="DOCUMENT", help="The document's id.", show_default=False)]
AmountArgument = Annotated[
    str, typer.Argument(metavar="AMOUNT", help='An amount such as 1250.00 USD, or "1250.00 USD".', show_default=False)
]
CurrencyArgument = Annotated[
    str, typer.Argument(metavar="CURRENCY", help="The currency, if AMOUNT is without it.", show_default=False)
]
SecuredOption = Annotated[
    str | None,
    typer.Option("--secured", help='The part covered by security, such as "200.00 USD".'),
]
EtagOption = Annotated[
    str,
    typer.Option("--etag", help="Only if the reservation has not changed since `reservation show` told this etag."),
]
GroupArgument = Annotated[str, typer.Argument(metavar="GROUP", help="The credit group's id.", show_default=False)]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the journal.", show_default=False)]
ActorOption = Annotated[
    str,
    typer.Option(
        "--actor",
        default_factory=login_name,
        callback=someone,
        help="Who decides, for the journal.",
        show_default="whoever runs this",
    ),
]
UntilOption = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="INSTANT",
        help=f"When it ends by itself, such as 2026-12-31T18:00{INSTANT_HELP}.",
        show_default="it does not",
    ),
]
DelimiterOption = Annotated[
    str | None,
    typer.Option(
        "--delimiter",
        metavar="CHARACTER",
        help="What separates the fields of a CSV file: a character, or comma, semicolon, tab, pipe.",
        show_default="found from the first line",
        rich_help_panel=FILE_PANEL,
    ),
]
FileCurrencyOption = Annotated[
    str,
    typer.Option("--currency", metavar="CODE", help="The currency of rows that name none.", rich_help_panel=FILE_PANEL),
]
TermsOption = Annotated[int, typer.Option("--terms-days", help="Payment terms of the order, in days.")]
LanguageOption = Annotated[
    str,
    typer.Option(
        "--language",
        metavar="zh",
        callback=known_language,
        help=f"What the sentences of the rules are to be in: {' or '.join(LANGUAGES)}.",
    ),
]
AddressOption = Annotated[
    str,
    typer.Option(
        "--address",
        envvar="CREDITGATE_LISTEN",
        callback=reachable_address,
        help="Where the service is.",
        rich_help_panel=_CONNECTION_PANEL,
    ),
]
TimeoutOption = Annotated[
    float,
    typer.Option(
        "--timeout",
        min=0.1,
        max=600,
        help="How many seconds to wait for an answer.",
        rich_help_panel=_CONNECTION_PANEL,
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print JSON for programs, also for errors.", rich_help_panel=_CONNECTION_PANEL),
]
MaxOption = Annotated[
    int | None,
    typer.Option("--max", min=1, help="At most so many.", show_default="1000, or all of them with --json"),
]


def only_one(options: dict[str, bool]) -> None:
    """Make sure that no two of some options are given, or raise `CommandFailure`."""
    given = [option for option, present in options.items() if present]
    if len(given) > 1:
        raise usage_failure(f"{' and '.join(given)} exclude each other")


def parse_duration_s(option: str, text: str) -> int:
    """Return the seconds of a duration that a person wrote as `90s`, `45m`, `12h` or `30d`.

    Raises:
        CommandFailure: it is written otherwise, or is not from 1 second to the longest hold.

    """
    written = _DURATION_PATTERN.fullmatch(text.strip())
    if not written:
        raise usage_failure(f"{option}: {text!r} is not a duration such as 90s, 45m, 12h or 30d")
    duration_s = int(written[1]) * _UNIT_SECONDS[written[2]]
    if not 1 <= duration_s <= HOLD_MAX_S:
        raise usage_failure(f"{option}: {text!r} is not from 1s to {HOLD_MAX_S // SECONDS_PER_DAY}d")
    return duration_s


def parse_instant(option: str, text: str | None) -> datetime:
    """Return the instant that a person wrote in ISO 8601, in local time where it has no zone; None is now.

    Raises:
        CommandFailure: it is written otherwise.

    """
    if text is None:
        return datetime.now(UTC)
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError):  # OverflowError: a year that no time zone is known of
        raise usage_failure(f"{option}: {text!r} is not an instant such as 2026-05-31T18:00+02:00") from None


def parse_optional_instant(option: str, text: str | None) -> datetime | None:
    """Return the instant that a person wrote, None for none; or raise `CommandFailure`."""
    return None if text is None else parse_instant(option, text)


def parse_date(option: str, text: str) -> date:
    """Return the date that a person wrote as 2026-04-01, or raise `CommandFailure`."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise usage_failure(f"{option}: {text!r} is not a date such as 2026-04-01") from None
