"""Batches: one item's fate is never another's."""

import time
from collections.abc import Sequence
from typing import cast

import pytest

from creditgate.api.context import CallContext
from creditgate.api.credit import CreditHandlers
from creditgate.domain.decision import Decision, Exposure, Outcome
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import ReserveCredit, Reserved
from creditgate.domain.ports import CreditStore
from creditgate.v1.credit_service_pb2 import BatchReserveCreditRequest, ReserveCreditRequest

EXPOSURE = Exposure("USD", 10, unlimited=False, reserved_minor=0, receivable_minor=0, pending_review_minor=0)


class Context(CallContext):
    peer = "test"

    def metadata(self, key: str) -> str | None:  # noqa: ARG002 - the context's signature
        return None


class StoreWithoutOddOrders:
    """Knows no account `missing`; the policy version of each decision is the order's id."""

    def __init__(self) -> None:
        self.given: list[ReserveCredit] = []

    async def run_each(self, operations: Sequence[ReserveCredit], deadline: float) -> list[Reserved | CreditError]:  # noqa: ARG002 - the port's signature
        self.given += operations
        return [
            CreditError(ErrorReason.ACCOUNT_NOT_FOUND, "no such account")
            if operation.account_id == "missing"
            else Reserved(
                Decision(Outcome.REJECTED, (), (), (), EXPOSURE, operation.order_id, 0, 0), None, replayed=False
            )
            for operation in operations
        ]


def order(order_id: str, account_id: str = "A1", amount_minor: int = 1) -> ReserveCreditRequest:
    return ReserveCreditRequest(
        account_id=account_id, order_id=order_id, amount_minor=amount_minor, currency_code="USD"
    )


async def answers_of(store: StoreWithoutOddOrders, requests: list[ReserveCreditRequest]) -> list[str]:
    handlers = CreditHandlers(cast("CreditStore", store))
    context = Context("batch", time.monotonic() + 1, 1)
    response = await handlers.batch_reserve_credit(BatchReserveCreditRequest(requests=requests), context)
    return [
        result.response.decision.policy_version if result.HasField("response") else result.error.message
        for result in response.results
    ]


async def test_answers_stand_in_the_order_of_the_requests() -> None:
    store = StoreWithoutOddOrders()
    answers = await answers_of(
        store, [order("a"), order("b", amount_minor=0), order("c", account_id="missing"), order("d")]
    )
    assert answers == [
        "a",
        "amount_minor must be between 1 and 9007199254740991 minor units, was 0",
        "no such account",
        "d",
    ]
    assert [operation.order_id for operation in store.given] == ["a", "c", "d"]


async def test_a_batch_of_bad_items_does_not_reach_the_store() -> None:
    store = StoreWithoutOddOrders()
    assert len(await answers_of(store, [order("a", amount_minor=0)] * 3)) == 3
    assert not store.given


async def test_a_batch_may_have_1000_items() -> None:
    assert len(await answers_of(StoreWithoutOddOrders(), [order("a")] * 1000)) == 1000


@pytest.mark.parametrize("size", [0, 1001])
async def test_sizes_out_of_bounds(size: int) -> None:
    with pytest.raises(CreditError, match=f"^requests must have 1 to 1000 items, had {size}$"):
        await answers_of(StoreWithoutOddOrders(), [order("a")] * size)
