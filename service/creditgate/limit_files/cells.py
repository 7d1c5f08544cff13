"""What the cells of a row say: a limit update, or what of them can't be read.

Only what can't become an update at all is told here; the service checks every bound.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Final

from creditgate.client import PushedRow, limit_update, unreadable_row
from creditgate.csv_rows.rows import BadRow, Row, RowError, shown
from creditgate.limit_files.layout import AMOUNT_FIELDS, FIELDS, LimitLayout, check_amounts
from creditgate.v1.limit_feed_service_pb2 import LimitUpdate

REASON_DELIMITER: Final = "|"

_MESSAGE_LENGTH_MAX: Final = 200
_FLAGS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": False}


class CellError(Exception):
    """A cell that can't be read. `field`: that of the contract."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason


class RowReader:
    """Makes rows for the service of the rows of one file. What a file has no column for is not looked for in each row.

    Args:
        layout: how to read the file.
        present: the fields that it has columns for.

    Raises:
        FileError: it has no column of amounts, or two.

    """

    def __init__(self, layout: LimitLayout, present: Collection[str]) -> None:
        check_amounts(present, layout)
        self._layout = layout
        self._amount_field = next(field for field in AMOUNT_FIELDS if field in present)
        self._has_currency = "currency" in present
        self._has_version = "version" in present
        self._optional = tuple((FIELDS[field], field, read) for field, read in _OPTIONAL.items() if field in present)

    def read(self, row: Row) -> PushedRow:
        """Return what a row says."""
        try:
            return self._update(row)
        except CellError as error:
            return unreadable_row(error.field, error.reason[:_MESSAGE_LENGTH_MAX])

    def _update(self, row: Row) -> LimitUpdate:
        layout = self._layout
        currency_code = _currency(row, layout.currency_code) if self._has_currency else layout.currency_code
        return limit_update(
            row.text("account"),
            currency_code=currency_code,
            version=_version(row, layout.version) if self._has_version else layout.version,
            limit_minor=_limit_minor(row, self._amount_field, currency_code),
            **{name: read(row, field) for name, field, read in self._optional},
        )


def unreadable(row: BadRow) -> PushedRow:
    """Return what a row is for the service that is none."""
    return unreadable_row("", row.reason[:_MESSAGE_LENGTH_MAX])


def _currency(row: Row, default: str) -> str:
    try:
        return row.currency("currency", default)
    except RowError as error:
        raise CellError("currency_code", error.reason) from None


def _version(row: Row, default: int) -> int:
    try:
        return row.whole_number("version") if row.text("version") else default
    except RowError as error:
        raise CellError("version", error.reason) from None


def _limit_minor(row: Row, field: str, currency_code: str) -> int | None:
    """Return the limit; None where the row tells none, which the service takes with `unlimited` only."""
    if not row.text(field):
        return None
    try:
        return row.amount_minor(field, currency_code) if field == "limit" else row.whole_number(field)
    except RowError as error:
        raise CellError("limit_minor", error.reason) from None


def _flag(row: Row, field: str) -> bool:
    text = row.text(field)
    flag = _FLAGS.get(text.lower())
    if flag is None:
        raise CellError(FIELDS[field], f"{shown(text)} is neither true nor false")
    return flag


def _number(row: Row, field: str) -> float | None:
    text = row.text(field)
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise CellError(FIELDS[field], f"{shown(text)} is not a number") from None


def _instant(row: Row, field: str) -> datetime | None:
    text = row.text(field)
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):  # OverflowError: a year that no time zone is known of
        raise CellError(FIELDS[field], f"{shown(text)} is not an instant such as 2026-05-31T18:00+02:00") from None


def _reasons(row: Row, field: str) -> list[str]:
    return [reason for part in row.text(field).split(REASON_DELIMITER) if (reason := part.strip())]


_OPTIONAL: Final[dict[str, Callable[[Row, str], Any]]] = {
    "unlimited": _flag,
    "risk_class": Row.text,
    "score": _number,
    "effective": _instant,
    "expire": _instant,
    "reasons": _reasons,
}
"""Fields that a row may leave out, with what reads them."""
