"""Ends a call whose deadline has passed, whatever it waits for."""

import asyncio
import time
from typing import cast

from creditgate.api.context import CallContext
from creditgate.domain.deadlines import Deadlines
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.server.answer import RequestT, Respond


class _Running:
    """A call under way. It is ended as `asyncio.timeout` does it, which costs a timer for each call."""

    __slots__ = ("cancelling", "expired", "task")

    def __init__(self) -> None:
        self.task = cast("asyncio.Task[object]", asyncio.current_task())
        self.cancelling = self.task.cancelling()
        self.expired = False

    def end(self) -> None:
        self.expired = True
        self.task.cancel()

    def was_ended(self) -> bool:
        """Whether the deadline alone has cancelled the call."""
        return self.expired and self.task.uncancel() <= self.cancelling


def end_at_deadline(respond: Respond[RequestT]) -> Respond[RequestT]:
    """Return the same, raising DEADLINE_EXCEEDED once the context's deadline has passed."""
    deadlines = Deadlines(_Running.end)

    async def respond_in_time(request: RequestT, context: CallContext) -> bytes:
        started = time.monotonic()
        if context.deadline <= started:
            raise _exceeded(0)
        running = _Running()
        step = deadlines.watch(context.deadline, running)
        try:
            return await respond(request, context)
        except asyncio.CancelledError:
            if running.was_ended():
                raise _exceeded(context.deadline - started) from None
            raise
        finally:
            deadlines.forget(step, running)

    return respond_in_time


def _exceeded(after_s: float) -> CreditError:
    return CreditError(
        ErrorReason.DEADLINE_EXCEEDED,
        f"the deadline passed after {after_s:.3g} s; whether a change was made is unknown, asking again is safe",
    )
