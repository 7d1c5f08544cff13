"""The one place where a fault becomes a google.rpc.Status, for a whole call as for one item of a batch."""

from typing import Final

from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from creditgate.domain.errors import CreditError, ErrorReason, FieldViolation

ERROR_DOMAIN: Final = "creditgate"

_MESSAGE_LENGTH_MAX: Final = 500
"""The message travels twice in the trailers, which clients bound at 8 KiB; the violations say everything anyhow."""


def _packed_error_info(reason: ErrorReason) -> Any:
    packed = Any()
    packed.Pack(ErrorInfo(reason=reason.name, domain=ERROR_DOMAIN))
    return packed


_ERROR_INFOS: Final = {reason: _packed_error_info(reason) for reason in ErrorReason}


def render_status(error: CreditError) -> Status:
    """Return the status of a fault: its code, its message, an ErrorInfo, and a BadRequest when fields are wrong."""
    message = error.message
    if len(message) > _MESSAGE_LENGTH_MAX:
        message = f"{message[:_MESSAGE_LENGTH_MAX]}…"
    status = Status(code=error.kind.value, message=message)
    status.details.add().CopyFrom(_ERROR_INFOS[error.reason])
    if error.violations:
        bad_request = BadRequest()
        for violation in error.violations:
            bad_request.field_violations.add(field=violation.field, description=violation.description)
        status.details.add().Pack(bad_request)
    return status


def render_item_status(error: CreditError, item: str) -> Status:
    """Return the status of one item of a batch; field violations are named from the batch, `requests[3].order_id`."""
    violations = tuple(
        FieldViolation(f"{item}.{violation.field}", violation.description) for violation in error.violations
    )
    return render_status(CreditError(error.reason, error.message, violations))
