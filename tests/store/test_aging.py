"""What the ERP says of overdue items, and what payments leave of it, on every Redis version of this machine."""

import time
from datetime import date

from creditgate.domain.account import Aging
from creditgate.domain.bounds import AMOUNT_MAX_MINOR, DUE_DATE_MAX, DUE_DATE_MIN
from creditgate.domain.errors import ErrorReason
from creditgate.domain.operations import UpdateAging
from creditgate.store.constants import AGING_AHEAD_MAX_S
from tests.store.desk import Desk

DUE = date(2026, 3, 1)
AS_OF_MS = 1_772_000_000_000


async def test_an_account_is_not_aged_before_it_is(desk: Desk) -> None:
    await desk.put()
    assert (await desk.account()).aging is None


async def test_a_later_ageing_replaces_and_an_earlier_one_is_ignored(desk: Desk) -> None:
    await desk.put()
    first = await desk.age(AS_OF_MS, 500, DUE, disputed=100)
    assert (first.replayed, first.ignored) == (False, False)
    assert first.account.aging == Aging(500, 100, DUE, AS_OF_MS)
    ignored = await desk.age(AS_OF_MS - 1, 900, date(2026, 1, 1))
    assert (ignored.replayed, ignored.ignored) == (False, True)
    assert ignored.account == first.account
    later = await desk.age(AS_OF_MS + 1, 0)
    assert (later.replayed, later.ignored) == (False, False)
    assert later.account.aging == (await desk.account()).aging == Aging(0, 0, None, AS_OF_MS + 1)


async def test_the_same_instant_replaces_only_where_the_figures_differ(desk: Desk) -> None:
    await desk.put()
    await desk.age(AS_OF_MS, 500, DUE, disputed=100)
    for overdue, due, disputed in ((501, DUE, 100), (501, DUE, 101), (501, None, 101), (0, None, 0)):
        corrected = await desk.age(AS_OF_MS, overdue, due, disputed)
        assert (corrected.replayed, corrected.ignored) == (False, False)
        assert corrected.account.aging == Aging(overdue, disputed, due, AS_OF_MS)
        assert (await desk.age(AS_OF_MS, overdue, due, disputed)).replayed


async def test_a_payment_reduces_what_is_overdue_at_once_and_once(desk: Desk) -> None:
    await desk.put()
    await desk.age(AS_OF_MS, 500, DUE, disputed=100)
    for _ in range(2):
        await desk.pay("p1", 200)
        assert (await desk.account()).aging == Aging(300, 100, DUE, AS_OF_MS)
    replay = await desk.age(AS_OF_MS, 500, DUE, disputed=100)
    assert (replay.replayed, replay.account.aging) == (True, Aging(300, 100, DUE, AS_OF_MS))
    await desk.pay("p2", 299)
    assert (await desk.account()).aging == Aging(1, 100, DUE, AS_OF_MS)
    await desk.pay("p3", 2)
    assert (await desk.account()).aging == Aging(0, 100, None, AS_OF_MS)
    assert (await desk.age(AS_OF_MS, 500, DUE, disputed=100)).replayed, "the figures were taken over before"
    later = await desk.age(AS_OF_MS + 1, 400, DUE)
    assert later.account.aging == Aging(400, 0, DUE, AS_OF_MS + 1)


async def test_only_payments_reduce_what_is_overdue(desk: Desk) -> None:
    await desk.put()
    await desk.age(AS_OF_MS, 500, DUE)
    await desk.credit("c1", 100)
    await desk.take_over("c2", -100)
    await desk.post("d1", 100)
    assert (await desk.account()).aging == Aging(500, 0, DUE, AS_OF_MS)


async def test_an_ageing_touches_no_sum_and_outlasts_other_changes(desk: Desk) -> None:
    await desk.put()
    await desk.reserve("o1", 100)
    await desk.post("d1", 50)
    await desk.age(AS_OF_MS, 50, DUE)
    assert await desk.sums() == (100, 50)
    await desk.put(limit=2000, risk_class="high")
    await desk.commit("o1", 100, "d2")
    account = await desk.account()
    assert (account.aging, account.risk_class) == (Aging(50, 0, DUE, AS_OF_MS), "high")


async def test_the_largest_figures_and_the_first_and_last_date(desk: Desk) -> None:
    await desk.put()
    for number, due in enumerate((DUE_DATE_MIN, DUE_DATE_MAX)):
        as_of_ms = AS_OF_MS + number
        aged = await desk.age(as_of_ms, AMOUNT_MAX_MINOR, due, disputed=AMOUNT_MAX_MINOR)
        assert aged.account.aging == Aging(AMOUNT_MAX_MINOR, AMOUNT_MAX_MINOR, due, as_of_ms)
    await desk.pay("p1", AMOUNT_MAX_MINOR - 1)
    aging = (await desk.account()).aging
    assert aging is not None
    assert (aging.overdue_minor, aging.oldest_due_date) == (1, DUE_DATE_MAX)


async def test_an_ageing_is_at_most_a_day_ahead_of_the_stores_clock(desk: Desk) -> None:
    await desk.put()
    ahead_ms = (int(time.time()) + AGING_AHEAD_MAX_S) * 1000  # the store's clock is that of this machine
    refused = await desk.fails(UpdateAging(desk.account_id, 1, 0, DUE, ahead_ms + 60_000))
    assert (refused.reason, refused.violations[0].field) == (ErrorReason.INVALID_FIELD, "as_of")
    assert "a day ahead" in refused.message
    assert (await desk.account()).aging is None
    assert not (await desk.age(ahead_ms, 1, DUE)).ignored


async def test_an_unknown_account(desk: Desk) -> None:
    refused = await desk.fails(UpdateAging(desk.account_id, 0, 0, None, AS_OF_MS))
    assert (refused.reason, desk.account_id in refused.message) == (ErrorReason.ACCOUNT_NOT_FOUND, True)
