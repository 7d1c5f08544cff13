"""What the cells of a row say: a limit update, or what of them can't be read.

Only what can't become an update at all is told here; the service checks every bound.
"""

from datetime import datetime
from typing import Final

from creditgate.client import PushedRow, limit_update, unreadable_row
from creditgate.csv_rows.rows import BadRow, Row, RowError, shown
from creditgate.limit_files.layout import FIELDS, LimitLayout
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


def pushed_row(row: Row | BadRow, layout: LimitLayout) -> PushedRow:
    """Return what a row of a file is for the service."""
    if isinstance(row, BadRow):
        return unreadable_row("", row.reason[:_MESSAGE_LENGTH_MAX])
    try:
        return _update(row, layout)
    except CellError as error:
        return unreadable_row(error.field, error.reason[:_MESSAGE_LENGTH_MAX])


def _update(row: Row, layout: LimitLayout) -> LimitUpdate:
    currency_code = _currency(row, layout)
    unlimited = _flag(row, "unlimited")
    return limit_update(
        row.text("account"),
        currency_code=currency_code,
        version=_whole_number(row, "version") if row.text("version") else layout.version,
        limit_minor=_limit_minor(row, currency_code),
        unlimited=unlimited,
        risk_class=row.text("risk_class"),
        score=_number(row, "score"),
        effective_time=_instant(row, "effective"),
        expire_time=_instant(row, "expire"),
        reasons=_reasons(row.text("reasons")),
    )


def _currency(row: Row, layout: LimitLayout) -> str:
    try:
        return row.currency("currency", layout.currency_code)
    except RowError as error:
        raise CellError("currency_code", error.reason) from None


def _limit_minor(row: Row, currency_code: str) -> int | None:
    """Return the limit; None where the row tells none, which the service takes with `unlimited` only."""
    for field in ("limit", "limit_minor"):
        if row.text(field):
            try:
                return row.amount_minor(field, currency_code) if field == "limit" else row.whole_number(field)
            except RowError as error:
                raise CellError("limit_minor", error.reason) from None
    return None


def _whole_number(row: Row, field: str) -> int:
    try:
        return row.whole_number(field)
    except RowError as error:
        raise CellError(FIELDS[field], error.reason) from None


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


def _reasons(text: str) -> list[str]:
    return [reason for part in text.split(REASON_DELIMITER) if (reason := part.strip())] if text else []
