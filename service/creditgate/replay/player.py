"""Plays accounts and events against a service, many at a time, each account strictly in order."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from creditgate.domain.bounds import VERIFIED_ACCOUNTS_MAX
from creditgate.domain.operations import PutAccount, ReserveCredit
from creditgate.replay.answers import (
    APPROVED_OUTCOMES,
    AccountChange,
    AccountsVerified,
    Answer,
    BatchPushed,
    OrderDecided,
    RejectedBefore,
    StepFailed,
    StepLeftOut,
)
from creditgate.replay.earlier import OrderKey, Standing, rejected_before
from creditgate.replay.pace import Pace
from creditgate.replay.schedule import Event, Play, TimedBatch, strides
from creditgate.replay.tally import Tally

T = TypeVar("T")


class Calls(Protocol):
    """Asks the service; a fault is an answer too."""

    async def put_account(self, settings: PutAccount) -> AccountChange | StepFailed:
        """Give an account its settings, unless it has them already."""
        ...

    async def standing(self, account_id: str, amounts_minor: Mapping[str, int]) -> Standing | StepFailed:
        """Return what the service knows of an account's orders, given the amounts of those of the play by order id."""
        ...

    async def play(self, event: Event) -> Answer:
        """Ask for one step."""
        ...

    async def push_limits(self, batch: TimedBatch) -> BatchPushed | StepFailed:
        """Push a limit batch."""
        ...

    async def verify(self, accounts: Sequence[PutAccount]) -> AccountsVerified | StepFailed:
        """Recompute the sums of some accounts, as many as one call takes."""
        ...


class Progress(Protocol):
    """Is told how a play gets on."""

    def begin(self, steps: int) -> None:
        """Take note of how many steps there are: accounts and events."""
        ...

    def step_done(self, file_time: datetime | None) -> None:
        """Count a step; an event's step comes with its time."""
        ...


