"""The journal alone suffices: what limit batches have made of accounts can be rebuilt from its effects."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from creditgate.domain.account import Account, ScheduledLimit
from creditgate.domain.decision import Action, ReasonCode
from creditgate.domain.limit_batch import LimitRow
from creditgate.domain.policy import DEFAULT_CLASS, DEFAULT_RULES, ClassPolicy, Policy, RuleSetting
from creditgate.store import layouts
from creditgate.store.answers import unpack_account
from creditgate.store.constants import AccountFlag, EffectKind, LimitRowFlag, RowFate, ScheduleFlag
from creditgate.store.journal import Effect
from creditgate.store.layouts import Layout
from tests.private_redis import PrivateRedis
from tests.store.batches import Batch, account_of, rows_of
from tests.store.clocked import DAY_S, PARTITION, ClockedStore, clocked_store
from tests.store.desk import deadline
from tests.store.journal import read_entries

IN_FORCE = {RowFate.APPLIED, RowFate.SCHEDULED, RowFate.CREATED, RowFate.CREATED_SCHEDULED}
SCHEDULED = {RowFate.SCHEDULED, RowFate.CREATED_SCHEDULED}
BATCH_KINDS = {EffectKind.LIMITS_APPLIED, EffectKind.LIMITS_RESTORED}


@pytest.fixture
async def clocked(own_redis: Callable[..., PrivateRedis]) -> AsyncIterator[ClockedStore]:
    async with clocked_store(own_redis()) as clocked:
        yield clocked


# --- the rebuild, which knows the layouts and nothing of the store


@dataclass
class Limit:
    """A base limit as the effects say."""

    limit: int | None = None
    unlimited: bool = False
    expire_s: int = 0
    confirm_s: int = 0
    risk_class: str = ""
    score: float | None = None
    reasons: str = ""


class Scheduled(NamedTuple):
    version: int
    effective_s: int
    limit: Limit


class Rebuilt:
    """An account's limits as its effects say."""

    def __init__(self) -> None:
        self.version = 0
        self.base = Limit()
        self.scheduled: Scheduled | None = None

    def start(self, now_s: int) -> None:
        """Let the scheduled limit count once its second has come."""
        scheduled = self.scheduled
        if scheduled is not None and scheduled.effective_s <= now_s:
            risk_class = scheduled.limit.risk_class or self.base.risk_class
            self.base = scheduled.limit
            self.base.risk_class, self.base.confirm_s = risk_class, scheduled.effective_s
            self.version, self.scheduled = max(self.version, scheduled.version), None

    def put(self, row: "Row", fate: RowFate, time_s: int) -> None:
        self.start(time_s)
        if fate in SCHEDULED:
            self.scheduled = Scheduled(row.version, row.effective_s, row.limit)
            return
        if self.scheduled is not None and self.scheduled.version < row.version:
            self.scheduled = None
        row.limit.risk_class = row.limit.risk_class or self.base.risk_class
        row.limit.confirm_s = time_s
        self.base, self.version = row.limit, row.version

    def take_back(self, row: "Row", before: "Rebuilt", time_s: int) -> None:
        self.start(time_s)
        if self.scheduled is not None and self.scheduled.version == row.version:
            self.scheduled, self.version = before.scheduled, max(self.version, row.version)
            return
        self.base = before.base
        self.scheduled = self.scheduled or before.scheduled


class Row(NamedTuple):
    account_id: str
    version: int
    effective_s: int
    limit: Limit


def numbers_of(layout: Layout, blob: bytes, start: int) -> tuple[list[Any], list[str], int]:
    """Return what is packed at a byte, and where it ends."""
    *texts, _ = blob[start + layout.size :].split(b"\0", layout.text_count)
    end = start + layout.size + sum(len(text) + 1 for text in texts)
    return list(layout.packer.unpack_from(blob, start)), [text.decode() for text in texts], end


