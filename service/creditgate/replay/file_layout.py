"""How a CSV file of invoices or orders is laid out: which column holds what, and how dates are written."""

import re
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Final

from creditgate.domain.money import minor_digits
from creditgate.replay.errors import ReplayError

DELIMITERS: Final = (",", ";", "\t", "|")
"""Delimiters that a header is tried with when none is named."""

_DELIMITER_NAMES: Final = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
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


def parse_columns(assignments: list[str]) -> ColumnNames:
    """Return the default column names, changed by `FIELD=HEADER` assignments; `FIELD=` turns an optional one off.

    Raises:
        ReplayError: an assignment is malformed, names no field, or turns a required field off.

    """
    named: dict[str, str] = {}
    for assignment in assignments:
        field, equals, header = (part.strip() for part in assignment.partition("="))
        if not equals or field not in FIELD_NAMES:
            raise ReplayError(f"--column {assignment!r} is not FIELD=HEADER; the fields are {', '.join(FIELD_NAMES)}")
        if not header and field in REQUIRED_FIELDS:
            raise ReplayError(f"--column {assignment!r}: {field} is required and needs a header")
        named[field] = header
    return replace(ColumnNames(), **named)


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


def parse_currency(text: str) -> str:
    """Return an ISO 4217 code in capitals, or raise `ReplayError`."""
    currency_code = text.strip().upper()
    if minor_digits(currency_code) is None:
        raise ReplayError(f"--currency {text!r} is not an ISO 4217 currency code such as USD")
    return currency_code


def parse_delimiter(text: str | None) -> str | None:
    """Return the delimiter itself for a character or a name (tab, comma, semicolon, pipe); None stays None.

    Raises:
        ReplayError: neither.

    """
    if text is None:
        return None
    delimiter = _DELIMITER_NAMES.get(text.lower(), text)
    if len(delimiter) != 1 or delimiter.isalnum() or delimiter in '"\r\n ':
        raise ReplayError(f"--delimiter {text!r} is not one character, nor one of {', '.join(_DELIMITER_NAMES)}")
    return delimiter
