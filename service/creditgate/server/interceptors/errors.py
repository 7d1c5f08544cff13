"""Turns whatever a call raises into an answer: nothing else of a fault leaves the service."""

from typing import Final

import structlog

from creditgate.api.context import CallContext
from creditgate.api.status import render_status
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.server.answer import Answer, Failure, RequestT, Respond, Serve

_INTERNAL: Final = CreditError(ErrorReason.INTERNAL, "internal error; the service's log has the details")
_log = structlog.get_logger(__name__)


def answer_faults(respond: Respond[RequestT]) -> Serve[RequestT]:
    """Return the same with faults as answers; a defect is logged with its traceback and answered without details.

    Cancellation passes: then nobody waits for the answer.
    """

    async def serve(request: RequestT, context: CallContext) -> Answer:
        try:
            return await respond(request, context)
        except CreditError as error:
            return Failure(error.reason, render_status(error))
        except Exception:  # noqa: BLE001 - the one place for the unexpected: callers get an answer, operators the traceback
            _log.exception("a call failed unexpectedly", method=context.method)
            return Failure(_INTERNAL.reason, render_status(_INTERNAL))

    return serve
