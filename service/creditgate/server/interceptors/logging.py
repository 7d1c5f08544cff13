"""One log line for a call that failed or was slow, and for every call at debug."""

import logging
import time
from typing import Final

import structlog

from creditgate.api.context import CallContext
from creditgate.domain.errors import ErrorKind
from creditgate.server.answer import Answer, Failure, RequestT, Serve

REQUEST_ID_KEY: Final = "x-request-id"
"""Metadata under which callers and proxies name a call; logged so that both sides' lines can be joined."""

_REQUEST_ID_LENGTH_MAX: Final = 128
_LEVELS: Final = {
    ErrorKind.INTERNAL: logging.ERROR,
    ErrorKind.UNAVAILABLE: logging.WARNING,
    ErrorKind.RESOURCE_EXHAUSTED: logging.WARNING,
    ErrorKind.DEADLINE_EXCEEDED: logging.WARNING,
}
"""Faults that operators should see; all others are the caller's and logged at info."""

_log = structlog.get_logger(__name__)


def log_calls(serve: Serve[RequestT], *, slow_call_s: float, every_call: bool) -> Serve[RequestT]:
    """Return the same with log lines.

    Args:
        serve: what serves the call.
        slow_call_s: a call that takes longer gets a warning.
        every_call: whether calls that are neither failed nor slow are logged too, at debug.

    """

    async def serve_logged(request: RequestT, context: CallContext) -> Answer:
        started = time.perf_counter()
        answer = await serve(request, context)
        duration_s = time.perf_counter() - started
        if isinstance(answer, Failure):
            level = _LEVELS.get(answer.reason.kind, logging.INFO)
            _log_call(level, "call failed", context, duration_s, answer)
        elif duration_s > slow_call_s:
            _log_call(logging.WARNING, "call was slow", context, duration_s)
        elif every_call:
            _log_call(logging.DEBUG, "call", context, duration_s)
        return answer

    return serve_logged


def _log_call(level: int, event: str, context: CallContext, duration_s: float, failure: Failure | None = None) -> None:
    fields: dict[str, object] = {"method": context.method, "peer": context.peer, "duration_s": round(duration_s, 6)}
    request_id = context.metadata(REQUEST_ID_KEY)
    if request_id is not None:
        fields["request_id"] = request_id[:_REQUEST_ID_LENGTH_MAX]
    if failure is not None:
        fields |= {"code": failure.reason.kind.name, "reason": failure.reason.name, "error": failure.status.message}
    _log.log(level, event, **fields)
