"""The way of a call: counted, logged, answered whatever happens, if there is room, in time, decoded, handled."""

import math

from creditgate.api.endpoints import StreamEndpoint, UnaryEndpoint
from creditgate.ops.rpc_metrics import RpcMetrics
from creditgate.server.answer import RequestT, Respond, Serve, Stream
from creditgate.server.decoding import respond_with, stream_with
from creditgate.server.interceptors.concurrency import ServedCalls, bound_calls
from creditgate.server.interceptors.deadline import end_at_deadline
from creditgate.server.interceptors.errors import answer_faults
from creditgate.server.interceptors.logging import log_calls
from creditgate.server.interceptors.metrics import count_calls


def build_serve(
    endpoint: UnaryEndpoint, metrics: RpcMetrics, served: ServedCalls, *, slow_call_s: float, log_every_call: bool
) -> Serve[bytes]:
    """Return what serves an endpoint behind all interceptors."""
    respond = bound_calls(end_at_deadline(respond_with(endpoint), only_reads=endpoint.only_reads), served)
    return _behind_interceptors(
        respond, endpoint.full_name, metrics, slow_call_s=slow_call_s, log_every_call=log_every_call
    )


def build_stream_serve(
    endpoint: StreamEndpoint, metrics: RpcMetrics, served: ServedCalls, *, log_every_call: bool
) -> Serve[Stream]:
    """Return what serves a streaming endpoint behind all interceptors; a stream is never slow, it lasts."""
    respond = bound_calls(end_at_deadline(stream_with(endpoint), only_reads=endpoint.only_reads), served)
    return _behind_interceptors(
        respond, endpoint.full_name, metrics, slow_call_s=math.inf, log_every_call=log_every_call
    )


def _behind_interceptors(
    respond: Respond[RequestT], method: str, metrics: RpcMetrics, *, slow_call_s: float, log_every_call: bool
) -> Serve[RequestT]:
    serve = log_calls(answer_faults(respond), slow_call_s=slow_call_s, every_call=log_every_call)
    return count_calls(serve, metrics.of_method(method))
