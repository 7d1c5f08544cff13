"""What invoices, credit notes, open items and payments do to an account, on every Redis version of this machine."""

from collections.abc import Callable

import pytest

from creditgate.domain.account import AccountStatus, Block
from creditgate.domain.bounds import AMOUNT_MAX_MINOR
from creditgate.domain.decision import Outcome
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import (
    BlockSetting,
    ImportOpenItem,
    Operation,
    PostReceivable,
    RecordCreditNote,
    Recorded,
    RecordPayment,
)
from creditgate.domain.reservation import ReservationState
from tests.store.desk import Desk, deadline

Document = Callable[[Desk, int], Operation[object]]
"""Records the document `d1` of an amount; what reduces the receivable is below 0."""

OWED: dict[str, Document] = {
    "invoice": lambda desk, amount: desk.post_of("d1", amount),
    "commit": lambda desk, amount: desk.commit_of("o1", amount, "d1"),
    "open item": lambda desk, amount: desk.take_over_of("d1", amount),
}
SETTLED: dict[str, Document] = {
    "credit note": lambda desk, amount: desk.credit_of("d1", -amount),
    "open item": lambda desk, amount: desk.take_over_of("d1", amount),
}


async def test_an_invoice_is_never_refused_for_credit(desk: Desk) -> None:
    await desk.put(limit=100, block=BlockSetting(Block("fraud", "ann")), status=AccountStatus.CLOSED)
    assert not await desk.post("d1", 500)
    assert await desk.sums() == (0, 500)
    assert (await desk.account()).exposure.available_minor == -400


async def test_what_is_invoiced_takes_credit(desk: Desk) -> None:
    await desk.put(limit=100)
    await desk.post("d1", 60)
    assert (await desk.reserve("o1", 41)).decision.outcome is Outcome.REJECTED
    assert (await desk.reserve("o1", 40)).decision.outcome is Outcome.APPROVED


@pytest.mark.parametrize("first", OWED)
@pytest.mark.parametrize("second", OWED)
async def test_an_invoice_by_two_systems_counts_once(desk: Desk, first: str, second: str) -> None:
    await desk.put()
    await desk.reserve("o1", 600)
    await desk.store.run(OWED[first](desk, 200), deadline())
    for _ in range(2):
        again = await desk.store.run(OWED[second](desk, 200), deadline())
        assert getattr(again, "replayed", None) is True
    committed = "commit" in {first, second}
    assert await desk.sums() == ((400, 200) if committed else (600, 200))
    assert await desk.state("o1") == (ReservationState.HELD, *((200, 400, 400) if committed else (0, 600, 600)))


@pytest.mark.parametrize("first", SETTLED)
@pytest.mark.parametrize("second", SETTLED)
async def test_a_credit_by_two_systems_counts_once(desk: Desk, first: str, second: str) -> None:
    await desk.put()
    await desk.store.run(SETTLED[first](desk, -200), deadline())
    again = await desk.store.run(SETTLED[second](desk, -200), deadline())
    assert getattr(again, "replayed", None) is True
    assert await desk.sums() == (0, -200)


@pytest.mark.parametrize(
    ("first", "amount"), [*((document, 200) for document in OWED), *((document, -200) for document in SETTLED)]
)
async def test_a_document_stands_for_one_amount(desk: Desk, first: str, amount: int) -> None:
    await desk.put()
    await desk.reserve("o1", 600)
    await desk.store.run((OWED | SETTLED)[first](desk, amount), deadline())
    before = await desk.all_sums()
    rivals = [document(desk, other) for document in OWED.values() for other in (200, 201) if other != amount]
    rivals += [document(desk, other) for document in SETTLED.values() for other in (-200, -201) if other != amount]
    for rival in rivals:
        refused = await desk.fails(rival)
        assert refused.reason is ErrorReason.DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS
        assert "d1" in refused.message
        assert "200 minor units" in refused.message
    assert await desk.all_sums() == before


async def test_payments_have_ids_of_their_own(desk: Desk) -> None:
    await desk.put()
    await desk.post("x", 100)
    assert not await desk.pay("x", 40)
    assert not await desk.credit("y", 10)
    assert not await desk.pay("y", 10)
    assert await desk.sums() == (0, 40)


