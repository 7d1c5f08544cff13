"""Reads invoices from a CSV file, row by row: what can't be read is told by line, column and reason, and left out.

UTF-8 with or without a byte order mark, any line ends, quoted fields. Blank lines are nothing.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from creditgate.domain.bounds import ID_LENGTH_MAX, PAYMENT_TERMS_DAYS_MAX
from creditgate.domain.money import MoneyFormatError, minor_digits, parse_amount
from creditgate.replay.errors import ReplayError
from creditgate.replay.file_layout import DELIMITERS, REQUIRED_FIELDS, FileLayout

ROWS_MAX: Final = 1_000_000
"""Most rows of one file: all of them are kept, since they are played in the order of time and not of the file."""

LINE_LENGTH_MAX: Final = 1_000_000
"""Most characters of a line: what is longer is no invoice, and is reported as rows that are too short."""

_ID: Final = re.compile(rf"[A-Za-z0-9._:/@-]{{1,{ID_LENGTH_MAX}}}")
_VALUE_SHOWN_MAX: Final = 40
_HEADERS_SHOWN_MAX: Final = 30


@dataclass(frozen=True, slots=True)
class Invoice:
    """One row that can be played; unpaid: no `settle_time`.

    Times are local, without a zone unless the date format has one.
    """

    line: int
    account_id: str
    invoice_id: str
    amount_minor: int
    currency_code: str
    invoice_time: datetime
    payment_terms_days: int
    settle_time: datetime | None

    def says_the_same(self, other: "Invoice") -> bool:
        """Return whether both rows tell the same invoice, whatever line they stand on."""
        return self == replace(other, line=self.line)


class BadRow(NamedTuple):
    """A row that can't be played: the line it starts on (from 1, the header's), the column and what is wrong there."""

    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {' '.join(filter(None, (self.column, self.reason)))}"


class RepeatedRow(NamedTuple):
    """A row that says what an earlier one said; it is not played again."""

    line: int


class _RowError(Exception):
    def __init__(self, column: str, reason: str) -> None:
        super().__init__(f"{column}: {reason}")
        self.column = column
        self.reason = reason


class _Row:
    """The cells of one row by field."""

    def __init__(self, line: int, cells: list[str], layout: FileLayout, positions: dict[str, int]) -> None:
        self.line = line
        self._cells = cells
        self._layout = layout
        self._positions = positions

    @property
    def width(self) -> int:
        return len(self._cells)

    def header(self, field: str) -> str:
        header: str = getattr(self._layout.columns, field)
        return header

    def text(self, field: str) -> str:
        position = self._positions.get(field)
        return "" if position is None else self._cells[position].strip()

    def identifier(self, field: str) -> str:
        text = self.text(field)
        if not text:
            raise _RowError(self.header(field), "is missing")
        if not _ID.fullmatch(text):
            raise _RowError(
                self.header(field),
                f"{_shown(text)} is not an id: 1 to {ID_LENGTH_MAX} characters of A-Z a-z 0-9 . _ : / @ -",
            )
        return text

    def time(self, field: str) -> datetime | None:
        text = self.text(field)
        if not text:
            return None
        time = _parse_time(text, self._layout.date_format)
        if time is None:
            raise _RowError(self.header(field), f"{_shown(text)} is not a date as {self._layout.date_format}")
        return time

    def currency(self) -> str:
        text = self.text("currency")
        if not text:
            return self._layout.currency_code
        if minor_digits(text.upper()) is None:
            raise _RowError(self.header("currency"), f"{_shown(text)} is not an ISO 4217 currency code")
        return text.upper()

    def amount(self, currency_code: str) -> int:
        text = self.text("amount")
        if not text:
            raise _RowError(self.header("amount"), "is missing")
        try:
            amount_minor = parse_amount(text, currency_code)
        except MoneyFormatError as error:
            raise _RowError(self.header("amount"), str(error)) from None
        if amount_minor <= 0:
            raise _RowError(self.header("amount"), f"{_shown(text)} is not above 0")
        return amount_minor


class _Register:
    """What earlier rows have said: an invoice number names one invoice, and an account has one currency."""

    def __init__(self) -> None:
        self._invoices: dict[str, Invoice] = {}
        self._currencies: dict[str, tuple[str, int]] = {}

    def admit(self, invoice: Invoice, row: _Row) -> bool:
        """Return False for a row that repeats an earlier one; raise `_RowError` for one that contradicts it."""
        earlier = self._invoices.get(invoice.invoice_id)
        if earlier is not None:
            if earlier.says_the_same(invoice):
                return False
            raise _RowError(
                row.header("invoice"),
                f"{_shown(invoice.invoice_id)} stands on line {earlier.line} already, with other details",
            )
        currency_code, line = self._currencies.setdefault(invoice.account_id, (invoice.currency_code, invoice.line))
        if currency_code != invoice.currency_code:
            raise _RowError(
                row.header("currency"),
                f"{invoice.currency_code}, but {_shown(invoice.account_id)} is in {currency_code} since line {line}",
            )
        self._invoices[invoice.invoice_id] = invoice
        return True


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 file; bytes that are none are read as U+FFFD, and a line ends at `LINE_LENGTH_MAX`.

    Raises:
        ReplayError: the file can't be read.

    """
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as source:
            while line := source.readline(LINE_LENGTH_MAX):
                yield line
    except OSError as error:
        raise ReplayError(f"can't read {path}: {error.strerror}") from None


