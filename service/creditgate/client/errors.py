"""The one exception of the clients, decoded from what the service sends along with a gRPC status."""

from typing import Protocol

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from creditgate.domain.errors import FieldViolation

_DETAILS_KEY = "grpc-status-details-bin"
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class CreditCallError(Exception):
    """A fault of a call or of one item of a batch or a stream. A credit refusal is none: it is an answer.

    Attributes:
        code: the gRPC status code. Calls that may be repeated were already repeated on UNAVAILABLE.
        reason: short name of the `creditgate.v1.ErrorReason`, or empty when no creditgate service answered.
        message: one sentence for people.
        violations: the fields that are wrong, when the request is.

    """

    def __init__(
        self, code: grpc.StatusCode, reason: str, message: str, violations: tuple[FieldViolation, ...] = ()
    ) -> None:
        super().__init__(code, reason, message, violations)
        self.code = code
        self.reason = reason
        self.message = message
        self.violations = violations

    def __str__(self) -> str:
        return f"{self.reason or self.code.name}: {self.message}"


class EndedCall(Protocol):
    """What the errors of both kinds of gRPC channel have in common."""

    def code(self) -> grpc.StatusCode:
        """Return the status code."""
        ...

    def details(self) -> str | None:
        """Return the status message."""
        ...

    def trailing_metadata(self) -> "grpc.aio.Metadata | tuple[tuple[str, str | bytes], ...] | None":
        """Return what the server sent at the end of the call."""
        ...


def error_of_call(call: EndedCall) -> CreditCallError:
    """Return the error that a failed call ended with."""
    status = Status(code=call.code().value[0], message=call.details() or "")
    for key, value in call.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                status.details.extend(Status.FromString(value).details)
            except DecodeError:
                # Something between here and the service rewrote the details; the code and the message still hold.
                break
    return error_of_status(status)


def no_answer_error(timeout_s: float) -> CreditCallError:
    """Return the error of a stream that owes an answer for too long."""
    message = f"no answer within {timeout_s:g} s; asking again is safe"
    return CreditCallError(grpc.StatusCode.DEADLINE_EXCEEDED, "", message)


def stream_ended_error() -> CreditCallError:
    """Return the error of a stream that was ended in order and owes answers."""
    message = "the stream ended before every order was answered; asking again is safe"
    return CreditCallError(grpc.StatusCode.UNAVAILABLE, "", message)


def error_of_status(status: Status) -> CreditCallError:
    """Return the error of one item of a batch or a stream."""
    reason = ""
    violations: list[FieldViolation] = []
    for detail in status.details:
        error_info, bad_request = ErrorInfo(), BadRequest()
        if detail.Unpack(error_info):
            reason = error_info.reason
        elif detail.Unpack(bad_request):
            violations += [FieldViolation(each.field, each.description) for each in bad_request.field_violations]
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    return CreditCallError(code, reason, status.message, tuple(violations))
