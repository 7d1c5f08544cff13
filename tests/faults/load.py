"""Clients that reserve and commit without pause, ask again until they are answered, and remember every answer."""

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Final, Self, TypeVar

import grpc

from creditgate.client import CreditCallError, CreditClient, reserve_credit_request
from creditgate.v1.credit_service_pb2 import ReserveCreditRequest
from creditgate.v1.decision_pb2 import OUTCOME_APPROVED
from tests.patience import PATIENCE_S

T = TypeVar("T")

_WORKERS: Final = 8
_BATCH: Final = 5
_CALL_TIMEOUT_S: Final = 3.0
_PAUSE_S: Final = 0.02
_NEVER: Final = threading.Event()
_CURRENCY: Final = "USD"

_ASK_AGAIN: Final = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
)
"""CANCELLED is how gRPC ends calls that reach a stopping server after it took its last one."""


def until_answered(call: Callable[[], T]) -> T:
    """Make a call until it is answered, beyond what the client repeats by itself."""
    give_up = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call()
        except CreditCallError as error:
            if error.code not in _ASK_AGAIN or time.monotonic() > give_up:
                raise
            _NEVER.wait(_PAUSE_S)


class Load:
    """Runs from the beginning to the end of a `with`. Each worker has an account of its own.

    A call that ends without an answer is made again, as a client that lost its connection does: by the end every order
    and every document has been answered, so what the gate keeps must be exactly that.
    """

    def __init__(self, target: str, new_id: Callable[[str], str]) -> None:
        self._client = CreditClient(target, timeout_s=_CALL_TIMEOUT_S)
        self._accounts = [new_id("load") for _ in range(_WORKERS)]
        self._reserved: dict[str, dict[str, int]] = {account_id: {} for account_id in self._accounts}
        self._committed: dict[str, dict[str, int]] = {account_id: {} for account_id in self._accounts}
        self._stop = threading.Event()
        self._failures: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._run, args=(account_id,), kwargs={"batches": index % 2 == 1}, daemon=True)
            for index, account_id in enumerate(self._accounts)
        ]

    def __enter__(self) -> Self:
        for account_id in self._accounts:
            until_answered(lambda asked=account_id: self._put_account(asked))  # type: ignore[misc]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE_S)  # it may be about to reserve, and then to commit
        self._client.close()
        assert not any(thread.is_alive() for thread in self._threads)
        assert not self._failures, self._failures

    @property
    def answered(self) -> int:
        """How many orders have been answered."""
        return sum(map(len, self._reserved.values()))

    def wait_for_more(self, orders: int) -> None:
        """Wait until so many further orders have been answered."""
        give_up = time.monotonic() + PATIENCE_S
        wanted = self.answered + orders
        while self.answered < wanted:
            assert not self._failures, self._failures
            assert time.monotonic() < give_up
            self._stop.wait(_PAUSE_S)

    def check(self, target: str) -> None:
        """What was acknowledged is there, once, and sums are those of what is there."""
        with CreditClient(target, timeout_s=PATIENCE_S) as client:
            for account_id in self._accounts:
                account = until_answered(lambda asked=account_id: client.get_account(asked).account)  # type: ignore[misc]
                held = until_answered(lambda asked=account_id: list(client.list_reservations(asked, page_size=1000)))  # type: ignore[misc]
                assert {each.order_id: each.amount_minor for each in held} == self._reserved[account_id]
                committed = {each.order_id: each.committed_minor for each in held if each.committed_minor}
                assert committed == self._committed[account_id]
                reserved_minor = account.exposure.reserved_minor
                assert reserved_minor == sum(each.exposure_minor for each in held)
                assert reserved_minor == sum(self._reserved[account_id].values()) - sum(committed.values())
                assert account.exposure.receivable_minor == sum(committed.values())

    def _run(self, account_id: str, *, batches: bool) -> None:
        try:
            for count in itertools.count():
                if self._stop.is_set():
                    return
                self._sell(account_id, count, _BATCH if batches else 1)
        except (AssertionError, CreditCallError) as failure:
            self._failures.append(failure)

    def _put_account(self, account_id: str) -> None:
        self._client.put_account(account_id, currency_code=_CURRENCY, unlimited=True)

    def _sell(self, account_id: str, count: int, size: int) -> None:
        """Reserve some orders, and invoice a part of the first."""
        amounts = {f"o{count}.{index}": 10 + (count + index) % 90 for index in range(size)}
        orders = [
            reserve_credit_request(
                account_id, order_id, amount_minor=amount_minor, currency_code=_CURRENCY, hold_s=3600
            )
            for order_id, amount_minor in amounts.items()
        ]
        until_answered(lambda: self._reserve(orders))
        self._reserved[account_id] |= amounts
        order_id = orders[0].order_id
        until_answered(lambda: self._commit(account_id, order_id))
        self._committed[account_id][order_id] = 1

    def _reserve(self, orders: Iterable[ReserveCreditRequest]) -> None:
        for answer in self._client.batch_reserve_credit(orders):
            if isinstance(answer, CreditCallError):
                raise answer
            assert answer.decision.outcome == OUTCOME_APPROVED

    def _commit(self, account_id: str, order_id: str) -> None:
        self._client.commit_reservation(
            account_id, order_id, amount_minor=1, currency_code=_CURRENCY, document_id=f"invoice-{order_id}"
        )
