"""A timed run of ReserveCredit or BatchReserveCredit calls against a server, made by a process of its own."""

from collections import Counter
from typing import NamedTuple

from benchmarks.h2_load import Answer, LoadError, run_calls
from benchmarks.meter import Meter
from benchmarks.orders import Orders, approved_in_batches, approved_in_unary, batch_messages, unary_messages
from benchmarks.processes import BATCH_RESERVE_CREDIT, RESERVE_CREDIT
from benchmarks.sampling import FailedRunError, Sample


class GrpcRun(NamedTuple):
    """What to call.

    Attributes:
        address: of the server.
        orders: the orders to place.
        in_flight: calls at a time.
        batch_size: orders a call; 0: ReserveCredit, one order a call.
        decides: whether every order must come back approved; False for a server whose handler is empty.
        server_pid: whose CPU time is the server's.
        redis_pid: whose CPU time is that of Redis; None where there is none.

    """

    address: tuple[str, int]
    orders: Orders
    in_flight: int
    batch_size: int
    decides: bool
    server_pid: int
    redis_pid: int | None


def run_grpc(run: GrpcRun) -> Sample:
    """Place the orders and return what that took; everything but the calls themselves is outside of the clock.

    Raises:
        FailedRunError: a call failed, an order was not approved, or the server broke off.

    """
    if run.batch_size:
        method, messages = BATCH_RESERVE_CREDIT, batch_messages(run.orders, run.batch_size)
    else:
        method, messages = RESERVE_CREDIT, unary_messages(run.orders)
    with Meter(run.server_pid, run.redis_pid) as meter:
        try:
            answers = run_calls(run.address, method, messages, run.in_flight)
        except (LoadError, OSError) as error:
            raise FailedRunError(f"the calls of {method} broke off: {error}") from error
    _check(run, answers)
    return Sample.of(run.orders.count, meter, (answer.latency_s for answer in answers))


def _check(run: GrpcRun, answers: list[Answer]) -> None:
    failed = Counter(answer.status for answer in answers if answer.status)
    if failed:
        raise FailedRunError(f"{failed.total()} of {len(answers)} calls failed, by gRPC status: {dict(failed)}")
    if not run.decides:
        return
    approved_in = approved_in_batches if run.batch_size else approved_in_unary
    approved = approved_in(answer.body for answer in answers)
    if approved != run.orders.count:
        raise FailedRunError(f"{approved} of {run.orders.count} orders were approved, each one must be")
