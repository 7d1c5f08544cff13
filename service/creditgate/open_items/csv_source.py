"""Reads open items from a CSV file, row by row."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from creditgate.csv_rows.layout import parse_columns, parse_currency, parse_delimiter
from creditgate.csv_rows.rows import BadRow, Row, RowError, read_table

COLUMNS: Final = {"account": "account", "document": "document", "amount": "amount", "currency": ""}
"""The header that each field is read from, unless a person names others; empty: the file has no such column."""

REQUIRED_FIELDS: Final = ("account", "document", "amount")


@dataclass(frozen=True, slots=True)
class ItemLayout:
    """How to read a file. `currency_code` is that of rows that have none of their own; no delimiter: try the usual."""

    columns: dict[str, str]
    currency_code: str
    delimiter: str | None


class Item(NamedTuple):
    """One row that can be sent."""

    line: int
    account_id: str
    document_id: str
    amount_minor: int
    currency_code: str


def parse_layout(columns: Iterable[str], currency: str, delimiter: str | None) -> ItemLayout:
    """Return the layout that options say.

    Raises:
        FileError: one of them is wrong.

    """
    named = parse_columns(columns, tuple(COLUMNS), REQUIRED_FIELDS)
    return ItemLayout(COLUMNS | named, parse_currency(currency), parse_delimiter(delimiter))


def read_items(lines: Iterable[str], layout: ItemLayout) -> Iterator[Item | BadRow]:
    """Yield every row of the file, in its order.

    Raises:
        FileError: the file is empty or lacks a column.

    """
    for row in read_table(lines, layout.columns, REQUIRED_FIELDS, layout.delimiter):
        try:
            yield _parse_item(row, layout.currency_code) if isinstance(row, Row) else row
        except RowError as error:
            yield BadRow(row.line, error.column, error.reason)


def _parse_item(row: Row, default_currency_code: str) -> Item:
    account_id, document_id = row.identifier("account"), row.identifier("document")
    currency_code = row.currency("currency", default_currency_code)
    amount_minor = row.amount_minor("amount", currency_code)
    if amount_minor == 0:
        raise RowError(row.header("amount"), "is 0: nothing is open")
    return Item(row.line, account_id, document_id, amount_minor, currency_code)
