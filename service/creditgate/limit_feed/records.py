"""Changes of a batch's record, which several servers may make at once."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.limit_batch import LimitBatch, LimitBatchState
from creditgate.domain.ports import LimitBatchStore
from creditgate.limit_feed.turns import Turns

CALL_S_MAX: Final = 10.0
"""How long one call of the store may take where no caller's deadline counts."""

_ATTEMPTS_MAX: Final = 20
WRITE_INTERVAL_S: Final = 1.0
"""How often the record of a batch that is worked on is written, so that other servers see that."""

Change = Callable[[LimitBatch], LimitBatch]
"""Returns a record as it should be, or the same when nothing is to be changed; raises when it must not be."""


_WORK_S_MAX: Final = 30.0 * 60
"""How long going through all rows of a batch may take; behind it, the work is taken up anew."""


def work_deadline() -> float:
    """Return a deadline for going through a batch's rows."""
    return time.monotonic() + _WORK_S_MAX


def soon() -> float:
    """Return a deadline for one call of the store."""
    return time.monotonic() + CALL_S_MAX


Put = Callable[[LimitBatch, float], Awaitable[LimitBatch]]
"""Writes a record: `LimitBatchStore.put_batch`, or `put_measured`."""


async def change_batch(
    store: LimitBatchStore, batch_id: str, change: Change, deadline: float, put: Put | None = None
) -> LimitBatch:
    """Change a record as it is then, and return it; it is written by `store.put_batch` unless `put` is given.

    Raises LIMIT_BATCH_NOT_FOUND, LIMIT_BATCH_CHANGED when others change it all the time, or what `change` raises.
    """
    for attempt in range(1, _ATTEMPTS_MAX + 1):
        batch = await store.get_batch(batch_id, deadline)
        changed = change(batch)
        if changed is batch:
            return batch
        try:
            return await (put or store.put_batch)(changed, deadline)
        except CreditError as error:
            if error.reason is not ErrorReason.LIMIT_BATCH_CHANGED or attempt == _ATTEMPTS_MAX:
                raise
    raise AssertionError("unreachable")


async def put_or_change(
    store: LimitBatchStore, batch: LimitBatch, change: Change, put: Put | None = None
) -> LimitBatch:
    """Change a record as it was last seen, or, when that has changed, as it is then; return it.

    It is written by `store.put_batch` unless `put` is given. Raises what `change` raises.
    """
    changed = change(batch)
    if changed is not batch:
        try:
            return await (put or store.put_batch)(changed, soon())
        except CreditError as error:
            if error.reason is not ErrorReason.LIMIT_BATCH_CHANGED:
                raise
    return await change_batch(store, batch.batch_id, change, soon(), put)


class BatchLeftError(Exception):
    """A batch is no longer in the state in which it was worked on: somebody else has ended or cancelled that."""

    def __init__(self, batch: LimitBatch) -> None:
        super().__init__(batch.batch_id)
        self.batch = batch


class WorkedBatch:
    """A batch that is worked on in one state, with its record as it was last seen.

    Its record is written now and then, so that other servers see that the work goes on.
    """

    def __init__(self, store: LimitBatchStore, batch: LimitBatch, turns: Turns) -> None:
        self._store = store
        self._turns = turns
        self._state = batch.state
        self._written_at = time.monotonic()
        self.batch = replace(batch, row_errors=())

    async def tell_progress(self, **progress: Any) -> None:  # noqa: ANN401 - fields of LimitBatch
        """Note how far the work is, and let orders have their turn.

        The record is written when it was last written about a second ago. Raises BatchLeftError.
        """
        await self._turns.rest()
        self.batch = replace(self.batch, **progress)
        if time.monotonic() - self._written_at >= WRITE_INTERVAL_S:
            await self.write(**progress)

    async def write(self, **fields: Any) -> LimitBatch:  # noqa: ANN401 - fields of LimitBatch
        """Write fields of the record, whoever else has written it meanwhile. Raises BatchLeftError.

        `row_errors` among them are all that measuring or activating the batch has found.
        """

        def change(found: LimitBatch) -> LimitBatch:
            if found.state is not self._state:
                raise BatchLeftError(found)
            return replace(found, **({"row_errors": ()} | fields))

        put = self._store.put_measured if "row_errors" in fields else self._store.put_batch
        written = await put_or_change(self._store, self.batch, change, put)
        self._written_at = time.monotonic()
        self.batch = replace(written, row_errors=())
        return written


def require_state(batch: LimitBatch, *allowed: LimitBatchState, action: str) -> None:
    """Raise LIMIT_BATCH_STATE unless a batch is in one of the states in which something may be done with it."""
    if batch.state not in allowed:
        states = ", ".join(state.name for state in allowed)
        raise CreditError(
            ErrorReason.LIMIT_BATCH_STATE,
            f"batch {batch.batch_id} is {batch.state.name}; only one that is {states} can be {action}",
        )
