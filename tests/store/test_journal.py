"""The journal alone suffices: what an account holds and owes can be rebuilt from its effects."""

import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import date
from typing import cast

import pytest

from creditgate.domain.account import Account, AccountStatus, Aging, Block
from creditgate.domain.decision import Outcome
from creditgate.domain.errors import CreditError
from creditgate.domain.operations import (
    BlockSetting,
    CloseAccount,
    LimitSetting,
    Operation,
    PutAccount,
    ReleaseReservation,
    ReserveCredit,
    UpdateAging,
)
from creditgate.domain.reservation import ReservationState
from creditgate.store import keys, layouts
from creditgate.store.answers import unpack_account
from creditgate.store.constants import EffectKind, LedgerKind
from creditgate.store.journal import Effect, Sums, read_effects
from tests.private_redis import PrivateRedis
from tests.store.clocked import DAY_S, PARTITION, RETENTION_S, ClockedStore, clocked_store
from tests.store.desk import HOLD_S, Desk, deadline
from tests.store.journal import read_account_effects, read_entries
from tests.store.tamperer import Tamperer

DUE = date(2026, 2, 1)
AS_OF_MS = 1_772_000_000_000
LONGEST_S = RETENTION_S + DAY_S
_NOT_OF_THIS_LIFE = {
    *(EffectKind.REJECTED, EffectKind.AMEND_REJECTED, EffectKind.REVIEW_RELEASED, EffectKind.REPAIRED),
    *(EffectKind.GROUP_CHANGED, EffectKind.RATE_CHANGED, EffectKind.MOVED_AWAY, EffectKind.MOVED_HERE),
    *(EffectKind.LIMITS_APPLIED, EffectKind.LIMITS_RESTORED, EffectKind.LIMIT_BATCH_CHANGED),
}
"""Nothing is refused or sent to review in a life drawn at random, and its account stays where it is."""


@pytest.fixture
async def clocked(own_redis: Callable[..., PrivateRedis]) -> AsyncIterator[ClockedStore]:
    async with clocked_store(own_redis()) as clocked:
        yield clocked


@pytest.fixture
async def desk(clocked: ClockedStore, account_id: str) -> Desk:
    desk = clocked.desk(account_id)
    await desk.put(limit=1000, display_name="Größe & Söhne 株式会社", risk_class="high")
    return desk


# --- the rebuild, which knows the layouts and nothing of the store


def after_decision(record: bytes, start: int) -> int:
    """Return where the decision that begins at a byte of a record ends."""
    _, _, reason_count, *_ = layouts.DECISION.packer.unpack_from(record, start)
    version_end = record.index(b"\0", start + layouts.DECISION.size)
    return version_end + 1 + layouts.REASON.size * int(reason_count)


class Rebuilt:
    """An account as its effects say."""

    def __init__(self) -> None:
        self.account: Account | None = None
        self.aging: Aging | None = None
        self.sums = Sums(0, 0, 0, 0)
        self.orders: dict[bytes, bytes] = {}
        self.ledger: dict[bytes, bytes] = {}

    def redo(self, effect: Effect) -> None:
        if effect.sums is None:
            self._redo_account(effect)
        elif effect.kind in {EffectKind.RECORDED, EffectKind.FOLDED, EffectKind.FORGOTTEN}:
            self._redo_entry(effect)
        elif effect.kind not in {EffectKind.REJECTED, EffectKind.AMEND_REJECTED}:
            self._redo_order(effect)
        if effect.sums is not None:
            self.sums = effect.sums

    def _redo_account(self, effect: Effect) -> None:
        self.account, _ = unpack_account(effect.record)
        exposure = self.account.exposure
        self.sums = Sums(
            exposure.reserved_minor,
            exposure.receivable_minor,
            self.account.secured_receivable_minor,
            exposure.pending_review_minor,
        )
        if effect.kind is EffectKind.AGED:
            self.aging = self.account.aging

    def _redo_order(self, effect: Effect) -> None:
        end = after_decision(effect.record, layouts.ORDER.size)
        record, also = effect.record[:end], effect.record[end:]
        self.orders[effect.name.encode()] = record
        if effect.kind is EffectKind.COMMITTED:
            self.ledger[f"d:{effect.texts[0]}".encode()] = also
        elif effect.kind is EffectKind.AMENDED and effect.texts[0]:
            self.ledger[f"a:{effect.name}|{effect.texts[0]}".encode()] = also

    def _redo_entry(self, effect: Effect) -> None:
        if effect.kind is EffectKind.RECORDED:
            self.ledger[effect.name.encode()] = effect.record
            kind, _, amount, *_ = layouts.LEDGER_ENTRY.packer.unpack_from(effect.record)
            if kind == LedgerKind.PAYMENT and self.aging is not None:
                overdue = max(0, self.aging.overdue_minor + amount)
                due = self.aging.oldest_due_date if overdue else None
                self.aging = replace(self.aging, overdue_minor=overdue, oldest_due_date=due)
            return
        if effect.kind is EffectKind.FOLDED:
            self.ledger[b"b"] = effect.record
        if effect.name.startswith("o:"):
            del self.orders[effect.name.removeprefix("o:").encode()]
        else:
            del self.ledger[effect.name.encode()]

    def due(self) -> dict[int, int]:
        """Return what falls due at which second."""
        due: defaultdict[int, int] = defaultdict(int)
        for record in self.orders.values():
            state, _, _, _, _, _, _, _, held, expire_s, *_ = layouts.ORDER.packer.unpack_from(record)
            if state == ReservationState.HELD and held:
                due[expire_s] += held
        return dict(due)


