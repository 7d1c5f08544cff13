"""How a CSV file of invoices or orders is laid out: which column holds what, and how dates are written."""

import re
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Final

from creditgate.csv_rows.layout import parse_columns
from creditgate.replay.errors import ReplayError

_TRIAL_TIME: Final = datetime(2013, 4, 25, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """The header that each field is read from. Empty: the file has no such column (only the optional fields)."""

    account: str = "customerID"
    invoice: str = "invoiceNumber"
    amount: str = "InvoiceAmount"
    invoiced: str = "InvoiceDate"
    due: str = "DueDate"
    settled: str = "SettledDate"
    currency: str = ""


REQUIRED_FIELDS: Final = ("account", "invoice", "amount", "invoiced")
FIELD_NAMES: Final = tuple(field.name for field in fields(ColumnNames))


@dataclass(frozen=True, slots=True)
class FileLayout:
    """How to read a file. `currency_code` is that of rows that have none of their own; no delimiter: try the usual."""

    columns: ColumnNames = ColumnNames()
    date_format: str = "%m/%d/%Y"
    currency_code: str = "USD"
    delimiter: str | None = None


def parse_column_names(assignments: list[str]) -> ColumnNames:
    """Return the default column names, changed by `FIELD=HEADER` assignments; `FIELD=` turns an optional one off.

    Raises:
        FileError: an assignment is malformed, names no field, or turns a required field off.

    """
    return replace(ColumnNames(), **parse_columns(assignments, FIELD_NAMES, REQUIRED_FIELDS))


def parse_date_format(text: str) -> str:
    """Return a strptime format that names year, month and day.

    Raises:
        ReplayError: the format does not, or is none.

    """
    try:
        read_back = datetime.strptime(_TRIAL_TIME.strftime(text), text)  # noqa: DTZ007 - only its date is looked at
    except (ValueError, re.error):  # strptime compiles the format: a directive given twice is a regex error
        read_back = None
    if read_back is None or read_back.date() != _TRIAL_TIME.date():
        raise ReplayError(f"--date-format {text!r} does not name year, month and day, as %m/%d/%Y and %Y-%m-%d do")
    return text
