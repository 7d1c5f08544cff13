"""The way of a call: counted, logged, answered whatever happens, in time, decoded, handled."""

import math

from creditgate.api.endpoints import StreamEndpoint, UnaryEndpoint
from creditgate.ops.rpc_metrics import RpcMetrics
from creditgate.server.answer import RequestT, Respond, Serve, Stream
from creditgate.server.decoding import respond_with, stream_with
from creditgate.server.interceptors.deadline import end_at_deadline
from creditgate.server.interceptors.errors import answer_faults
from creditgate.server.interceptors.logging import log_calls
from creditgate.server.interceptors.metrics import count_calls


def build_serve(
    endpoint: UnaryEndpoint, metrics: RpcMetrics, *, slow_call_s: float, log_every_call: bool
) -> Serve[bytes]:
    """Return what serves an endpoint behind all interceptors."""
    return _behind_interceptors(
        respond_with(endpoint), endpoint.full_name, metrics, slow_call_s=slow_call_s, log_every_call=log_every_call
    )


def build_stream_serve(endpoint: StreamEndpoint, metrics: RpcMetrics, *, log_every_call: bool) -> Serve[Stream]:
    """Return what serves a streaming endpoint behind all interceptors; a stream is never slow, it lasts."""
    return _behind_interceptors(
        stream_with(endpoint), endpoint.full_name, metrics, slow_call_s=math.inf, log_every_call=log_every_call
    )


def _behind_interceptors(
    respond: Respond[RequestT], method: str, metrics: RpcMetrics, *, slow_call_s: float, log_every_call: bool
) -> Serve[RequestT]:
    serve = answer_faults(end_at_deadline(respond))
    serve = log_calls(serve, slow_call_s=slow_call_s, every_call=log_every_call)
    return count_calls(serve, metrics.of_method(method))
