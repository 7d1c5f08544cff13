"""The checks of single fields. Each appends what is wrong to a list, so that one answer names every wrong field."""

import re
from datetime import date
from typing import Final, Literal, Protocol

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.api.etag import parse_etag
from creditgate.domain.bounds import (
    AMOUNT_MAX_MINOR,
    DUE_DATE_MAX,
    DUE_DATE_MIN,
    HOLD_MAX_S,
    ID_LENGTH_MAX,
    PAGE_SIZE_DEFAULT,
    PAGE_SIZE_MAX,
    PAGE_TOKEN_LENGTH_MAX,
    PAYMENT_TERMS_DAYS_MAX,
    RISK_CLASS_LENGTH_MAX,
    SECOND_MAX,
    SOURCE_LENGTH_MAX,
)
from creditgate.domain.errors import CreditError, FieldViolation
from creditgate.domain.money import minor_digits
from creditgate.domain.reservation import Etag

Violations = list[FieldViolation]

VIOLATIONS_MAX: Final = 10
"""Most wrong fields that one answer names: an error travels in HTTP/2 trailers, which clients bound at 8 KiB."""

_SHOWN_LENGTH_MAX: Final = 40
_CURRENCY_CODE_LENGTH: Final = 3
_NANOS_PER_SECOND: Final = 1_000_000_000
_NANOS_PER_MS: Final = 1_000_000
_MS_PER_SECOND: Final = 1000
_TIME_MAX_S: Final = 253_402_300_799
"""The last second of the year 9999, the end of what a Timestamp may say."""

ID_CHARACTERS: Final = "[A-Za-z0-9._:/@-]"
is_id: Final = re.compile(f"{ID_CHARACTERS}{{1,{ID_LENGTH_MAX}}}").fullmatch
_is_source: Final = re.compile(f"{ID_CHARACTERS}{{0,{SOURCE_LENGTH_MAX}}}").fullmatch
is_risk_class: Final = re.compile(f"[a-z0-9_-]{{0,{RISK_CLASS_LENGTH_MAX}}}").fullmatch
_is_date: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_find_control_character: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]").search


def raise_violations(found: Violations) -> None:
    """Raise INVALID_FIELD naming the wrong fields; return when there are none."""
    if found:
        raise CreditError.of_violations(tuple(found[:VIOLATIONS_MAX]))


def was(value: str | int) -> str:
    """Return a value as a description ends with it; a text is quoted, escaped and cut to a bounded length."""
    if isinstance(value, int):
        return f"was {value}"
    if not value:
        return "was empty"
    cut = value if len(value) <= _SHOWN_LENGTH_MAX else f"{value[:_SHOWN_LENGTH_MAX]}…"
    return f"was {cut!r}" if len(value) <= _SHOWN_LENGTH_MAX else f"was {cut!r} ({len(value)} characters)"


def check_id(found: Violations, field: str, value: str) -> None:
    """An id is 1 to 128 characters that need no quoting anywhere."""
    if not is_id(value):
        found.append(FieldViolation(field, f"must be 1 to {ID_LENGTH_MAX} characters of {ID_CHARACTERS}, {was(value)}"))


def check_optional_id(found: Violations, field: str, value: str) -> None:
    """An id that may be left out."""
    if value and not is_id(value):
        found.append(
            FieldViolation(field, f"must be empty or 1 to {ID_LENGTH_MAX} characters of {ID_CHARACTERS}, {was(value)}")
        )


def check_source(found: Violations, field: str, value: str) -> None:
    """The name of a calling system; it may be left out."""
    if not _is_source(value):
        found.append(
            FieldViolation(field, f"must be at most {SOURCE_LENGTH_MAX} characters of {ID_CHARACTERS}, {was(value)}")
        )


def check_risk_class(found: Violations, field: str, value: str) -> None:
    """The name of a class of the policy; empty is the default class."""
    if not is_risk_class(value):
        found.append(
            FieldViolation(field, f"must be at most {RISK_CLASS_LENGTH_MAX} characters of [a-z0-9_-], {was(value)}")
        )


def check_amount(found: Violations, field: str, value_minor: int, least_minor: int = 1) -> None:
    """An amount is positive (or not negative) and exact in a double."""
    if not least_minor <= value_minor <= AMOUNT_MAX_MINOR:
        bound = f"must be between {least_minor} and {AMOUNT_MAX_MINOR} minor units"
        found.append(FieldViolation(field, f"{bound}, {was(value_minor)}"))


def check_secured(found: Violations, field: str, value_minor: int, amount_minor: int) -> None:
    """No more of an order can be secured than its amount."""
    if not 0 <= value_minor <= max(0, amount_minor):
        bound = f"must be between 0 and amount_minor ({amount_minor})"
        found.append(FieldViolation(field, f"{bound}, {was(value_minor)}"))


def check_open_amount(found: Violations, field: str, value_minor: int) -> None:
    """An open item is owed (above 0) or a credit (below 0), and exact in a double."""
    if value_minor == 0 or abs(value_minor) > AMOUNT_MAX_MINOR:
        bound = f"must be between -{AMOUNT_MAX_MINOR} and {AMOUNT_MAX_MINOR} minor units and not 0"
        found.append(FieldViolation(field, f"{bound}, {was(value_minor)}"))


def check_disputed(found: Violations, field: str, value_minor: int, overdue_minor: int) -> None:
    """No more can be disputed than is overdue."""
    if not 0 <= value_minor <= max(0, overdue_minor):
        found.append(
            FieldViolation(field, f"must be between 0 and overdue_minor ({overdue_minor}), {was(value_minor)}")
        )


