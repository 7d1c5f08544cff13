"""Counts and times the calls of one RPC."""

import time
from typing import Final

from creditgate.api.context import CallContext
from creditgate.domain.errors import ErrorKind
from creditgate.ops.rpc_metrics import MethodMetrics
from creditgate.server.answer import Answer, Failure, RequestT, Serve

_OK: Final = "OK"
_CANCELLED: Final = "CANCELLED"

CODES: Final = (_OK, _CANCELLED, *(kind.name for kind in ErrorKind))
"""Every status code that a call can be counted with."""


def count_calls(serve: Serve[RequestT], metrics: MethodMetrics) -> Serve[RequestT]:
    """Return the same, telling the RPC's metrics."""

    async def serve_counted(request: RequestT, context: CallContext) -> Answer:
        metrics.in_flight += 1
        started = time.perf_counter()
        code = _CANCELLED
        try:
            answer = await serve(request, context)
            code = answer.reason.kind.name if isinstance(answer, Failure) else _OK
        finally:
            metrics.in_flight -= 1
            metrics.call_finished(code, time.perf_counter() - started)
        return answer

    return serve_counted
