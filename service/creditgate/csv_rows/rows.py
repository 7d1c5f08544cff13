"""Reads a CSV file row by row: what can't be read is told by line, column and reason, and left out.

UTF-8 with or without a byte order mark, any line ends, quoted fields. Blank lines are nothing.
"""

import csv
import re
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from creditgate.csv_rows.errors import FileError
from creditgate.csv_rows.layout import DELIMITERS
from creditgate.domain.bounds import ID_LENGTH_MAX
from creditgate.domain.money import MoneyFormatError, minor_digits, parse_amount

LINE_LENGTH_MAX: Final = 1_000_000
"""Most characters of a line: what is longer is no row, and is reported as rows that are too short."""

_ID: Final = re.compile(rf"[A-Za-z0-9._:/@-]{{1,{ID_LENGTH_MAX}}}")
_WHOLE_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_PREDICATE: Final = re.compile(r"(is|has|must|was|can't)\b|['\"]")
"""How a reason begins that lacks its subject."""

_VALUE_SHOWN_MAX: Final = 40
_HEADERS_SHOWN_MAX: Final = 30


def column_sentence(column: str, reason: str) -> str:
    """Return a reason with the column that it is about, if any: as its subject, or before a sentence of its own."""
    if not column:
        return reason
    return f"{column} {reason}" if _PREDICATE.match(reason) else f"{column}: {reason}"


class BadRow(NamedTuple):
    """A row that can't be used: the line it starts on (from 1, the header's), the column and what is wrong there."""

    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {column_sentence(self.column, self.reason)}"


class RowError(Exception):
    """What is wrong in a column of a row."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(f"{column}: {reason}")
        self.column = column
        self.reason = reason


class Row:
    """The cells of one row, by field. `line` is the one that it starts on."""

    def __init__(
        self, line: int, cells: Sequence[str], columns: Mapping[str, str], positions: Mapping[str, int]
    ) -> None:
        self.line = line
        self._cells = cells
        self._columns = columns
        self._positions = positions

    def header(self, field: str) -> str:
        """Return the header that a field is read from."""
        return self._columns[field]

    def has(self, field: str) -> bool:
        """Return whether the file has a column for a field."""
        return field in self._positions

    def text(self, field: str) -> str:
        """Return what a field says, without spaces around it; empty where the file has no such column."""
        position = self._positions.get(field)
        return "" if position is None else self._cells[position].strip()

    def identifier(self, field: str) -> str:
        """Return an id, or raise `RowError`."""
        text = self.text(field)
        if not text:
            raise RowError(self.header(field), "is missing")
        if not _ID.fullmatch(text):
            raise RowError(
                self.header(field),
                f"{shown(text)} is not an id: 1 to {ID_LENGTH_MAX} characters of A-Z a-z 0-9 . _ : / @ -",
            )
        return text

    def currency(self, field: str, default: str) -> str:
        """Return a currency code, the default where the row names none; or raise `RowError`."""
        text = self.text(field)
        if not text:
            return default
        if minor_digits(text.upper()) is None:
            raise RowError(self.header(field), f"{shown(text)} is not an ISO 4217 currency code")
        return text.upper()

    def amount_minor(self, field: str, currency_code: str) -> int:
        """Return an amount in minor units of a currency, or raise `RowError`."""
        text = self.text(field)
        if not text:
            raise RowError(self.header(field), "is missing")
        try:
            return parse_amount(text, currency_code)
        except MoneyFormatError as error:
            raise RowError(self.header(field), str(error)) from None

    def whole_number(self, field: str) -> int:
        """Return a whole number, or raise `RowError`."""
        text = self.text(field)
        if not _WHOLE_NUMBER.fullmatch(text):
            raise RowError(self.header(field), f"{shown(text)} is not a whole number" if text else "is missing")
        return int(text)


def shown(text: str) -> str:
    """Return a cell's text as a reason quotes it."""
    return repr(text if len(text) <= _VALUE_SHOWN_MAX else f"{text[:_VALUE_SHOWN_MAX]}…")


def read_lines(path: Path) -> Generator[str, None, None]:
    """Yield the lines of a UTF-8 file; bytes that are none are read as U+FFFD, and a line ends at `LINE_LENGTH_MAX`.

    Raises:
        FileError: the file can't be read.

    """
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as source:
            while line := source.readline(LINE_LENGTH_MAX):
                yield line
    except OSError as error:
        raise FileError(f"can't read {path}: {error.strerror}") from None


def read_table(
    lines: Iterable[str],
    columns: Mapping[str, str],
    required: Collection[str],
    delimiter: str | None,
    optional: Collection[str] = (),
) -> Iterator[Row | BadRow]:
    """Yield every row behind the header, in the order of the file.

    Args:
        lines: the file; the first names the columns.
        columns: the header of each field; empty: the file has no such column.
        required: fields that the file must have.
        delimiter: what separates the cells; None: whichever of the usual ones finds the most of the required columns.
        optional: fields whose column the file may lack.

    Raises:
        FileError: the file is empty or lacks a column.

    """
    source = iter(lines)
    headers, delimiter = read_header(source, columns, required, delimiter)
    positions = positions_of(headers, columns, required, optional)
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 2  # the reader has counted the lines before this row, without the header
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield BadRow(line, "", f"is not CSV: {error}")
            continue
        if cells is None:
            return
        if not cells or (len(cells) == 1 and not cells[0].strip()):
            continue
        if len(cells) != len(headers):
            yield BadRow(line, "", f"has {len(cells)} fields where the header has {len(headers)}")
        else:
            yield Row(line, cells, columns, positions)


def read_header(
    source: Iterator[str], columns: Mapping[str, str], required: Collection[str], delimiter: str | None
) -> tuple[list[str], str]:
    """Read the first line of a file (see `read_table`); return the headers, and the delimiter that parts them.

    Raises:
        FileError: the file is empty, or the line is not CSV.

    """
    header_line = next(source, "").removeprefix("\ufeff")
    if not header_line.strip():
        raise FileError("the file is empty: its first line must name the columns")
    return _split_header(header_line, {columns[field] for field in required}, delimiter)


def _split_header(header_line: str, wanted: set[str], delimiter: str | None) -> tuple[list[str], str]:
    """Return the headers, and the delimiter that finds the most of the wanted ones."""
    tried = []
    for each in (delimiter,) if delimiter else DELIMITERS:
        try:
            headers = [header.strip() for header in next(csv.reader([header_line], delimiter=each), [])]
        except csv.Error as error:
            raise FileError(f"the file's first line is not CSV: {error}") from None
        tried.append((len(wanted.intersection(headers)), len(headers), headers, each))
    _, _, headers, found = max(tried, key=lambda trial: trial[:2])
    return headers, found


def positions_of(
    headers: list[str], columns: Mapping[str, str], required: Collection[str], optional: Collection[str] = ()
) -> dict[str, int]:
    """Return where the column of each field stands among a file's headers (see `read_table`), or raise `FileError`."""
    positions = {}
    for field, header in columns.items():
        if not header or (field in optional and header not in headers):
            continue
        count = headers.count(header)
        if count != 1:
            fault = "no column" if count == 0 else f"{count} columns named"
            names = ", ".join(repr(name) for name in headers[:_HEADERS_SHOWN_MAX])
            way_out = "" if field in required else f", or leave it out with --column {field}="
            raise FileError(
                f"the file has {fault} {header!r}, but {names}; name yours with --column {field}=HEADER{way_out}"
            )
        positions[field] = headers.index(header)
    return positions
