"""The orders of a run: distinct, spread over accounts, encoded before the clock starts and checked after it."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from creditgate.domain.bounds import HOLD_DEFAULT_S
from creditgate.domain.operations import ReserveCredit
from creditgate.v1.credit_service_pb2 import (
    BatchReserveCreditRequest,
    BatchReserveCreditResponse,
    ReserveCreditRequest,
    ReserveCreditResponse,
)
from creditgate.v1.decision_pb2 import OUTCOME_APPROVED

CURRENCY_CODE: Final = "USD"
AMOUNT_MINOR: Final = 12_500
LIMIT_MINOR: Final = 10**14
"""Room for every order of every run: what is measured is approving, the work of a refusal is less."""


@dataclass(frozen=True, slots=True)
class Orders:
    """Which orders a run places: `count` of them, on `accounts` accounts from number `first_account` on.

    `run` makes the ids of this run's orders unlike those of every other run. `in_turn`: one account after the other,
    not picked at random.
    """

    run: int
    count: int
    accounts: int
    first_account: int = 0
    in_turn: bool = False


def account_id(number: int) -> str:
    """Return the id of an account; all have the same length, like customer numbers."""
    return f"customer-{number:08d}"


def order_id(run: int, number: int) -> str:
    """Return the id of an order; all have the same length, like order numbers."""
    return f"order-{run:04d}-{number:08d}"


def pick_accounts(orders: Orders) -> list[int]:
    """Return an account's number for each order: uniformly at random and the same for the same orders, or in turn."""
    if orders.in_turn:
        return [orders.first_account + number % orders.accounts for number in range(orders.count)]
    pick = random.Random(orders.run).randrange
    return [orders.first_account + pick(orders.accounts) for _ in range(orders.count)]


def operations(orders: Orders) -> list[ReserveCredit]:
    """Return the orders as the store takes them."""
    return [
        ReserveCredit(account_id(account), order_id(orders.run, number), AMOUNT_MINOR, CURRENCY_CODE, HOLD_DEFAULT_S)
        for number, account in enumerate(pick_accounts(orders))
    ]


def _requests(orders: Orders) -> list[ReserveCreditRequest]:
    return [
        ReserveCreditRequest(
            account_id=account_id(account),
            order_id=order_id(orders.run, number),
            amount_minor=AMOUNT_MINOR,
            currency_code=CURRENCY_CODE,
        )
        for number, account in enumerate(pick_accounts(orders))
    ]


def unary_messages(orders: Orders) -> list[bytes]:
    """Return an encoded ReserveCreditRequest for each order."""
    return [request.SerializeToString() for request in _requests(orders)]


def batch_messages(orders: Orders, batch_size: int) -> list[bytes]:
    """Return encoded BatchReserveCreditRequests of `batch_size` orders each; the last may have fewer."""
    requests = _requests(orders)
    return [
        BatchReserveCreditRequest(requests=requests[start : start + batch_size]).SerializeToString()
        for start in range(0, len(requests), batch_size)
    ]


def count_approved(response: ReserveCreditResponse) -> int:
    """Return 1 if the order was approved by this very call, else 0."""
    return int(response.decision.outcome == OUTCOME_APPROVED and not response.replayed)


def approved_in_unary(bodies: Iterable[bytes]) -> int:
    """Return how many of the encoded ReserveCreditResponses approve their order."""
    return sum(count_approved(ReserveCreditResponse.FromString(body)) for body in bodies)


def approved_in_batches(bodies: Iterable[bytes]) -> int:
    """Return how many orders the encoded BatchReserveCreditResponses approve."""
    return sum(
        count_approved(result.response)
        for body in bodies
        for result in BatchReserveCreditResponse.FromString(body).results
    )