def read_rows(lines: Iterable[str], layout: FileLayout) -> Iterator[Invoice | BadRow | RepeatedRow]:
    """Yield every row of the file, in its order, as what it turned out to be.

    Raises:
        ReplayError: the file is empty, lacks a column, or has more than `ROWS_MAX` rows.

    """
    source = iter(lines)
    header_line = next(source, "").removeprefix("\ufeff")
    if not header_line.strip():
        raise ReplayError("the file is empty: its first line must name the columns")
    headers, delimiter = _split_header(header_line, layout)
    positions = _positions(headers, layout)
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    register = _Register()
    rows = 0
    while True:
        line = reader.line_num + 2  # the reader has counted the lines before this row, without the header
        try:
            cells = next(reader, None)
        except csv.Error as error:
            rows += 1
            yield BadRow(line, "", f"is not CSV: {error}")
            continue
        if cells is None:
            return
        if not cells or (len(cells) == 1 and not cells[0].strip()):
            continue
        rows += 1
        if rows > ROWS_MAX:
            raise ReplayError(f"the file has more than {ROWS_MAX} rows: split it by time")
        yield _read_row(_Row(line, cells, layout, positions), len(headers), register)


def _read_row(row: _Row, width: int, register: _Register) -> Invoice | BadRow | RepeatedRow:
    if row.width != width:
        return BadRow(row.line, "", f"has {row.width} fields where the header has {width}")
    try:
        invoice = _parse_invoice(row)
        return invoice if register.admit(invoice, row) else RepeatedRow(row.line)
    except _RowError as error:
        return BadRow(row.line, error.column, error.reason)


def _parse_invoice(row: _Row) -> Invoice:
    account_id = row.identifier("account")
    invoice_id = row.identifier("invoice")
    currency_code = row.currency()
    amount_minor = row.amount(currency_code)
    invoice_time = row.time("invoiced")
    if invoice_time is None:
        raise _RowError(row.header("invoiced"), "is missing")
    due_time = row.time("due")
    settle_time = row.time("settled")
    terms_days = 0 if due_time is None else (due_time.date() - invoice_time.date()).days
    if terms_days < 0:
        raise _RowError(row.header("due"), f"{_shown(row.text('due'))} is before the invoice date")
    if terms_days > PAYMENT_TERMS_DAYS_MAX:
        raise _RowError(
            row.header("due"),
            f"{_shown(row.text('due'))} is more than {PAYMENT_TERMS_DAYS_MAX} days after the invoice date",
        )
    if settle_time is not None and settle_time < invoice_time:
        raise _RowError(row.header("settled"), f"{_shown(row.text('settled'))} is before the invoice date")
    return Invoice(row.line, account_id, invoice_id, amount_minor, currency_code, invoice_time, terms_days, settle_time)


def _split_header(header_line: str, layout: FileLayout) -> tuple[list[str], str]:
    """Return the headers, and the delimiter that finds the most of the wanted ones."""
    wanted = {getattr(layout.columns, field) for field in REQUIRED_FIELDS}
    tried = []
    for delimiter in (layout.delimiter,) if layout.delimiter else DELIMITERS:
        try:
            headers = [header.strip() for header in next(csv.reader([header_line], delimiter=delimiter), [])]
        except csv.Error as error:
            raise ReplayError(f"the file's first line is not CSV: {error}") from None
        tried.append((len(wanted.intersection(headers)), len(headers), headers, delimiter))
    _, _, headers, delimiter = max(tried, key=lambda trial: trial[:2])
    return headers, delimiter


def _positions(headers: list[str], layout: FileLayout) -> dict[str, int]:
    positions = {}
    for field in layout.columns.__dataclass_fields__:
        header = getattr(layout.columns, field)
        if not header:
            continue
        count = headers.count(header)
        if count != 1:
            fault = "no column" if count == 0 else f"{count} columns named"
            shown = ", ".join(repr(name) for name in headers[:_HEADERS_SHOWN_MAX])
            way_out = "" if field in REQUIRED_FIELDS else f", or leave it out with --column {field}="
            raise ReplayError(
                f"the file has {fault} {header!r}, but {shown}; name yours with --column {field}=HEADER{way_out}"
            )
        positions[field] = headers.index(header)
    return positions


@lru_cache(maxsize=4096)
def _parse_time(text: str, date_format: str) -> datetime | None:
    try:
        return datetime.strptime(text, date_format)  # noqa: DTZ007 - a file's dates are local, as its people wrote them
    except ValueError:
        return None


def _shown(text: str) -> str:
    return repr(text if len(text) <= _VALUE_SHOWN_MAX else f"{text[:_VALUE_SHOWN_MAX]}…")
