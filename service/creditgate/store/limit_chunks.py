"""Goes through the chunks of a limit batch in all partitions, and takes rows to where their accounts have moved.

What one server does with a chunk is one atomic step, and taking rows elsewhere may be repeated; so any server may go
on where another one stopped, and several may do the same at once (`lua/limit_rows.lua`).
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from enum import Enum
from typing import Final, NamedTuple, Protocol, TypeVar, cast

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.store.lane import Argument, Reply
from creditgate.store.limit_row_blobs import pairs
from creditgate.store.limit_steps import StepsUnderWay, ahead

T = TypeVar("T")

_MOVE_WAIT_S: Final = 0.05
"""How long a chunk waits, at the end of all others, for an account that is just being moved."""

_COUNT_CHUNKS: Final = 200
_LEFT_BEHIND: Final = ">"
_END: Final = b"0"


class CallFunction(Protocol):
    """Calls a function of the library on one partition; changes are answered when replicas have them."""

    def __call__(
        self,
        function: str,
        partition: int,
        arguments: tuple[Argument, ...],
        deadline: float,
        *,
        read_only: bool = False,
    ) -> Awaitable[Reply]:
        """Return the function's reply; raise `CreditError`."""
        ...


class ChunkKind(Enum):
    """Which chunks: rows to be put in force, or to be undone; as the library names them."""

    STAGED = "s"
    UNDO = "u"

    @property
    def came_from(self) -> str:
        """What parts the name of a chunk that was taken along from the partition that it comes from.

        What undoes rows that were taken along must not take the name of what undoes rows that moved later.
        """
        return "~" if self is ChunkKind.STAGED else "^"


class Chunk(NamedTuple):
    """Where a chunk of a batch is, and its name there."""

    partition: int
    name: str


class LimitChunks:
    """The chunks of limit batches."""

    def __init__(self, partitions: int, call: CallFunction, steps: StepsUnderWay) -> None:
        self._partitions = partitions
        self._call = call
        self._steps = steps

    async def pending(self, batch_id: str, kind: ChunkKind, deadline: float) -> list[Chunk]:
        """Return the chunks that are not done, rows that were left behind among them."""
        found = []
        for partition in range(self._partitions):
            arguments = (batch_id, kind.value)
            reply = await self._call("creditgate_list_chunks", partition, arguments, deadline, read_only=True)
            found += [Chunk(partition, name.decode()) for name in sorted(cast("list[bytes]", reply))]
        return found

    async def done(self, batch_id: str, kind: ChunkKind, deadline: float) -> AsyncIterator[bytes]:
        """Tell what has become of the chunks that are done, each once."""
        for partition in range(self._partitions):
            cursor, seen = b"0", set[bytes]()
            while True:
                arguments = (batch_id, kind.value, cursor, _COUNT_CHUNKS)
                reply = await self._call("creditgate_count_chunks", partition, arguments, deadline, read_only=True)
                cursor, flat = cast("tuple[bytes, list[bytes]]", reply)
                for name, answer in pairs(flat):
                    if name not in seen:
                        seen.add(name)
                        yield answer
                if cursor == _END:
                    break

    async def carry_out(
        self,
        batch_id: str,
        kind: ChunkKind,
        carry_out_one: Callable[[Chunk], Awaitable[tuple[T, int] | None]],
        deadline: float,
    ) -> AsyncIterator[T]:
        """Carry out all chunks that are not done, and tell what became of each.

        `carry_out_one` returns that with the number of rows that have gone on elsewhere; None when nothing was there to
        do. It raises ACCOUNT_MOVING when an account of the chunk is just being moved.
        """
        waiting = deque(await self.pending(batch_id, kind, deadline))
        moving = 0

        async def step(chunk: Chunk) -> T | None:
            nonlocal moving
            try:
                return await self._step(batch_id, kind, chunk, carry_out_one, waiting, deadline)
            except CreditError as error:
                if error.reason is not ErrorReason.ACCOUNT_MOVING or time.monotonic() + _MOVE_WAIT_S >= deadline:
                    raise
            waiting.append(chunk)
            moving += 1
            if moving >= len(waiting):  # all that is left waits for moves
                await asyncio.sleep(_MOVE_WAIT_S)
                moving = 0
            return None

        async for outcome in ahead(lambda: step(waiting.popleft()) if waiting else None, self._steps.most):
            if outcome is not None:
                yield outcome
        await self._confirm(batch_id, kind, deadline)

    async def _confirm(self, batch_id: str, kind: ChunkKind, deadline: float) -> None:
        """Return when replicas have all chunks that are done, whoever did them and saw it acknowledged or not."""
        for partition in range(self._partitions):
            await self._call("creditgate_forget_chunk", partition, (batch_id, kind.value, ""), deadline)

    async def _step(
        self,
        batch_id: str,
        kind: ChunkKind,
        chunk: Chunk,
        carry_out_one: Callable[[Chunk], Awaitable[tuple[T, int] | None]],
        waiting: deque[Chunk],
        deadline: float,
    ) -> T | None:
        if _LEFT_BEHIND in chunk.name:
            waiting.appendleft(await self._take_along(batch_id, kind, chunk, deadline))
            return None
        outcome = await carry_out_one(chunk)
        if outcome is None:
            return None
        rows, moved_rows = outcome
        if moved_rows:
            head = f"{chunk.name}{_LEFT_BEHIND}"
            arguments = (batch_id, kind.value)
            reply = await self._call("creditgate_list_chunks", chunk.partition, arguments, deadline, read_only=True)
            names = [name.decode() for name in cast("list[bytes]", reply)]
            waiting.extendleft(Chunk(chunk.partition, name) for name in names if name.startswith(head))
        return rows

    async def _take_along(self, batch_id: str, kind: ChunkKind, left: Chunk, deadline: float) -> Chunk:
        """Take rows that were left behind to the partition that their accounts live in; return the chunk there."""
        origin, _, target = left.name.rpartition(_LEFT_BEHIND)
        chunk = Chunk(int(target), f"{origin}{kind.came_from}{left.partition}")
        named = (batch_id, kind.value, left.name)
        blob = await self._call("creditgate_read_chunk", left.partition, named, deadline, read_only=True)
        if blob:
            taken = (batch_id, kind.value, chunk.name, cast("bytes", blob))
            await self._call("creditgate_take_chunk", chunk.partition, taken, deadline)
            await self._call("creditgate_forget_chunk", left.partition, named, deadline)
        return chunk
