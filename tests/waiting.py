"""Waiting for what tells nobody that it has come."""

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from typing import Final

from tests.patience import PATIENCE_S

POLL_S: Final = 0.02

_NEVER: Final = threading.Event()


def wait_until(
    done: Callable[[], bool], why_not: Callable[[], str] = str, passing: tuple[type[Exception], ...] = ()
) -> None:
    """Wait until something is so; to ask may raise what is `passing`."""
    give_up = time.monotonic() + PATIENCE_S
    while True:
        try:
            if done():
                return
        except passing:
            pass
        assert time.monotonic() < give_up, why_not()
        _NEVER.wait(POLL_S)


async def eventually(holds: Callable[[], object], within_s: float = PATIENCE_S) -> None:
    """Wait until a condition, or what it awaits, holds; the test fails when it does not in time."""
    give_up = time.monotonic() + within_s
    while True:
        answer = holds()
        if await answer if inspect.isawaitable(answer) else answer:
            return
        assert time.monotonic() < give_up, f"did not happen within {within_s} s"
        await asyncio.sleep(POLL_S)
