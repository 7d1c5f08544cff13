"""From bytes to a handler and back."""

from collections.abc import Callable
from contextlib import aclosing

from google.protobuf.message import DecodeError, Message

from creditgate.api.context import CallContext
from creditgate.api.endpoints import StreamEndpoint, UnaryEndpoint
from creditgate.domain.bounds import MESSAGE_SIZE_MAX_BYTES
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.server.answer import Respond, Stream


def respond_with(endpoint: UnaryEndpoint) -> Respond[bytes]:
    """Return what answers the endpoint's requests.

    It raises MESSAGE_TOO_LARGE, MALFORMED_REQUEST, or what the handler raises.
    """
    parse = _parser(endpoint.request_class)
    handler = endpoint.handler

    async def respond(request: bytes, context: CallContext) -> bytes:
        response = await handler(parse(request), context)
        return response.SerializeToString()

    return respond


def stream_with(endpoint: StreamEndpoint) -> Respond[Stream]:
    """Return what answers the endpoint's streams; it raises as `respond_with` does."""
    parse = _parser(endpoint.request_class)
    handler = endpoint.handler

    async def respond(stream: Stream, context: CallContext) -> bytes:
        requests = (parse(message) async for message in stream.messages)
        async with aclosing(requests), aclosing(handler(requests, context)) as responses:
            async for response in responses:
                await stream.send(response.SerializeToString())
        return b""

    return respond


def _parser(request_class: type[Message]) -> Callable[[bytes], Message]:
    from_string = request_class.FromString
    message_name = request_class.DESCRIPTOR.full_name

    def parse(request: bytes) -> Message:
        if len(request) > MESSAGE_SIZE_MAX_BYTES:
            raise CreditError(
                ErrorReason.MESSAGE_TOO_LARGE,
                f"the message must be at most {MESSAGE_SIZE_MAX_BYTES} bytes, was {len(request)}",
            )
        try:
            return from_string(request)
        except DecodeError:
            raise CreditError(ErrorReason.MALFORMED_REQUEST, f"the request is not a {message_name}") from None

    return parse
