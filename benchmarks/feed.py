"""The rows of the limit feed: its speed, what it takes of the service's memory, and what orders notice of it."""

import asyncio
import shutil
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.bench import Bench, Gate
from benchmarks.feed_run import PipeRun, PushRun, run_pipe, run_push
from benchmarks.rows import Row, Target, against, row_of
from benchmarks.sampling import FailedRunError, Sample
from benchmarks.stores import Redis, started_redis
from creditgate.client import AsyncCreditClient
from creditgate.v1.limit_batch_pb2 import LIMIT_BATCH_STATE_ACTIVATING, LIMIT_BATCH_STATE_ACTIVE

_GROUP: Final = "limit feed"
_UPDATES: Final = "updates/s"
_IN_FLIGHT: Final = 16
_CALL_TIMEOUT_S: Final = 60.0
_LOOK_AGAIN_S: Final = 0.1
_ACTIVATE_TIMEOUT_S: Final = 600.0
_KB_PER_MB: Final = 1000


async def measure_limit_feed(bench: Bench) -> list[Row]:
    """A batch for all accounts against redis-cli, and orders with and without one being put in force."""
    async with AsyncExitStack() as stack:
        gate = await bench.start_gate(stack, "always", bench.size.feed_updates)
        plain = await stack.enter_async_context(started_redis(bench.new_data_dir(), "always"))
        feed = _Feed(bench, gate)
        rows = await _speed_rows(bench, feed, plain)
        rows += await _order_rows(bench, feed)
    return rows


class _Feed:
    """Pushes batches into a service, numbered one after the other."""

    def __init__(self, bench: Bench, gate: Gate) -> None:
        self._bench = bench
        self.gate = gate
        self._run = 0
        self._late = False

    @property
    def note(self) -> str:
        """What is wrong with the figures of orders that were placed while limits were put in force."""
        return "the limits were in force before the orders were placed" if self._late else ""

    async def push(self, *, apply: bool, in_order: bool = True) -> Sample:
        """Push a batch for all accounts."""
        self._run += 1
        return await self._bench.in_load_process(run_push, self._push_run(apply=apply, in_order=in_order))

    async def reserve(self, calls: int) -> Sample:
        """Place orders."""
        self._run += 1
        return await self.gate.reserve(self._run, calls, in_flight=_IN_FLIGHT)

    async def reserve_while_activating(self, calls: int) -> Sample:
        """Place orders while limits are put in force, and wait until all are."""
        await self.push(apply=False)
        batch_id = self._push_run(apply=False).batch_id
        host, port = self.gate.server.address
        async with AsyncCreditClient(f"{host}:{port}", timeout_s=_CALL_TIMEOUT_S) as client:
            await client.activate_limit_batch(batch_id)
            sample = await self.reserve(calls)
            state = (await client.get_limit_batch(batch_id)).batch.state
            self._late = self._late or state != LIMIT_BATCH_STATE_ACTIVATING
            async with asyncio.timeout(_ACTIVATE_TIMEOUT_S):
                while state != LIMIT_BATCH_STATE_ACTIVE:
                    await asyncio.sleep(_LOOK_AGAIN_S)
                    state = (await client.get_limit_batch(batch_id)).batch.state
        return sample

    def _push_run(self, *, apply: bool, in_order: bool = True) -> PushRun:
        gate = self.gate
        return PushRun(gate.server.address, self._run, gate.accounts, apply, in_order, gate.server.pid, gate.redis.pid)


async def _speed_rows(bench: Bench, feed: _Feed, plain: Redis) -> list[Row]:
    program = shutil.which("redis-cli")
    updates = feed.gate.accounts
    piped: dict[bool, list[Sample]] = {True: [], False: []}
    pushed: dict[bool, list[Sample]] = {True: [], False: []}
    grown: list[float] = []
    for run in range(1, bench.size.feed_rounds + 1):
        for in_order in (True, False):
            if program is not None:
                socket_path, file = plain.url.removeprefix("unix://"), bench.data_dir / "pipe"
                spec = PipeRun(Path(program), socket_path, run, updates, in_order, file, plain.pid)
                piped[in_order].append(await bench.in_load_process(run_pipe, spec))
            before_kb = _memory_kb(feed.gate.server.pid, "VmRSS")
            pushed[in_order].append(await feed.push(apply=True, in_order=in_order))
            grown.append(max(0, _memory_kb(feed.gate.server.pid, "VmHWM") - before_kb) / _KB_PER_MB)
    rows = []
    for in_order, order in ((True, "by account"), (False, "in no order")):
        pipe = f"redis-cli --pipe, the fields of {updates:,} updates {order}"
        row = row_of(_GROUP, f"PushLimits of {updates:,} updates {order}, in force", _UPDATES, pushed[in_order])
        if program is not None:
            baseline = row_of(_GROUP, pipe, _UPDATES, piped[in_order])
            row = against(row, baseline, Target("ratio", "at least", 0.25))
        else:
            baseline = Row(group=_GROUP, name=pipe, unit=_UPDATES, note="not installed")
        rows += [baseline, row]
    memory = Row(
        group=_GROUP,
        name="PushLimits, growth of the service's memory",
        unit="MB",
        figure=max(grown),
        samples=tuple(grown),
        targets=(Target("figure", "at most", 100),),
    )
    return [*rows, memory]


async def _order_rows(bench: Bench, feed: _Feed) -> list[Row]:
    calls = bench.size.feed_calls
    await feed.reserve(calls)  # the first turn is colder than the others
    alone: list[Sample] = []
    beside: list[Sample] = []
    for _ in range(bench.size.feed_rounds):
        alone.append(await feed.reserve(calls))
        beside.append(await feed.reserve_while_activating(calls))
    what = f"ReserveCredit, {_IN_FLIGHT} in flight"
    rows = []
    for row, unit, target in (
        (row_of, "calls/s", Target("ratio", "at least", 0.7)),
        (_p99_row, "ms", Target("ratio", "at most", 2)),
    ):
        name = what if row is row_of else f"p99 of {what}"
        baseline = row(_GROUP, f"{name}, no batch", unit, alone)
        ours = replace(row(_GROUP, f"{name}, a batch being put in force", unit, beside), note=feed.note)
        rows += [baseline, against(ours, baseline, target)]
    return rows


def _p99_row(group: str, name: str, unit: str, samples: Sequence[Sample]) -> Row:
    """Return a row whose figure is the time that one call in a hundred exceeds."""
    times_ms = tuple(sample.p99_ms or 0.0 for sample in samples)
    return Row(group=group, name=name, unit=unit, figure=median(times_ms), samples=times_ms)


def _memory_kb(pid: int, field: str) -> int:
    """Return a figure of /proc/PID/status in kB: VmRSS, the memory in use, or VmHWM, the most that was."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0])
    raise FailedRunError(f"/proc/{pid}/status does not tell {field}")
