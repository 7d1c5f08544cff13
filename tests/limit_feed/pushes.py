"""Pushes to an engine whose store is in memory: rows in messages of any size."""

from collections.abc import Mapping, Sequence
from typing import Final

from creditgate.api.parse.limit_feed import SentUpdates
from creditgate.domain.limit_batch import (
    GuardRail,
    LimitBatch,
    LimitBatchHeader,
    LimitBatchMode,
    LimitBatchState,
)
from creditgate.domain.policy import GuardRails, Policy
from creditgate.limit_feed import Finisher, LimitFeed, Step
from creditgate.limit_feed.gathering import Gathered
from creditgate.policies import FixedPolicy
from creditgate.v1.limit_feed_service_pb2 import LimitUpdate, LimitUpdates
from tests.limit_feed.memory_store import MemoryAccount, MemoryBatchStore

FAR: Final = float("inf")
NO_RAILS: Final = GuardRails(
    None, None, None, None, None, None, None, as_of_backwards=False, model_version_backwards=False
)


class FixedRails:
    """A policy whose guard rails are the test's."""

    document = problem = ""

    def __init__(self, rails: GuardRails) -> None:
        self.rails = rails

    @property
    def policy(self) -> Policy:
        default = FixedPolicy().policy
        return Policy(default.version, default.classes, guard_rails=self.rails)


class NotedSteps:
    """Notes what the engine tells."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.active: list[LimitBatch] = []
        self.back: list[LimitBatch] = []
        self.counted: dict[LimitBatchState, int] = {}
        self.newest_ms = 0

    def activated(self, batch: LimitBatch) -> None:
        self.active.append(batch)

    def rolled_back(self, batch: LimitBatch) -> None:
        self.back.append(batch)

    def step_finished(self, step: Step, duration_s: float) -> None:
        assert duration_s >= 0
        self.steps.append(step)

    def batches_counted(self, by_state: Mapping[LimitBatchState, int], newest_activate_time_ms: int) -> None:
        self.counted, self.newest_ms = dict(by_state), newest_activate_time_ms


def header(batch_id: str = "b1", mode: LimitBatchMode = LimitBatchMode.APPLY, **fields: object) -> LimitBatchHeader:
    given = {"source": "scorer", "model_version": "1", "as_of_ms": 1_600_000_000_000} | fields
    return LimitBatchHeader(batch_id=batch_id, mode=mode, **given)  # type: ignore[arg-type]  # fields by name


def update(account_id: str, limit_minor: int | None = 100, version: int = 1, **fields: object) -> LimitUpdate:
    """Return a row; a limit of None is no ceiling."""
    row = LimitUpdate(account_id=account_id, currency_code="USD", version=version, **fields)  # type: ignore[arg-type]
    if limit_minor is None:
        row.unlimited = True
    else:
        row.limit_minor = limit_minor
    return row


def messages(rows: Sequence[LimitUpdate], size: int = 1000, first_row: int = 1) -> list[SentUpdates]:
    """Return rows in messages of a size, from a row of theirs on."""
    return [
        SentUpdates(LimitUpdates(first_row=start + 1, updates=rows[start : min(start + size, len(rows))]))
        for start in range(first_row - 1, len(rows), size)
    ]


class Site:
    """A store with accounts, and one server's engine on it."""

    def __init__(self, rails: GuardRails = NO_RAILS, store: MemoryBatchStore | None = None) -> None:
        self.store = store or MemoryBatchStore()
        self.rails = FixedRails(rails)
        self.noted = NotedSteps()
        self.finisher = Finisher(self.store, self.rails, self.noted)
        self.feed = LimitFeed(self.store, self.finisher)
        self.gathered: Gathered | None = None

    def another(self) -> "Site":
        """Return another server on the same store."""
        return Site(self.rails.rails, self.store)

    def open(self, count: int, limit_minor: int | None = 100, **fields: object) -> list[str]:
        """Open accounts with a base limit."""
        names = [f"acc-{number}" for number in range(count)]
        for name in names:
            self.store.accounts[name] = MemoryAccount(limit_minor=limit_minor, **fields)  # type: ignore[arg-type]
        return names

    def limits(self) -> dict[str, int | None]:
        return {name: account.limit_minor for name, account in self.store.accounts.items()}

    async def send(self, sent: Sequence[SentUpdates], of: LimitBatchHeader, *, ends: bool = True) -> LimitBatch:
        """Send messages as one stream does, and its end."""
        receiver = await self.feed.begin_push(of, FAR)
        try:
            for message in sent:
                await receiver.receive(message)
            if ends:
                await receiver.finish()
            else:
                while receiver.storing is not None:
                    await receiver.stored()
        finally:
            await receiver.close()
        self.gathered = receiver.gathered
        return receiver.batch

    async def push(
        self, rows: Sequence[LimitUpdate], of: LimitBatchHeader | None = None, size: int = 1000
    ) -> LimitBatch:
        """Push a batch to where nobody is needed."""
        of = of or header()
        await self.send(messages(rows, size), of)
        return await self.feed.carry_on(of.batch_id, self.gathered)


def tripped(batch: LimitBatch) -> list[GuardRail]:
    return [report.guard_rail for report in batch.guard_rails]