def rows_in(blob: bytes) -> Iterator[Row]:
    at = 0
    while at < len(blob):
        (_, flags, limit, version, effective_s, expire_s, score, _), (account_id, risk_class, reasons), at = numbers_of(
            layouts.LIMIT_ROW, blob, at
        )
        unlimited = bool(flags & LimitRowFlag.UNLIMITED)
        scored = score if flags & LimitRowFlag.SCORED else None
        made = Limit(None if unlimited else limit, unlimited, expire_s, 0, risk_class, scored, reasons)
        yield Row(account_id, version, effective_s, made)


def before_at(blob: bytes, at: int) -> tuple[Rebuilt, int]:
    """Return what stood before a row, and where that ends."""
    (flags, limit, expire_s, confirm_s, score), (risk_class, reasons, next_reasons), at = numbers_of(
        layouts.LIMIT_BEFORE, blob, at
    )
    found = AccountFlag(flags)
    before = Rebuilt()
    before.base = Limit(
        limit if found & AccountFlag.LIMIT_SET else None,
        bool(found & AccountFlag.UNLIMITED),
        expire_s,
        confirm_s,
        risk_class,
        score if found & AccountFlag.SCORED else None,
        reasons,
    )
    if found & AccountFlag.SCHEDULED:
        (marks, limit, version, effective_s, expire_s, score), (risk_class,), at = numbers_of(
            layouts.SCHEDULED_LIMIT, blob, at
        )
        unlimited = bool(marks & ScheduleFlag.UNLIMITED)
        scored = score if marks & ScheduleFlag.SCORED else None
        made = Limit(None if unlimited else limit, unlimited, expire_s, 0, risk_class, scored, next_reasons)
        before.scheduled = Scheduled(version, effective_s, made)
    return before, at


