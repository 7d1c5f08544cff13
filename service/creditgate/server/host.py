"""The grpc.aio server: endpoints, health, reflection, and how it starts and stops."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final

import grpc
from grpc_reflection.v1alpha import reflection

from creditgate.api.endpoints import Endpoints
from creditgate.domain.errors import ErrorKind
from creditgate.ops.listen_address import AddressUnusableError, ListenAddress, check_usable
from creditgate.ops.rpc_metrics import RpcMetrics
from creditgate.server.answer import Failure, Serve, Stream
from creditgate.server.grpc_context import GrpcCallContext, GrpcServicerContext, deadline_of
from creditgate.server.health import HEALTH_SERVICE, ServiceHealth
from creditgate.server.interceptors.concurrency import ServedCalls
from creditgate.server.open_streams import OpenStreams
from creditgate.server.pipeline import build_serve, build_stream_serve

RECEIVE_SIZE_MAX_BYTES: Final = 4 * 1024 * 1024
"""Above this gRPC itself refuses a message; between here and the bound of the contract the answer can say more."""

_STATUS_DETAILS_KEY: Final = "grpc-status-details-bin"
_STATUS_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_FAILURE_CODES: Final = {kind: _STATUS_CODES[kind.value] for kind in ErrorKind}

_UNSERVED_CALLS_MAX: Final = 10_000
"""Calls beyond those that are served at which gRPC itself refuses further ones, without an ErrorInfo: those that are
being refused, and watches of health."""

STREAM_AGE_MAX_S: Final = 30.0 * 60
"""How long a stream may last at most: as long as a connection does before its client is asked to connect anew."""

_CONNECTION_AGE_MAX_MS: Final = 30 * 60 * 1000
_CONNECTION_AGE_GRACE_MS: Final = 60 * 1000
_KEEPALIVE_AFTER_MS: Final = 60 * 1000
_KEEPALIVE_TIMEOUT_MS: Final = 20 * 1000
_CLIENT_PING_INTERVAL_MIN_MS: Final = 10 * 1000

_CHANNEL_OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    ("grpc.max_receive_message_length", RECEIVE_SIZE_MAX_BYTES),
    # Clients are asked to connect anew now and then, so that they spread over servers that have joined.
    ("grpc.max_connection_age_ms", _CONNECTION_AGE_MAX_MS),
    ("grpc.max_connection_age_grace_ms", _CONNECTION_AGE_GRACE_MS),
    # Finds clients that went away without a word; clients may do the same, but not more often than this.
    ("grpc.keepalive_time_ms", _KEEPALIVE_AFTER_MS),
    ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", _CLIENT_PING_INTERVAL_MIN_MS),
)


@dataclass(frozen=True, slots=True)
class HostOptions:
    """How the server behaves.

    Attributes:
        address: where it listens.
        deadline_default_s: how long a call may take whose client does not say.
        deadline_max_s: how long a call may take at most, whatever its client says.
        concurrency_max: calls that are served at once, of all clients; further ones get OVERLOADED.
        slow_call_s: a call that takes longer is logged.
        log_every_call: whether all calls are logged, at debug.
        shares_port: whether other processes of the same service listen on the address too. If not, a second server on
            it fails, instead of silently sharing it.

    """

    address: ListenAddress
    deadline_default_s: float
    deadline_max_s: float
    concurrency_max: int
    slow_call_s: float
    log_every_call: bool = False
    shares_port: bool = False


class GrpcHost:
    """Serves endpoints over gRPC, with health and reflection. `health` tells whether calls are answered."""

    def __init__(self, endpoints: Endpoints, options: HostOptions, metrics: RpcMetrics) -> None:
        self._endpoints = endpoints
        self._options = options
        self._metrics = metrics
        self._services = endpoints.services
        self._streams = OpenStreams()
        self._server: grpc.aio.Server | None = None
        self.health = ServiceHealth(self._services)

    async def start(self) -> ListenAddress:
        """Listen and serve; return the bound address. Raises AddressUnusableError."""
        address = self._options.address
        if not self._options.shares_port:
            check_usable(address)
        server = grpc.aio.server(
            options=(*_CHANNEL_OPTIONS, ("grpc.so_reuseport", int(self._options.shares_port))),
            maximum_concurrent_rpcs=self._options.concurrency_max + _UNSERVED_CALLS_MAX,
        )
        server.add_generic_rpc_handlers(self._rpc_handlers())
        await self.health.start(server)
        reflection.enable_server_reflection((*self._services, HEALTH_SERVICE, reflection.SERVICE_NAME), server)
        try:
            port = server.add_insecure_port(str(address))
        except RuntimeError as error:
            raise AddressUnusableError(str(error)) from None
        await server.start()
        self._server = server
        return address.with_port(port)

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, wait for those under way, and cut off what is left after `grace_s` seconds."""
        if self._server is None:
            return
        server, self._server = self._server, None
        self.health.end_watches()
        self._streams.end()
        await server.stop(grace_s)
        path = self._options.address.unix_path
        if path is not None:
            with suppress(FileNotFoundError):
                await asyncio.to_thread(path.unlink)

    def _rpc_handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """Return a handler for each service; requests and responses pass gRPC as bytes."""
        services: dict[str, dict[str, grpc.RpcMethodHandler[bytes, bytes]]] = defaultdict(dict)
        options = self._options
        served = ServedCalls(options.concurrency_max)
        for unary in self._endpoints.unary:
            serve = build_serve(
                unary, self._metrics, served, slow_call_s=options.slow_call_s, log_every_call=options.log_every_call
            )
            services[unary.service][unary.method] = grpc.unary_unary_rpc_method_handler(
                _adapt(serve, unary.full_name, options)
            )
        for stream in self._endpoints.streams:
            serve_stream = build_stream_serve(stream, self._metrics, served, log_every_call=options.log_every_call)
            services[stream.service][stream.method] = grpc.stream_stream_rpc_method_handler(
                self._adapt_stream(serve_stream, stream.full_name)
            )
        return tuple(grpc.method_handlers_generic_handler(service, methods) for service, methods in services.items())

    def _adapt_stream(
        self, serve: Serve[Stream], method: str
    ) -> Callable[[AsyncIterator[bytes], GrpcServicerContext], Awaitable[None]]:
        """Return what grpc.aio calls for one streaming RPC."""
        item_timeout_s = self._options.deadline_default_s

        async def handle(messages: AsyncIterator[bytes], host: GrpcServicerContext) -> None:
            deadline = deadline_of(host, STREAM_AGE_MAX_S, STREAM_AGE_MAX_S)
            context = GrpcCallContext(method, deadline, item_timeout_s, host)
            with self._streams.open(messages) as open_stream:
                async with aclosing(open_stream.messages()) as read:
                    answer = await serve(Stream(read, host.write), context)
                if isinstance(answer, Failure):
                    _fail(host, answer)

        return handle


def _adapt(
    serve: Serve[bytes], method: str, options: HostOptions
) -> Callable[[bytes, GrpcServicerContext], Awaitable[bytes]]:
    """Return what grpc.aio calls for one RPC."""
    default_s, max_s = options.deadline_default_s, options.deadline_max_s

    async def handle(request: bytes, host: GrpcServicerContext) -> bytes:
        context = GrpcCallContext(method, deadline_of(host, default_s, max_s), default_s, host)
        answer = await serve(request, context)
        if isinstance(answer, Failure):
            _fail(host, answer)
            return b""
        return answer

    return handle


def _fail(host: GrpcServicerContext, failure: Failure) -> None:
    """Set the status of a failed call; gRPC then drops the response. Unlike `abort`, this raises nothing."""
    host.set_code(_FAILURE_CODES[failure.reason.kind])
    host.set_details(failure.status.message)
    host.set_trailing_metadata(((_STATUS_DETAILS_KEY, failure.status.SerializeToString()),))
