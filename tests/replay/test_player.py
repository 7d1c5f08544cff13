"""The order and the bounds of a play, against a service that is imagined."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import pytest

from creditgate.client import AsyncCreditClient
from creditgate.domain.limit_batch import LimitBatchHeader, LimitBatchMode
from creditgate.domain.operations import PutAccount, ReserveCredit
from creditgate.replay.answers import (
    AccountChange,
    AccountsVerified,
    Answer,
    BatchPushed,
    Difference,
    OrderDecided,
    StepDone,
    StepFailed,
)
from creditgate.replay.calls import ServiceCalls
from creditgate.replay.earlier import Standing
from creditgate.replay.pace import Pace
from creditgate.replay.player import Player
from creditgate.replay.schedule import Event, Play, TimedBatch, Unlimited, schedule_invoices
from creditgate.replay.tally import DIFFERENCES_SHOWN_MAX, Tally
from tests.patience import PATIENCE_S
from tests.replay.conftest import NoProgress
from tests.replay.invoices import random_invoices

LOST = StepFailed("STORE_UNAVAILABLE", "the store does not answer", service_lost=True)


class ImaginedCalls:
    """Approves everything, a few turns of the event loop later; fails as it is told."""

    def __init__(self, fails: Callable[[int], bool] = lambda _: False) -> None:
        self.begun: list[Event] = []
        self.ended: list[Event] = []
        self.verified: list[list[str]] = []
        self.pushed: list[tuple[str, int]] = []
        self.in_flight_most = 0
        self._fails = fails
        self._in_flight = 0

    async def put_account(self, settings: PutAccount) -> AccountChange | StepFailed:
        await self._take_turns(len(settings.account_id))
        return AccountChange.CREATED

    async def standing(self, account_id: str, amounts_minor: Mapping[str, int]) -> Standing | StepFailed:
        raise AssertionError(f"{account_id} was created, there is nothing known of {amounts_minor}")

    async def play(self, event: Event) -> Answer:
        self.begun.append(event)
        fails = self._fails(len(self.begun))
        await self._take_turns(1 + int(event.order_id) % 5)
        self.ended.append(event)
        if fails:
            return LOST
        if isinstance(event.operation, ReserveCredit):
            return OrderDecided("APPROVED", (), 0, replayed=False)
        return StepDone(0, replayed=False)

    async def push_limits(self, batch: TimedBatch) -> BatchPushed | StepFailed:
        self.pushed.append((batch.header.batch_id, len(self.ended)))
        for _ in range(50):
            await asyncio.sleep(0)
        if batch.header.batch_id == "lost":
            return LOST
        return BatchPushed(batch.header.batch_id, "ACTIVE", len(batch.rows), 1, 0, ())

    async def verify(self, accounts: Sequence[PutAccount]) -> AccountsVerified | StepFailed:
        account_ids = [account.account_id for account in accounts]
        self.verified.append(account_ids)
        await self._take_turns(1)
        if "buyer-201" in account_ids:
            return LOST
        differences = [Difference(each.account_id, "USD", "reserved", 1, 0) for each in accounts[:6]]
        return AccountsVerified(len(accounts), tuple(differences))

    async def _take_turns(self, turns: int) -> None:
        self._in_flight += 1
        self.in_flight_most = max(self.in_flight_most, self._in_flight)
        for _ in range(turns):
            await asyncio.sleep(0)
        self._in_flight -= 1


def player_of(calls: ImaginedCalls, tally: Tally, in_flight: int = 4) -> Player:
    return Player(calls, tally, NoProgress(), in_flight=in_flight, pace=Pace(None))


async def test_accounts_are_played_in_order_and_days_one_after_the_other() -> None:
    play = schedule_invoices(random_invoices(customers=7, invoices=200, prefix="buyer"), Unlimited())
    calls = ImaginedCalls()
    tally = Tally()
    tally.plan(play.events)
    assert await player_of(calls, tally).play(play)
    assert 1 < calls.in_flight_most <= 4
    days = [event.time.date() for event in calls.begun]
    assert days == sorted(days)
    for settings in play.accounts:
        mine = [event for event in play.events if event.operation.account_id == settings.account_id]
        assert [event for event in calls.ended if event.operation.account_id == settings.account_id] == mine
    assert tally.outcomes == {"APPROVED": 200}


async def test_the_play_stops_when_the_service_is_lost() -> None:
    play = schedule_invoices(random_invoices(customers=7, invoices=200, prefix="buyer"), Unlimited())
    calls = ImaginedCalls(fails=lambda number: number >= 100)
    tally = Tally()
    tally.plan(play.events)
    assert not await player_of(calls, tally).play(play)
    assert 100 <= len(calls.begun) < 110
    assert sum(tally.errors.values()) == len(calls.begun) - 99
    assert sum(tally.asked.values()) == 99


async def test_a_service_that_is_not_there_ends_the_play_at_once() -> None:
    play = schedule_invoices(random_invoices(customers=7, invoices=20, prefix="buyer"), Unlimited())
    tally = Tally()
    tally.plan(play.events)
    async with AsyncCreditClient("127.0.0.1:1", timeout_s=PATIENCE_S) as client:
        calls = ServiceCalls(client, tally.time_call)
        player = Player(calls, tally, NoProgress(), in_flight=2, pace=Pace(None))
        assert not await player.play(play)
    assert {reason for _, reason in tally.errors} == {"UNAVAILABLE"}
    assert 1 <= sum(tally.errors.values()) <= 2
    assert not tally.asked


def batch(batch_id: str, time: datetime) -> TimedBatch:
    return TimedBatch(time, LimitBatchHeader(batch_id, "scorer", "1", 0, LimitBatchMode.APPLY), ())


async def test_limits_come_before_the_orders_of_their_time_and_while_orders_run() -> None:
    play = schedule_invoices(random_invoices(customers=7, invoices=200, prefix="buyer"), Unlimited())
    first, middle, last = (play.events[index].time for index in (0, len(play.events) // 2, -1))
    batches = (
        batch("early", first),
        batch("middle", middle),
        batch("late", last),
        batch("never", last + timedelta(days=1)),
    )
    calls, tally = ImaginedCalls(), Tally()
    tally.plan(play.events)
    assert await player_of(calls, tally).play(play._replace(batches=batches))
    (early, ended_early), (between, ended_between), (late, _) = calls.pushed
    assert (early, between, late) == ("early", "middle", "late")
    assert ended_early == 0
    assert 0 < ended_between < len(play.events)
    assert [pushed.batch_id for pushed in tally.batches] == ["early", "middle", "late"]


async def test_a_batch_that_finds_no_service_ends_the_play() -> None:
    play = schedule_invoices(random_invoices(customers=7, invoices=200, prefix="buyer"), Unlimited())
    calls, tally = ImaginedCalls(), Tally()
    tally.plan(play.events)
    lost = play._replace(batches=(batch("lost", play.events[0].time),))
    assert not await player_of(calls, tally).play(lost)
    assert calls.begun == []
    assert tally.errors == {("PushLimits", "STORE_UNAVAILABLE"): 1}


async def test_an_interrupted_play_counts_as_far_as_it_came() -> None:
    play = schedule_invoices(random_invoices(customers=7, invoices=200, prefix="buyer"), Unlimited())
    calls = ImaginedCalls()
    tally = Tally()
    tally.plan(play.events)

    class Interrupting(NoProgress):
        def step_done(self, file_time: datetime | None) -> None:
            super().step_done(file_time)
            if self.done == 100:
                playing.cancel()

    player = Player(calls, tally, Interrupting(), in_flight=4, pace=Pace(None))
    playing = asyncio.create_task(player.play(play))
    with pytest.raises(asyncio.CancelledError):
        await playing
    assert sum(tally.asked.values()) == 100 - len(play.accounts)


async def test_what_was_played_is_verified_a_hundred_accounts_in_a_call() -> None:
    accounts = tuple(PutAccount(f"buyer-{number}", "USD", unlimited=True) for number in range(250))
    calls = ImaginedCalls()
    tally = Tally()
    player = player_of(calls, tally)
    assert await player.play(Play(accounts, ()))
    await player.verify(Play(accounts, ()))
    assert [len(ids) for ids in calls.verified] == [100, 100, 50]
    assert (tally.verified_accounts, tally.differing_sums, len(tally.differences)) == (200, 12, DIFFERENCES_SHOWN_MAX)
    assert tally.errors == {("VerifyAccounts", "STORE_UNAVAILABLE"): 1}
    assert tally.failures[0].account_id == "buyer-200"


async def test_nothing_to_play_is_played() -> None:
    assert await player_of(ImaginedCalls(), Tally()).play(Play((), ()))