def check_currency(found: Violations, field: str, value: str) -> None:
    """A currency is one of ISO 4217 that has a minor unit."""
    if len(value) != _CURRENCY_CODE_LENGTH or minor_digits(value) is None:
        found.append(FieldViolation(field, f"must be an ISO 4217 currency code such as USD, {was(value)}"))


def check_text(found: Violations, field: str, value: str, length_max: int) -> None:
    """A text for people is bounded and stays on one line."""
    if len(value) > length_max:
        found.append(FieldViolation(field, f"must be at most {length_max} characters, had {len(value)}"))
    if _find_control_character(value):
        found.append(FieldViolation(field, f"must have no control characters, {was(value)}"))


def read_etag(found: Violations, field: str, value: str) -> Etag | None:
    """Return the state of a reservation that an etag names; None when it is left out."""
    if not value:
        return None
    etag = parse_etag(value)
    if etag is None:
        found.append(FieldViolation(field, f"must be empty or an etag that this service gave out, {was(value)}"))
    return etag


def read_due_date(found: Violations, field: str, value: str) -> date | None:
    """Return a due date; None when it is left out."""
    if not value:
        return None
    try:
        due = date.fromisoformat(value) if _is_date(value) else None
    except ValueError:
        due = None
    if due is None or not DUE_DATE_MIN <= due <= DUE_DATE_MAX:
        bound = f"must be empty or a date YYYY-MM-DD from {DUE_DATE_MIN} to {DUE_DATE_MAX}"
        found.append(FieldViolation(field, f"{bound}, {was(value)}"))
        return None
    return due


def read_time_ms(found: Violations, field: str, value: Timestamp | None) -> int:
    """Return an instant in milliseconds since 1970; it must be set."""
    if value is None:
        found.append(FieldViolation(field, "must be set"))
        return 0
    if not (0 < value.seconds <= _TIME_MAX_S and 0 <= value.nanos < _NANOS_PER_SECOND):
        description = "must be a Timestamp between 1970 and 9999"
        found.append(FieldViolation(field, f"{description}, was {value.seconds} seconds and {value.nanos} nanos"))
        return 0
    return value.seconds * _MS_PER_SECOND + value.nanos // _NANOS_PER_MS


def read_second(found: Violations, field: str, value: Timestamp) -> int:
    """Return an instant that is a whole second, in seconds since 1970."""
    if not 0 < value.seconds <= SECOND_MAX or value.nanos:
        description = "must be a whole second between 1970 and February 2106"
        found.append(FieldViolation(field, f"{description}, was {value.seconds} seconds and {value.nanos} nanos"))
        return 0
    return value.seconds


class Expiring(Protocol):
    """A message that may have an end."""

    @property
    def expire_time(self) -> Timestamp:
        """When it ends."""

    def HasField(self, field_name: Literal["expire_time"], /) -> bool:  # noqa: N802 - protobuf's name
        """Return whether a field is set."""


def read_optional_second(found: Violations, field: str, message: Expiring) -> int:
    """Return the end of what may end, in seconds since 1970; 0 when it does not."""
    return read_second(found, field, message.expire_time) if message.HasField("expire_time") else 0


def check_required_text(found: Violations, field: str, value: str, length_max: int) -> None:
    """A text for people that has to be there."""
    if not value.strip():
        found.append(FieldViolation(field, f"must be 1 to {length_max} characters, {was(value)}"))
    check_text(found, field, value, length_max)


def check_payment_terms(found: Violations, field: str, value_days: int) -> None:
    """Payment terms are a bounded number of days."""
    if not 0 <= value_days <= PAYMENT_TERMS_DAYS_MAX:
        found.append(FieldViolation(field, f"must be between 0 and {PAYMENT_TERMS_DAYS_MAX} days, {was(value_days)}"))


def read_hold_s(found: Violations, field: str, value: Duration) -> int:
    """Return how many whole seconds to hold; part of a second counts as a whole one."""
    seconds, nanos = value.seconds, value.nanos
    if not -_NANOS_PER_SECOND < nanos < _NANOS_PER_SECOND or seconds * nanos < 0:
        description = "must be a Duration: nanos between -999999999 and 999999999, of the same sign as seconds"
        found.append(FieldViolation(field, f"{description}, was {seconds} seconds and {nanos} nanos"))
        return 0
    hold_s = seconds + 1 if nanos > 0 else seconds
    if not 1 <= hold_s <= HOLD_MAX_S or nanos < 0:
        description = f"must be between 1 and {HOLD_MAX_S} seconds"
        found.append(FieldViolation(field, f"{description}, was {seconds} seconds and {nanos} nanos"))
    return hold_s


def read_page_size(found: Violations, value: int) -> int:
    """Return how many items a page may have; 0 is the default."""
    if not 0 <= value <= PAGE_SIZE_MAX:
        found.append(FieldViolation("page_size", f"must be between 0 and {PAGE_SIZE_MAX}, {was(value)}"))
    return value or PAGE_SIZE_DEFAULT


def check_page_token(found: Violations, value: str) -> None:
    """A page token is bounded; whether it is one of ours the store says."""
    if len(value) > PAGE_TOKEN_LENGTH_MAX:
        description = f"must be at most {PAGE_TOKEN_LENGTH_MAX} characters, had {len(value)}"
        found.append(FieldViolation("page_token", description))
