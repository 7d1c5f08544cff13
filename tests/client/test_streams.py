"""The stream of orders: order, bounds, and what happens when it breaks."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import islice
from typing import Protocol

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from creditgate.client import (
    AsyncCreditClient,
    CreditCallError,
    CreditClient,
    aio_stream,
    blocking_stream,
    reserve_credit_request,
)
from creditgate.client.window import ATTEMPTS_MAX, IN_FLIGHT_MAX
from creditgate.v1.credit_service_pb2 import (
    ReserveCreditRequest,
    ReserveCreditResponse,
    StreamReserveCreditRequest,
    StreamReserveCreditResponse,
)
from creditgate.v1.reservation_pb2 import Reservation
from tests.client.scripted_service import Failure, ScriptedService, StreamAnswer, Wait

METHOD = "StreamReserveCredit"
UNAVAILABLE = Failure(grpc.StatusCode.UNAVAILABLE)

Answer = ReserveCreditResponse | CreditCallError
Taken = Callable[[Answer], None]


class Ask(Protocol):
    """Streams orders through a client and tells each answer as it comes."""

    def __call__(
        self, address: str, orders: Iterable[ReserveCreditRequest], taken: Taken, timeout_s: float = 20
    ) -> None: ...


def ask_blocking(address: str, orders: Iterable[ReserveCreditRequest], taken: Taken, timeout_s: float = 20) -> None:
    with CreditClient(address, timeout_s=timeout_s) as client:
        for answer in client.stream_reserve_credit(orders):
            taken(answer)


def ask_asyncio(address: str, orders: Iterable[ReserveCreditRequest], taken: Taken, timeout_s: float = 20) -> None:
    async def ask() -> None:
        async with AsyncCreditClient(address, timeout_s=timeout_s) as client:
            async for answer in client.stream_reserve_credit(orders):
                taken(answer)

    asyncio.run(ask())


@pytest.fixture(params=[ask_blocking, ask_asyncio], ids=["blocking", "asyncio"])
def ask(request: pytest.FixtureRequest) -> Ask:
    asked: Ask = request.param
    return asked


def orders(count: int) -> Iterator[ReserveCreditRequest]:
    for number in range(count):
        yield reserve_credit_request("a", f"order-{number}", amount_minor=1500, currency_code="USD")


def ids(numbers: Iterable[int]) -> list[str]:
    return [f"order-{number}" for number in numbers]


def order_of(request: Message) -> str:
    assert isinstance(request, StreamReserveCreditRequest)
    return request.request.order_id


def reserved(order_id: str) -> StreamReserveCreditResponse:
    return StreamReserveCreditResponse(response=ReserveCreditResponse(reservation=Reservation(order_id=order_id)))


def echo(requests: Iterator[Message]) -> Iterator[Message]:
    """Answer each order with a reservation of its id."""
    return (reserved(order_of(request)) for request in requests)


def echo_then(
    count: int, end: Failure | Wait | None
) -> Callable[[Iterator[Message]], Iterator[Message | Failure | Wait]]:
    """Answer so many orders, then end the stream."""

    def answer(requests: Iterator[Message]) -> Iterator[Message | Failure | Wait]:
        for request in islice(requests, count):
            yield reserved(order_of(request))
        if end is not None:
            yield end

    return answer


def answer_one_of(count: int, end: Failure) -> StreamAnswer:
    """Read so many orders, answer the first, and end the stream: nothing is being sent when it breaks."""

    def answer(requests: Iterator[Message]) -> Iterator[Message | Failure]:
        first, *_ = [order_of(request) for request in islice(requests, count)]
        yield reserved(first)
        yield end

    return answer


def answer_none_of(count: int, end: Failure) -> StreamAnswer:
    """Read so many orders, and end the stream."""

    def answer(requests: Iterator[Message]) -> Iterator[Message | Failure]:
        for _ in islice(requests, count):
            pass
        yield end

    return answer


def told(answers: list[Answer]) -> list[str]:
    return [answer.reservation.order_id for answer in answers if isinstance(answer, ReserveCreditResponse)]


def asked(scripted: ScriptedService) -> list[list[str]]:
    return [[order_of(request) for request in stream] for stream in scripted.streams]


def test_each_order_is_answered_in_order(scripted: ScriptedService, ask: Ask) -> None:
    scripted.script_streams(METHOD, echo)
    answers: list[Answer] = []
    ask(scripted.address, orders(1000), answers.append)
    assert told(answers) == ids(range(1000))
    assert asked(scripted) == [ids(range(1000))]


def test_no_orders_open_no_stream(scripted: ScriptedService, ask: Ask) -> None:
    scripted.script_streams(METHOD, echo)
    answers: list[Answer] = []
    ask(scripted.address, [], answers.append)
    assert (answers, scripted.streams) == ([], [])


def test_an_order_that_fails_leaves_the_others_alone(scripted: ScriptedService, ask: Ask) -> None:
    def answer(requests: Iterator[Message]) -> Iterator[Message]:
        for request in requests:
            if order_of(request) == "order-1":
                yield StreamReserveCreditResponse(error=Status(code=grpc.StatusCode.NOT_FOUND.value[0], message="gone"))
            else:
                yield reserved(order_of(request))

    scripted.script_streams(METHOD, answer)
    answers: list[Answer] = []
    ask(scripted.address, orders(3), answers.append)
    assert told(answers) == ids((0, 2))
    failed = answers[1]
    assert isinstance(failed, CreditCallError)
    assert (failed.code, failed.message) == (grpc.StatusCode.NOT_FOUND, "gone")


def test_an_order_is_answered_before_the_next_one_is_there(scripted: ScriptedService) -> None:
    scripted.script_streams(METHOD, echo)
    answered = [threading.Event() for _ in range(3)]

    def hesitant() -> Iterator[ReserveCreditRequest]:
        for number, order in enumerate(orders(3)):
            yield order
            assert answered[number].wait(20), "the order before was not answered"

    answers: list[Answer] = []

    def taken(answer: Answer) -> None:
        answers.append(answer)
        answered[len(answers) - 1].set()

    ask_blocking(scripted.address, hesitant(), taken)
    assert told(answers) == ids(range(3))


async def test_the_asyncio_client_takes_orders_as_they_come(scripted: ScriptedService) -> None:
    scripted.script_streams(METHOD, echo)
    answered = [asyncio.Event() for _ in range(3)]

    async def hesitant() -> AsyncIterator[ReserveCreditRequest]:
        for number, order in enumerate(orders(3)):
            yield order
            await answered[number].wait()

    answers: list[Answer] = []
    async with AsyncCreditClient(scripted.address) as client, asyncio.timeout(20):
        async for answer in client.stream_reserve_credit(hesitant()):
            answers.append(answer)
            answered[len(answers) - 1].set()
    assert told(answers) == ids(range(3))


def test_as_many_orders_are_under_way_as_the_window_is_wide_and_no_more(scripted: ScriptedService, ask: Ask) -> None:
    def answer_when_full(requests: Iterator[Message]) -> Iterator[Message]:
        waiting = [order_of(request) for request in islice(requests, IN_FLIGHT_MAX)]
        yield from (reserved(order_id) for order_id in waiting)
        yield from echo(requests)

    scripted.script_streams(METHOD, answer_when_full)
    answers: list[Answer] = []
    most_ahead = 0

    def watched() -> Iterator[ReserveCreditRequest]:
        nonlocal most_ahead
        for drawn, order in enumerate(orders(1000), start=1):
            most_ahead = max(most_ahead, drawn - len(answers))
            yield order

    ask(scripted.address, watched(), answers.append)
    assert told(answers) == ids(range(1000))
    # One is given out while its place is already another's.
    assert IN_FLIGHT_MAX <= most_ahead <= IN_FLIGHT_MAX + 1


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
def test_what_a_broken_stream_owes_is_sent_on_another(
    scripted: ScriptedService, ask: Ask, code: grpc.StatusCode
) -> None:
    scripted.script_streams(METHOD, echo_then(3, Failure(code)), echo)
    answers: list[Answer] = []
    ask(scripted.address, orders(200), answers.append)
    assert told(answers) == ids(range(200))
    first, second = asked(scripted)
    assert first == ids(range(len(first)))
    # An answer that had not arrived when the stream broke is asked for again; one that had is not.
    assert 197 <= len(second) <= 200
    assert second == ids(range(200 - len(second), 200))


def test_a_stream_that_is_ended_in_order_is_followed_by_another(scripted: ScriptedService, ask: Ask) -> None:
    scripted.script_streams(METHOD, echo_then(3, None), echo)
    answers: list[Answer] = []
    ask(scripted.address, orders(200), answers.append)
    assert told(answers) == ids(range(200))


def test_five_streams_in_a_row_are_the_most(scripted: ScriptedService, ask: Ask) -> None:
    scripted.script_streams(METHOD, answer_one_of(3, UNAVAILABLE), answer_none_of(2, UNAVAILABLE))
    answers: list[Answer] = []
    with pytest.raises(CreditCallError) as raised:
        ask(scripted.address, orders(3), answers.append)
    assert raised.value.code is grpc.StatusCode.UNAVAILABLE
    assert told(answers) == ids(range(1))
    assert len(scripted.streams) == ATTEMPTS_MAX


def test_every_answer_is_worth_five_more(scripted: ScriptedService, ask: Ask) -> None:
    count = ATTEMPTS_MAX + 2
    scripted.script_streams(METHOD, *(answer_one_of(remaining, UNAVAILABLE) for remaining in range(count, 0, -1)))
    answers: list[Answer] = []
    ask(scripted.address, orders(count), answers.append)
    assert told(answers) == ids(range(count))
    assert len(scripted.streams) == count


def test_repeats_end_with_the_deadline(scripted: ScriptedService, ask: Ask) -> None:
    scripted.script_streams(METHOD, echo_then(0, UNAVAILABLE))
    with pytest.raises(CreditCallError) as raised:
        ask(scripted.address, orders(1), lambda _: None, timeout_s=0.1)
    assert raised.value.code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    assert len(scripted.streams) < ATTEMPTS_MAX


def test_another_fault_ends_it(scripted: ScriptedService, ask: Ask) -> None:
    full = Failure(grpc.StatusCode.RESOURCE_EXHAUSTED)

    def refuse_the_third(requests: Iterator[Message]) -> Iterator[Message | Failure]:
        for request in requests:
            yield full if order_of(request) == "order-2" else reserved(order_of(request))

    scripted.script_streams(METHOD, refuse_the_third)
    answers: list[Answer] = []
    with pytest.raises(CreditCallError) as raised:
        ask(scripted.address, orders(3), answers.append)
    assert raised.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert told(answers) == ids(range(2))
    assert len(scripted.streams) == 1


def test_a_fault_comes_out_also_while_orders_are_being_sent(scripted: ScriptedService, ask: Ask) -> None:
    scripted.script_streams(METHOD, echo_then(0, Failure(grpc.StatusCode.RESOURCE_EXHAUSTED)))
    with pytest.raises(CreditCallError) as raised:
        ask(scripted.address, orders(1000), lambda _: None)
    # What grpc.aio puts over the service's status says UNAVAILABLE here: when it does so five times, it stays.
    assert raised.value.code in {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE}
    assert len(scripted.streams) <= ATTEMPTS_MAX


def test_an_answer_that_is_overdue_ends_it(scripted: ScriptedService, ask: Ask) -> None:
    scripted.script_streams(METHOD, echo_then(2, Wait()))
    answers: list[Answer] = []
    with pytest.raises(CreditCallError) as raised:
        ask(scripted.address, orders(10), answers.append, timeout_s=0.5)
    assert raised.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert raised.value.message == "no answer within 0.5 s; asking again is safe"
    assert told(answers) == ids(range(2))
    assert len(scripted.streams) == 1


def test_waiting_for_the_next_order_takes_as_long_as_it_takes(scripted: ScriptedService) -> None:
    scripted.script_streams(METHOD, echo)
    answered = threading.Event()
    timeout_s = 0.2

    def hesitant() -> Iterator[ReserveCreditRequest]:
        first, second = orders(2)
        yield first
        assert answered.wait(20)
        threading.Event().wait(3 * timeout_s)  # what passes here is the time that is measured
        yield second

    answers: list[Answer] = []

    def taken(answer: Answer) -> None:
        answers.append(answer)
        answered.set()

    ask_blocking(scripted.address, hesitant(), taken, timeout_s)
    assert told(answers) == ids(range(2))


def test_what_drawing_raises_comes_out_after_the_answers(scripted: ScriptedService, ask: Ask) -> None:
    scripted.script_streams(METHOD, echo)

    def failing() -> Iterator[ReserveCreditRequest]:
        yield from orders(3)
        raise LookupError("no more orders in the file")

    answers: list[Answer] = []
    with pytest.raises(LookupError, match="no more orders in the file"):
        ask(scripted.address, failing(), answers.append)
    assert told(answers) == ids(range(3))


def test_who_stops_early_draws_no_more(scripted: ScriptedService, ask: Ask) -> None:
    scripted.script_streams(METHOD, echo)
    drawn = 0

    def watched() -> Iterator[ReserveCreditRequest]:
        nonlocal drawn
        for order in orders(10_000):
            drawn += 1
            yield order

    class Stopped(Exception):  # noqa: N818 - no fault
        pass

    def taken(answer: Answer) -> None:
        raise Stopped(answer)

    with pytest.raises(Stopped):
        ask(scripted.address, watched(), taken)
    assert drawn <= IN_FLIGHT_MAX + 2


def test_an_old_stream_is_followed_by_a_new_one(
    scripted: ScriptedService, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (aio_stream, blocking_stream):
        monkeypatch.setattr(module, "STREAM_AGE_MAX_S", 0.02)
    scripted.script_streams(METHOD, echo)
    answers: list[Answer] = []
    ask(scripted.address, orders(1000), answers.append)
    assert told(answers) == ids(range(1000))
    assert len(scripted.streams) > 1
    assert [order_id for stream in asked(scripted) for order_id in stream] == ids(range(1000))


def test_a_stream_outlives_its_service(start_scripted: Callable[..., ScriptedService], ask: Ask) -> None:
    first = start_scripted().script_streams(METHOD, echo)
    answers: list[Answer] = []

    def taken(answer: Answer) -> None:
        answers.append(answer)
        if len(answers) == 10:
            first.stop()
            start_scripted(port=first.port).script_streams(METHOD, echo)

    ask(first.address, orders(1000), taken)
    assert told(answers) == ids(range(1000))


async def test_many_streams_share_a_client(scripted: ScriptedService) -> None:
    scripted.script_streams(METHOD, echo)

    async def collect(client: AsyncCreditClient) -> list[str]:
        return told([answer async for answer in client.stream_reserve_credit(orders(50))])

    async with AsyncCreditClient(scripted.address) as client:
        assert await asyncio.gather(*(collect(client) for _ in range(5))) == [ids(range(50))] * 5
