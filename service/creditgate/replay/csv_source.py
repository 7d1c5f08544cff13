"""Reads invoices from a CSV file, row by row: what can't be read is told by line, column and reason, and left out."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

from creditgate.csv_rows.rows import BadRow, Row, RowError, read_table, shown
from creditgate.domain.bounds import PAYMENT_TERMS_DAYS_MAX
from creditgate.replay.errors import ReplayError
from creditgate.replay.file_layout import REQUIRED_FIELDS, FileLayout

ROWS_MAX: Final = 1_000_000
"""Most rows of one file: all of them are kept, since they are played in the order of time and not of the file."""


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


class RepeatedRow(NamedTuple):
    """A row that says what an earlier one said; it is not played again."""

    line: int


class _Register:
    """What earlier rows have said: an invoice number names one invoice, and an account has one currency."""

    def __init__(self) -> None:
        self._invoices: dict[str, Invoice] = {}
        self._currencies: dict[str, tuple[str, int]] = {}

    def admit(self, invoice: Invoice, row: Row) -> bool:
        """Return False for a row that repeats an earlier one; raise `RowError` for one that contradicts it."""
        earlier = self._invoices.get(invoice.invoice_id)
        if earlier is not None:
            if earlier.says_the_same(invoice):
                return False
            raise RowError(
                row.header("invoice"),
                f"{shown(invoice.invoice_id)} stands on line {earlier.line} already, with other details",
            )
        currency_code, line = self._currencies.setdefault(invoice.account_id, (invoice.currency_code, invoice.line))
        if currency_code != invoice.currency_code:
            raise RowError(
                row.header("currency"),
                f"{invoice.currency_code}, but {shown(invoice.account_id)} is in {currency_code} since line {line}",
            )
        self._invoices[invoice.invoice_id] = invoice
        return True


def read_rows(lines: Iterable[str], layout: FileLayout) -> Iterator[Invoice | BadRow | RepeatedRow]:
    """Yield every row of the file, in its order, as what it turned out to be.

    Raises:
        FileError: the file is empty, lacks a column, or has more than `ROWS_MAX` rows.

    """
    register = _Register()
    table = read_table(lines, asdict(layout.columns), REQUIRED_FIELDS, layout.delimiter)
    for count, row in enumerate(table, start=1):
        if count > ROWS_MAX:
            raise ReplayError(f"the file has more than {ROWS_MAX} rows: split it by time")
        yield _read_row(row, layout, register) if isinstance(row, Row) else row


def _read_row(row: Row, layout: FileLayout, register: _Register) -> Invoice | BadRow | RepeatedRow:
    try:
        invoice = _parse_invoice(row, layout)
        return invoice if register.admit(invoice, row) else RepeatedRow(row.line)
    except RowError as error:
        return BadRow(row.line, error.column, error.reason)


def _parse_invoice(row: Row, layout: FileLayout) -> Invoice:
    account_id = row.identifier("account")
    invoice_id = row.identifier("invoice")
    currency_code = row.currency("currency", layout.currency_code)
    amount_minor = row.amount_minor("amount", currency_code)
    if amount_minor <= 0:
        raise RowError(row.header("amount"), f"{shown(row.text('amount'))} is not above 0")
    invoice_time = _time(row, "invoiced", layout.date_format)
    if invoice_time is None:
        raise RowError(row.header("invoiced"), "is missing")
    due_time = _time(row, "due", layout.date_format)
    settle_time = _time(row, "settled", layout.date_format)
    terms_days = 0 if due_time is None else (due_time.date() - invoice_time.date()).days
    if terms_days < 0:
        raise RowError(row.header("due"), f"{shown(row.text('due'))} is before the invoice date")
    if terms_days > PAYMENT_TERMS_DAYS_MAX:
        raise RowError(
            row.header("due"),
            f"{shown(row.text('due'))} is more than {PAYMENT_TERMS_DAYS_MAX} days after the invoice date",
        )
    if settle_time is not None and settle_time < invoice_time:
        raise RowError(row.header("settled"), f"{shown(row.text('settled'))} is before the invoice date")
    return Invoice(row.line, account_id, invoice_id, amount_minor, currency_code, invoice_time, terms_days, settle_time)


def _time(row: Row, field: str, date_format: str) -> datetime | None:
    text = row.text(field)
    if not text:
        return None
    time = _parse_time(text, date_format)
    if time is None:
        raise RowError(row.header(field), f"{shown(text)} is not a date as {date_format}")
    return time


@lru_cache(maxsize=4096)
def _parse_time(text: str, date_format: str) -> datetime | None:
    try:
        return datetime.strptime(text, date_format)  # noqa: DTZ007 - a file's dates are local, as its people wrote them
    except ValueError:
        return None
