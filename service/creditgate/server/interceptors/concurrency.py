"""Refuses calls beyond those that are served at once."""

from typing import Final

from creditgate.api.context import CallContext
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.server.answer import RequestT, Respond

SETTING: Final = "CREDITGATE_CONCURRENCY_MAX"
"""What whoever reads of a refusal can change."""


class ServedCalls:
    """The calls that a server serves now, of all its RPCs; a stream is one of them for as long as it is open."""

    __slots__ = ("count", "count_max")

    def __init__(self, count_max: int) -> None:
        self.count = 0
        self.count_max = count_max


def bound_calls(respond: Respond[RequestT], served: ServedCalls) -> Respond[RequestT]:
    """Return the same, raising OVERLOADED for a call that comes while as many are served as may be."""

    async def respond_if_room(request: RequestT, context: CallContext) -> bytes:
        if served.count >= served.count_max:
            raise CreditError(
                ErrorReason.OVERLOADED,
                f"as many calls are served already as {SETTING} allows ({served.count_max}); nothing was done, ask "
                f"again later",
            )
        served.count += 1
        try:
            return await respond(request, context)
        finally:
            served.count -= 1

    return respond_if_room