async def test_a_commit_of_a_posted_invoice_only_takes_it_off_the_hold(desk: Desk) -> None:
    await desk.put()
    await desk.reserve("o1", 600)
    await desk.post("d1", 200)
    assert await desk.commit("o1", 200, "d1") == (0, False, True)
    assert await desk.commit("o1", 200, "d1") == (0, False, True)
    assert await desk.sums() == (400, 200)
    assert await desk.state("o1") == (ReservationState.HELD, 200, 400, 400)
    await desk.reserve("o2", 200)
    refused = await desk.fails(desk.commit_of("o2", 200, "d1"))
    assert refused.reason is ErrorReason.DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS
    assert "o1" in refused.message, "which order it belongs to"


async def test_a_posted_invoice_may_be_committed_late_and_beyond_the_order(desk: Desk) -> None:
    await desk.put()
    await desk.reserve("o1", 100)
    await desk.reserve("o2", 100)
    await desk.release("o2")
    await desk.post("d1", 150)
    await desk.post("d2", 100)
    assert await desk.commit("o1", 150, "d1") == (50, False, True)
    assert await desk.commit("o2", 100, "d2") == (0, True, True)
    assert await desk.commit("o2", 100, "d2") == (0, True, True)
    assert await desk.sums() == (0, 250)
    assert await desk.state("o2") == (ReservationState.COMMITTED, 100, 0, 0)


async def test_the_orders_security_covers_the_invoice_that_was_posted_first(desk: Desk) -> None:
    await desk.put()
    await desk.reserve("o1", 100, secured_minor=40)
    await desk.post("d1", 50)
    assert await desk.all_sums() == (60, 50, 0), "an invoice knows no security"
    await desk.commit("o1", 50, "d1")
    assert await desk.all_sums() == (50, 10, 40)
    await desk.take_over("d2", 50)
    assert await desk.all_sums() == (50, 60, 40)
    await desk.commit("o1", 50, "d2")
    assert await desk.all_sums() == (0, 60, 40)


@pytest.mark.parametrize("settle", [Desk.pay, Desk.credit, lambda desk, name, amount: desk.take_over(name, -amount)])
async def test_whatever_settles_is_counted_against_secured_invoices_first(
    desk: Desk, settle: Callable[[Desk, str, int], object]
) -> None:
    await desk.put()
    await desk.reserve("o1", 100, secured_minor=40)
    await desk.commit("o1", 100, "d1")
    for number, (amount, sums) in enumerate(((30, (0, 60, 10)), (20, (0, 50, 0)), (60, (0, -10, 0)))):
        await settle(desk, f"s{number}", amount)  # type: ignore[misc]  # each is a coroutine
        assert await desk.all_sums() == sums
    await desk.post("d2", 25)
    assert await desk.all_sums() == (0, 15, 0)


async def test_a_credit_balance_does_not_raise_headroom(desk: Desk) -> None:
    await desk.put(limit=100)
    await desk.credit("c1", 30)
    await desk.take_over("c2", -30)
    account = await desk.account()
    assert (account.exposure.receivable_minor, account.exposure.available_minor) == (-60, 100)
    assert (await desk.reserve("o1", 101)).decision.outcome is Outcome.REJECTED
    await desk.post("d1", 70)
    assert (await desk.account()).exposure.available_minor == 90


async def test_unknown_accounts_and_other_currencies_are_faults(desk: Desk) -> None:
    def each(currency: str) -> list[Operation[Recorded]]:
        return [
            kind(desk.account_id, "x1", 1, currency)
            for kind in (PostReceivable, RecordCreditNote, ImportOpenItem, RecordPayment)
        ]

    for operation in each("USD"):
        refused = await desk.fails(operation)
        assert (refused.reason, desk.account_id in refused.message) == (ErrorReason.ACCOUNT_NOT_FOUND, True)
    await desk.put()
    for operation in each("EUR"):
        refused = await desk.fails(operation)
        assert (refused.reason, refused.violations[0].field) == (ErrorReason.CURRENCY_MISMATCH, "currency_code")
        assert "USD" in refused.message
        assert "the account" in refused.message
    assert await desk.all_sums() == (0, 0, 0)


