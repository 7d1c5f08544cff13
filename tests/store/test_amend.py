"""What changing an order that is held does, on every Redis version of this machine."""

import pytest

from creditgate.domain.account import AccountStatus, Block
from creditgate.domain.bounds import AMOUNT_MAX_MINOR
from creditgate.domain.decision import Action, Outcome, ReasonCode
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import Amended, AmendReservation, BlockSetting, ReleaseReservation
from creditgate.domain.reservation import Etag, ReservationState
from tests.store.desk import HOLD_S, Desk, deadline

HELD, COMMITTED = ReservationState.HELD, ReservationState.COMMITTED


async def test_a_new_total_is_held_until_the_old_end(desk: Desk) -> None:
    await desk.put()
    first = await desk.reserve("o1", 600)
    for amount in (700, 1000, 1, 300):
        amended = await desk.amend("o1", amount)
        assert (amended.decision.outcome, amended.decision.reasons, amended.replayed) == (Outcome.APPROVED, (), False)
        assert (amended.reservation.amount_minor, amended.reservation.exposure_minor) == (amount, amount)
        assert await desk.sums() == (amount, 0)
        assert first.reservation is not None
        assert amended.reservation.expire_time_s == first.reservation.expire_time_s
        assert amended.reservation.decision == first.decision
        assert amended.reservation == await desk.reservation("o1")


async def test_an_increase_is_judged_like_an_order_of_that_amount(desk: Desk) -> None:
    await desk.put(limit=1000)
    await desk.reserve("o1", 600)
    await desk.reserve("o2", 300)
    before = await desk.reservation("o1")
    rejected = await desk.amend("o1", 701, request_id="r1", hold_s=2 * HOLD_S)
    assert rejected.decision.outcome is Outcome.REJECTED
    assert [tuple(reason) for reason in rejected.decision.reasons] == [
        (ReasonCode.LIMIT_EXCEEDED, Action.REJECT, 1001, 1000, "USD")
    ]
    assert rejected.decision.exposure.reserved_minor == 900
    assert (rejected.reservation, rejected.replayed) == (before, False), "nothing changes, not even the hold's end"
    assert await desk.sums() == (900, 0)
    assert (await desk.amend("o1", 700)).decision.outcome is Outcome.APPROVED
    assert await desk.sums() == (1000, 0)


async def test_a_rejected_amend_is_not_remembered(desk: Desk) -> None:
    await desk.put(limit=1000)
    await desk.reserve("o1", 600)
    assert (await desk.amend("o1", 1001, request_id="r1")).decision.outcome is Outcome.REJECTED
    await desk.set_limit(1001)
    again = await desk.amend("o1", 1001, request_id="r1")
    assert (again.decision.outcome, again.replayed) == (Outcome.APPROVED, False)


async def test_what_takes_no_further_credit_never_fails(desk: Desk) -> None:
    await desk.put(limit=1000)
    await desk.reserve("o1", 600)
    await desk.put(limit=0, block=BlockSetting(Block("fraud", "ann")), status=AccountStatus.CLOSED)
    for amount in (600, 599, 1):
        amended = await desk.amend("o1", amount, hold_s=60)
        assert (amended.decision.outcome, amended.decision.reasons) == (Outcome.APPROVED, ())
    refused = await desk.amend("o1", 2)
    assert [reason.code for reason in refused.decision.reasons] == [
        ReasonCode.ACCOUNT_BLOCKED,
        ReasonCode.ACCOUNT_CLOSED,
        ReasonCode.LIMIT_EXCEEDED,
    ]
    assert await desk.sums() == (1, 0)


async def test_an_increase_that_security_covers_is_judged_without_taking_credit(desk: Desk) -> None:
    await desk.put(limit=0)
    await desk.reserve("o1", 600, secured_minor=600)
    assert (await desk.amend("o1", 1)).decision.outcome is Outcome.APPROVED
    await desk.put(limit=0, block=BlockSetting(Block("fraud", "ann")))
    refused = await desk.amend("o1", 600)
    assert [reason.code for reason in refused.decision.reasons] == [ReasonCode.ACCOUNT_BLOCKED]
    assert (await desk.reservation("o1")).amount_minor == 1
    await desk.put(limit=0, block=BlockSetting(None))
    for amount, outcome, held in ((600, Outcome.APPROVED, 0), (601, Outcome.REJECTED, 0)):
        assert (await desk.amend("o1", amount)).decision.outcome is outcome
        assert await desk.sums() == (held, 0)
    await desk.adds_up()


async def test_a_new_end_counts_from_now_and_moves_what_falls_due(desk: Desk) -> None:
    await desk.put()
    old = (await desk.reserve("o1", 600)).reservation
    assert old is not None
    for hold_s in (2 * HOLD_S, 60):
        amended = await desk.amend("o1", 500, hold_s=hold_s)
        held_s = amended.reservation.expire_time_s - old.expire_time_s
        assert 0 <= held_s - (hold_s - HOLD_S) <= 30, "the store's clock has gone on meanwhile"
        await desk.adds_up()


