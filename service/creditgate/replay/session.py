"""One play against one service, from connecting to the summary: what the commands `replay` and `demo` share."""

import time
from dataclasses import dataclass

import uvloop

from creditgate.client import AsyncCreditClient
from creditgate.replay.calls import ServiceCalls
from creditgate.replay.pace import Pace
from creditgate.replay.player import Player
from creditgate.replay.progress import show_play
from creditgate.replay.schedule import Play
from creditgate.replay.summary import RowCounts, Summary, summarize
from creditgate.replay.tally import Tally


@dataclass(frozen=True, slots=True)
class PlayOptions:
    """How to play.

    Attributes:
        timeout_s: deadline of each call.
        in_flight: most calls at a time.
        speed: how many seconds of the file pass in one; None: as fast as possible.

    """

    timeout_s: float
    in_flight: int
    speed: float | None = None


class Session:
    """Plays once. The summary is there at any time, also after an interrupt.

    Args:
        play: what is played.
        rows: how the rows of its file turned out; None when it does not come from a file.
        options: how to play.

    """

    def __init__(self, play: Play, rows: RowCounts | None, options: PlayOptions) -> None:
        self._play = play
        self._rows = rows
        self._options = options
        self._tally = Tally()
        self._tally.plan(play.events)
        self._begin_s = self._end_s = 0.0
        self._complete = False

    def run_alone(self, target: str, title: str) -> None:
        """Run in an event loop of its own; KeyboardInterrupt comes through once the calls under way are dropped."""
        uvloop.run(self.run(target, title))

    async def run(self, target: str, title: str) -> None:
        """Play against the service at a target and verify what was played; show on standard error how far it is."""
        options = self._options
        self._begin_s = time.monotonic()
        try:
            async with AsyncCreditClient(target, timeout_s=options.timeout_s) as client:
                with show_play(title) as progress:
                    calls = ServiceCalls(client, self._tally.time_call)
                    pace = Pace(options.speed)
                    player = Player(calls, self._tally, progress, in_flight=options.in_flight, pace=pace)
                    self._complete = await player.play(self._play)
                    self._end_s = time.monotonic()
                    if self._complete:
                        await player.verify(self._play)
        finally:
            self._end_s = self._end_s or time.monotonic()

    def summary(self) -> Summary:
        """Return what the play has come to."""
        return summarize(self._tally, self._rows, self._end_s - self._begin_s, complete=self._complete)
