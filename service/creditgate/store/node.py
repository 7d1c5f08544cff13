"""One Redis server in use: a pair of lanes, and a supervisor that keeps them open and fit."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from creditgate.domain.background import Background
from creditgate.store.lane import Lane, LaneBrokenError
from creditgate.store.readiness import NotReadyError
from creditgate.store.topology import LanePair

PROBE_INTERVAL_S: Final = 1.0
_RETRY_FIRST_S: Final = 0.05
_RETRY_MAX_S: Final = 1.0

_log = logging.getLogger(__name__)


class Node:
    """Keeps a lane pair to the server that `find` names.

    `check` raises NotReadyError when the server behind a lane is not fit. `on_change` is called whenever `lanes` has
    changed.

    Attributes:
        lanes: the lanes in use; None while there are none.
        why: why there are none, in one sentence; empty when there are some.
        attempted: set once the server has been tried for the first time.

    """

    def __init__(
        self,
        find: Callable[[], Awaitable[str]],
        check: Callable[[Lane], Awaitable[None]],
        timeout_s: float,
        on_change: Callable[[], None],
    ) -> None:
        self.lanes: LanePair | None = None
        self.why = "connecting to Redis"
        self.attempted = asyncio.Event()
        self._find = find
        self._check = check
        self._timeout_s = timeout_s
        self._on_change = on_change
        self._opened: list[Lane] = []
        self._given_up = asyncio.Event()
        self._background = Background("supervision of Redis", self._supervise)

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._background.start()

    async def close(self) -> None:
        """Close the lanes; what is in flight on them fails."""
        await self._background.stop()
        await self._lose("the service is stopping")

    def give_up(self, why: str) -> None:
        """Use these lanes no more; the supervisor looks for the server anew."""
        self._set_lost(why)
        self._given_up.set()

    async def _supervise(self) -> None:
        retry_s = _RETRY_FIRST_S
        while True:
            try:
                url = await self._open()
                retry_s = _RETRY_FIRST_S
                await self._watch(url)
            except (LaneBrokenError, NotReadyError) as error:
                await self._lose(str(error))
            except Exception as error:  # noqa: BLE001 - logged; see below
                # Without its supervisor the server would stay away for good: whatever it meets, it goes on.
                _log.exception("the supervision of Redis met a defect and begins again")
                await self._lose(f"defect in the supervision of Redis: {error}")
            self.attempted.set()
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, _RETRY_MAX_S)

    async def _open(self) -> str:
        """Open and check a lane pair, put it to use, and return the server's URL."""
        self._given_up.clear()
        url = await self._find()
        write = await self._open_lane(url)
        await self._check(write)
        read = await self._open_lane(url)
        for lane in (write, read):
            if lane.broken is not None:
                raise LaneBrokenError(lane.broken)
            lane.on_broken = self.give_up
        self.lanes, self.why = LanePair(write, read), ""
        self.attempted.set()
        self._on_change()
        return url

    async def _open_lane(self, url: str) -> Lane:
        lane = await Lane.open(url, self._timeout_s)
        self._opened.append(lane)
        return lane

    async def _watch(self, url: str) -> None:
        """Raise `LaneBrokenError` or `NotReadyError` once a lane is given up or the server is no longer the one."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(PROBE_INTERVAL_S):
                    await self._given_up.wait()
                    raise LaneBrokenError(self.why)
            if self.lanes is not None:
                await self._check(self.lanes.read)
            found = url
            with suppress(LaneBrokenError):  # those who can't be asked say nothing against the server in use
                found = await self._find()
            if found != url:
                raise NotReadyError("another Redis is the primary now")

    async def _lose(self, why: str) -> None:
        self._set_lost(why)
        for lane in self._opened:
            lane.on_broken = None
            await lane.close()
        self._opened.clear()

    def _set_lost(self, why: str) -> None:
        had_lanes, self.lanes, changed = self.lanes is not None, None, self.why != why
        self.why = why
        if had_lanes or changed:
            self._on_change()
