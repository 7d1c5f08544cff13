"""How fast file time passes while a file is played."""

import asyncio
import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from creditgate.replay.errors import ReplayError

_SPEED: Final = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(s|m|h|d|w)/s")
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_speed(text: str) -> float | None:
    """Return how many seconds of the file pass in one second: `1d/s` is 86400; None for `max`, as fast as possible.

    Raises:
        ReplayError: neither `max` nor a positive number of s, m, h, d or w a second.

    """
    if text == "max":
        return None
    match = _SPEED.fullmatch(text)
    speed = float(match[1]) * _UNIT_S[match[2]] if match else 0.0
    if speed <= 0:
        raise ReplayError(f"--speed {text!r} is neither max nor a number with s, m, h, d or w a second, as in 7d/s")
    return speed


class Pace:
    """Holds the play back until its file time has come. Without a speed, it never does."""

    def __init__(self, speed: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._speed = speed
        self._clock = clock
        self._begin: tuple[datetime, float] | None = None

    def wait_s(self, file_time: datetime) -> float:
        """Return how long to wait, in seconds, until this time of the file; the first time asked for is now."""
        if self._speed is None:
            return 0.0
        if self._begin is None:
            self._begin = (file_time, self._clock())
        file_begin, clock_begin = self._begin
        passed_s = (file_time - file_begin).total_seconds() / self._speed
        return max(0.0, clock_begin + passed_s - self._clock())

    async def wait(self, file_time: datetime) -> None:
        """Wait until this time of the file has come."""
        wait_s = self.wait_s(file_time)
        if wait_s > 0:
            await asyncio.sleep(wait_s)
