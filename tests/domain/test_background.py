"""Work in the background goes on, whatever it meets, until it is stopped."""

import asyncio
import logging

import pytest

from creditgate.domain.background import Background
from tests.patience import PATIENCE_S


class Work:
    """Raises the first times, then waits."""

    def __init__(self, defects: int) -> None:
        self.defects = defects
        self.begun = 0
        self.ended = 0
        self.goes_on = asyncio.Event()

    async def run(self) -> None:
        self.begun += 1
        if self.begun <= self.defects:
            msg = f"defect {self.begun}"
            raise KeyError(msg)
        self.goes_on.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended += 1


async def test_work_that_met_a_defect_is_logged_and_begins_again(caplog: pytest.LogCaptureFixture) -> None:
    work = Work(defects=2)
    background = Background("sweeper", work.run, again_after_s=0.001)
    with caplog.at_level(logging.ERROR):
        background.start()
        await asyncio.wait_for(work.goes_on.wait(), PATIENCE_S)
    await background.stop()
    assert [record.message for record in caplog.records] == ["the sweeper met a defect and begins again"] * 2
    assert all("defect" in str(record.exc_info) for record in caplog.records)
    assert (work.begun, work.ended) == (3, 1)


async def test_work_runs_from_its_start_until_its_stop() -> None:
    work = Work(defects=0)
    background = Background("sweeper", work.run)
    await background.stop()
    running = [background.running]
    for times in (1, 2):
        background.start()
        running.append(background.running)
        await asyncio.wait_for(work.goes_on.wait(), PATIENCE_S)
        work.goes_on.clear()
        await background.stop()
        running.append(background.running)
        assert work.ended == times
    assert running == [False, True, False, True, False]


async def test_whoever_stops_it_can_be_cancelled_meanwhile() -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def leaves_late() -> None:
        try:
            entered.set()
            await asyncio.Event().wait()
        finally:
            await leave.wait()

    background = Background("sweeper", leaves_late)
    background.start()
    await asyncio.wait_for(entered.wait(), PATIENCE_S)
    stopping = asyncio.create_task(background.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    leave.set()
    with pytest.raises(asyncio.CancelledError):
        await stopping