async def rebuilds(clocked: ClockedStore, desk: Desk) -> None:
    """Fail unless what the journal rebuilds is what the store keeps; nothing may be due that was not swept."""
    rebuilt = Rebuilt()
    for effect in read_account_effects(clocked.client, PARTITION, desk.account_id):
        rebuilt.redo(effect)
        entries = [
            layouts.LEDGER_ENTRY.packer.unpack_from(record)
            for field, record in rebuilt.ledger.items()
            if not field.startswith(b"a:")
        ]
        assert rebuilt.sums.receivable_minor == sum(change for _, _, _, change, *_ in entries)
        assert rebuilt.sums.secured_receivable_minor == sum(secured_change for *_, secured_change in entries)
    client, account_id = clocked.client, desk.account_id
    assert rebuilt.orders == client.hgetall(keys.orders(PARTITION, account_id))
    assert rebuilt.ledger == client.hgetall(keys.ledger(PARTITION, account_id))
    members = cast("list[bytes]", client.zrange(keys.due(PARTITION, account_id), 0, -1))
    assert rebuilt.due() == {int(second): int(amount) for second, amount in (member.split(b":") for member in members)}
    assert rebuilt.sums.reserved_minor == sum(rebuilt.due().values())
    assert rebuilt.account is not None
    exposure = rebuilt.account.exposure._replace(
        reserved_minor=rebuilt.sums.reserved_minor,
        receivable_minor=rebuilt.sums.receivable_minor,
        pending_review_minor=rebuilt.sums.pending_minor,
    )
    assert await desk.account() == replace(
        rebuilt.account,
        exposure=exposure,
        secured_receivable_minor=rebuilt.sums.secured_receivable_minor,
        aging=rebuilt.aging,
    )


# --- every kind of effect


async def last_effect(clocked: ClockedStore, desk: Desk) -> Effect:
    """Return the last effect, which stands on the account as it is now, after seeing that it rebuilds."""
    await rebuilds(clocked, desk)
    effect = read_account_effects(clocked.client, PARTITION, desk.account_id)[-1]
    assert effect.time_ms <= clocked.now_s * 1000
    if effect.sums is not None:
        assert effect.sums[:3] == await desk.all_sums()
    return effect


def order_record(clocked: ClockedStore, desk: Desk, order_id: str) -> bytes:
    return cast("bytes", clocked.client.hget(keys.orders(PARTITION, desk.account_id), order_id))


def entry_record(clocked: ClockedStore, desk: Desk, field: str) -> bytes:
    return cast("bytes", clocked.client.hget(keys.ledger(PARTITION, desk.account_id), field))


