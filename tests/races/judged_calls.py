"""Callers that have orders judged without pause, each on a connection of its own, and check every decision at once."""

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Final, Self

import grpc

from creditgate.v1.admin_service_pb2 import GetPolicyRequest
from creditgate.v1.admin_service_pb2_grpc import AdminServiceStub
from creditgate.v1.credit_service_pb2 import BatchReserveCreditRequest, CheckCreditRequest, ReserveCreditRequest
from creditgate.v1.credit_service_pb2_grpc import CreditServiceStub
from tests.patience import PATIENCE_S
from tests.races.versions import Order, check_decision, order_of
from tests.waiting import wait_until

BATCH: Final = 100
"""As many orders as one call of the store takes at most, or fewer: one version judges them all."""

LARGE_BATCH: Final = 300
CHANNEL_OPTIONS: Final = (("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1))

Judge = Callable[[CreditServiceStub, "Caller", int], Iterator[int]]
"""Makes one call, and yields the version of each of its decisions."""


class Caller:
    """One connection, and what was seen over it.

    Attributes:
        version: the latest that decided, 0 before the first.
        sees_problem: whether the service says that the file can't be used.
        calls: how many calls that decide were answered.

    """

    def __init__(self, target: str, account_id: str, judge: Judge) -> None:
        self.target = target
        self.account_id = account_id
        self.version = 0
        self.sees_problem = False
        self.calls = 0
        self.failure: BaseException | None = None
        self._judge = judge

    def run(self, stop: threading.Event) -> None:
        """Call until told to stop, or something is wrong."""
        try:
            with grpc.insecure_channel(self.target, options=CHANNEL_OPTIONS) as channel:
                credit, admin = CreditServiceStub(channel), AdminServiceStub(channel)
                for number in itertools.count():
                    if stop.is_set():
                        return
                    for version in self._judge(credit, self, number):
                        assert version >= self.version, f"version {version} decides after {self.version}"
                        self.version = version
                    self.calls += 1
                    answer = admin.GetPolicy(GetPolicyRequest(), timeout=PATIENCE_S)
                    self.sees_problem = bool(answer.problem)
        except (AssertionError, KeyError, grpc.RpcError) as failure:
            self.failure = failure

    def order_request(self, kind: str, number: int, order: Order) -> ReserveCreditRequest:
        """Return a request whose order nobody else has asked for."""
        return ReserveCreditRequest(
            account_id=self.account_id,
            order_id=f"{kind}-{id(self)}-{number}",
            amount_minor=order.amount_minor,
            currency_code="USD",
            payment_terms_days=order.terms_days,
        )


def reserve(credit: CreditServiceStub, caller: Caller, number: int) -> Iterator[int]:
    """Reserve one order."""
    order = order_of(number)
    response = credit.ReserveCredit(caller.order_request("one", number, order), timeout=PATIENCE_S)
    assert not response.replayed
    yield check_decision(response.decision, order, explained=False)


def check(credit: CreditServiceStub, caller: Caller, number: int) -> Iterator[int]:
    """Ask about an order, and for the rules that do not fire."""
    order = order_of(number)
    request = CheckCreditRequest(
        account_id=caller.account_id,
        amount_minor=order.amount_minor,
        currency_code="USD",
        payment_terms_days=order.terms_days,
        explain=True,
    )
    yield check_decision(credit.CheckCredit(request, timeout=PATIENCE_S).decision, order, explained=True)


def reserve_batch(credit: CreditServiceStub, caller: Caller, number: int) -> Iterator[int]:
    """Reserve many orders, which one call of the store carries: they have one version."""
    versions = list(_batch(credit, caller, number, BATCH))
    assert len(set(versions)) == 1
    yield versions[0]


def reserve_large_batch(credit: CreditServiceStub, caller: Caller, number: int) -> Iterator[int]:
    """Reserve more than one call of the store carries."""
    yield from _batch(credit, caller, number, LARGE_BATCH)


def _batch(credit: CreditServiceStub, caller: Caller, number: int, size: int) -> Iterator[int]:
    orders = [order_of(number * size + index) for index in range(size)]
    requests = [caller.order_request(f"batch{size}.{number}", index, order) for index, order in enumerate(orders)]
    response = credit.BatchReserveCredit(BatchReserveCreditRequest(requests=requests), timeout=PATIENCE_S)
    for order, result in zip(orders, response.results, strict=True):
        assert result.HasField("response"), result
        yield check_decision(result.response.decision, order, explained=False)


class JudgedCalls:
    """All callers, from the beginning to the end of a `with`."""

    def __init__(self, target: str, account_ids: Sequence[str]) -> None:
        kinds = (reserve, check, reserve_batch, reserve_large_batch)
        accounts = itertools.cycle(account_ids)
        self.callers = [Caller(target, next(accounts), kind) for kind in kinds for _ in range(2)]
        self._stop = threading.Event()
        self._threads = ExitStack()

    def __enter__(self) -> Self:
        for caller in self.callers:
            thread = threading.Thread(target=caller.run, args=(self._stop,), daemon=True)
            thread.start()
            self._threads.callback(thread.join, 2 * PATIENCE_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._threads.close()
        self.raise_failures()

    def wait_for_all(self, holds: Callable[[Caller], bool]) -> None:
        """Wait until something holds for every caller."""

        def done() -> bool:
            self.raise_failures()
            return all(map(holds, self.callers))

        wait_until(done)

    def wait_for_more(self, calls: int) -> None:
        """Wait until every caller has been answered so many times more."""
        wanted = {id(caller): caller.calls + calls for caller in self.callers}
        self.wait_for_all(lambda caller: caller.calls >= wanted[id(caller)])

    def raise_failures(self) -> None:
        """Raise what went wrong with a caller."""
        for caller in self.callers:
            if caller.failure is not None:
                raise caller.failure
