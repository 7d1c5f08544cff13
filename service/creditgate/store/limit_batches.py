"""Limit batches on Redis: `creditgate.domain.ports.LimitBatchStore`.

Rows are staged in the partition that their account's id hashes onto, so that sending a window again writes the same
chunks; those of accounts that live elsewhere follow when they are put in force.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final, NamedTuple, cast

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.limit_batch import (
    BATCH_ACCOUNTS_MAX,
    CHUNK_ROWS_MAX,
    ROW_ERRORS_MAX,
    LimitBatch,
    LimitBatchState,
    LimitRow,
    Noteworthy,
    RowsApplied,
    RowsEffect,
    RowsRestored,
    WindowRows,
    WindowStaged,
)
from creditgate.domain.ports import Page
from creditgate.store import keys
from creditgate.store.constants import LIMIT_BATCHES_MAX
from creditgate.store.directory import HOPS_MAX
from creditgate.store.lane import Argument, Reply
from creditgate.store.limit_batch_record import parse_record, parse_row_error, render_record, render_row_error
from creditgate.store.limit_chunks import CallFunction, Chunk, ChunkKind, LimitChunks
from creditgate.store.limit_row_blobs import (
    ChunkApplied,
    ChunkRestored,
    join_applied,
    join_restored,
    naming,
    pack_rows,
    pairs,
    unpack_applied,
    unpack_effect,
    unpack_left_out,
    unpack_restored,
    without_duplicates,
)
from creditgate.store.limit_steps import StepsUnderWay, ahead

_FIRST: Final = 0
"""The partition that keeps the records."""

_OVER: Final = frozenset(
    {LimitBatchState.ACTIVE, LimitBatchState.CANCELLED, LimitBatchState.ROLLED_BACK, LimitBatchState.FAILED}
)
"""States from which on a batch's record may make room for others."""

_OTHER_REVISION: Final = -1
_NO_ROOM: Final = -2
_ITEM_FIELDS: Final = 5
_IS_LATE: Final = [0]
_LATE: Final = WindowStaged((), (), is_late=True)


class StagedChunk(NamedTuple):
    """Rows on their way to where they are staged; `is_named` says that their accounts are to be remembered."""

    chunk: Chunk
    rows: Sequence[LimitRow]
    is_named: bool


