"""Handlers of streams, on a store that answers when it is told to."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import cast

import pytest

from creditgate.api.context import CallContext
from creditgate.api.credit import STREAM_ORDERS_MAX, CreditHandlers
from creditgate.api.receivables import ReceivablesHandlers
from creditgate.domain.decision import Decision, Exposure, Outcome
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import ImportOpenItem, Recorded, ReserveCredit, Reserved
from creditgate.domain.ports import CreditStore
from creditgate.v1.credit_service_pb2 import ReserveCreditRequest, StreamReserveCreditRequest
from creditgate.v1.receivables_service_pb2 import ImportOpenItemsRequest, OpenItem
from tests.complaints import no_complaints

EXPOSURE = Exposure("USD", 10, unlimited=False, reserved_minor=0, receivable_minor=0, pending_review_minor=0)
ITEM_TIMEOUT_S = 7.0


@pytest.fixture(autouse=True)
async def quiet() -> AsyncIterator[None]:
    async with no_complaints():
        yield


class Context(CallContext):
    peer = "test"

    def metadata(self, key: str) -> str | None:  # noqa: ARG002 - the context's signature
        return None


def context(timeout_s: float = 1000) -> CallContext:
    return Context("stream", time.monotonic() + timeout_s, ITEM_TIMEOUT_S)


class SlowStore:
    """Answers each order once it is let through; the policy version of each decision is the order's id."""

    def __init__(self, *, open_: bool = False) -> None:
        self.begun: list[str] = []
        self.cancelled: list[str] = []
        self.time_left_s: list[float] = []
        self.opened = asyncio.Event()
        if open_:
            self.opened.set()

    async def run(self, operation: ReserveCredit, deadline: float) -> Reserved:
        self.begun.append(operation.order_id)
        self.time_left_s.append(deadline - time.monotonic())
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.cancelled.append(operation.order_id)
            raise
        if operation.account_id == "full":
            raise CreditError(ErrorReason.OVERLOADED, "too many operations wait already")
        decision = Decision(Outcome.REJECTED, (), (), (), EXPOSURE, operation.order_id, 0, 0)
        return Reserved(decision, None, replayed=False)

    async def run_each(self, operations: Sequence[ImportOpenItem], deadline: float) -> list[Recorded | CreditError]:
        self.begun += [operation.document_id for operation in operations]
        self.time_left_s.append(deadline - time.monotonic())
        return [CreditError(ErrorReason.STORE_FULL, "the store is full") for _ in operations]


class Source:
    """Requests one after another, counting how many were drawn."""

    def __init__(self) -> None:
        self.drawn = 0

    async def orders(self, count: int, account_id: str = "A1") -> AsyncIterator[StreamReserveCreditRequest]:
        for number in range(count):
            self.drawn += 1
            request = ReserveCreditRequest(
                account_id=account_id, order_id=f"o{number}", amount_minor=1, currency_code="USD"
            )
            yield StreamReserveCreditRequest(request=request)

    async def chunks(self, *sizes: int) -> AsyncIterator[ImportOpenItemsRequest]:
        for size in sizes:
            self.drawn += 1
            item = OpenItem(account_id="A1", document_id="d1", amount_minor=1, currency_code="USD")
            yield ImportOpenItemsRequest(items=[item] * size)


def credit_on(store: SlowStore) -> CreditHandlers:
    return CreditHandlers(cast("CreditStore", store))


def receivables_on(store: SlowStore) -> ReceivablesHandlers:
    return ReceivablesHandlers(cast("CreditStore", store))


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(STREAM_ORDERS_MAX * 5):
        await asyncio.sleep(0)


async def test_many_orders_are_with_the_store_at_once_and_no_more_are_drawn() -> None:
    store, source = SlowStore(), Source()
    async with aclosing(credit_on(store).stream_reserve_credit(source.orders(1000), context())) as answers:
        first = asyncio.ensure_future(anext(answers))
        await settle()
        assert store.begun == [f"o{number}" for number in range(STREAM_ORDERS_MAX)]
        assert source.drawn == STREAM_ORDERS_MAX
        store.opened.set()
        assert (await first).response.decision.policy_version == "o0"
        rest = [answer.response.decision.policy_version async for answer in answers]
        assert rest == [f"o{number}" for number in range(1, 1000)]


async def test_who_leaves_a_stream_of_orders_waits_for_none_of_them() -> None:
    store = SlowStore()
    async with aclosing(credit_on(store).stream_reserve_credit(Source().orders(5), context())) as answers:
        first = asyncio.ensure_future(anext(answers))
        await settle()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert sorted(store.cancelled) == [f"o{number}" for number in range(5)]


async def test_a_fault_of_the_store_is_the_answer_to_its_order() -> None:
    store = SlowStore(open_=True)
    answers = credit_on(store).stream_reserve_credit(Source().orders(3, "full"), context())
    statuses = [(answer.WhichOneof("result"), answer.error.code) async for answer in answers]
    assert statuses == [("error", 8)] * 3


async def test_each_message_has_the_time_of_a_call_and_no_more_than_its_stream() -> None:
    for timeout_s, left_s in ((1000.0, ITEM_TIMEOUT_S), (3.0, 3.0)):
        store = SlowStore(open_=True)
        async for _ in credit_on(store).stream_reserve_credit(Source().orders(2), context(timeout_s)):
            pass
        async for _ in receivables_on(store).import_open_items(Source().chunks(2), context(timeout_s)):
            pass
        assert len(store.time_left_s) == 3
        assert all(left_s - 1 < seconds <= left_s for seconds in store.time_left_s)


async def test_a_chunk_is_drawn_when_the_one_before_is_answered() -> None:
    store, source = SlowStore(), Source()
    async with aclosing(receivables_on(store).import_open_items(source.chunks(1, 1000, 1), context())) as answers:
        for drawn, received, indexes in ((1, 1, range(1)), (2, 1001, range(1, 1001))):
            answer = await anext(answers)
            assert (source.drawn, answer.progress.received, answer.progress.failed) == (drawn, received, received)
            assert {failure.error.code for failure in answer.failures} == {8}
            assert [failure.index for failure in answer.failures] == list(indexes)


async def test_an_import_of_bad_items_does_not_reach_the_store() -> None:
    store = SlowStore()

    async def chunk() -> AsyncIterator[ImportOpenItemsRequest]:
        yield ImportOpenItemsRequest(items=[OpenItem()] * 3)

    first, summary = [answer async for answer in receivables_on(store).import_open_items(chunk(), context())]
    assert (first.progress, store.begun) == (summary.progress, [])
    assert (summary.progress.failed, summary.finished, first.finished) == (3, True, False)