async def test_orders(clocked: ClockedStore, desk: Desk) -> None:
    await desk.reserve("o:1", 600, secured_minor=40, source="shop/eu")
    reserved = await last_effect(clocked, desk)
    assert (reserved.kind, reserved.name, reserved.texts) == (EffectKind.RESERVED, "o:1", ("shop/eu",))
    assert reserved.record == order_record(clocked, desk, "o:1")

    assert (await desk.reserve("o2", 441)).decision.outcome is Outcome.REJECTED
    rejected = await last_effect(clocked, desk)
    assert (rejected.kind, rejected.name, rejected.texts) == (EffectKind.REJECTED, "o2", ("",))
    assert layouts.ORDER.packer.unpack_from(rejected.record)[0] == 0
    assert layouts.DECISION.packer.unpack_from(rejected.record, layouts.ORDER.size)[0] == Outcome.REJECTED

    await desk.amend("o:1", 700, request_id="a:r/")
    amended = await last_effect(clocked, desk)
    assert (amended.kind, amended.name, amended.texts) == (EffectKind.AMENDED, "o:1", ("a:r/",))
    assert amended.record == order_record(clocked, desk, "o:1") + entry_record(clocked, desk, "a:o:1|a:r/")
    await desk.amend("o:1", 650)
    assert (await last_effect(clocked, desk)).texts == ("",)

    assert (await desk.amend("o:1", 9000, request_id="r2")).decision.outcome is Outcome.REJECTED
    refused = await last_effect(clocked, desk)
    assert (refused.kind, refused.texts) == (EffectKind.AMEND_REJECTED, ("r2",))
    wanted = refused.record.removeprefix(order_record(clocked, desk, "o:1"))
    assert layouts.AMEND_MARKER.packer.unpack_from(wanted) == (9000, 0)
    assert layouts.DECISION.packer.unpack_from(wanted, layouts.AMEND_MARKER.size)[0] == Outcome.REJECTED

    await desk.commit("o:1", 100, "d:1")
    committed = await last_effect(clocked, desk)
    assert (committed.kind, committed.name, committed.texts) == (EffectKind.COMMITTED, "o:1", ("d:1",))
    assert committed.record == order_record(clocked, desk, "o:1") + entry_record(clocked, desk, "d:d:1")

    release = ReleaseReservation(desk.account_id, "o:1", "r3", "späť, cancelled")
    await desk.store.run(release, deadline())
    released = await last_effect(clocked, desk)
    assert (released.kind, released.texts) == (EffectKind.RELEASED, ("r3", "späť, cancelled"))
    assert released.record == order_record(clocked, desk, "o:1")

    end_s = (await desk.reserve("o3", 5)).reservation
    clocked.pass_time(HOLD_S + 60)
    await clocked.sweep()
    expired = await last_effect(clocked, desk)
    assert (expired.kind, expired.name, expired.texts) == (EffectKind.EXPIRED, "o3", ())
    assert end_s is not None
    assert expired.time_ms == end_s.expire_time_s * 1000, "the hold's own time"

    clocked.pass_time(LONGEST_S)
    await clocked.sweep()
    effects = read_account_effects(clocked.client, PARTITION, desk.account_id)
    gone = [(effect.kind, effect.name) for effect in effects][-4:]
    assert sorted(gone) == [
        (EffectKind.FORGOTTEN, "a:o:1|a:r/"),
        (EffectKind.FORGOTTEN, "o:o3"),
        (EffectKind.FORGOTTEN, "o:o:1"),
        (EffectKind.FOLDED, "d:d:1"),
    ]
    await rebuilds(clocked, desk)


async def test_receivables(clocked: ClockedStore, desk: Desk) -> None:
    await desk.age(AS_OF_MS, 500, DUE, disputed=10)
    aged = await last_effect(clocked, desk)
    assert (aged.kind, aged.name, aged.sums) == (EffectKind.AGED, "", None)
    assert unpack_account(aged.record)[0] == await desk.account()
    for record, field in (
        (desk.post_of("x", 100), "d:x"),
        (desk.credit_of("y", 10), "d:y"),
        (desk.take_over_of("z", -7), "d:z"),
        (desk.pay_of("x", 30), "p:x"),
        (desk.pay_of("y", 900), "p:y"),
    ):
        await desk.store.run(record, deadline())
        recorded = await last_effect(clocked, desk)
        assert (recorded.kind, recorded.name, recorded.texts) == (EffectKind.RECORDED, field, ())
        assert recorded.record == entry_record(clocked, desk, field)
    clocked.pass_time(LONGEST_S)
    await clocked.sweep()
    folded = await last_effect(clocked, desk)
    assert folded.kind is EffectKind.FOLDED
    assert folded.record == entry_record(clocked, desk, "b")


async def test_accounts(clocked: ClockedStore, desk: Desk) -> None:
    changes: tuple[Operation[object], ...] = (
        PutAccount(desk.account_id, base_limit=LimitSetting(None), unlimited=True),
        PutAccount(desk.account_id, block=BlockSetting(Block("fraud: 不正", "ann"))),
        PutAccount(desk.account_id, block=BlockSetting(None), display_name="", risk_class=""),
        CloseAccount(desk.account_id),
        PutAccount(desk.account_id, status=AccountStatus.OPEN),
    )
    for change in changes:
        await desk.store.run(change, deadline())
        changed = await last_effect(clocked, desk)
        assert (changed.kind, changed.sums) == (EffectKind.ACCOUNT_CHANGED, None)
        assert unpack_account(changed.record)[0] == await desk.account()
    await desk.post("d1", 5)
    Tamperer(clocked.client, desk.account_id).add_to_account(receivable=3)
    await desk.verify(repair=True)
    repaired = await last_effect(clocked, desk)
    assert repaired.kind is EffectKind.REPAIRED
    assert unpack_account(repaired.record)[0] == await desk.account()


