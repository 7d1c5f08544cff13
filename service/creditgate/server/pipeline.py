"""The way of a call: counted, logged, answered whatever happens, in time, decoded, handled."""

from creditgate.api.endpoints import Endpoint
from creditgate.ops.rpc_metrics import RpcMetrics
from creditgate.server.answer import Serve
from creditgate.server.decoding import respond_with
from creditgate.server.interceptors.deadline import end_at_deadline
from creditgate.server.interceptors.errors import answer_faults
from creditgate.server.interceptors.logging import log_calls
from creditgate.server.interceptors.metrics import count_calls


def build_serve(endpoint: Endpoint, metrics: RpcMetrics, *, slow_call_s: float, log_every_call: bool) -> Serve:
    """Return what serves an endpoint behind all interceptors."""
    serve = answer_faults(end_at_deadline(respond_with(endpoint)))
    serve = log_calls(serve, slow_call_s=slow_call_s, every_call=log_every_call)
    return count_calls(serve, metrics.of_method(endpoint.full_name))
