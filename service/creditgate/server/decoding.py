"""From bytes to a handler and back."""

from typing import Final

from google.protobuf.message import DecodeError

from creditgate.api.context import CallContext
from creditgate.api.endpoints import Endpoint
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.server.answer import Respond

MESSAGE_SIZE_MAX_BYTES: Final = 1024 * 1024
"""Largest request: a full batch of orders with the longest ids takes half of it."""


def respond_with(endpoint: Endpoint) -> Respond:
    """Return what answers the endpoint's requests.

    It raises MESSAGE_TOO_LARGE, MALFORMED_REQUEST, or what the handler raises.
    """
    parse = endpoint.request_class.FromString
    message_name = endpoint.request_class.DESCRIPTOR.full_name
    handler = endpoint.handler

    async def respond(request: bytes, context: CallContext) -> bytes:
        if len(request) > MESSAGE_SIZE_MAX_BYTES:
            raise CreditError(
                ErrorReason.MESSAGE_TOO_LARGE,
                f"the message must be at most {MESSAGE_SIZE_MAX_BYTES} bytes, was {len(request)}",
            )
        try:
            message = parse(request)
        except DecodeError:
            raise CreditError(ErrorReason.MALFORMED_REQUEST, f"the request is not a {message_name}") from None
        response = await handler(message, context)
        return response.SerializeToString()

    return respond