async def test_a_repeated_request_is_a_replay_whatever_came_after_it(desk: Desk) -> None:
    await desk.put()
    await desk.reserve("o1", 600)
    etag = (await desk.reservation("o1")).etag
    first = await desk.amend("o1", 700, request_id="r1", hold_s=60, etag=etag)
    await desk.amend("o1", 400, request_id="r2")
    again = await desk.amend("o1", 700, request_id="r1", hold_s=60, etag=etag)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.decision == first.decision
    assert again.reservation.amount_minor == 400, "the reservation as it is now"
    await desk.commit("o1", 400, "d1")
    again = await desk.amend("o1", 700, request_id="r1", hold_s=60, etag=etag)
    assert (again.replayed, again.decision, again.reservation.state) == (True, first.decision, COMMITTED)
    assert await desk.sums() == (0, 400)


@pytest.mark.parametrize(("amount", "hold_s"), [(701, 60), (700, 61), (700, None)])
async def test_a_request_id_stands_for_one_change(desk: Desk, amount: int, hold_s: int | None) -> None:
    await desk.put()
    await desk.reserve("o1", 600)
    await desk.amend("o1", 700, request_id="r1", hold_s=60)
    refused = await desk.fails(desk.amend_of("o1", amount, request_id="r1", hold_s=hold_s))
    assert refused.reason is ErrorReason.REQUEST_EXISTS_WITH_DIFFERENT_DETAILS
    assert "r1" in refused.message
    assert "7.00 USD" in refused.message
    assert await desk.sums() == (700, 0)


async def test_a_request_id_belongs_to_its_order(desk: Desk) -> None:
    await desk.put()
    for order_id, amount in (("o1", 300), ("o2", 200)):
        await desk.reserve(order_id, 100)
        assert not (await desk.amend(order_id, amount, request_id="r1")).replayed
    assert await desk.sums() == (500, 0)


async def test_without_a_request_id_the_same_total_is_set_again(desk: Desk) -> None:
    await desk.put()
    await desk.reserve("o1", 600)
    for _ in range(2):
        assert not (await desk.amend("o1", 700)).replayed
    assert await desk.sums() == (700, 0)


async def test_every_change_of_a_reservation_has_its_own_etag(desk: Desk) -> None:
    await desk.put()
    await desk.reserve("o1", 600)
    seen = [(await desk.reservation("o1")).etag]
    await desk.amend("o1", 700)
    seen.append((await desk.reservation("o1")).etag)
    await desk.commit("o1", 100, "d1")
    seen.append((await desk.reservation("o1")).etag)
    await desk.release("o1")
    seen.append((await desk.reservation("o1")).etag)
    assert len(set(seen)) == len(seen)
    await desk.reserve("o1", 600)
    await desk.commit("o1", 100, "d1")
    assert (await desk.reservation("o1")).etag == seen[-1], "a replay changes nothing"


async def test_an_etag_that_is_not_the_reservations_changes_nothing(desk: Desk) -> None:
    await desk.put()
    await desk.reserve("o1", 600)
    old = (await desk.reservation("o1")).etag
    await desk.amend("o1", 700, etag=old)
    current = (await desk.reservation("o1")).etag
    wrong = (old, Etag(current.decide_time_ms + 1, current.revision), Etag(current.decide_time_ms, 2**32 - 1))
    for etag in wrong:
        for operation in (
            desk.amend_of("o1", 100, etag=etag, request_id="r1"),
            ReleaseReservation(desk.account_id, "o1", etag=etag),
        ):
            refused = await desk.fails(operation)
            assert refused.reason is ErrorReason.ETAG_MISMATCH
            assert "o1" in refused.message
    assert await desk.state("o1") == (HELD, 0, 700, 700)
    assert not (await desk.amend("o1", 100, etag=current, request_id="r1")).replayed
    assert not await desk.release("o1", (await desk.reservation("o1")).etag)
    assert await desk.release("o1", old), "what was released already is a replay with any etag"


async def test_a_total_that_is_invoiced_already_ends_the_reservation(desk: Desk) -> None:
    await desk.put()
    for order_id, amount in (("exactly", 40), ("below", 39), ("above", 41)):
        await desk.reserve(order_id, 100)
        await desk.commit(order_id, 40, f"d-{order_id}")
        await desk.amend(order_id, amount, hold_s=60)
    assert await desk.state("exactly") == (COMMITTED, 40, 0, 0)
    assert await desk.state("below") == (COMMITTED, 40, 0, 0)
    assert await desk.state("above") == (HELD, 40, 1, 1)
    assert await desk.sums() == (1, 120)
    for order_id in ("exactly", "below"):
        refused = await desk.fails(desk.amend_of(order_id, 100))
        assert (refused.reason, "COMMITTED" in refused.message) == (ErrorReason.RESERVATION_NOT_HELD, True)


