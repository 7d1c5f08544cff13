"""Carries batches on that no sender is needed for: measuring, activating, rolling back."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.limit_batch import LimitBatch, LimitBatchState
from creditgate.domain.ports import LimitBatchStore, PolicySource
from creditgate.limit_feed.activation import Activation, begin_activation, put_in_force
from creditgate.limit_feed.gathering import Gathered, Gathering
from creditgate.limit_feed.measuring import complete
from creditgate.limit_feed.observer import LimitFeedObserver
from creditgate.limit_feed.records import WRITE_INTERVAL_S, BatchLeftError, WorkedBatch, soon
from creditgate.limit_feed.rollback import restore
from creditgate.limit_feed.turns import OrdersDone, OrdersElsewhere, Turns, no_orders, none_elsewhere

KeyT = TypeVar("KeyT")

_MOVES_MAX: Final = 100
_MOVE_S: Final = 0.1
"""An account that joins a credit group is away for a moment; what is done already is not done again."""

_log = logging.getLogger(__name__)


def needs_no_sender(batch: LimitBatch) -> bool:
    """Return whether a batch is to be carried on by a server alone."""
    if batch.state is LimitBatchState.RECEIVING:
        return batch.receive_time_ms > 0
    return batch.state in (LimitBatchState.ACTIVATING, LimitBatchState.ROLLING_BACK)


class Finisher:
    """One task for each batch; limits are changed for one batch at a time, so that orders keep their room."""

    def __init__(
        self,
        store: LimitBatchStore,
        policy: PolicySource,
        observer: LimitFeedObserver,
        orders_done: OrdersDone = no_orders,
        orders_elsewhere: OrdersElsewhere = none_elsewhere,
    ) -> None:
        self._orders_done = orders_done
        self._orders_elsewhere = orders_elsewhere
        self._store = store
        self._policy = policy
        self._observer = observer
        self._tasks: dict[str, asyncio.Task[LimitBatch]] = {}
        self._beginning: dict[tuple[str, bool], asyncio.Task[LimitBatch]] = {}
        self._worked: dict[str, WorkedBatch] = {}
        self._turn = asyncio.Lock()

    def carry_on(self, batch_id: str, gathered: Gathered | None = None) -> asyncio.Task[LimitBatch]:
        """Return the task that ends with the batch when nothing is left to do without a person or a sender.

        `gathered` is what its rows would do, where that was measured on their receipt.
        """
        return self._task_of(self._tasks, batch_id, lambda: self._carry_on(batch_id, gathered))

    def gathering(self) -> Gathering:
        """Return what measures a batch's rows on their receipt."""
        return Gathering(self._policy.policy)

    def begin_activation(self, batch: LimitBatch, activation: Activation) -> asyncio.Task[LimitBatch]:
        """Return the task that ends when the batch is being activated; it is then carried on in any case."""
        key = batch.batch_id, activation.force
        return self._task_of(self._beginning, key, lambda: self._begin(batch, activation))

    def turns(self) -> Turns:
        """Return what takes turns with orders."""
        return Turns(self._orders_done, self._orders_elsewhere)

    def is_at_work(self, batch_id: str) -> bool:
        """Return whether the batch is being carried on here."""
        return batch_id in self._tasks

    def progress_of(self, batch_id: str) -> LimitBatch | None:
        """Return the batch as the work on it has come, None when none is under way here."""
        worked = self._worked.get(batch_id)
        return worked.batch if worked is not None else None

    async def stop(self) -> None:
        """End all work; another server, or this one when it is started again, goes on with it."""
        tasks = [*self._tasks.values(), *self._beginning.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _task_of(
        self,
        tasks: dict[KeyT, asyncio.Task[LimitBatch]],
        key: KeyT,
        work: Callable[[], Coroutine[Any, Any, LimitBatch]],
    ) -> asyncio.Task[LimitBatch]:
        task = tasks.get(key)
        if task is None:
            task = tasks[key] = asyncio.create_task(work(), name="creditgate-limit-batch")

            def ended(ended_task: asyncio.Task[LimitBatch]) -> None:
                del tasks[key]
                _log_fault(ended_task)

            task.add_done_callback(ended)
        return task

    async def _begin(self, batch: LimitBatch, activation: Activation) -> LimitBatch:
        rails = self._policy.policy.guard_rails
        begun = await begin_activation(self._store, self._work_on(batch), activation, rails, self._observer)
        self.carry_on(batch.batch_id)
        return begun

    async def _carry_on(self, batch_id: str, gathered: Gathered | None) -> LimitBatch:
        patience = _MOVES_MAX
        try:
            while needs_no_sender(batch := await self._store.get_batch(batch_id, soon())):
                worked = self._worked[batch_id] = self._work_on(batch)
                try:
                    await self._carry_one_state_on(worked, gathered)
                except BatchLeftError:
                    continue
                except CreditError as error:
                    patience -= 1
                    if error.reason is not ErrorReason.ACCOUNT_MOVING or not patience:
                        raise
                    await asyncio.sleep(_MOVE_S)
            return batch
        finally:
            self._worked.pop(batch_id, None)

    def _work_on(self, batch: LimitBatch) -> WorkedBatch:
        return WorkedBatch(self._store, batch, self.turns())

    async def _carry_one_state_on(self, worked: WorkedBatch, gathered: Gathered | None) -> None:
        if worked.batch.state is LimitBatchState.RECEIVING:
            await complete(self._store, worked, self._policy.policy, self._observer, gathered)
            return
        async with self._turn_for(worked):
            if worked.batch.state is LimitBatchState.ACTIVATING:
                await put_in_force(self._store, worked, self._observer)
            else:
                await restore(self._store, worked, self._observer)

    @asynccontextmanager
    async def _turn_for(self, worked: WorkedBatch) -> AsyncIterator[None]:
        """Let a batch have its turn among those of this server. Raises BatchLeftError.

        While it waits its record is written as if it were worked on: else another server would take it up.
        """
        while not await self._has_turn():
            await worked.write()
        try:
            yield
        finally:
            self._turn.release()

    async def _has_turn(self) -> bool:
        """Return whether the turn has come within the time after which a record is written again."""
        try:
            async with asyncio.timeout(WRITE_INTERVAL_S):
                return await self._turn.acquire()
        except TimeoutError:
            return False


def _log_fault(task: asyncio.Task[LimitBatch]) -> None:
    if task.cancelled():
        return
    error = task.exception()
    if isinstance(error, CreditError):
        _log.warning("work on a limit batch has ended early: %s", error.message)
    elif error is not None:
        _log.error("work on a limit batch has failed unexpectedly", exc_info=error)
