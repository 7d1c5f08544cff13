"""What each operation does to an account, on every Redis version of this machine."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from creditgate.domain.account import AccountStatus, Block
from creditgate.domain.bounds import AMOUNT_MAX_MINOR
from creditgate.domain.decision import Action, Outcome, ReasonCode
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import (
    AmendReservation,
    BlockSetting,
    CheckCredit,
    CloseAccount,
    CommitReservation,
    GetAccount,
    GetReservation,
    LimitSetting,
    PostReceivable,
    PutAccount,
    RecordPayment,
    ReleaseReservation,
    ReserveCredit,
    Reserved,
)
from creditgate.domain.policy import DEFAULT_RULES
from creditgate.domain.reservation import ReservationState
from creditgate.store import RedisCreditStore
from tests.store.desk import HOLD_S, Desk, deadline


async def test_an_order_that_brings_exposure_exactly_to_the_limit_is_within_it(desk: Desk) -> None:
    await desk.put(limit=1000)
    assert (await desk.reserve("o1", 999)).decision.outcome is Outcome.APPROVED
    assert (await desk.reserve("o2", 1)).decision.outcome is Outcome.APPROVED
    rejected = await desk.reserve("o3", 1)
    assert rejected.decision.outcome is Outcome.REJECTED
    assert rejected.reservation is None
    assert [tuple(reason) for reason in rejected.decision.reasons] == [
        (ReasonCode.LIMIT_EXCEEDED, Action.REJECT, 1001, 1000, "USD")
    ]
    assert await desk.sums() == (1000, 0)


async def test_a_limit_of_zero_is_zero_and_no_limit_is_not_set(desk: Desk) -> None:
    await desk.put(limit=0)
    decision = (await desk.reserve("o1", 1)).decision
    assert [reason.code for reason in decision.reasons] == [ReasonCode.LIMIT_EXCEEDED]
    assert decision.exposure.limit_minor == 0
    await desk.store.run(PutAccount(desk.account_id, base_limit=LimitSetting(None)), deadline())
    decision = (await desk.reserve("o1", 1)).decision
    assert [reason.code for reason in decision.reasons] == [ReasonCode.LIMIT_NOT_SET]
    assert decision.exposure.limit_minor is None


async def test_unlimited_is_an_explicit_flag(desk: Desk) -> None:
    await desk.put(limit=None, unlimited=True)
    decision = (await desk.reserve("o1", AMOUNT_MAX_MINOR)).decision
    assert decision.outcome is Outcome.APPROVED
    assert decision.exposure.unlimited
    assert decision.exposure.available_minor is None


async def test_a_fully_secured_order_takes_no_credit(desk: Desk) -> None:
    await desk.put(limit=0)
    reserved = await desk.reserve("o1", 500, secured_minor=500)
    assert reserved.decision.outcome is Outcome.APPROVED
    assert await desk.sums() == (0, 0)


async def test_blocked_and_closed_accounts_refuse_with_every_reason(desk: Desk) -> None:
    await desk.put(limit=None, block=BlockSetting(Block("fraud", "ann")), status=AccountStatus.CLOSED)
    decision = (await desk.reserve("o1", 1)).decision
    assert [reason.code for reason in decision.reasons] == [
        ReasonCode.ACCOUNT_BLOCKED,
        ReasonCode.ACCOUNT_CLOSED,
        ReasonCode.LIMIT_NOT_SET,
    ]
    account = await desk.store.run(GetAccount(desk.account_id), deadline())
    assert account.block is not None
    assert (account.block.reason, account.block.actor) == ("fraud", "ann")
    await desk.put(limit=10, block=BlockSetting(None), status=AccountStatus.OPEN)
    assert (await desk.reserve("o1", 1)).decision.outcome is Outcome.APPROVED


async def test_a_repeated_order_gets_its_first_decision_and_holds_nothing_twice(desk: Desk) -> None:
    await desk.put(limit=1000)
    first = await desk.reserve("o1", 600, payment_terms_days=30)
    await desk.reserve("o2", 300)
    again = await desk.reserve("o1", 600, payment_terms_days=30)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.decision == first.decision
    assert again.reservation == first.reservation
    assert await desk.sums() == (900, 0)


@pytest.mark.parametrize("details", [{"secured_minor": 1}, {"payment_terms_days": 31}])
async def test_the_same_order_with_other_details_is_refused(desk: Desk, details: dict[str, int]) -> None:
    await desk.put()
    await desk.reserve("o1", 600, payment_terms_days=30)
    same = ReserveCredit(desk.account_id, "o1", 600, "USD", HOLD_S, payment_terms_days=30)
    operation = replace(same, **details)  # type: ignore[arg-type]  # details by name
    assert (await desk.fails(operation)).reason is ErrorReason.ORDER_EXISTS_WITH_DIFFERENT_DETAILS
    assert await desk.sums() == (600, 0)


async def test_a_rejected_order_is_not_remembered(desk: Desk) -> None:
    await desk.put(limit=10)
    assert (await desk.reserve("o1", 11)).decision.outcome is Outcome.REJECTED
    missing = await desk.fails(GetReservation(desk.account_id, "o1"))
    assert missing.reason is ErrorReason.RESERVATION_NOT_FOUND
    assert "o1" in missing.message
    assert (await desk.reserve("o1", 10)).decision.outcome is Outcome.APPROVED


async def test_commits_move_exposure_to_the_receivable_and_the_last_one_ends_the_hold(desk: Desk) -> None:
    await desk.put()
    await desk.reserve("o1", 600)
    assert await desk.commit("o1", 200, "d1") == (0, False, False)
    assert await desk.sums() == (400, 200)
    assert await desk.state("o1") == (ReservationState.HELD, 200, 400, 400)
    assert await desk.commit("o1", 100, "d2", final=True) == (0, False, False)
    assert await desk.sums() == (0, 300)
    assert await desk.state("o1") == (ReservationState.COMMITTED, 300, 0, 0)


async def test_a_document_counts_once(desk: Desk) -> None:
    await desk.put()
    await desk.reserve("o1", 600)
    await desk.reserve("o2", 100)
    await desk.commit("o1", 200, "d1")
    assert await desk.commit("o1", 200, "d1") == (0, False, True)
    for order_id, amount, final in (("o1", 201, False), ("o2", 200, False), ("o1", 200, True)):
        refused = await desk.fails(CommitReservation(desk.account_id, order_id, amount, "USD", "d1", final))
        assert refused.reason is ErrorReason.DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS
    assert await desk.sums() == (500, 200)


async def test_goods_that_have_shipped_are_recorded_beyond_the_order_and_after_its_end(desk: Desk) -> None:
    await desk.put(limit=600)
    await desk.reserve("o1", 600)
    assert await desk.commit("o1", 700, "d1") == (100, False, False)
    assert await desk.sums() == (0, 700)
    assert await desk.commit("o1", 50, "d2") == (50, True, False)
    assert await desk.commit("o1", 50, "d2") == (50, True, True)
    assert await desk.sums() == (0, 750)
    await desk.store.run(PutAccount(desk.account_id, base_limit=LimitSetting(2000)), deadline())
    await desk.reserve("o2", 10)
    await desk.release("o2")
    assert await desk.commit("o2", 10, "d3") == (0, True, False)
    assert await desk.state("o2") == (ReservationState.COMMITTED, 10, 0, 0)


async def test_security_is_used_up_first(desk: Desk) -> None:
    await desk.put()
    await desk.reserve("o1", 100, secured_minor=40)
    assert await desk.sums() == (60, 0)
    await desk.commit("o1", 50, "d1")
    assert await desk.sums() == (50, 10)
    await desk.commit("o1", 50, "d2")
    assert await desk.sums() == (0, 60)


async def test_paying_a_secured_invoice_never_raises_headroom(desk: Desk) -> None:
    await desk.put(limit=100)
    await desk.reserve("o1", 100, secured_minor=100)
    await desk.commit("o1", 100, "d1")
    secured = await desk.store.run(GetAccount(desk.account_id), deadline())
    assert (secured.secured_receivable_minor, secured.exposure.receivable_minor) == (100, 0)
    paid = await desk.store.run(RecordPayment(desk.account_id, "p1", 130, "USD"), deadline())
    assert (paid.account.secured_receivable_minor, paid.account.exposure.receivable_minor) == (0, -30)
    await desk.reserve("o2", 100)
    assert (await desk.reserve("o3", 1)).decision.outcome is Outcome.REJECTED


async def test_a_release_gives_back_the_rest_once(desk: Desk) -> None:
    await desk.put()
    await desk.reserve("o1", 600)
    await desk.commit("o1", 100, "d1")
    assert await desk.release("o1") is False
    assert await desk.release("o1") is True
    assert await desk.sums() == (0, 100)
    assert await desk.state("o1") == (ReservationState.RELEASED, 100, 0, 0)
    again = await desk.reserve("o1", 600)
    assert again.replayed
    assert again.reservation is not None
    assert again.reservation.state is ReservationState.RELEASED


async def test_a_committed_order_cannot_be_released(desk: Desk) -> None:
    await desk.put()
    await desk.reserve("o1", 600)
    await desk.commit("o1", 600, "d1")
    refused = await desk.fails(ReleaseReservation(desk.account_id, "o1"))
    assert refused.reason is ErrorReason.RESERVATION_NOT_HELD
    assert "COMMITTED" in refused.message


async def test_a_payment_counts_once_and_a_credit_balance_does_not_raise_headroom(desk: Desk) -> None:
    await desk.put(limit=100)
    operation = RecordPayment(desk.account_id, "p1", 30, "USD")
    first, again = await desk.store.run(operation, deadline()), await desk.store.run(operation, deadline())
    assert (first.replayed, again.replayed) == (False, True)
    assert again.account.exposure.receivable_minor == -30
    assert again.account.exposure.available_minor == 100
    assert (await desk.reserve("o1", 101)).decision.outcome is Outcome.REJECTED
    refused = await desk.fails(RecordPayment(desk.account_id, "p1", 31, "USD"))
    assert refused.reason is ErrorReason.PAYMENT_EXISTS_WITH_DIFFERENT_DETAILS


async def test_a_check_writes_nothing_and_explains(desk: Desk) -> None:
    await desk.put(limit=100)
    decision = await desk.store.run(CheckCredit(desk.account_id, 100, "USD", 0, explain=True), deadline())
    assert decision.outcome is Outcome.APPROVED
    rules_on = [code for code in ReasonCode if DEFAULT_RULES[code].action is not Action.OFF]
    assert [reason.code for reason in decision.passed_rules] == rules_on
    assert await desk.sums() == (0, 0)
    decision = await desk.store.run(CheckCredit(desk.account_id, 101, "USD", 0, explain=True), deadline())
    assert [reason.code for reason in decision.reasons] == [ReasonCode.LIMIT_EXCEEDED]
    assert ReasonCode.LIMIT_EXCEEDED not in [reason.code for reason in decision.passed_rules]


async def test_sums_stay_within_what_the_atomic_part_can_count(desk: Desk) -> None:
    await desk.put(limit=None, unlimited=True)
    await desk.reserve("o1", AMOUNT_MAX_MINOR)
    for operation in (
        ReserveCredit(desk.account_id, "o2", 1, "USD", HOLD_S),
        CheckCredit(desk.account_id, 1, "USD"),
    ):
        refused = await desk.fails(operation)
        assert refused.reason is ErrorReason.SUM_OUT_OF_RANGE
        assert refused.violations[0].field == "amount_minor"
        assert str(AMOUNT_MAX_MINOR) in refused.message
    await desk.commit("o1", AMOUNT_MAX_MINOR, "d1")
    assert await desk.sums() == (0, AMOUNT_MAX_MINOR), "a commit only turns over what was held"
    refused = await desk.fails(CommitReservation(desk.account_id, "o1", 1, "USD", "d2"))
    assert refused.reason is ErrorReason.SUM_OUT_OF_RANGE
    for payment_id in ("p1", "p2"):
        await desk.store.run(RecordPayment(desk.account_id, payment_id, AMOUNT_MAX_MINOR, "USD"), deadline())
    refused = await desk.fails(RecordPayment(desk.account_id, "p3", 1, "USD"))
    assert refused.reason is ErrorReason.SUM_OUT_OF_RANGE
    assert await desk.sums() == (0, -AMOUNT_MAX_MINOR)


async def test_the_largest_sums_are_counted_exactly(desk: Desk) -> None:
    await desk.put(limit=None, unlimited=True)
    most = AMOUNT_MAX_MINOR
    await desk.reserve("o1", most)
    await desk.commit("o1", 1, "d1")
    assert await desk.sums() == (most - 1, 1)
    await desk.store.run(AmendReservation(desk.account_id, "o1", most - 2, "USD"), deadline())
    assert await desk.sums() == (most - 3, 1)
    await desk.release("o1")

    await desk.reserve("o2", most, secured_minor=most)
    await desk.commit("o2", most, "d2")
    posted = await desk.store.run(PostReceivable(desk.account_id, "d3", most - 1, "USD"), deadline())
    assert (posted.account.secured_receivable_minor, posted.account.exposure.receivable_minor) == (most, most)
    for payment_id in ("p1", "p2"):
        await desk.store.run(RecordPayment(desk.account_id, payment_id, most, "USD"), deadline())
    assert await desk.sums() == (0, 0)

    await desk.reserve("o3", most, secured_minor=1)
    await desk.release("o3")
    await desk.store.run(PostReceivable(desk.account_id, "d4", most, "USD"), deadline())
    await desk.commit("o3", most, "d4")
    assert await desk.sums() == (0, most - 1)


async def test_security_of_a_posted_document_never_brings_the_receivable_below_what_can_be_counted(desk: Desk) -> None:
    await desk.put(limit=None, unlimited=True)
    most = AMOUNT_MAX_MINOR
    await desk.store.run(PostReceivable(desk.account_id, "d1", most, "USD"), deadline())
    for payment_id in ("p1", "p2"):
        await desk.store.run(RecordPayment(desk.account_id, payment_id, most, "USD"), deadline())
    await desk.reserve("o1", most, secured_minor=1)
    refused = await desk.fails(CommitReservation(desk.account_id, "o1", most, "USD", "d1"))
    assert refused.reason is ErrorReason.SUM_OUT_OF_RANGE
    assert await desk.sums() == (most - 1, -most)


async def test_unknown_account_and_wrong_currency_are_faults(desk: Desk) -> None:
    for operation in (
        ReserveCredit(desk.account_id, "o1", 1, "USD", HOLD_S),
        CheckCredit(desk.account_id, 1, "USD"),
        AmendReservation(desk.account_id, "o1", 1, "USD", request_id="r1"),
        CommitReservation(desk.account_id, "o1", 1, "USD", "d1"),
        ReleaseReservation(desk.account_id, "o1"),
        RecordPayment(desk.account_id, "p1", 1, "USD"),
        GetAccount(desk.account_id),
        GetReservation(desk.account_id, "o1"),
        CloseAccount(desk.account_id),
    ):
        refused = await desk.fails(operation)
        assert refused.reason is ErrorReason.ACCOUNT_NOT_FOUND
        assert desk.account_id in refused.message
    refused = await desk.fails(PutAccount(desk.account_id))
    assert refused.violations[0].field == "account.currency_code"
    await desk.put()
    refused = await desk.fails(ReserveCredit(desk.account_id, "o1", 1, "EUR", HOLD_S))
    assert refused.reason is ErrorReason.EXCHANGE_RATE_NOT_FOUND
    refused = await desk.fails(RecordPayment(desk.account_id, "p1", 1, "EUR"))
    assert refused.reason is ErrorReason.CURRENCY_MISMATCH
    refused = await desk.fails(PutAccount(desk.account_id, "EUR"))
    assert refused.reason is ErrorReason.ACCOUNT_EXISTS_WITH_DIFFERENT_CURRENCY


async def test_putting_an_account_changes_only_what_is_named(desk: Desk) -> None:
    await desk.put(limit=70, display_name="Größe & Söhne 株式会社", risk_class="high")
    await desk.reserve("o1", 50)
    put = await desk.store.run(PutAccount(desk.account_id, display_name="Renamed"), deadline())
    assert not put.created
    account = put.account
    assert (account.display_name, account.risk_class, account.base_limit_minor) == ("Renamed", "high", 70)
    assert account.exposure.reserved_minor == 50
    closed = await desk.store.run(CloseAccount(desk.account_id), deadline())
    assert closed.status is AccountStatus.CLOSED
    assert (await desk.store.run(CloseAccount(desk.account_id), deadline())) == closed


async def test_operations_of_one_call_see_each_other_and_fail_alone(desk: Desk) -> None:
    await desk.put(limit=100)
    operations = [ReserveCredit(desk.account_id, f"o{n}", 40, "USD", HOLD_S) for n in (1, 2, 1, 3)]
    operations.insert(1, ReserveCredit("nobody", "o1", 40, "USD", HOLD_S))
    first, unknown, second, replay, third = await desk.store.run_each(operations, deadline())
    assert isinstance(unknown, CreditError)
    assert isinstance(first, Reserved)
    assert isinstance(replay, Reserved)
    assert replay.replayed
    assert isinstance(second, Reserved)
    assert isinstance(third, Reserved)
    assert third.decision.outcome is Outcome.REJECTED
    assert await desk.sums() == (80, 0)


async def test_listings_return_everything_once_with_exact_pages(desk: Desk, new_id: Callable[[str], str]) -> None:
    await desk.put(limit=None, unlimited=True)
    orders = {new_id("o") for _ in range(300)}
    await desk.store.run_each([ReserveCredit(desk.account_id, order, 5, "USD", HOLD_S) for order in orders], deadline())
    released = sorted(orders)[:100]
    await desk.store.run_each([ReleaseReservation(desk.account_id, order) for order in released], deadline())
    for states, expected in (
        (frozenset[ReservationState](), orders),
        (frozenset({ReservationState.HELD}), orders - set(released)),
        (frozenset({ReservationState.RELEASED}), set(released)),
    ):
        for page_size in (1, 7, 1000):
            seen: list[str] = []
            token = ""
            while True:
                page = await desk.store.list_reservations(desk.account_id, states, page_size, token, deadline())
                assert len(page.items) <= page_size
                seen += [item.order_id for item in page.items]
                token = page.next_page_token
                if not token:
                    break
            assert sorted(seen) == sorted(expected)


async def test_accounts_are_listed_across_partitions(
    each_store: RedisCreditStore, new_id: Callable[[str], str]
) -> None:
    ids = {new_id("acc") for _ in range(60)}
    await each_store.run_each([PutAccount(account_id, "JPY") for account_id in ids], deadline())
    seen: list[str] = []
    token = ""
    while True:
        page = await each_store.list_accounts(9, token, deadline())
        assert len(page.items) <= 9
        seen += [item.account_id for item in page.items]
        token = page.next_page_token
        if not token:
            break
    assert ids <= set(seen)
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("token", ["x", "W10", "bnVsbA", "WzUwMDAsIjAiLCIiXQ", "!!"])
async def test_a_token_of_another_listing_is_refused(desk: Desk, token: str) -> None:
    await desk.put()
    with pytest.raises(CreditError) as caught:
        await desk.store.list_reservations(desk.account_id, frozenset(), 10, token, deadline())
    assert caught.value.violations[0].field == "page_token"
