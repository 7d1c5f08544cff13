"""The command `creditgate rates put`: exchange rates, from the command line or from a file."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from creditgate.cli.command_group import CommandGroup
from creditgate.cli.deferred import connection
from creditgate.cli.failures import USAGE_CODE, CommandFailure, ExitCode, usage_failure
from creditgate.cli.options import (
    ADDRESS_DEFAULT,
    TIMEOUT_DEFAULT_S,
    AddressOption,
    JsonOption,
    TimeoutOption,
    UntilOption,
    parse_optional_instant,
)

_FIELDS: Final = {"from_currency_code": "from", "to_currency_code": "to", "rate": "rate"}
_COLUMNS: Final = {"from": "from", "to": "to", "rate": "rate"}
_PAIR_AND_RATE: Final = 3
_WORDS: Final = "rates are FROM TO RATE, such as EUR USD 1.0842, or one FILE"

_EPILOG: Final = """Examples:

creditgate rates put EUR USD 1.0842 USD EUR 0.9223

creditgate rates put rates.csv --until 2026-12-31T18:00

The file's first line names its columns: from, to, rate.
"""

app = typer.Typer(cls=CommandGroup, help="Put exchange rates.")


class _Table(NamedTuple):
    """Rates by pair of currencies, and where each of them was written, in the same order."""

    rates: dict[tuple[str, str], str]
    places: list[str]

    def said_as(self) -> Mapping[str, str]:
        """Return by field of the request what it was written as."""
        return {
            f"rates[{index}].{field}": f"{place}: {column}"
            for index, place in enumerate(self.places)
            for field, column in _FIELDS.items()
        } | {"expire_time": "--until"}


@app.callback()
def _group() -> None:
    """Stands for itself: without it, a single command would take the group's place."""


@app.command(epilog=_EPILOG)
def put(
    rates: Annotated[
        list[str],
        typer.Argument(
            metavar="FROM TO RATE...|FILE",
            help="What one unit of FROM is worth in TO, as often as needed; or a CSV file.",
            show_default=False,
        ),
    ],
    *,
    version: Annotated[
        int | None,
        typer.Option(
            "--version",
            min=1,
            help="Counts the tables of rates: a pair that has a newer one stays as it is. Name it if another system"
            " counts them, too.",
            show_default="the seconds since 1970",
        ),
    ] = None,
    until: UntilOption = None,
    address: AddressOption = ADDRESS_DEFAULT,
    timeout_s: TimeoutOption = TIMEOUT_DEFAULT_S,
    as_json: JsonOption = False,
) -> ExitCode:
    """Replace exchange rates from now on.

    A pair that is not named stays as it is; the opposite direction is a rate
    of its own. Rates that are booked on reservations stay.

    Exit code: 0 all are in force, 1 some were ignored, since a newer version
    is there, 2 error.
    """
    table = _read_file(Path(rates[0])) if len(rates) == 1 else _read_words(rates)
    expire_time = parse_optional_instant("--until", until)
    with connection.connect(address, timeout_s, as_json=as_json, said_as=table.said_as()) as service:
        return service.show(
            service.client.put_exchange_rates(
                table.rates, version=int(time.time()) if version is None else version, expire_time=expire_time
            )
        )


def _read_words(words: list[str]) -> _Table:
    if len(words) % _PAIR_AND_RATE:
        raise usage_failure(_WORDS)
    table = _Table({}, [])
    for index in range(0, len(words), _PAIR_AND_RATE):
        from_code, to_code, rate = words[index : index + _PAIR_AND_RATE]
        pair = (from_code.upper(), to_code.upper())
        if pair in table.rates:
            raise usage_failure(f"{pair[0]} {pair[1]} is there twice")
        table.rates[pair] = rate
        table.places.append(f"{pair[0]} {pair[1]}")
    return table


def _read_file(path: Path) -> _Table:
    """Return the rates of a file; it is used as a whole or not at all."""
    from creditgate.csv_rows.errors import FileError  # noqa: PLC0415 - help comes without what it imports
    from creditgate.csv_rows.rows import read_lines  # noqa: PLC0415 - as above

    try:
        lines = list(read_lines(path))
    except FileError as error:
        raise CommandFailure(str(error), _WORDS, code=USAGE_CODE) from None
    try:
        return _rates_in(path, lines)
    except FileError as error:
        raise CommandFailure(f"{path}: {error}", code=USAGE_CODE) from None


def _rates_in(path: Path, lines: Iterable[str]) -> _Table:
    """Return the rates of a file's lines, or raise `FileError`."""
    from creditgate.csv_rows.errors import FileError  # noqa: PLC0415 - as above
    from creditgate.csv_rows.rows import BadRow, read_table  # noqa: PLC0415 - as above

    table = _Table({}, [])
    for row in read_table(lines, _COLUMNS, _COLUMNS, None):
        if isinstance(row, BadRow):
            raise FileError(str(row))
        pair = (row.text("from").upper(), row.text("to").upper())
        if pair in table.rates:
            raise FileError(f"line {row.line}: {pair[0]} {pair[1]} is there twice")
        table.rates[pair] = row.text("rate")
        table.places.append(f"{path}: line {row.line}")
    return table