class RedisLimitBatches:
    """Keeps limit batches: the records in the first partition, the rows in those of their accounts."""

    def __init__(self, partitions: int, policy: Callable[[], bytes], call: CallFunction, steps: StepsUnderWay) -> None:
        self._partitions = partitions
        self._policy = policy
        self._call = call
        self._steps = steps
        self._chunks = LimitChunks(partitions, call, steps)

    # --- records

    async def read_clock(self, deadline: float) -> int:
        """Return the time by the clock of the records (see `LimitBatchStore.read_clock`)."""
        return cast("int", await self._call("creditgate_read_clock", _FIRST, (), deadline, read_only=True))

    async def put_batch(self, batch: LimitBatch, deadline: float) -> LimitBatch:
        """Write a batch's record (see `LimitBatchStore.put_batch`)."""
        return await self._put("creditgate_put_limit_batch", batch, deadline)

    async def put_measured(self, batch: LimitBatch, deadline: float) -> LimitBatch:
        """Write the record of a batch that has been measured (see `LimitBatchStore.put_measured`)."""
        return await self._put("creditgate_put_measured_batch", batch, deadline)

    async def _put(self, function: str, batch: LimitBatch, deadline: float) -> LimitBatch:
        record = render_record(batch)
        states = _state_bits(_OVER)
        arguments: list[Argument] = [batch.batch_id, batch.revision, batch.state.value, batch.header.model_version]
        arguments += [record, states]
        for error in batch.row_errors[:ROW_ERRORS_MAX]:
            arguments += [error.row, render_row_error(error)]
        reply = await self._call(function, _FIRST, tuple(arguments), deadline)
        revision, *times_ms = cast("list[int]", reply)
        if revision == _OTHER_REVISION:
            msg = f"limit batch {batch.batch_id} has been changed meanwhile; read it again and decide anew"
            raise CreditError(ErrorReason.LIMIT_BATCH_CHANGED, msg)
        if revision == _NO_ROOM:
            msg = f"{LIMIT_BATCHES_MAX} limit batches have to be kept, the most there may be; cancel or activate some"
            raise CreditError(ErrorReason.STORE_FULL, msg)
        create_time_ms, update_time_ms = times_ms
        return replace(batch, revision=revision, create_time_ms=create_time_ms, update_time_ms=update_time_ms)

    async def get_batch(self, batch_id: str, deadline: float) -> LimitBatch:
        """Return a batch with its wrong rows (see `LimitBatchStore.get_batch`)."""
        reply = await self._call("creditgate_get_limit_batch", _FIRST, (batch_id,), deadline, read_only=True)
        if not reply:
            raise CreditError(ErrorReason.LIMIT_BATCH_NOT_FOUND, f"there is no limit batch {batch_id}")
        revision, create_ms, update_ms, record, *flat = cast("list[bytes]", reply)
        told = dict(pairs(flat))
        errors = sorted((parse_row_error(*item) for item in told.items()), key=lambda error: error.row)
        return parse_record(record, int(revision), (int(create_ms), int(update_ms)), tuple(errors))

    async def list_batches(
        self, states: frozenset[LimitBatchState], page_size: int, page_token: str, deadline: float
    ) -> Page[LimitBatch]:
        """Return a page of batches (see `LimitBatchStore.list_batches`)."""
        wanted = _state_bits(states or frozenset(LimitBatchState))
        arguments = (*_parse_token(page_token), page_size, wanted)
        reply = await self._call("creditgate_list_limit_batches", _FIRST, arguments, deadline, read_only=True)
        more, *flat = cast("list[bytes]", reply)
        batches = []
        for start in range(0, len(flat), _ITEM_FIELDS):
            _, revision, create_ms, update_ms, record = flat[start : start + _ITEM_FIELDS]
            batches.append(parse_record(record, int(revision), (int(create_ms), int(update_ms))))
        return Page(tuple(batches), _render_token(batches[-1]) if int(more) else "")

    # --- rows

    async def stage_window(
        self, batch: LimitBatch, rows: WindowRows, noteworthy: Noteworthy | None, deadline: float
    ) -> WindowStaged:
        """Store the rows of a window (see `LimitBatchStore.stage_window`)."""
        named_once, left_out = without_duplicates(rows.rows)
        effects: list[RowsEffect] = []
        is_late = False
        calls = _in_calls(rows._replace(rows=named_once), self._partitions, self._steps.most_in_call)

        def begin() -> Awaitable[WindowStaged] | None:
            chunks = next(calls, None)
            return self._stage(batch, chunks, noteworthy, deadline) if chunks is not None else None

        async for staged in ahead(begin, self._steps.most_calls):
            left_out += staged.left_out
            effects += staged.effects
            is_late = is_late or staged.is_late
        return WindowStaged(sorted(left_out, key=lambda error: error.row), effects, is_late)

    async def index_accounts(self, batch_id: str, deadline: float) -> AsyncIterator[int]:
        """Remember which accounts the staged rows name (see `LimitBatchStore.index_accounts`)."""
        chunks = iter(await self._chunks.pending(batch_id, ChunkKind.STAGED, deadline))

        def begin() -> Awaitable[Reply] | None:
            chunk = next(chunks, None)
            if chunk is None:
                return None
            return self._call("creditgate_index_rows", chunk.partition, (batch_id, chunk.name), deadline)

        async for rows in ahead(begin, self._steps.most):
            yield cast("int", rows)

    async def measure_rows(
        self, batch: LimitBatch, noteworthy: Callable[[], Noteworthy], deadline: float
    ) -> AsyncIterator[RowsEffect]:
        """Tell what the rows that are not applied yet would do (see `LimitBatchStore.measure_rows`)."""
        chunks = iter(await self._chunks.pending(batch.batch_id, ChunkKind.STAGED, deadline))

        def begin() -> Awaitable[list[RowsEffect]] | None:
            chunk = next(chunks, None)
            return self._measure(batch, [(chunk, b"")], noteworthy(), deadline) if chunk is not None else None

        async for effects in ahead(begin, self._steps.most):
            for effect in effects:
                yield effect

    async def apply_rows(self, batch: LimitBatch, deadline: float) -> AsyncIterator[RowsApplied]:
        """Put the rows in force that are not (see `LimitBatchStore.apply_rows`)."""
        header = batch.header
        behind = (header.model_version, int(header.create_accounts))

        async def apply(chunk: Chunk) -> ChunkApplied | None:
            answer = await self._carry_out("creditgate_apply_rows", batch, chunk, behind, deadline)
            return unpack_applied(answer) if answer else None

        async for rows in self._chunks.carry_out(batch.batch_id, ChunkKind.STAGED, apply, deadline):
            yield rows

    async def count_applied(self, batch_id: str, deadline: float) -> RowsApplied:
        """Return what became of all chunks that are done (see `LimitBatchStore.count_applied`)."""
        total = RowsApplied()
        async for answer in self._chunks.done(batch_id, ChunkKind.STAGED, deadline):
            total = join_applied((total, unpack_applied(answer).rows), ROW_ERRORS_MAX, BATCH_ACCOUNTS_MAX)
        return total

    async def restore_rows(
        self, batch: LimitBatch, deadline: float, in_force_s: int = 0
    ) -> AsyncIterator[RowsRestored]:
        """Restore the limits before the rows that still count (see `LimitBatchStore.restore_rows`)."""

        async def restore(chunk: Chunk) -> ChunkRestored | None:
            behind = (batch.header.model_version, in_force_s)
            answer = await self._carry_out("creditgate_restore_rows", batch, chunk, behind, deadline)
            return unpack_restored(answer) if answer else None

        async for rows in self._chunks.carry_out(batch.batch_id, ChunkKind.UNDO, restore, deadline):
            yield rows

    async def count_restored(self, batch_id: str, deadline: float) -> RowsRestored:
        """Return what a rollback has made of all chunks (see `LimitBatchStore.count_restored`)."""
        total = RowsRestored()
        async for answer in self._chunks.done(batch_id, ChunkKind.UNDO, deadline):
            total = join_restored((total, unpack_restored(answer).rows), BATCH_ACCOUNTS_MAX)
        return total

    async def drop_received(self, batch_id: str, deadline: float) -> None:
        """Drop what was only needed to receive a batch's rows."""
        await self._drop(batch_id, deadline, received_only=True)

    async def drop_rows(self, batch_id: str, deadline: float) -> None:
        """Drop a batch's rows and what would undo them."""
        await self._drop(batch_id, deadline, received_only=False)

    async def drop_gone(self, deadline: float) -> int:
        """Drop the rows of batches whose records are gone (see `LimitBatchStore.drop_gone`)."""
        gone = cast("list[bytes]", await self._call("creditgate_gone_batches", _FIRST, (), deadline, read_only=True))
        for batch_id in gone:
            await self._drop(batch_id.decode(), deadline, received_only=False)
            await self._call("creditgate_forget_batch", _FIRST, (batch_id,), deadline)
        return len(gone)

    # --- inside

    async def _stage(
        self, batch: LimitBatch, chunks: Sequence[StagedChunk], noteworthy: Noteworthy | None, deadline: float
    ) -> WindowStaged:
        """Store chunks of one partition."""
        place = chunks[0].chunk
        rows = list(chain.from_iterable(staged.rows for staged in chunks))
        arguments: list[Argument] = [batch.batch_id]
        for staged in chunks:
            named = staged.rows if staged.is_named else ()
            arguments += (staged.chunk.name, len(named), pack_rows(staged.rows), *naming(named))
        if noteworthy is None:
            flat = await self._call("creditgate_stage_rows", place.partition, tuple(arguments), deadline)
            return _LATE if flat == _IS_LATE else WindowStaged(unpack_left_out(rows, cast("list[int]", flat)))
        begins = (self._policy(), int(batch.header.create_accounts), *noteworthy)
        reply = await self._call("creditgate_stage_measured", place.partition, (*begins, *arguments), deadline)
        numbers, told = cast("tuple[list[int], list[bytes]]", reply)
        if numbers == _IS_LATE:
            return _LATE
        packed, account_ids, sums, *moved = told
        effects = [unpack_effect(packed, account_ids, sums)]
        if moved:
            effects += await self._measure(batch, _places(place, moved), noteworthy, deadline)
        return WindowStaged(unpack_left_out(rows, numbers), effects)

    async def _measure(
        self, batch: LimitBatch, asked: list[tuple[Chunk, bytes]], noteworthy: Noteworthy, deadline: float
    ) -> list[RowsEffect]:
        """Measure chunks, or the rows of blobs in their place; rows of accounts that live elsewhere are asked there."""
        effects: list[RowsEffect] = []
        for _ in range(HOPS_MAX):
            elsewhere: list[tuple[Chunk, bytes]] = []
            for place, rows in asked:
                which = (batch.batch_id, place.name, int(batch.header.create_accounts), rows)
                arguments = (self._policy(), *which, *noteworthy)
                reply = await self._call(
                    "creditgate_measure_rows", place.partition, arguments, deadline, read_only=True
                )
                packed, account_ids, sums, *moved = cast("list[bytes]", reply)
                effects.append(unpack_effect(packed, account_ids, sums))
                elsewhere += _places(place, moved)
            if not elsewhere:
                return effects
            asked = elsewhere
        raise CreditError(ErrorReason.ACCOUNT_MOVING, "accounts of the batch are on the move; ask again in a moment")

    async def _carry_out(
        self, function: str, batch: LimitBatch, chunk: Chunk, behind: tuple[Argument, ...], deadline: float
    ) -> bytes:
        """Carry out a chunk; return what became of it, empty when it is not there."""
        arguments = (self._policy(), batch.batch_id, chunk.name, *behind)
        answer = cast("bytes", await self._call(function, chunk.partition, arguments, deadline))
        if answer and answer[0]:
            msg = "an account of the batch is just joining a credit group; ask again in a moment"
            raise CreditError(ErrorReason(answer[0]), msg)
        return answer

    async def _drop(self, batch_id: str, deadline: float, *, received_only: bool) -> None:
        for partition in range(self._partitions):
            await self._call("creditgate_drop_rows", partition, (batch_id, int(received_only)), deadline)


