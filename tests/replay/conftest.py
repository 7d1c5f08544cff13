"""Plays against the real service."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

import pytest

from creditgate.bootstrap import RunningService
from creditgate.client import AsyncCreditClient
from creditgate.replay.calls import ServiceCalls
from creditgate.replay.pace import Pace
from creditgate.replay.player import Player
from creditgate.replay.schedule import Play
from creditgate.replay.summary import Summary, summarize
from creditgate.replay.tally import Tally
from tests.patience import PATIENCE_S

PlayIt = Callable[[Play], Awaitable[Summary]]


class NoProgress:
    """Counts steps, and shows nothing."""

    def __init__(self) -> None:
        self.steps = self.done = 0

    def begin(self, steps: int) -> None:
        self.steps = steps

    def step_done(self, file_time: datetime | None) -> None:
        del file_time
        self.done += 1


@pytest.fixture
async def client(service: RunningService) -> AsyncIterator[AsyncCreditClient]:
    async with AsyncCreditClient(str(service.address), timeout_s=PATIENCE_S) as client:
        yield client


@pytest.fixture
def play_it(client: AsyncCreditClient) -> PlayIt:
    """Play, and return the summary."""

    async def play_it(play: Play) -> Summary:
        tally = Tally()
        tally.plan(play.events)
        progress = NoProgress()
        player = Player(ServiceCalls(client, tally.time_call), tally, progress, in_flight=8, pace=Pace(None))
        complete = await player.play(play)
        await player.verify(play)
        assert progress.done <= progress.steps == len(play.accounts) + len(play.events)
        return summarize(tally, None, 1.0, complete=complete)

    return play_it
