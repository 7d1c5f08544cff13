"""The limit feed as its handlers see it."""

import asyncio
from dataclasses import fields, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.limit_batch import LimitBatch, LimitBatchHeader, LimitBatchMode, LimitBatchState
from creditgate.domain.ports import LimitBatchStore, Page
from creditgate.limit_feed.activation import Activation, check_can_activate
from creditgate.limit_feed.finisher import Finisher
from creditgate.limit_feed.gathering import Gathered
from creditgate.limit_feed.receiver import Receiver
from creditgate.limit_feed.records import change_batch, require_state, soon, work_deadline
from creditgate.limit_feed.rollback import check_can_roll_back, check_undo_is_kept
from creditgate.limit_feed.windows import other_details

_MS_PER_S: Final = 1000


class LimitFeed:
    """Takes batches in, and carries out what people decide about them. Deadlines are values of `time.monotonic()`."""

    def __init__(self, store: LimitBatchStore, finisher: Finisher) -> None:
        self._store = store
        self._finisher = finisher

    async def begin_push(self, header: LimitBatchHeader, deadline: float) -> Receiver:
        """Return what receives a batch's rows; a batch that is there already is gone on with.

        Raises LIMIT_BATCH_EXISTS_WITH_DIFFERENT_DETAILS for another header.
        """
        batch = await self._find_or_create(header, deadline)
        if batch.header != header:
            raise other_details(batch, _differences(batch.header, header))
        return Receiver(self._store, batch, self._finisher.turns(), self._finisher.gathering())

    def carry_on(self, batch_id: str, gathered: Gathered | None = None) -> asyncio.Task[LimitBatch]:
        """Return the task that ends with the batch, with its rows' errors, when all that a server can do is done.

        `gathered` is what the receiver of its rows has gathered.
        """
        return self._finisher.carry_on(batch_id, gathered)

    def progress_of(self, batch_id: str) -> LimitBatch | None:
        """Return the batch as the work on it has come, None when none is under way here."""
        return self._finisher.progress_of(batch_id)

    async def get(self, batch_id: str, deadline: float) -> LimitBatch:
        """Return a batch with its rows' errors. Raises LIMIT_BATCH_NOT_FOUND."""
        return await self._store.get_batch(batch_id, deadline)

    async def list(
        self, states: frozenset[LimitBatchState], page_size: int, page_token: str, deadline: float
    ) -> Page[LimitBatch]:
        """Return a page of batches (see `LimitBatchStore.list_batches`)."""
        return await self._store.list_batches(states, page_size, page_token, deadline)

    async def activate(self, batch_id: str, activation: Activation, deadline: float) -> LimitBatch:
        """Measure a batch anew and begin to put it in force; return it as it is then.

        One that is being activated, or is active, is returned as it is. Raises LIMIT_BATCH_NOT_FOUND,
        LIMIT_BATCH_STATE, or LIMIT_BATCH_QUARANTINED without force.
        """
        batch = await self._store.get_batch(batch_id, deadline)
        if batch.state not in (LimitBatchState.ACTIVATING, LimitBatchState.ACTIVE):
            check_can_activate(batch, activation)
            # It goes on when the caller's time is up: whoever asks again finds it done.
            batch = await asyncio.shield(self._finisher.begin_activation(batch, activation))
        if batch.state is LimitBatchState.ACTIVATING:
            self._finisher.carry_on(batch_id)
        return batch

    async def cancel(self, batch_id: str, actor: str, comment: str, deadline: float) -> LimitBatch:
        """Give up a batch of which no limit is in force, and return it; one that is cancelled is returned as it is.

        Raises LIMIT_BATCH_NOT_FOUND or LIMIT_BATCH_STATE.
        """

        def cancel(batch: LimitBatch) -> LimitBatch:
            if batch.state is LimitBatchState.CANCELLED:
                return batch
            require_state(
                batch,
                LimitBatchState.RECEIVING,
                LimitBatchState.STAGED,
                LimitBatchState.QUARANTINED,
                action="cancelled",
            )
            return replace(batch, state=LimitBatchState.CANCELLED, actor=actor, comment=comment, row_errors=())

        batch = await change_batch(self._store, batch_id, cancel, deadline)
        await self._store.drop_rows(batch_id, work_deadline())
        return batch

    async def roll_back(self, batch_id: str, actor: str, comment: str, deadline: float) -> LimitBatch:
        """Begin to take an active batch back, and return it; one that is rolling or rolled back is returned as it is.

        Raises LIMIT_BATCH_NOT_FOUND, or LIMIT_BATCH_STATE also when what would undo it is no longer kept.
        """
        batch = await self._store.get_batch(batch_id, deadline)
        if batch.state not in (LimitBatchState.ROLLING_BACK, LimitBatchState.ROLLED_BACK):
            await check_can_roll_back(self._store, batch)

            def roll_back(found: LimitBatch) -> LimitBatch:
                if found.state in (LimitBatchState.ROLLING_BACK, LimitBatchState.ROLLED_BACK):
                    return found
                require_state(found, LimitBatchState.ACTIVE, action="rolled back")
                return replace(found, state=LimitBatchState.ROLLING_BACK, actor=actor, comment=comment, row_errors=())

            before, batch = batch, await change_batch(self._store, batch_id, roll_back, deadline)
            await self._check_again(before)
        if batch.state is LimitBatchState.ROLLING_BACK:
            self._finisher.carry_on(batch_id)
        return batch

    async def _check_again(self, before: LimitBatch) -> None:
        """Leave a batch active, and raise LIMIT_BATCH_STATE, when it was taken back just as its rows were dropped.

        Nobody drops those of a batch that is rolling back.
        """

        def leave(found: LimitBatch) -> LimitBatch:
            if found.state is not LimitBatchState.ROLLING_BACK:
                return found
            return replace(found, state=before.state, actor=before.actor, comment=before.comment, row_errors=())

        try:
            await check_undo_is_kept(self._store, before.batch_id)
        except CreditError as error:
            if error.reason is ErrorReason.LIMIT_BATCH_STATE:
                await change_batch(self._store, before.batch_id, leave, soon())
            raise

    async def _find_or_create(self, header: LimitBatchHeader, deadline: float) -> LimitBatch:
        found = await self._find(header.batch_id, deadline)
        if found is not None:
            return found
        await self._store.drop_gone(work_deadline())
        try:
            return await self._store.put_batch(LimitBatch(header, LimitBatchState.RECEIVING), deadline)
        except CreditError as error:
            if error.reason is not ErrorReason.LIMIT_BATCH_CHANGED:
                raise
        return await self._store.get_batch(header.batch_id, deadline)  # another sender was faster

    async def _find(self, batch_id: str, deadline: float) -> LimitBatch | None:
        try:
            return await self._store.get_batch(batch_id, deadline)
        except CreditError as error:
            if error.reason is not ErrorReason.LIMIT_BATCH_NOT_FOUND:
                raise
        return None


def _differences(there: LimitBatchHeader, sent: LimitBatchHeader) -> str:
    """Return in which fields a batch's header differs from that of its sender, with both values."""
    pairs = ((field.name, getattr(there, field.name), getattr(sent, field.name)) for field in fields(there))
    told = "; ".join(
        f"its {name.removesuffix('_ms')} is {_told(name, ours)}, not {_told(name, theirs)}"
        for name, ours, theirs in pairs
        if ours != theirs
    )
    if there.mode is LimitBatchMode.STAGE and sent == replace(there, mode=LimitBatchMode.APPLY):
        told += ": activate it to put it in force"
    return told


def _told(name: str, value: object) -> str:
    """Return a field of a header as its sender knows it."""
    match value:
        case Enum():
            return value.name
        case bool():
            return str(value).lower()
        case int() if name.endswith("_ms"):
            return datetime.fromtimestamp(value / _MS_PER_S, UTC).isoformat()
    return repr(value)
