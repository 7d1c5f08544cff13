"""How many chunks of a limit batch are with the store at once, and working them off in their order."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

STEPS_BESIDE_ORDERS: Final = 2
"""Chunks that are with the store at once while it has orders: an order waits for two of them at most."""

STEPS_ALONE: Final = 9
"""Chunks that are with the store at once while it has no orders: they share a sync of its disk, and keep it busy while
their answers are looked at."""

CHUNKS_A_CALL_ALONE: Final = 3
"""Chunks that a call brings while there are no orders. Redis reads one call of that size at a time, so that calls that
bring rows share no sync."""

QUIET_S: Final = 1.0
"""How long no order has been seen where there are none."""


class StepsUnderWay:
    """Decides how many chunks may be with the store at once.

    Args:
        orders_done: returns how many operations on accounts this server's store has ended so far.
        orders_elsewhere: returns whether other servers have orders.

    """

    def __init__(self, orders_done: Callable[[], int], orders_elsewhere: Callable[[], bool]) -> None:
        self._orders_done = orders_done
        self._orders_elsewhere = orders_elsewhere
        self._seen = orders_done()
        self._seen_at = time.monotonic() - QUIET_S

    def most(self) -> int:
        """Return how many chunks may be with the store now."""
        return STEPS_ALONE if self._is_alone() else STEPS_BESIDE_ORDERS

    def most_in_call(self) -> int:
        """Return how many chunks a call may bring now."""
        return CHUNKS_A_CALL_ALONE if self._is_alone() else 1

    def most_calls(self) -> int:
        """Return how many calls that bring as many chunks as they may there may be now."""
        return STEPS_ALONE // CHUNKS_A_CALL_ALONE if self._is_alone() else STEPS_BESIDE_ORDERS

    def _is_alone(self) -> bool:
        now, done = time.monotonic(), self._orders_done()
        if done != self._seen:
            self._seen, self._seen_at = done, now
        return now - self._seen_at >= QUIET_S and not self._orders_elsewhere()


async def ahead(begin: Callable[[], Awaitable[T] | None], most: Callable[[], int]) -> AsyncIterator[T]:
    """Tell the outcomes of steps in their order; others are under way while whoever asks looks at one.

    `begin` returns the next step, or None when there is none; it is asked again after a step that has ended. `most`
    returns how many may be under way now.
    """
    under_way: deque[asyncio.Future[T]] = deque()

    def fill() -> None:
        bound = most()
        while len(under_way) < bound and (step := begin()) is not None:
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
