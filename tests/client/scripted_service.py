"""A service that answers as a test tells it to."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Self, cast

import grpc
from google.protobuf import message_factory
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from creditgate.v1.admin_service_pb2 import DESCRIPTOR as ADMIN
from creditgate.v1.credit_desk_service_pb2 import DESCRIPTOR as DESK
from creditgate.v1.credit_service_pb2 import DESCRIPTOR as CREDIT
from creditgate.v1.limit_feed_service_pb2 import DESCRIPTOR as LIMIT_FEED
from creditgate.v1.receivables_service_pb2 import DESCRIPTOR as RECEIVABLES
from tests.patience import PATIENCE_S

METHODS = {
    f"/{service.full_name}/{method.name}": method
    for file in (CREDIT, RECEIVABLES, LIMIT_FEED, DESK, ADMIN)
    for service in file.services_by_name.values()
    for method in service.methods
}


class Failure(NamedTuple):
    """A call that ends with a status, and perhaps with its details."""

    code: grpc.StatusCode
    message: str = "scripted"
    details: bytes | Status | None = None


class Wait(NamedTuple):
    """A call that is never answered; it ends with its deadline, or when the service stops."""


Answer = Message | Failure | Wait | Callable[[Message], Message]
StreamAnswer = Callable[[Iterator[Message]], Iterable[Message | Failure | Wait]]
"""Yields the answers to one stream of requests; a failure ends it."""


class ScriptedService(grpc.GenericRpcHandler):
    """Answers each call with the next answer in its method's script; the last one repeats.

    A call without a script is UNIMPLEMENTED.

    Attributes:
        requests: every request that arrived, repeats included.
        streams: the requests of each stream that was begun.
        languages: what each call says that its caller reads, None for one that does not say.

    """

    def __init__(self, port: int = 0, credentials: grpc.ServerCredentials | None = None) -> None:
        self.requests: list[Message] = []
        self.streams: list[list[Message]] = []
        self.languages: list[str | None] = []
        self._scripts: dict[str, deque[Answer]] = {}
        self._stream_scripts: dict[str, deque[StreamAnswer]] = {}
        self._server = grpc.server(ThreadPoolExecutor(8), handlers=[self], options=[("grpc.so_reuseport", 0)])
        address = f"127.0.0.1:{port}"
        self.port = (
            self._server.add_secure_port(address, credentials)
            if credentials
            else self._server.add_insecure_port(address)
        )
        self._server.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def script(self, method: str, *answers: Answer) -> Self:
        self._scripts[method] = deque(answers)
        return self

    def script_streams(self, method: str, *answers: StreamAnswer) -> Self:
        self._stream_scripts[method] = deque(answers)
        return self

    def wait_for_requests(self, count: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while len(self.requests) < count:
            assert time.monotonic() < deadline, f"{len(self.requests)} requests"
            threading.Event().wait(0.01)

    def stop(self) -> None:
        self._server.stop(grace=None).wait()

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[Message, Message] | None":
        method = METHODS[handler_call_details.method]
        said = dict(handler_call_details.invocation_metadata or ())
        self.languages.append(cast("str | None", said.get("accept-language")))
        request_class = message_factory.GetMessageClass(method.input_type)
        if method.name in self._stream_scripts:
            return self._stream_handler(self._stream_scripts[method.name], request_class)
        if method.name not in self._scripts:
            return None

        def answer(request: Message, context: grpc.ServicerContext) -> Message:
            self.requests.append(request)
            script = self._scripts[method.name]
            return _carry_out(script.popleft() if len(script) > 1 else script[0], request, context)

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=request_class.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )

    def _stream_handler(
        self, script: deque[StreamAnswer], request_class: type[Message]
    ) -> "grpc.RpcMethodHandler[Message, Message]":
        def answer(requests: Iterator[Message], context: grpc.ServicerContext) -> Iterator[Message]:
            stream: list[Message] = []
            self.streams.append(stream)

            def arrived() -> Iterator[Message]:
                for request in requests:
                    self.requests.append(request)
                    stream.append(request)
                    yield request

            for each in (script.popleft() if len(script) > 1 else script[0])(arrived()):
                yield _carry_out(each, None, context)

        return grpc.stream_stream_rpc_method_handler(
            answer,
            request_deserializer=request_class.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )


def _carry_out(answer: Answer, request: Message | None, context: grpc.ServicerContext) -> Message:
    if isinstance(answer, Message):
        return answer
    if isinstance(answer, Failure):
        if answer.details is not None:
            details = answer.details if isinstance(answer.details, bytes) else answer.details.SerializeToString()
            context.set_trailing_metadata((("grpc-status-details-bin", details),))
        context.abort(answer.code, answer.message)
    if isinstance(answer, Wait):
        ended = threading.Event()
        if context.add_callback(ended.set):
            ended.wait()
        context.abort(grpc.StatusCode.CANCELLED, "nobody waits any longer")
    assert request is not None
    return answer(request)