async def test_items_of_one_call_see_each_other_and_fail_alone(desk: Desk) -> None:
    await desk.put()
    operations: list[Operation[Recorded]] = [
        desk.take_over_of("d1", 100),
        ImportOpenItem("nobody", "d1", 100, "USD"),
        desk.take_over_of("d1", 100),
        desk.take_over_of("d1", -100),
        desk.take_over_of("d2", -30),
    ]
    first, unknown, replay, differs, last = await desk.store.run_each(operations, deadline())
    assert isinstance(unknown, CreditError)
    assert isinstance(differs, CreditError)
    assert differs.reason is ErrorReason.DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS
    assert [isinstance(each, Recorded) and each.replayed for each in (first, replay, last)] == [False, True, False]
    assert await desk.sums() == (0, 70)


# --- the edge of what the atomic part can count: 2^53-1


async def out_of_range(desk: Desk, operation: Operation[object]) -> None:
    before = await desk.all_sums()
    refused = await desk.fails(operation)
    assert (refused.reason, refused.violations[0].field) == (ErrorReason.SUM_OUT_OF_RANGE, "amount_minor")
    assert str(AMOUNT_MAX_MINOR) in refused.message
    assert await desk.all_sums() == before


async def test_the_largest_receivable(desk: Desk) -> None:
    await desk.put(limit=None, unlimited=True)
    await desk.reserve("o1", 2)
    await desk.take_over("d1", AMOUNT_MAX_MINOR - 3)
    await desk.post("d2", 1)
    assert await desk.sums() == (2, AMOUNT_MAX_MINOR - 2)
    await out_of_range(desk, desk.post_of("d3", 1))
    await out_of_range(desk, desk.take_over_of("d3", 1))
    await out_of_range(desk, desk.commit_of("o1", 3, "d3"))
    assert await desk.commit("o1", 2, "d3") == (0, False, False), "what is held already is counted already"
    assert await desk.sums() == (0, AMOUNT_MAX_MINOR)


@pytest.mark.parametrize("settle", [Desk.pay_of, Desk.credit_of, lambda desk, name, n: desk.take_over_of(name, -n)])
async def test_the_smallest_receivable(desk: Desk, settle: Callable[[Desk, str, int], Operation[object]]) -> None:
    await desk.put(limit=None, unlimited=True)
    await desk.store.run(settle(desk, "s1", AMOUNT_MAX_MINOR), deadline())
    assert await desk.sums() == (0, -AMOUNT_MAX_MINOR)
    await out_of_range(desk, settle(desk, "s2", 1))
    await desk.reserve("o1", AMOUNT_MAX_MINOR)
    await desk.post("d1", AMOUNT_MAX_MINOR)
    assert await desk.sums() == (AMOUNT_MAX_MINOR, 0)
    await out_of_range(desk, desk.post_of("d2", 1))


async def test_a_commit_of_a_posted_and_paid_invoice_stays_above_the_smallest_receivable(desk: Desk) -> None:
    await desk.put(limit=None, unlimited=True)
    await desk.reserve("o1", 100, secured_minor=100)
    await desk.post("d1", 100)
    await desk.pay("p1", 100)
    await desk.pay("p2", AMOUNT_MAX_MINOR - 99)
    await out_of_range(desk, desk.commit_of("o1", 100, "d1"))
    await desk.post("d2", 1)
    await desk.commit("o1", 100, "d1")
    assert await desk.all_sums() == (0, -AMOUNT_MAX_MINOR, 100)


async def test_the_largest_secured_receivable(desk: Desk) -> None:
    await desk.put(limit=0)
    await desk.reserve("o1", AMOUNT_MAX_MINOR, secured_minor=AMOUNT_MAX_MINOR)
    await desk.reserve("o2", 1, secured_minor=1)
    await desk.commit("o1", AMOUNT_MAX_MINOR, "d1")
    await out_of_range(desk, desk.commit_of("o2", 1, "d2"))
    await desk.pay("p1", 1)
    await desk.commit("o2", 1, "d2")
    assert await desk.all_sums() == (0, 0, AMOUNT_MAX_MINOR)
    await desk.credit("c1", AMOUNT_MAX_MINOR)
    assert await desk.all_sums() == (0, 0, 0)


async def test_no_order_is_invoiced_beyond_the_largest_amount(desk: Desk) -> None:
    await desk.put(limit=None, unlimited=True)
    await desk.reserve("o1", 1)
    await desk.commit("o1", AMOUNT_MAX_MINOR, "d1")
    await desk.pay("p1", AMOUNT_MAX_MINOR)
    await out_of_range(desk, desk.commit_of("o1", 1, "d2"))
    assert await desk.state("o1") == (ReservationState.COMMITTED, AMOUNT_MAX_MINOR, 0, 0)