async def test_what_changes_nothing_is_not_journaled(clocked: ClockedStore, desk: Desk) -> None:
    await desk.reserve("o1", 100)
    await desk.amend("o1", 90, request_id="r1")
    await desk.commit("o1", 10, "d1")
    await desk.pay("p1", 5)
    await desk.age(AS_OF_MS, 5, DUE)
    before = clocked.client.xinfo_stream(keys.journal(PARTITION))["last-generated-id"]
    await desk.reserve("o1", 100)
    await desk.amend("o1", 90, request_id="r1")
    await desk.commit("o1", 10, "d1")
    await desk.pay("p1", 5)
    await desk.age(AS_OF_MS, 5, DUE)
    await desk.age(AS_OF_MS - 1, 7, DUE)
    await desk.fails(desk.pay_of("p1", 6))
    await desk.fails(desk.amend_of("o2", 1))
    await desk.verify(repair=True)
    await clocked.sweep()
    assert clocked.client.xinfo_stream(keys.journal(PARTITION))["last-generated-id"] == before


async def test_an_entry_holds_the_effects_of_a_call_in_their_order(clocked: ClockedStore, desk: Desk) -> None:
    other = clocked.desk(f"{desk.account_id}-2")
    await other.put()
    operations: list[Operation[object]] = [
        desk.take_over_of("d1", 1),
        other.take_over_of("d1", 2),
        desk.take_over_of("d1", 1),
        desk.take_over_of("d2", 3),
    ]
    await desk.store.run_each(operations, deadline())
    names = [(effect.account_id, effect.name) for effect in read_entries(clocked.client, PARTITION)[-1]]
    assert names == [(desk.account_id, "d:d1"), (other.account_id, "d:d1"), (desk.account_id, "d:d2")]


def test_an_empty_entry_has_no_effects() -> None:
    assert list(read_effects(b"")) == []


# --- many of them, in any order


class Life:
    """What may happen to an account, by chance."""

    def __init__(self, desk: Desk, chance: random.Random) -> None:
        self._desk = desk
        self._chance = chance
        self._begun = 0

    def any(self) -> Operation[object]:
        desk, chance = self._desk, self._chance
        self._begun += 1
        order_id = f"o{self._begun // 20 + chance.randrange(9)}"
        name = f"x{self._begun // 5 + chance.randrange(30)}"
        amount = chance.randint(1, 400)
        return chance.choice(
            (
                ReserveCredit(
                    desk.account_id, order_id, amount, "USD", chance.choice((60, HOLD_S, 30 * DAY_S)), amount // 3
                ),
                desk.amend_of(
                    order_id,
                    chance.choice((amount, 9000)),
                    request_id=chance.choice(("", name)),
                    hold_s=chance.choice((None, 90)),
                ),
                desk.commit_of(order_id, amount, name, final=chance.random() < 0.3),
                ReleaseReservation(desk.account_id, order_id, name, "because"),
                desk.post_of(name, amount),
                desk.credit_of(name, amount),
                desk.take_over_of(name, amount - 200 or 1),
                desk.pay_of(name, amount),
                UpdateAging(desk.account_id, amount, amount // 2, DUE, AS_OF_MS + chance.randrange(50)),
                PutAccount(desk.account_id, base_limit=LimitSetting(chance.choice((50, 5000)))),
            )
        )


@pytest.mark.parametrize("seed", range(4))
async def test_any_life_of_an_account_can_be_rebuilt(clocked: ClockedStore, desk: Desk, seed: int) -> None:
    chance = random.Random(seed)
    life = Life(desk, chance)
    carried_out = 0
    for _ in range(60):
        outcomes = await desk.store.run_each([life.any() for _ in range(chance.randint(1, 20))], deadline())
        carried_out += sum(not isinstance(outcome, CreditError) for outcome in outcomes)
        if chance.random() < 0.4:
            clocked.pass_time(chance.choice((1, 60, HOLD_S, DAY_S, 5 * DAY_S)))
        await clocked.sweep()
        await rebuilds(clocked, desk)
        await desk.adds_up()
    assert carried_out > 200
    kinds = {effect.kind for effect in read_account_effects(clocked.client, PARTITION, desk.account_id)}
    assert kinds >= set(EffectKind) - _NOT_OF_THIS_LIFE
