"""Leaves room for orders between the steps of a batch."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

OrdersDone = Callable[[], int]
"""Returns how many operations on accounts this server's store has ended so far."""

OrdersElsewhere = Callable[[], bool]
"""Returns whether other servers have orders."""

_REST: Final = 3.0
"""How many times as long as a step takes the store is left to orders, while there are some: they keep most of it."""

REST_S_MAX: Final = 0.05
"""Longest rest after a step."""

_FORGETTING: Final = 0.9


class Turns:
    """Takes turns with orders: rests after each step of a batch if orders were done meanwhile, and not otherwise.

    Those of other servers are known as such only: while there are any, it rests after each step.
    """

    def __init__(self, orders_done: OrdersDone, orders_elsewhere: OrdersElsewhere) -> None:
        self._orders_done = orders_done
        self._orders_elsewhere = orders_elsewhere
        self._seen = orders_done()
        self._step_s = 0.0
        self._begun = time.monotonic()

    def begin(self) -> None:
        """Begin a step, where it does not follow the last one at once."""
        self._begun = time.monotonic()

    async def rest(self, longest_s: float = REST_S_MAX) -> None:
        """Let orders have the store, for some times as long as the last steps took and `longest_s` seconds at most."""
        now = time.monotonic()
        # Some steps are done when they are asked for, since the store works ahead: the longest of late counts.
        self._step_s = max(now - self._begun, self._step_s * _FORGETTING)
        if self._orders_done() > self._seen or self._orders_elsewhere():
            await asyncio.sleep(min(_REST * self._step_s, longest_s))
        self._seen = self._orders_done()
        self._begun = time.monotonic()


def no_orders() -> int:
    """Return that there are none."""
    return 0


def none_elsewhere() -> bool:
    """Return that other servers have no orders."""
    return False
