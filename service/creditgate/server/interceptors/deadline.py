"""Ends a call whose deadline has passed, whatever it waits for."""

import asyncio
import time

from creditgate.api.context import CallContext
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.server.answer import RequestT, Respond


def end_at_deadline(respond: Respond[RequestT]) -> Respond[RequestT]:
    """Return the same, raising DEADLINE_EXCEEDED once the context's deadline has passed."""

    async def respond_in_time(request: RequestT, context: CallContext) -> bytes:
        remaining_s = context.deadline - time.monotonic()
        limit = asyncio.timeout(remaining_s)
        try:
            async with limit:
                return await respond(request, context)
        except TimeoutError:
            if not limit.expired():
                raise
            raise CreditError(
                ErrorReason.DEADLINE_EXCEEDED,
                f"the deadline passed after {max(remaining_s, 0):.3g} s; whether a change was made is unknown, "
                "asking again is safe",
            ) from None

    return respond_in_time
