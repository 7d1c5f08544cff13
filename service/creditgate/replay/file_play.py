"""From a file to what is played: every row read once, the good ones scheduled, the bad ones counted and listed."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from creditgate.csv_rows.layout import parse_currency, parse_delimiter
from creditgate.csv_rows.listing import bad_row_listing
from creditgate.csv_rows.rows import BadRow, read_lines
from creditgate.replay.csv_source import Invoice, read_rows
from creditgate.replay.errors import ReplayError
from creditgate.replay.file_layout import FileLayout, parse_column_names, parse_date_format
from creditgate.replay.schedule import Play, parse_limit_rule, schedule_invoices
from creditgate.replay.summary import RowCounts


@dataclass(frozen=True, slots=True)
class FileRequest:
    """A file to play, and the options as a person wrote them (see `creditgate replay --help`)."""

    path: Path
    columns: list[str]
    date_format: str
    currency: str
    delimiter: str | None
    limits: list[str]
    limit_multiple: str | None
    unlimited: bool
    bad_rows_path: Path | None


class FilePlay(NamedTuple):
    """What a file holds: what can be played of it, and how its rows turned out."""

    play: Play
    rows: RowCounts


def read_play(request: FileRequest) -> FilePlay:
    """Return the play of a file; the rows that can't be read are written to `bad_rows_path` as CSV, if it is given.

    Raises:
        FileError: an option is wrong, the file can't be read or has no row that can be played, or the bad rows can't
            be written.

    """
    layout = FileLayout(
        parse_column_names(request.columns),
        parse_date_format(request.date_format),
        parse_currency(request.currency),
        parse_delimiter(request.delimiter),
    )
    rule = parse_limit_rule(request.limits, request.limit_multiple, unlimited=request.unlimited)
    path = request.path
    rows = RowCounts()
    invoices: list[Invoice] = []
    with bad_row_listing(request.bad_rows_path, path) as list_bad_row:
        for row in read_rows(read_lines(path), layout):
            rows.add(row)
            if isinstance(row, Invoice):
                invoices.append(row)
            elif isinstance(row, BadRow):
                list_bad_row(row)
    if not invoices:
        first = f"; the first: {rows.bad_rows[0]}" if rows.bad_rows else ""
        raise ReplayError(f"{path} has no row that can be played: {rows.read} read, {rows.bad} bad{first}")
    return FilePlay(schedule_invoices(invoices, rule), rows)
