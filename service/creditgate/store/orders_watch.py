"""Whether other servers of the same store have orders: work on a limit batch leaves room for theirs, too.

A server that has had orders says so in the first partition (`lua/note_orders.lua`), and is told there of the others.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, cast

from creditgate.domain.background import Background
from creditgate.domain.errors import CreditError
from creditgate.store.lane import Argument, Reply

INTERVAL_S: Final = 0.5
"""Seconds between two notes of a server that has orders, or between two looks of one that wants to know."""

BUSY_S: Final = 2.0
"""How long others count as busy after their last orders, and how long what was told is believed."""

_ASKED_S: Final = 5.0
"""How long somebody wants to know after having asked."""

_FIRST: Final = 0

Call = Callable[[str, int, tuple[Argument, ...], float], Awaitable[Reply]]
"""Calls a function of the library on a partition with arguments by a deadline; raises `CreditError`."""


class OrdersWatch:
    """Notes the orders of this server and knows of those of others, while it runs.

    Args:
        call: calls a function of the library.
        orders_done: returns how many operations on accounts this server's store has ended so far.

    """

    def __init__(self, call: Call, orders_done: Callable[[], int]) -> None:
        self._call = call
        self._orders_done = orders_done
        self._server_id = secrets.token_hex(8)
        self._noted = 0
        self._asked_at = self._told_at = self._others_at = float("-inf")
        self._background = Background("watch over orders", self._run)

    def start(self) -> None:
        """Begin to watch in the background."""
        self._background.start()

    async def stop(self) -> None:
        """End watching."""
        await self._background.stop()

    def elsewhere(self) -> bool:
        """Return whether other servers have orders; so it is assumed until it is known."""
        self._asked_at = now = time.monotonic()
        if not self._background.running:
            return False
        return now - self._told_at > BUSY_S or now - self._others_at < BUSY_S

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_S)
            done = self._orders_done()
            if done != self._noted or time.monotonic() - self._asked_at < _ASKED_S:
                with suppress(CreditError):  # what is not known is assumed, and the next turn comes soon
                    await self._exchange(has_orders=done != self._noted)
                    self._noted = done

    async def _exchange(self, *, has_orders: bool) -> None:
        arguments = (self._server_id, int(has_orders))
        reply = await self._call("creditgate_note_orders", _FIRST, arguments, time.monotonic() + BUSY_S)
        self._told_at = time.monotonic()
        others_ms_ago = cast("int", reply)
        if others_ms_ago >= 0:
            self._others_at = self._told_at - others_ms_ago / 1000