class Player:
    """Plays against a service.

    Within a stride (one day, or part of it) different accounts overlap, at most `in_flight` calls at a time; the next
    stride begins when all answers are there. Since what is decided about an account depends on that account alone, the
    answers do not depend on who is faster.

    The play ends early when the service does not answer any more: what was played stands, and playing the file again
    carries on from there.
    """

    def __init__(self, calls: Calls, tally: Tally, progress: Progress, *, in_flight: int, pace: Pace) -> None:
        self._calls = calls
        self._tally = tally
        self._progress = progress
        self._in_flight = in_flight
        self._pace = pace
        self._service_lost = False
        self._dropped_accounts: set[str] = set()
        self._standings: dict[str, Standing] = {}
        self._rejected_before: frozenset[OrderKey] = frozenset()
        self._approved: set[OrderKey] = set()

    async def play(self, play: Play) -> bool:
        """Play everything; return whether it came to the end."""
        self._progress.begin(len(play.accounts) + len(play.events))
        amounts_minor = _order_amounts_minor(play.events)
        await self._each(play.accounts, lambda settings: self._put_account(settings, amounts_minor))
        self._rejected_before = rejected_before(play.events, self._standings)
        async with asyncio.TaskGroup() as pushes:
            batches = _Batches(play.batches, self._push_limits, pushes)
            for stride in strides(play.events):
                if self._service_lost:
                    break
                await self._pace.wait(stride[0].time)
                await batches.begin_due(stride[0].time)
                if not self._service_lost:
                    await self._play_stride(stride)
        return not self._service_lost

    async def verify(self, play: Play) -> None:
        """Verify the accounts that were played: what they owe and hold is what their orders and entries add up to."""
        played = [account for account in play.accounts if account.account_id not in self._dropped_accounts]
        starts = range(0, len(played), VERIFIED_ACCOUNTS_MAX)
        await self._each((played[start : start + VERIFIED_ACCOUNTS_MAX] for start in starts), self._verify)

    async def _verify(self, accounts: Sequence[PutAccount]) -> None:
        verified = await self._calls.verify(accounts)
        if isinstance(verified, StepFailed):
            self._tally.verify_failed(accounts[0].account_id, verified)
        else:
            self._tally.verified(verified)

    async def _push_limits(self, batch: TimedBatch) -> None:
        answer = await self._calls.push_limits(batch)
        if isinstance(answer, StepFailed):
            self._tally.batch_failed(batch.header.batch_id, answer)
            self._service_lost = self._service_lost or answer.service_lost
        else:
            self._tally.batch_pushed(answer)

    async def _put_account(self, settings: PutAccount, amounts_minor: dict[str, dict[str, int]]) -> None:
        account_id = settings.account_id
        change = await self._calls.put_account(settings)
        if change is AccountChange.UNCHANGED:
            standing = await self._calls.standing(account_id, amounts_minor.get(account_id, {}))
            if isinstance(standing, Standing):
                self._standings[account_id] = standing
            else:
                change = standing
        if isinstance(change, StepFailed):
            self._tally.account_failed(account_id, change)
            self._dropped_accounts.add(account_id)
            self._service_lost = self._service_lost or change.service_lost
        else:
            self._tally.account_put(change)
        self._progress.step_done(None)

    async def _play_stride(self, stride: list[Event]) -> None:
        by_account: dict[str, list[int]] = {}
        for position, event in enumerate(stride):
            by_account.setdefault(event.operation.account_id, []).append(position)
        answers: dict[int, Answer] = {}

        async def play_account(positions: list[int]) -> None:
            for position in positions:
                if self._service_lost:
                    return
                answers[position] = await self._play_event(stride[position])
                self._progress.step_done(stride[position].time)

        try:
            await self._each(by_account.values(), play_account)
        finally:  # an interrupted stride counts as far as it came
            for position in sorted(answers):
                self._tally.record(stride[position], answers[position])

    async def _play_event(self, event: Event) -> Answer:
        order = OrderKey(event.operation.account_id, event.order_id)
        is_order = isinstance(event.operation, ReserveCredit)
        if order in self._rejected_before and is_order:
            return RejectedBefore()
        if event.operation.account_id in self._dropped_accounts or (order not in self._approved and not is_order):
            return StepLeftOut()
        answer = await self._calls.play(event)
        if isinstance(answer, OrderDecided) and answer.outcome in APPROVED_OUTCOMES:
            self._approved.add(order)
        elif isinstance(answer, StepFailed):
            self._approved.discard(order)
            self._service_lost = self._service_lost or answer.service_lost
        return answer

    async def _each(self, items: Iterable[T], act: Callable[[T], Awaitable[None]]) -> None:
        """Act on each item, on at most `in_flight` at a time, until the service is lost."""
        waiting: Iterator[T] = iter(items)

        async def work() -> None:
            for item in waiting:  # shared by the workers: each draws the next one
                if self._service_lost:
                    return
                await act(item)

        async with asyncio.TaskGroup() as workers:
            for _ in range(self._in_flight):
                workers.create_task(work())


class _Batches:
    """Pushes limit batches when their time has come, one after the other.

    The orders wait for those that come before all of them, and run while later ones are pushed.
    """

    def __init__(
        self,
        batches: Iterable[TimedBatch],
        push: Callable[[TimedBatch], Coroutine[None, None, None]],
        pushes: asyncio.TaskGroup,
    ) -> None:
        self._waiting = deque(batches)
        self._push = push
        self._pushes = pushes
        self._pushing: asyncio.Task[None] | None = None
        self._orders_run = False

    async def begin_due(self, time: datetime) -> None:
        """Begin with the batches that are due."""
        while self._waiting and self._waiting[0].time <= time:
            await self._end_pushing()
            self._pushing = self._pushes.create_task(self._push(self._waiting.popleft()))
        if not self._orders_run:
            await self._end_pushing()
        self._orders_run = True

    async def _end_pushing(self) -> None:
        if self._pushing is not None:
            await self._pushing


def _order_amounts_minor(events: Iterable[Event]) -> dict[str, dict[str, int]]:
    """Return the amounts of the orders of each account by order id."""
    amounts_minor: dict[str, dict[str, int]] = {}
    for event in events:
        if isinstance(event.operation, ReserveCredit):
            amounts_minor.setdefault(event.operation.account_id, {})[event.order_id] = event.operation.amount_minor
    return amounts_minor
