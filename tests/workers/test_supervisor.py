"""Workers that do not live long, or too long."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from creditgate.workers.process import WorkerProcess
from creditgate.workers.supervisor import RESTART_DELAY_MAX_S, WorkerStartError, WorkerSupervisor, longer_delay_s
from tests.killable import has_ended
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
RESTARTS = 4
LASTING = "tests.workers.lasting_worker"
BRIEF = "tests.workers.brief_worker"
ABSENT = "creditgate.no_such_worker"


class Site:
    """A supervisor of one worker.

    Attributes:
        module: what the next process runs.
        environment: what it is told.
        processes: all that were started.
        restarts: how often that was because the one before had ended.

    """

    def __init__(self, stop_s_max: float) -> None:
        self.module = LASTING
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.processes: list[WorkerProcess] = []
        self.restarts = 0
        self.restarted_enough = asyncio.Event()
        self.workers = WorkerSupervisor(1, self._start, stop_s_max=stop_s_max, on_restart=self._count)

    async def stop(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.workers.stop(asyncio.Event())

    async def _start(self, number: int) -> WorkerProcess:
        process = await WorkerProcess.start(number, self.module, self.environment)
        self.processes.append(process)
        return process

    def _count(self) -> None:
        self.restarts += 1
        if self.restarts >= RESTARTS:
            self.restarted_enough.set()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site(stop_s_max=PATIENCE_S / 2)
    yield site
    await site.stop()
    assert all(has_ended(process.pid) for process in site.processes)


async def test_a_worker_that_ends_before_it_listens_fails_the_start(site: Site) -> None:
    site.module = ABSENT
    with pytest.raises(WorkerStartError, match=r"^worker 0 ended before it listened: exit code 1$"):
        await site.workers.start()


async def test_a_worker_that_ends_again_and_again_is_started_until_the_stop(site: Site) -> None:
    site.module = BRIEF
    await site.workers.start()
    async with asyncio.timeout(PATIENCE_S):
        await site.restarted_enough.wait()
    await site.stop()
    assert {process.how_it_ended for process in site.processes} <= {"exit code 3", "signal 9 (Killed)"}


async def test_a_worker_that_has_ended_may_have_listened_before(site: Site) -> None:
    process = await WorkerProcess.start(0, BRIEF, site.environment)
    await process.wait_ended()
    assert await process.wait_heard()


def test_each_restart_waits_longer_up_to_a_bound() -> None:
    delays_s = [0.0]
    while delays_s[-1] < RESTART_DELAY_MAX_S:
        delays_s.append(longer_delay_s(delays_s[-1]))
    assert delays_s == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5]
    assert longer_delay_s(RESTART_DELAY_MAX_S) == RESTART_DELAY_MAX_S


async def test_a_worker_is_replaced(site: Site) -> None:
    await site.workers.start()
    await site.workers.replace_each()
    replaced, replacement = site.processes
    assert (replaced.how_it_ended, replacement.how_it_ended) == ("exit code 0", "")
    assert (site.workers.unready_reason(), site.workers.ready_count, site.restarts) == ("", 1, 0)


async def test_a_worker_stays_if_its_replacement_does_not_come_up(site: Site) -> None:
    await site.workers.start()
    site.module = ABSENT
    await site.workers.replace_each()
    kept, replacement = site.processes
    assert (kept.how_it_ended, replacement.how_it_ended) == ("", "exit code 1")
    assert (site.workers.unready_reason(), site.workers.ready_count, site.restarts) == ("", 1, 0)


async def test_a_worker_that_does_not_stop_is_killed() -> None:
    site = Site(stop_s_max=0.5)
    site.environment["DEAF"] = "1"
    await site.workers.start()
    await site.stop()
    assert site.processes[0].how_it_ended == "signal 9 (Killed)"
    assert site.workers.unready_reason() == "worker 0 has ended"
