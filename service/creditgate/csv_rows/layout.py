"""How a CSV file is laid out, as a person says it in options: columns, delimiter, currency."""

from collections.abc import Collection, Iterable
from typing import Final

from creditgate.csv_rows.errors import FileError
from creditgate.domain.money import minor_digits

DELIMITERS: Final = (",", ";", "\t", "|")
"""Delimiters that a header is tried with when none is named."""

_DELIMITER_NAMES: Final = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}


def parse_columns(assignments: Iterable[str], fields: Collection[str], required: Collection[str]) -> dict[str, str]:
    """Return the headers that `FIELD=HEADER` assignments name; `FIELD=` turns an optional field off.

    Raises:
        FileError: an assignment is malformed, names no field, or turns a required field off.

    """
    named: dict[str, str] = {}
    for assignment in assignments:
        field, equals, header = (part.strip() for part in assignment.partition("="))
        if not equals or field not in fields:
            raise FileError(f"--column {assignment!r} is not FIELD=HEADER; the fields are {', '.join(fields)}")
        if not header and field in required:
            raise FileError(f"--column {assignment!r}: {field} is required and needs a header")
        named[field] = header
    return named


def parse_currency(text: str) -> str:
    """Return an ISO 4217 code in capitals, or raise `FileError`."""
    currency_code = text.strip().upper()
    if minor_digits(currency_code) is None:
        raise FileError(f"--currency {text!r} is not an ISO 4217 currency code such as USD")
    return currency_code


def parse_delimiter(text: str | None) -> str | None:
    """Return the delimiter itself for a character or a name (tab, comma, semicolon, pipe); None stays None.

    Raises:
        FileError: neither.

    """
    if text is None:
        return None
    delimiter = _DELIMITER_NAMES.get(text.lower(), text)
    if len(delimiter) != 1 or delimiter.isalnum() or delimiter in '"\r\n ':
        raise FileError(f"--delimiter {text!r} is not one character, nor one of {', '.join(_DELIMITER_NAMES)}")
    return delimiter