def redo(accounts: dict[str, Rebuilt], effect: Effect) -> None:
    count, rows_size = layouts.LIMIT_UNDO.packer.unpack_from(effect.record)
    rows_at = layouts.LIMIT_UNDO.size + count
    fates = [RowFate(fate) for fate in effect.record[layouts.LIMIT_UNDO.size : rows_at]]
    befores, at = effect.record[rows_at + rows_size :], 0
    for row, fate in zip(rows_in(effect.record[rows_at : rows_at + rows_size]), fates, strict=True):
        account = accounts.setdefault(row.account_id, Rebuilt())
        if fate in IN_FORCE:
            account.put(row, fate, effect.time_ms // 1000)
        elif fate in {RowFate.RESTORED, RowFate.KEPT}:
            before, at = before_at(befores, at)
            if fate is RowFate.RESTORED:
                account.take_back(row, before, effect.time_ms // 1000)
    assert at == len(befores)


async def rebuilds(clocked: ClockedStore, account_ids: list[str]) -> None:
    """Fail unless what the journal rebuilds is what the store has."""
    accounts: dict[str, Rebuilt] = {}
    for entry in read_entries(clocked.client, PARTITION):
        for effect in entry:
            if effect.kind in BATCH_KINDS:
                redo(accounts, effect)
            elif effect.kind is EffectKind.ACCOUNT_CHANGED:
                put, _ = unpack_account(effect.record)
                accounts.setdefault(put.account_id, Rebuilt()).base = limit_of(put)
    for account_id in account_ids:
        rebuilt, found = accounts[account_id], await account_of(clocked.store, account_id)
        rebuilt.start(clocked.now_s)
        assert (rebuilt.base, rebuilt.version) == (limit_of(found), found.limit_version), account_id
        assert schedule_of(rebuilt) == found.scheduled_limit, account_id


def limit_of(account: Account) -> Limit:
    return Limit(
        account.base_limit_minor,
        account.unlimited,
        account.limit_expire_time_s,
        account.limit_confirm_time_s,
        account.risk_class,
        account.score,
        "\n".join(account.limit_reasons),
    )


def schedule_of(rebuilt: Rebuilt) -> ScheduledLimit | None:
    scheduled = rebuilt.scheduled
    if scheduled is None:
        return None
    limit = scheduled.limit
    return ScheduledLimit(limit.limit, scheduled.version, scheduled.effective_s, limit.expire_s, limit.risk_class)


# --- what has to be rebuilt


async def test_limits_can_be_rebuilt_from_the_journal(clocked: ClockedStore, new_id: Callable[[str], str]) -> None:
    account_ids = [new_id("acc") for _ in range(6)]
    one, two, three, four, five, created = account_ids
    for account_id in account_ids[:5]:
        await clocked.desk(account_id).put()
    starts_s = clocked.now_s + DAY_S
    batches = []
    for version, rows in enumerate(
        (
            [
                LimitRow(1, one, 5, "USD", 1, "high", 0.5, 0, starts_s, "why"),
                LimitRow(2, two, None, "USD", 1),
                LimitRow(3, three, 7, "USD", 1, "low", 1.5, starts_s, starts_s + 9, "then"),
                LimitRow(4, created, 9, "USD", 1),
                LimitRow(5, five, 9, "EUR", 1),
            ],
            [
                LimitRow(1, one, 6, "USD", 1),
                LimitRow(2, two, 8, "USD", 2, "", None, starts_s),
                LimitRow(3, three, 9, "USD", 2),
                LimitRow(4, four, 9, "USD", 2, "", -1.0, starts_s, 0, "a\nb"),
            ],
            [LimitRow(1, four, 3, "USD", 3), LimitRow(2, two, 4, "USD", 3, "", None, starts_s + DAY_S)],
        )
    ):
        batch = Batch(clocked.store, f"batch-{version}", create_accounts=True)
        await batch.put(rows)
        batches.append(batch)
        await rebuilds(clocked, account_ids)
        clocked.pass_time(60)
    for batch in reversed(batches):
        await batch.restore()
        await rebuilds(clocked, account_ids)
    clocked.pass_time(DAY_S)
    await rebuilds(clocked, account_ids)


async def test_a_chunk_is_one_entry_that_names_its_batch_and_model(
    clocked: ClockedStore, new_id: Callable[[str], str]
) -> None:
    rules = {**DEFAULT_RULES, ReasonCode.LIMIT_EXCEEDED: RuleSetting(Action.REVIEW)}
    clocked.store.use_policy(Policy("p", {DEFAULT_CLASS: ClassPolicy(rules, limit_rise_releases_reviews=True)}))
    account_ids = [new_id("acc") for _ in range(3)]
    for account_id in account_ids:
        await clocked.desk(account_id).put()
    await clocked.desk(account_ids[0]).reserve("o1", 1500)
    entries = len(read_entries(clocked.client, PARTITION))
    await Batch(clocked.store, "nightly").put(rows_of(account_ids, 2000, 1))
    (entry,) = read_entries(clocked.client, PARTITION)[entries:]
    assert [effect.kind for effect in entry] == [EffectKind.REVIEW_RELEASED, EffectKind.LIMITS_APPLIED]
    applied = entry[-1]
    assert (applied.name, applied.texts, applied.account_id, applied.sums) == ("nightly", ("m-1",), "", None)
    # A chunk of which nothing is in force leaves no trace in the journal.
    await Batch(clocked.store, "again").put(rows_of(account_ids, 2000, 1))
    assert len(read_entries(clocked.client, PARTITION)) == entries + 1


async def test_verifying_an_account_is_not_disturbed_by_limits(clocked: ClockedStore, account_id: str) -> None:
    desk = clocked.desk(account_id)
    await desk.put()
    for number in range(600):  # more than one step of verifying reads
        await desk.reserve(f"o{number}", 1)

    async def push() -> None:
        for version in range(1, 20):
            await Batch(clocked.store, f"batch-{version}").put(rows_of([account_id], version * 1000, version))

    verifying = clocked.store.verify_account(account_id, repair=False, deadline=deadline())
    differences, _ = await asyncio.gather(verifying, push())
    assert differences == ()
