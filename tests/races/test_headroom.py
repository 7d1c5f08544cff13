"""However many ask at once, and however they ask: the limit is never passed, and nobody is refused inside it."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import grpc
import pytest

from creditgate.client import AsyncCreditClient, reserve_credit_request
from creditgate.v1.credit_service_pb2 import (
    BatchReserveCreditRequest,
    ReserveCreditRequest,
    ReserveCreditResponse,
    StreamReserveCreditRequest,
)
from creditgate.v1.credit_service_pb2_grpc import CreditServiceStub

if TYPE_CHECKING:
    from creditgate.v1.credit_service_pb2_grpc import CreditServiceAsyncStub
from creditgate.v1.decision_pb2 import OUTCOME_APPROVED
from tests.patience import PATIENCE_S

CLIENTS = 64
ROUNDS = 12
LIMIT_MINOR = 1009
SMALLEST_MINOR = 7
SIZES_MINOR = (SMALLEST_MINOR, 11, 13, 29, 64)
BATCH = 8


Ask = Callable[["CreditServiceAsyncStub", Sequence[ReserveCreditRequest]], Awaitable[Sequence[ReserveCreditResponse]]]
"""A way to ask for orders."""


async def ask_alone(
    stub: "CreditServiceAsyncStub", orders: Sequence[ReserveCreditRequest]
) -> Sequence[ReserveCreditResponse]:
    """Ask for one after the other."""
    return [await stub.ReserveCredit(order, timeout=PATIENCE_S) for order in orders]


async def ask_in_a_batch(
    stub: "CreditServiceAsyncStub", orders: Sequence[ReserveCreditRequest]
) -> Sequence[ReserveCreditResponse]:
    """Ask for all in one call."""
    response = await stub.BatchReserveCredit(BatchReserveCreditRequest(requests=orders), timeout=PATIENCE_S)
    assert all(result.HasField("response") for result in response.results)
    return [result.response for result in response.results]


async def ask_in_a_stream(
    stub: "CreditServiceAsyncStub", orders: Sequence[ReserveCreditRequest]
) -> Sequence[ReserveCreditResponse]:
    """Ask for all without waiting for answers."""
    requests = (StreamReserveCreditRequest(request=order) for order in orders)
    answers = [answer async for answer in stub.StreamReserveCredit(requests, timeout=PATIENCE_S)]
    assert all(answer.HasField("response") for answer in answers)
    return [answer.response for answer in answers]


WAYS: Sequence[Ask] = (ask_alone, ask_in_a_batch, ask_in_a_stream)


class Buyer(NamedTuple):
    """A client on a connection of its own that buys until even the smallest order is refused."""

    name: str
    stub: "CreditServiceAsyncStub"
    ask: Ask
    sizes: random.Random

    async def buy(self, account_id: str) -> int:
        """Return how much was approved."""
        approved_minor = 0
        asked = 0
        while True:
            count = 1 if self.ask is ask_alone else BATCH
            amounts = [self.sizes.choice(SIZES_MINOR) for _ in range(count)] + [SMALLEST_MINOR]
            orders = [
                reserve_credit_request(
                    account_id, f"{self.name}-{asked + index}", amount_minor=amount, currency_code="USD", hold_s=3600
                )
                for index, amount in enumerate(amounts)
            ]
            asked += len(orders)
            answers = await self.ask(self.stub, orders)
            approved = [answer.decision.outcome == OUTCOME_APPROVED for answer in answers]
            approved_minor += sum(amount for amount, bought in zip(amounts, approved, strict=True) if bought)
            if not approved[-1]:
                return approved_minor


@asynccontextmanager
async def connections(targets: tuple[str, ...]) -> AsyncIterator[Sequence["CreditServiceAsyncStub"]]:
    """Open a connection for each client, spread over the services."""
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(
                grpc.aio.insecure_channel(
                    targets[number % len(targets)], options=(("grpc.use_local_subchannel_pool", 1),)
                )
            )
            for number in range(CLIENTS)
        ]
        yield [CreditServiceStub(channel) for channel in channels]


@pytest.mark.parametrize(
    "ways",
    [WAYS[:1], WAYS[1:2], WAYS[2:], WAYS],
    ids=["unary", "batch", "stream", "mixed"],
)
async def test_an_account_is_filled_to_the_last_order_that_fits_and_not_beyond(
    targets: tuple[str, ...], new_id: Callable[[str], str], ways: Sequence[Ask]
) -> None:
    async with connections(targets) as stubs, AsyncCreditClient(targets[0], timeout_s=PATIENCE_S) as client:
        buyers = [
            # Every way reaches both services.
            Buyer(f"client-{number}", stub, ways[number // len(targets) % len(ways)], random.Random(number))
            for number, stub in enumerate(stubs)
        ]
        for _ in range(ROUNDS):
            account_id = new_id("full")
            await client.put_account(account_id, currency_code="USD", base_limit_minor=LIMIT_MINOR)
            approved_minor = sum(await asyncio.gather(*(buyer.buy(account_id) for buyer in buyers)))
            exposure = (await client.get_account(account_id)).account.exposure
            assert exposure.reserved_minor == approved_minor
            assert 0 <= exposure.available_minor < SMALLEST_MINOR
            held = [each.exposure_minor async for each in client.list_reservations(account_id, page_size=1000)]
            assert sum(held) == approved_minor


async def test_a_hundred_retries_in_flight_together_hold_once(
    targets: tuple[str, ...], new_id: Callable[[str], str]
) -> None:
    async with connections(targets) as stubs, AsyncCreditClient(targets[0], timeout_s=PATIENCE_S) as client:
        for ways in (WAYS[:1], WAYS[:2], WAYS):
            account_id = new_id("retried")
            await client.put_account(account_id, currency_code="USD", base_limit_minor=LIMIT_MINOR)
            order = reserve_credit_request(account_id, "same", amount_minor=400, currency_code="USD", hold_s=3600)
            asked = (ask_again(ways[number % len(ways)], stubs[number % CLIENTS], order) for number in range(100))
            answers = [answer for some in await asyncio.gather(*asked) for answer in some]
            assert len(answers) >= 100
            assert [answer.replayed for answer in answers].count(False) == 1
            assert len({answer.reservation.SerializeToString(deterministic=True) for answer in answers}) == 1
            assert {answer.decision.outcome for answer in answers} == {OUTCOME_APPROVED}
            assert (await client.get_account(account_id)).account.exposure.reserved_minor == 400


async def ask_again(
    ask: Ask, stub: "CreditServiceAsyncStub", order: ReserveCreditRequest
) -> Sequence[ReserveCreditResponse]:
    """Ask once alone, or twice together, between orders that are refused."""
    if ask is ask_alone:
        return await ask(stub, [order])
    other = reserve_credit_request(order.account_id, "other", amount_minor=LIMIT_MINOR + 1, currency_code="USD")
    answers = await ask(stub, [other, order, other, order])
    return [answers[1], answers[3]]
