"""How many chunks of a limit batch are with the store at once, and working them off in their order."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

STEPS_BESIDE_ORDERS: Final = 2
"""Chunks that are with the store at once while it has orders: an order waits for two of them at most."""

STEPS_ALONE: Final = 8
"""Chunks that are with the store at once while it has no orders: they share a sync of its disk, and keep it busy while
their answers are looked at."""

QUIET_S: Final = 1.0
"""How long no order has been seen where there are none."""


class StepsUnderWay:
    """Decides how many chunks may be with the store at once. Orders of other servers are not seen.

    Args:
        orders_done: returns how many operations on accounts this server's store has ended so far.

    """

    def __init__(self, orders_done: Callable[[], int]) -> None:
        self._orders_done = orders_done
        self._seen = orders_done()
        self._seen_at = time.monotonic() - QUIET_S

    def most(self) -> int:
        """Return how many there may be now."""
        now, done = time.monotonic(), self._orders_done()
        if done != self._seen:
            self._seen, self._seen_at = done, now
        return STEPS_ALONE if now - self._seen_at >= QUIET_S else STEPS_BESIDE_ORDERS


async def ahead(begin: Callable[[], Awaitable[T] | None], steps: StepsUnderWay) -> AsyncIterator[T]:
    """Tell the outcomes of steps in their order; others are under way while whoever asks looks at one.

    `begin` returns the next step, or None when there is none; it is asked again after a step that has ended.
    """
    under_way: deque[asyncio.Future[T]] = deque()

    def fill() -> None:
        most = steps.most()
        while len(under_way) < most and (step := begin()) is not None:
            under_way.append(asyncio.ensure_future(step))

    try:
        fill()
        while under_way:
            outcome = await under_way.popleft()
            fill()
            yield outcome
    finally:
        for step in under_way:
            step.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
