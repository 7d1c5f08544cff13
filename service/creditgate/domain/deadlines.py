"""Watches the deadlines of many calls with few timers."""

import asyncio
import time
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

STEP_S: Final = 0.02
"""How late a deadline is noticed at most. One timer serves all deadlines of a step: one for each would cost a call
more than all its other waiting."""

_EARLY_S: Final = 0.001
"""An event loop may round a timer down by as much."""

WaiterT = TypeVar("WaiterT", bound=Hashable)


class Deadlines(Generic[WaiterT]):
    """Calls `expire` with each waiter whose deadline, a value of `time.monotonic()`, has passed."""

    def __init__(self, expire: Callable[[WaiterT], None]) -> None:
        self._expire = expire
        self._steps: dict[int, set[WaiterT]] = {}

    def watch(self, deadline: float, waiter: WaiterT) -> int:
        """Watch a deadline until it passes or is forgotten, for which the returned step is needed."""
        step = int(deadline / STEP_S) + 1
        waiters = self._steps.get(step)
        if waiters is None:
            self._steps[step] = {waiter}
            delay_s = step * STEP_S - time.monotonic() + _EARLY_S
            asyncio.get_running_loop().call_later(delay_s, self._expire_step, step)
        else:
            waiters.add(waiter)
        return step

    def forget(self, step: int, waiter: WaiterT) -> None:
        """Watch a deadline no more; it may have passed."""
        waiters = self._steps.get(step)
        if waiters is not None:
            waiters.discard(waiter)

    def _expire_step(self, step: int) -> None:
        for waiter in self._steps.pop(step):
            self._expire(waiter)
