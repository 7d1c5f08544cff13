"""Lives of an account drawn at random: what limit batches make of it is what the model says, step by step."""

import random
from collections.abc import Callable

import pytest

from creditgate.domain.account import Account, ScheduledLimit
from creditgate.domain.decision import Action, ReasonCode
from creditgate.domain.limit_batch import LimitRow
from creditgate.domain.operations import CheckCredit, LimitSetting, PutAccount
from tests.model.limits import BaseLimit, Fate, LimitModel, RowDraft
from tests.private_redis import PrivateRedis
from tests.store.batches import Batch, account_of
from tests.store.clocked import ClockedStore, clocked_store
from tests.store.desk import deadline

STEPS = 200
VERSIONS_AHEAD = 3
SECONDS_AHEAD = 60


class Life:
    """One account on both sides."""

    def __init__(self, clocked: ClockedStore, account_id: str, seed: int) -> None:
        self.clocked = clocked
        self.account_id = account_id
        self.draw = random.Random(seed)
        self.model = LimitModel(BaseLimit(1000))
        self.batches: dict[str, Batch] = {}
        self.seen: set[object] = set()

    async def step(self) -> None:
        kind = self.draw.choices(("row", "time", "rollback", "put"), (6, 3, 4, 1))[0]
        if kind == "row":
            await self._put_row()
        elif kind == "time":
            self.clocked.pass_time(self.draw.randint(1, SECONDS_AHEAD // 4))
        elif kind == "rollback" and self.batches:
            await self._take_back()
        elif kind == "put":
            limit = self.draw.choice((None, 0, 5000))
            setting = LimitSetting(limit) if limit is not None else LimitSetting(None)
            put = PutAccount(self.account_id, base_limit=setting, unlimited=limit is None)
            await self.clocked.store.run(put, deadline())
            self.model = self.model.set(limit, self.clocked.now_s)
        self.model = self.model.at(self.clocked.now_s)
        await self._compare()

    async def _put_row(self) -> None:
        draw, now_s = self.draw, self.clocked.now_s
        effective_s = draw.choice((0, 0, now_s - 1, now_s, now_s + draw.randint(1, SECONDS_AHEAD)))
        expire_s = draw.choice((0, max(effective_s, now_s) + draw.randint(1, SECONDS_AHEAD)))
        row = RowDraft(
            draw.choice((None, 0, 700, 9000)),
            max(1, self.model.version + draw.randint(-1, VERSIONS_AHEAD)),
            draw.choice(("", "high", "low")),
            draw.choice((None, 0.0, -2.5)),
            effective_s,
            expire_s,
            draw.choice(((), ("one",), ("one", "two"))),
        )
        batch = Batch(self.clocked.store, f"{self.account_id}.{len(self.batches)}.{draw.random()}")
        applied = await batch.put(
            [LimitRow(1, self.account_id, row.limit_minor, "USD", *row[1:6], "\n".join(row.reasons))]
        )
        self.model, fate = self.model.put(batch.batch_id, row, now_s)
        counts = (applied.applied_rows, applied.scheduled_rows, applied.skipped_rows)
        assert counts == {Fate.APPLIED: (1, 0, 0), Fate.SCHEDULED: (1, 1, 0), Fate.SKIPPED: (0, 0, 1)}[fate], row
        self.batches[batch.batch_id] = batch
        self.seen.add(fate)

    async def _take_back(self) -> None:
        batch = self.batches.pop(self.draw.choice(list(self.batches)[-3:]))
        in_force = batch.batch_id in self.model.replaced
        self.model, changed = self.model.take_back(batch.batch_id, self.clocked.now_s)
        restored = await batch.restore()
        assert (restored.restored_rows, len(restored.kept_changes)) == (changed, in_force and not changed)
        self.seen.add(f"restored {changed}")

    async def _compare(self) -> None:
        found = await account_of(self.clocked.store, self.account_id)
        assert (base_of(found), found.limit_version) == (self.model.base, self.model.version)
        assert found.scheduled_limit == schedule_of(self.model)
        check = CheckCredit(self.account_id, 1, "USD", explain=True)
        decision = await self.clocked.store.run(check, deadline())
        fired = {reason.code for reason in decision.reasons if reason.action > Action.OFF}
        ended = 0 < self.model.base.expire_s <= self.clocked.now_s
        assert (ReasonCode.LIMIT_EXPIRED in fired) == ended
        assert decision.limit_version == self.model.version


def base_of(account: Account) -> BaseLimit:
    limit = None if account.unlimited else account.base_limit_minor
    return BaseLimit(
        limit,
        account.unlimited,
        account.limit_expire_time_s,
        account.score,
        account.limit_reasons,
        account.risk_class,
    )


def schedule_of(model: LimitModel) -> ScheduledLimit | None:
    row = model.following
    if row is None:
        return None
    return ScheduledLimit(row.limit_minor, row.version, row.effective_s, row.expire_s, row.risk_class)


@pytest.mark.parametrize("seed", range(4))
async def test_limits_are_what_the_model_says(
    own_redis: Callable[..., PrivateRedis], account_id: str, seed: int
) -> None:
    async with clocked_store(own_redis()) as clocked:
        await clocked.desk(account_id).put(limit=1000)
        life = Life(clocked, account_id, seed)
        for _ in range(STEPS):
            await life.step()
        assert life.seen == {*Fate, "restored True", "restored False"}
        await clocked.desk(account_id).adds_up()
