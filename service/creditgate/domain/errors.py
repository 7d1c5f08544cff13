"""Faults of a call. A credit refusal is not one of them: it is an answer."""

from enum import Enum, unique
from typing import NamedTuple


@unique
class ErrorKind(Enum):
    """The canonical status a fault is reported with (names of google.rpc.Code)."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    INTERNAL = 13
    UNAVAILABLE = 14


@unique
class ErrorReason(Enum):
    """Why a call failed; the names are those of `creditgate.v1.ErrorReason` without its prefix."""

    INVALID_FIELD = 1
    MALFORMED_REQUEST = 2
    MESSAGE_TOO_LARGE = 3
    SUM_OUT_OF_RANGE = 4
    CURRENCY_MISMATCH = 5
    ACCOUNT_NOT_FOUND = 6
    RESERVATION_NOT_FOUND = 7
    ORDER_EXISTS_WITH_DIFFERENT_DETAILS = 8
    DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS = 9
    PAYMENT_EXISTS_WITH_DIFFERENT_DETAILS = 10
    ACCOUNT_EXISTS_WITH_DIFFERENT_CURRENCY = 11
    RESERVATION_NOT_HELD = 12
    EXCHANGE_RATE_NOT_FOUND = 13
    STORE_UNAVAILABLE = 14
    STORE_FULL = 15
    OVERLOADED = 16
    DEADLINE_EXCEEDED = 17
    SHUTTING_DOWN = 18
    INTERNAL = 19
    ETAG_MISMATCH = 20
    REQUEST_EXISTS_WITH_DIFFERENT_DETAILS = 21
    GROUP_NOT_FOUND = 22
    GROUP_EXISTS_WITH_DIFFERENT_CURRENCY = 23
    GROUP_CURRENCIES_EXHAUSTED = 24
    ACCOUNT_MOVING = 25
    LIMIT_BATCH_NOT_FOUND = 26
    LIMIT_BATCH_EXISTS_WITH_DIFFERENT_DETAILS = 27
    LIMIT_BATCH_STATE = 28
    LIMIT_BATCH_QUARANTINED = 29
    LIMIT_BATCH_CHANGED = 30

    @property
    def kind(self) -> ErrorKind:
        """The status this reason is reported with."""
        return _KINDS[self]


_KINDS = {
    ErrorReason.INVALID_FIELD: ErrorKind.INVALID_ARGUMENT,
    ErrorReason.MALFORMED_REQUEST: ErrorKind.INVALID_ARGUMENT,
    ErrorReason.MESSAGE_TOO_LARGE: ErrorKind.INVALID_ARGUMENT,
    ErrorReason.SUM_OUT_OF_RANGE: ErrorKind.INVALID_ARGUMENT,
    ErrorReason.CURRENCY_MISMATCH: ErrorKind.INVALID_ARGUMENT,
    ErrorReason.ACCOUNT_NOT_FOUND: ErrorKind.NOT_FOUND,
    ErrorReason.RESERVATION_NOT_FOUND: ErrorKind.NOT_FOUND,
    ErrorReason.ORDER_EXISTS_WITH_DIFFERENT_DETAILS: ErrorKind.ALREADY_EXISTS,
    ErrorReason.DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS: ErrorKind.ALREADY_EXISTS,
    ErrorReason.PAYMENT_EXISTS_WITH_DIFFERENT_DETAILS: ErrorKind.ALREADY_EXISTS,
    ErrorReason.ACCOUNT_EXISTS_WITH_DIFFERENT_CURRENCY: ErrorKind.ALREADY_EXISTS,
    ErrorReason.RESERVATION_NOT_HELD: ErrorKind.FAILED_PRECONDITION,
    ErrorReason.EXCHANGE_RATE_NOT_FOUND: ErrorKind.FAILED_PRECONDITION,
    ErrorReason.STORE_UNAVAILABLE: ErrorKind.UNAVAILABLE,
    ErrorReason.STORE_FULL: ErrorKind.RESOURCE_EXHAUSTED,
    ErrorReason.OVERLOADED: ErrorKind.RESOURCE_EXHAUSTED,
    ErrorReason.DEADLINE_EXCEEDED: ErrorKind.DEADLINE_EXCEEDED,
    ErrorReason.SHUTTING_DOWN: ErrorKind.UNAVAILABLE,
    ErrorReason.INTERNAL: ErrorKind.INTERNAL,
    ErrorReason.ETAG_MISMATCH: ErrorKind.ABORTED,
    ErrorReason.REQUEST_EXISTS_WITH_DIFFERENT_DETAILS: ErrorKind.ALREADY_EXISTS,
    ErrorReason.GROUP_NOT_FOUND: ErrorKind.NOT_FOUND,
    ErrorReason.GROUP_EXISTS_WITH_DIFFERENT_CURRENCY: ErrorKind.ALREADY_EXISTS,
    ErrorReason.GROUP_CURRENCIES_EXHAUSTED: ErrorKind.FAILED_PRECONDITION,
    ErrorReason.ACCOUNT_MOVING: ErrorKind.ABORTED,
    ErrorReason.LIMIT_BATCH_NOT_FOUND: ErrorKind.NOT_FOUND,
    ErrorReason.LIMIT_BATCH_EXISTS_WITH_DIFFERENT_DETAILS: ErrorKind.ALREADY_EXISTS,
    ErrorReason.LIMIT_BATCH_STATE: ErrorKind.FAILED_PRECONDITION,
    ErrorReason.LIMIT_BATCH_QUARANTINED: ErrorKind.FAILED_PRECONDITION,
    ErrorReason.LIMIT_BATCH_CHANGED: ErrorKind.ABORTED,
}


class FieldViolation(NamedTuple):
    """One field that is wrong, and the bound it breaks."""

    field: str
    description: str


class CreditError(Exception):
    """A fault of one call or of one item of a batch.

    Attributes:
        reason: why, as the contract names it.
        message: one sentence for people.
        violations: the fields that are wrong, when the request is.

    """

    def __init__(self, reason: ErrorReason, message: str, violations: tuple[FieldViolation, ...] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.violations = violations

    @property
    def kind(self) -> ErrorKind:
        """The status this fault is reported with."""
        return self.reason.kind

    @classmethod
    def of_field(cls, field: str, description: str, reason: ErrorReason = ErrorReason.INVALID_FIELD) -> "CreditError":
        """Return the fault of a request with one wrong field; the description says what is allowed."""
        return cls(reason, f"{field} {description}", (FieldViolation(field, description),))

    @classmethod
    def of_violations(cls, violations: tuple[FieldViolation, ...]) -> "CreditError":
        """Return the fault of a request with one or more wrong fields."""
        message = "; ".join(f"{violation.field} {violation.description}" for violation in violations)
        return cls(ErrorReason.INVALID_FIELD, message, violations)
