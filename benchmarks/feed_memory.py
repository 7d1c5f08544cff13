"""How many bytes of Redis a row of a limit batch takes: while it is received, staged, in force, and in the journal."""

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import Final

from redis import Redis as RedisClient

from benchmarks.bench import Bench, Gate
from benchmarks.feed_run import PushRun, run_push
from benchmarks.memory import Scale, memory_row
from benchmarks.rows import Row
from creditgate.client import AsyncCreditClient
from creditgate.store import PARTITIONS_DEFAULT
from creditgate.v1.limit_batch_pb2 import LIMIT_BATCH_STATE_ACTIVATING, LIMIT_BATCH_STATE_ACTIVE

_CALL_TIMEOUT_S: Final = 60.0
_ACTIVATE_TIMEOUT_S: Final = 600.0
_LOOK_AGAIN_S: Final = 0.02
_FREED_IN_S: Final = 0.5
"""Redis frees large keys by a thread of its own, within moments."""


async def measure_limit_batch_memory(bench: Bench) -> list[Row]:
    """Return the rows of what a limit takes on its way; the accounts have had one of a batch before."""
    count = bench.size.memory_accounts
    async with AsyncExitStack() as stack:
        gate = await bench.start_gate(stack, "memory", count)
        client = stack.enter_context(RedisClient.from_url(gate.redis.url))
        await bench.in_load_process(run_push, _push(gate, 1, apply=True))
        scale = Scale(client, PARTITIONS_DEFAULT)
        scale.weigh()
        received = {True: 0, False: 0}
        steps = []
        for run, in_order in ((2, True), (3, False)):
            highest = asyncio.create_task(_highest(scale))
            await bench.in_load_process(run_push, _push(gate, run, apply=False, in_order=in_order))
            highest.cancel()
            received[in_order] = await highest
            await _freed(scale)
            steps.append(scale.weigh())
        await _activate(gate, _push(gate, 3, apply=False).batch_id)
        await _freed(scale)
        active = scale.weigh()
    staged = steps[-1]
    return [
        memory_row("limit of a batch, at most while it is received, by account", received[True] / count),
        memory_row("limit of a batch, at most while it is received, in no order", received[False] / count),
        memory_row("limit of a batch, staged", staged.bytes_used / count),
        memory_row("limit of a batch, what undoes it", (staged.bytes_used + active.bytes_used) / count),
        memory_row("journal, one limit put in force", active.journal_bytes / count),
    ]


def _push(gate: Gate, run: int, *, apply: bool, in_order: bool = True) -> PushRun:
    return PushRun(gate.server.address, run, gate.accounts, apply, in_order, gate.server.pid, gate.redis.pid)


async def _highest(scale: Scale) -> int:
    """Return by how many bytes Redis grew at most, looked at often, until this is cancelled."""
    highest = 0
    with suppress(asyncio.CancelledError):
        while True:
            highest = max(highest, scale.growth())
            await asyncio.sleep(_LOOK_AGAIN_S)
    return highest


async def _freed(scale: Scale) -> None:
    """Wait until Redis has freed in the background what was dropped."""
    before, growth = None, scale.growth()
    while growth != before:
        await asyncio.sleep(_FREED_IN_S)
        before, growth = growth, scale.growth()


async def _activate(gate: Gate, batch_id: str) -> None:
    host, port = gate.server.address
    async with AsyncCreditClient(f"{host}:{port}", timeout_s=_CALL_TIMEOUT_S) as client:
        await client.activate_limit_batch(batch_id)
        async with asyncio.timeout(_ACTIVATE_TIMEOUT_S):
            state = LIMIT_BATCH_STATE_ACTIVATING
            while state != LIMIT_BATCH_STATE_ACTIVE:
                await asyncio.sleep(_LOOK_AGAIN_S)
                state = (await client.get_limit_batch(batch_id)).batch.state