async def test_security_stays_and_is_used_up_first(desk: Desk) -> None:
    await desk.put(limit=110)
    await desk.reserve("o1", 100, secured_minor=40)
    for amount, held in ((150, 110), (41, 1), (40, 0), (30, 0), (100, 60)):
        amended = await desk.amend("o1", amount)
        assert (amended.decision.outcome, amended.reservation.exposure_minor) == (Outcome.APPROVED, held)
        assert amended.reservation.secured_minor == 40
        assert await desk.sums() == (held, 0)
    assert (await desk.amend("o1", 151)).decision.outcome is Outcome.REJECTED
    await desk.commit("o1", 50, "d1")
    assert await desk.all_sums() == (50, 10, 40)
    assert (await desk.amend("o1", 150)).reservation.exposure_minor == 100
    assert await desk.all_sums() == (100, 10, 40)
    assert (await desk.amend("o1", 151)).decision.outcome is Outcome.REJECTED


async def test_the_original_details_still_replay(desk: Desk) -> None:
    await desk.put()
    first = await desk.reserve("o1", 600, secured_minor=100)
    await desk.amend("o1", 800)
    again = await desk.reserve("o1", 600, secured_minor=100)
    assert (again.replayed, again.decision) == (True, first.decision)
    assert again.reservation is not None
    assert again.reservation.amount_minor == 800
    with pytest.raises(CreditError) as caught:
        await desk.reserve("o1", 800, secured_minor=100)
    assert caught.value.reason is ErrorReason.ORDER_EXISTS_WITH_DIFFERENT_DETAILS


async def test_only_what_is_held_can_be_amended(desk: Desk) -> None:
    await desk.put()
    assert (await desk.fails(desk.amend_of("o1", 1))).reason is ErrorReason.RESERVATION_NOT_FOUND
    await desk.reserve("o1", 600)
    wrong = await desk.fails(AmendReservation(desk.account_id, "o1", 1, "EUR"))
    assert (wrong.reason, wrong.violations[0].field) == (ErrorReason.CURRENCY_MISMATCH, "currency_code")
    assert "USD" in wrong.message
    await desk.release("o1")
    for amount in (1, 600, 601):
        refused = await desk.fails(desk.amend_of("o1", amount, request_id="r1"))
        assert (refused.reason, "RELEASED" in refused.message) == (ErrorReason.RESERVATION_NOT_HELD, True)


async def test_the_largest_sum_is_the_bound_of_an_increase(desk: Desk) -> None:
    await desk.put(limit=None, unlimited=True)
    await desk.reserve("o1", 1)
    await desk.reserve("o2", 1)
    await desk.amend("o1", AMOUNT_MAX_MINOR - 1)
    assert await desk.sums() == (AMOUNT_MAX_MINOR, 0)
    refused = await desk.fails(desk.amend_of("o2", 2))
    assert (refused.reason, refused.violations[0].field) == (ErrorReason.SUM_OUT_OF_RANGE, "amount_minor")
    assert str(AMOUNT_MAX_MINOR) in refused.message
    await desk.amend("o1", AMOUNT_MAX_MINOR - 2)
    await desk.amend("o2", 2)
    assert await desk.sums() == (AMOUNT_MAX_MINOR, 0)
    await desk.commit("o1", AMOUNT_MAX_MINOR - 2, "d1")
    assert await desk.sums() == (2, AMOUNT_MAX_MINOR - 2)


async def test_a_fully_secured_order_grows_to_the_largest_amount(desk: Desk) -> None:
    await desk.put(limit=AMOUNT_MAX_MINOR)
    await desk.reserve("o1", AMOUNT_MAX_MINOR, secured_minor=AMOUNT_MAX_MINOR)
    assert (await desk.amend("o1", 1)).reservation.exposure_minor == 0
    assert (await desk.amend("o1", AMOUNT_MAX_MINOR)).decision.outcome is Outcome.APPROVED
    await desk.commit("o1", AMOUNT_MAX_MINOR, "d1")
    assert await desk.all_sums() == (0, 0, AMOUNT_MAX_MINOR)


async def test_amends_of_one_call_see_each_other_and_fail_alone(desk: Desk) -> None:
    await desk.put(limit=1000)
    await desk.reserve("o1", 100)
    await desk.reserve("o2", 100)
    operations = [
        desk.amend_of("o1", 500, request_id="r1"),
        desk.amend_of("unknown", 1),
        desk.amend_of("o2", 501),
        desk.amend_of("o1", 500, request_id="r1"),
        desk.amend_of("o1", 499, request_id="r1"),
        desk.amend_of("o2", 500),
    ]
    first, unknown, rejected, replay, differs, last = await desk.store.run_each(operations, deadline())
    assert isinstance(first, Amended)
    assert isinstance(rejected, Amended)
    assert isinstance(replay, Amended)
    assert isinstance(last, Amended)
    assert isinstance(unknown, CreditError)
    assert isinstance(differs, CreditError)
    assert (unknown.reason, differs.reason) == (
        ErrorReason.RESERVATION_NOT_FOUND,
        ErrorReason.REQUEST_EXISTS_WITH_DIFFERENT_DETAILS,
    )
    assert (rejected.decision.outcome, last.decision.outcome) == (Outcome.REJECTED, Outcome.APPROVED)
    assert (replay.replayed, replay.decision) == (True, first.decision)
    assert await desk.sums() == (1000, 0)
