"""Plays against the real service: sums, limits, and playing again."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from redis.asyncio import Redis

from creditgate.bootstrap import RunningService
from creditgate.client import AsyncCreditClient
from creditgate.domain.account import AccountStatus, Block
from creditgate.domain.operations import (
    BlockSetting,
    CommitReservation,
    LimitSetting,
    PutAccount,
    ReleaseReservation,
    ReserveCredit,
)
from creditgate.replay.answers import Difference
from creditgate.replay.csv_source import Invoice
from creditgate.replay.schedule import Event, LimitMultiple, Play, Unlimited, schedule_invoices
from creditgate.store import keys
from tests.replay.conftest import PlayIt
from tests.replay.invoices import BEGIN, random_invoices


async def exposures(client: AsyncCreditClient, play: Play) -> dict[str, tuple[int, int]]:
    found = {}
    for settings in play.accounts:
        exposure = (await client.get_account(settings.account_id)).account.exposure
        found[settings.account_id] = (exposure.reserved_minor, exposure.receivable_minor)
    return found


def peak_of(invoices: list[Invoice], account_id: str) -> int:
    """The highest exposure of an unlimited account after one of its orders, from the rows alone."""
    steps: list[tuple[datetime, bool, int, int, int]] = []
    for each in invoices:
        if each.account_id == account_id:
            steps.append((each.invoice_time, True, each.line, 0, each.amount_minor))
            if each.settle_time is not None:
                same_time = each.settle_time == each.invoice_time
                steps.append((each.settle_time, same_time, each.line, 1, -each.amount_minor))
    exposure_minor = peak_minor = 0
    for *_, change_minor in sorted(steps):
        exposure_minor += change_minor
        peak_minor = max(peak_minor, exposure_minor)
    return peak_minor


async def test_an_unlimited_play_agrees_with_its_file(
    client: AsyncCreditClient, play_it: PlayIt, new_id: Callable[[str], str]
) -> None:
    invoices = random_invoices(customers=12, invoices=120, prefix=new_id("buyer"))
    play = schedule_invoices(invoices, Unlimited())
    summary = await play_it(play)
    invoiced = sum(each.amount_minor for each in invoices)
    paid = sum(each.amount_minor for each in invoices if each.settle_time is not None)
    (currency,) = summary.currencies
    assert (currency.sums.invoiced_minor, currency.sums.paid_minor) == (invoiced, paid)
    assert summary.outcomes == {"APPROVED": 120}
    assert summary.accounts == {"created": len(play.accounts)}
    assert (summary.verified_accounts, summary.differing_sums) == (len(play.accounts), 0)
    assert (summary.replayed, summary.errors, summary.complete) == (0, (), True)
    owed = await exposures(client, play)
    assert sum(receivable for _, receivable in owed.values()) == invoiced - paid
    assert all(reserved == 0 for reserved, _ in owed.values())
    for peak in currency.largest_accounts:
        assert peak.peak_exposure_minor == peak_of(invoices, peak.account_id)

    again = await play_it(play)
    assert again.changed_nothing
    assert (again.answered, again.replayed) == (summary.answered, summary.answered)
    assert again.accounts == {"unchanged": len(play.accounts)}
    assert again.currencies == summary.currencies
    assert again.outcomes == summary.outcomes
    assert await exposures(client, play) == owed


async def test_a_limited_play_is_the_same_when_played_again(
    client: AsyncCreditClient, play_it: PlayIt, new_id: Callable[[str], str]
) -> None:
    invoices = random_invoices(customers=6, invoices=120, prefix=new_id("buyer"))
    play = schedule_invoices(invoices, LimitMultiple(Decimal(3)))
    summary = await play_it(play)
    rejected = summary.outcomes["REJECTED"]
    assert 0 < rejected < 120
    assert [(reason.reason, reason.orders) for reason in summary.reasons] == [("LIMIT_EXCEEDED", rejected)]
    (currency,) = summary.currencies
    sums = currency.sums
    assert sums.invoiced_minor + sums.left_out_invoiced_minor == sums.planned_invoiced_minor
    assert sums.paid_minor + sums.left_out_paid_minor == sums.planned_paid_minor
    limits = {settings.account_id: settings.base_limit for settings in play.accounts}
    for peak in currency.largest_accounts:
        limit = limits[peak.account_id]
        assert limit is not None
        assert limit.limit_minor is not None
        assert 0 < peak.peak_exposure_minor <= limit.limit_minor

    owed = await exposures(client, play)
    again = await play_it(play)
    assert again.changed_nothing
    assert again.rejected_before + again.outcomes.get("REJECTED", 0) == rejected
    assert again.currencies == summary.currencies
    assert await exposures(client, play) == owed


async def test_a_play_that_was_cut_off_carries_on_to_the_same_end(
    client: AsyncCreditClient, play_it: PlayIt, new_id: Callable[[str], str]
) -> None:
    prefix = new_id("buyer")
    whole, cut = (
        schedule_invoices(
            random_invoices(customers=6, invoices=120, prefix=f"{prefix}-{kind}"), LimitMultiple(Decimal(3))
        )
        for kind in ("whole", "cut")
    )
    await play_it(whole)
    for events in (40, 150, 230, len(cut.events)):
        assert (await play_it(Play(cut.accounts, cut.events[:events]))).complete
    owed = (await exposures(client, whole), await exposures(client, cut))
    assert list(owed[0].values()) == list(owed[1].values())


async def test_accounts_get_all_their_settings_and_are_left_alone_when_they_have_them(
    client: AsyncCreditClient, play_it: PlayIt, new_id: Callable[[str], str]
) -> None:
    account_id = new_id("buyer")
    blocked = PutAccount(
        account_id,
        "JPY",
        display_name="Alder Paper K.K.",
        risk_class="low",
        status=AccountStatus.CLOSED,
        base_limit=LimitSetting(5000),
        unlimited=False,
        block=BlockSetting(Block("unpaid", "desk")),
    )
    cleared = PutAccount(
        account_id,
        "JPY",
        status=AccountStatus.OPEN,
        base_limit=LimitSetting(None),
        unlimited=True,
        block=BlockSetting(None),
    )
    changes: list[str] = []
    for settings in (blocked, blocked, cleared, cleared, PutAccount(account_id, "JPY", display_name="")):
        changes += (await play_it(Play((settings,), ()))).accounts
    assert changes == ["created", "unchanged", "changed", "unchanged", "changed"]
    account = (await client.get_account(account_id)).account
    assert account.unlimited
    assert not account.HasField("block")
    assert not account.HasField("base_limit_minor")
    assert (account.display_name, account.risk_class) == ("", "low")


async def test_what_is_given_back_counts_no_more(
    client: AsyncCreditClient, play_it: PlayIt, new_id: Callable[[str], str]
) -> None:
    released, short, other = (new_id("buyer") for _ in range(3))
    accounts = tuple(PutAccount(account_id, "USD", unlimited=True) for account_id in (released, short, other))
    steps: tuple[ReserveCredit | CommitReservation | ReleaseReservation, ...] = (
        ReserveCredit(released, "one", 700, "USD", hold_s=3600),
        ReleaseReservation(released, "one", "cancel-one", "cancelled"),
        ReserveCredit(short, "two", 500, "USD", hold_s=3600),
        CommitReservation(short, "two", 400, "USD", "invoice", final=True),
        ReserveCredit(other, "three", 350, "USD", hold_s=3600),
    )
    # A day each, since the accounts of one day are played beside each other.
    events = tuple(Event(BEGIN + timedelta(days=day), step.order_id, step) for day, step in enumerate(steps))
    summary = await play_it(Play(accounts, events))
    assert summary.currencies[0].sums.peak_exposure_minor == 400 + 350
    owed = [(await client.get_account(account_id)).account.exposure for account_id in (released, short, other)]
    assert [(each.reserved_minor, each.receivable_minor) for each in owed] == [(0, 0), (0, 400), (350, 0)]


async def test_a_sum_that_nothing_explains_is_found(
    client: AsyncCreditClient, play_it: PlayIt, new_id: Callable[[str], str], service: RunningService, redis_url: str
) -> None:
    play = schedule_invoices(random_invoices(customers=1, invoices=3, prefix=new_id("buyer")), Unlimited())
    await play_it(play)
    account_id, invoice_id = play.accounts[0].account_id, play.events[0].order_id
    owed = (await client.get_account(account_id)).account.exposure.receivable_minor
    invoiced = (await client.get_reservation(account_id, invoice_id)).reservation.committed_minor
    ledger = keys.ledger(keys.partition_of(account_id, service.store.partitions), account_id)
    async with Redis.from_url(redis_url) as redis:
        record = await redis.hget(ledger, f"d:{invoice_id}")
        assert record is not None
        await redis.hdel(ledger, f"d:{invoice_id}")
        summary = await play_it(Play(play.accounts, ()))
        await redis.hset(ledger, f"d:{invoice_id}", record)
    assert summary.differences == (Difference(account_id, "USD", "receivable", owed, owed - invoiced),)
    assert (await play_it(play)).differing_sums == 0


async def test_what_the_service_refuses_is_counted_and_the_rest_is_played(
    client: AsyncCreditClient, play_it: PlayIt, new_id: Callable[[str], str]
) -> None:
    invoices = random_invoices(customers=3, invoices=30, prefix=new_id("buyer"))
    play = schedule_invoices(invoices, Unlimited())
    other_currency, other_details = play.accounts[0].account_id, play.accounts[1].account_id
    await client.put_account(other_currency, currency_code="EUR")
    taken = next(each for each in invoices if each.account_id == other_details)
    await client.put_account(other_details, currency_code="USD", unlimited=True)
    await client.reserve_credit(other_details, taken.invoice_id, amount_minor=1, currency_code="USD")
    summary = await play_it(play)
    assert {(error.call, error.reason, error.calls) for error in summary.errors} == {
        ("PutAccount", "ACCOUNT_EXISTS_WITH_DIFFERENT_CURRENCY", 1),
        ("ReserveCredit", "ORDER_EXISTS_WITH_DIFFERENT_DETAILS", 1),
    }
    played = [each for each in invoices if each.account_id != other_currency and each is not taken]
    assert summary.outcomes == {"APPROVED": len(played)}
    assert summary.currencies[0].sums.invoiced_minor == sum(each.amount_minor for each in played)
    assert summary.complete