def _in_calls(window: WindowRows, partitions: int, most: Callable[[], int]) -> Iterator[Sequence[StagedChunk]]:
    """Yield the chunks of a window, those of a call together: as many as `most` returns when it is asked for."""
    by_partition: defaultdict[int, list[LimitRow]] = defaultdict(list)
    for row in window.rows:
        by_partition[keys.partition_of(row.account_id, partitions)].append(row)
    for partition, rows in by_partition.items():
        chunks = deque(
            StagedChunk(
                Chunk(partition, f"{window.window}.{number}"),
                rows[start : start + CHUNK_ROWS_MAX],
                not window.is_sorted,
            )
            for number, start in enumerate(range(0, len(rows), CHUNK_ROWS_MAX))
        )
        while chunks:
            yield [chunks.popleft() for _ in range(min(len(chunks), most()))]


def _places(chunk: Chunk, moved: Sequence[bytes]) -> list[tuple[Chunk, bytes]]:
    """Return where rows of a chunk are to be measured whose accounts live elsewhere, and the rows."""
    return [(Chunk(int(partition), chunk.name), rows) for partition, rows in pairs(moved)]


def _state_bits(states: Collection[LimitBatchState]) -> str:
    """Return a 1 for each of the states, and a 0 for each other, in the order of their numbers."""
    return "".join("1" if state in states else "0" for state in LimitBatchState)


def _render_token(last: LimitBatch) -> str:
    place = json.dumps((last.create_time_ms, last.batch_id), separators=(",", ":"))
    return urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _parse_token(token: str) -> tuple[int | str, str]:
    """Return when the last batch of the page before was created, and its id; raise INVALID_FIELD for another token."""
    if not token:
        return "", ""
    try:
        parsed = json.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (Base64Error, ValueError):
        parsed = None
    match parsed:
        case [int(create_ms), str(batch_id)]:
            return create_ms, batch_id
    raise CreditError.of_field("page_token", "is not a token that this listing gave out")
