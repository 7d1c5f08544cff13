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


def end_at_deadline(respond: Respond[RequestT], *, only_reads: bool) -> Respond[RequestT]:
    """Return the same, raising DEADLINE_EXCEEDED once the context's deadline has passed."""
    deadlines = Deadlines(_Running.end)

    async def respond_in_time(request: RequestT, context: CallContext) -> bytes:
        started = time.monotonic()
        if context.deadline <= started:
            raise _exceeded("before the call began", began=False)
        running = _Running()
        step = deadlines.watch(context.deadline, running)
        try:
            return await respond(request, context)
        except asyncio.CancelledError:
            if running.was_ended():
                after_s = context.deadline - started
                raise _exceeded(f"after {after_s:.3g} s", began=not only_reads) from None
            raise
        finally:
            deadlines.forget(step, running)

    return respond_in_time


def _exceeded(when: str, *, began: bool) -> CreditError:
    """Return the error of a deadline that has passed; `began` is whether the call may have made a change."""
    effect = "whether a change was made is unknown, " if began else ""
    return CreditError(ErrorReason.DEADLINE_EXCEEDED, f"the deadline passed {when}; {effect}asking again is safe")
