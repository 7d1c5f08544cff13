"""Streams over a real channel: StreamReserveCredit and ImportOpenItems, from the first message to the trailers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar, cast

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from creditgate.bootstrap import RunningService, running_service
from creditgate.ops.listen_address import ListenAddress
from creditgate.server import host
from creditgate.server.interceptors.metrics import CODES
from creditgate.settings import Settings
from creditgate.v1.admin_service_pb2 import PutAccountRequest
from creditgate.v1.admin_service_pb2_grpc import AdminServiceStub
from creditgate.v1.credit_service_pb2 import GetAccountRequest, StreamReserveCreditRequest, StreamReserveCreditResponse
from creditgate.v1.credit_service_pb2_grpc import CreditServiceStub
from creditgate.v1.decision_pb2 import OUTCOME_APPROVED, Exposure
from creditgate.v1.receivables_service_pb2 import ImportOpenItemsRequest, ImportOpenItemsResponse, OpenItem
from creditgate.v1.receivables_service_pb2_grpc import ReceivablesServiceStub
from tests.complaints import no_complaints
from tests.private_redis import PrivateRedis
from tests.server.calls import open_channel, reason_of, reserve_request
from tests.waiting import eventually

STREAM = "/creditgate.v1.CreditService/StreamReserveCredit"
MEBIBYTE = 1024 * 1024
SMALL_WINDOW = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 64 * 1024))
"""Keeps gRPC from making room for a client that does not read."""

FREE_PORT = ListenAddress("127.0.0.1", 0)

AnswerT = TypeVar("AnswerT")


@pytest.fixture(autouse=True)
async def quiet() -> AsyncIterator[None]:
    async with no_complaints():
        yield


@pytest.fixture
async def channel(quiet: None, service: RunningService) -> AsyncIterator[grpc.aio.Channel]:  # noqa: ARG001 - first of all
    async with open_channel(service.address) as channel:
        yield channel


def settings_for(redis_url: str, **fields: object) -> Settings:
    given = {"redis_url": redis_url, "listen": FREE_PORT, "metrics_listen": FREE_PORT, "stop_wait_s": 0}
    return Settings(**(given | fields))  # type: ignore[arg-type]  # settings by name


async def put_account(channel: grpc.aio.Channel, account_id: str, limit_minor: int | None = None) -> None:
    """Put an account in USD; without a limit it is unlimited."""
    request = PutAccountRequest()
    request.account.account_id = account_id
    request.account.currency_code = "USD"
    if limit_minor is None:
        request.account.unlimited = True
    else:
        request.account.base_limit_minor = limit_minor
    await AdminServiceStub(channel).PutAccount(request, timeout=10)


async def exposure_of(channel: grpc.aio.Channel, account_id: str) -> Exposure:
    request = GetAccountRequest(account_id=account_id)
    return (await CreditServiceStub(channel).GetAccount(request, timeout=10)).account.exposure


def order(account_id: str, order_id: str, amount_minor: int = 100) -> StreamReserveCreditRequest:
    return StreamReserveCreditRequest(request=reserve_request(account_id, order_id, amount_minor))


def reason_in(status: Status) -> str:
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    return info.reason


def fields_in(status: Status) -> list[str]:
    bad = BadRequest()
    assert status.details[1].Unpack(bad)
    return [violation.field for violation in bad.field_violations]


def order_of(answer: StreamReserveCreditResponse) -> str:
    return answer.response.reservation.order_id


async def read_to_failure(call: grpc.aio.StreamStreamCall[Any, AnswerT]) -> tuple[list[AnswerT], grpc.aio.AioRpcError]:
    """Read a stream that fails in the end; return the answers that came before, and the failure."""
    answers = []
    try:
        while (answer := await call.read()) is not grpc.aio.EOF:
            answers.append(cast("AnswerT", answer))
    except grpc.aio.AioRpcError as error:
        return answers, error
    pytest.fail("the stream did not fail")


# --- StreamReserveCredit


async def test_each_order_is_answered_in_its_place_and_a_bad_one_does_not_end_the_stream(
    channel: grpc.aio.Channel, account_id: str, new_id: Callable[[str], str]
) -> None:
    await put_account(channel, account_id, limit_minor=1000)
    orders = [
        order(account_id, "o1", 600),
        StreamReserveCreditRequest(),
        order(account_id, "o2", 401),
        order(account_id, "", 0),
        order(new_id("nobody"), "o1"),
        order(account_id, "o1", 600),
        order(account_id, "o1", 601),
        order(account_id, "o3", 400),
    ]
    answers = [answer async for answer in CreditServiceStub(channel).StreamReserveCredit(iter(orders), timeout=20)]
    kinds = [answer.WhichOneof("result") for answer in answers]
    assert kinds == ["response", "error", "response", "error", "error", "response", "error", "response"]
    held, missing, rejected, wrong, unknown, replayed, differs, last = answers
    assert (order_of(held), held.response.decision.outcome) == ("o1", OUTCOME_APPROVED)
    assert (reason_in(missing.error), fields_in(missing.error)) == ("INVALID_FIELD", ["request"])
    assert not rejected.response.HasField("reservation")
    assert fields_in(wrong.error) == ["request.order_id", "request.amount_minor"]
    assert (unknown.error.code, reason_in(unknown.error)) == (5, "ACCOUNT_NOT_FOUND")
    assert (replayed.response.replayed, replayed.response.decision) == (True, held.response.decision)
    assert reason_in(differs.error) == "ORDER_EXISTS_WITH_DIFFERENT_DETAILS"
    assert order_of(last) == "o3"
    assert (await exposure_of(channel, account_id)).reserved_minor == 1000


async def test_a_stream_without_orders(channel: grpc.aio.Channel) -> None:
    call = CreditServiceStub(channel).StreamReserveCredit(iter([]), timeout=20)
    assert [answer async for answer in call] == []
    assert await call.code() is grpc.StatusCode.OK


async def test_ten_thousand_orders_in_one_stream(channel: grpc.aio.Channel, account_id: str) -> None:
    await put_account(channel, account_id, limit_minor=9_000)
    orders = (order(account_id, f"o{number}", 1) for number in range(10_000))
    answers = [answer async for answer in CreditServiceStub(channel).StreamReserveCredit(orders, timeout=100)]
    assert [order_of(answer) for answer in answers[:9_000]] == [f"o{number}" for number in range(9_000)]
    assert len(answers) == 10_000
    assert not any(answer.response.HasField("reservation") for answer in answers[9_000:])
    assert (await exposure_of(channel, account_id)).reserved_minor == 9_000


async def test_streams_side_by_side_never_pass_the_limit(channel: grpc.aio.Channel, account_id: str) -> None:
    await put_account(channel, account_id, limit_minor=500)
    credit = CreditServiceStub(channel)

    async def approved_in(stream: int) -> int:
        orders = (order(account_id, f"{stream}-{number}", 1) for number in range(200))
        return len([answer async for answer in credit.StreamReserveCredit(orders, timeout=60) if order_of(answer)])

    assert sum(await asyncio.gather(*map(approved_in, range(5)))) == 500
    assert (await exposure_of(channel, account_id)).reserved_minor == 500


async def test_orders_are_answered_while_the_stream_goes_on(channel: grpc.aio.Channel, account_id: str) -> None:
    await put_account(channel, account_id)
    call = CreditServiceStub(channel).StreamReserveCredit(timeout=20)
    for number in range(3):
        await call.write(order(account_id, f"o{number}"))
        answer = await call.read()
        assert isinstance(answer, StreamReserveCreditResponse)
        assert order_of(answer) == f"o{number}"
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF


async def test_a_client_that_does_not_read_is_not_read(
    channel: grpc.aio.Channel, service: RunningService, account_id: str
) -> None:
    await put_account(channel, account_id)
    sent = decided = 0

    enough = asyncio.Event()

    async def write() -> None:
        nonlocal sent
        while not enough.is_set():
            await call.write(order(account_id, f"o{sent}", 1))
            sent += 1
        await call.done_writing()

    async def stands_still_while_more_comes() -> bool:
        nonlocal decided
        before, decided = decided, (await exposure_of(channel, account_id)).reserved_minor
        goal = sent + 500

        async def has_come() -> bool:
            return sent >= goal

        await eventually(has_come)
        return decided == before > 0

    async with grpc.aio.insecure_channel(str(service.address), options=SMALL_WINDOW) as mute:
        call = CreditServiceStub(mute).StreamReserveCredit(timeout=60)
        writing = asyncio.ensure_future(write())
        await eventually(stands_still_while_more_comes)
        enough.set()
        assert decided < 2_000, "what fits into the window, and 128 orders"
        answers = [order_of(answer) async for answer in call]
        await writing
        assert answers == [f"o{number}" for number in range(sent)], "none is lost when it reads again"


async def test_a_client_that_goes_away_midway(
    channel: grpc.aio.Channel, service: RunningService, account_id: str
) -> None:
    await put_account(channel, account_id)
    for messages in (0, 1, 300):
        call = CreditServiceStub(channel).StreamReserveCredit(timeout=60)
        for number in range(messages):
            await call.write(order(account_id, f"{messages}-{number}", 1))
        if messages:
            assert isinstance(await call.read(), StreamReserveCreditResponse)
        call.cancel()

    def value_of(metric: str, **labels: str) -> float | None:
        return service.metrics.registry.get_sample_value(metric, {"method": STREAM.removeprefix("/"), **labels})

    async def none_under_way() -> bool:
        return value_of("creditgate_rpcs_in_flight") == 0

    await eventually(none_under_way)
    # The first may have been gone before it came.
    assert {code for code in CODES if value_of("creditgate_rpcs_total", code=code)} == {"CANCELLED"}
    again = [order(account_id, f"300-{number}", 1) for number in range(300)]
    answers = [answer async for answer in CreditServiceStub(channel).StreamReserveCredit(iter(again), timeout=60)]
    assert [order_of(answer) for answer in answers] == [f"300-{number}" for number in range(300)]
    assert (await exposure_of(channel, account_id)).reserved_minor == 301


async def test_the_clients_deadline_ends_the_stream(channel: grpc.aio.Channel, account_id: str) -> None:
    await put_account(channel, account_id)
    call = CreditServiceStub(channel).StreamReserveCredit(timeout=0.5)
    await call.write(order(account_id, "o1"))
    answer = await call.read()
    assert isinstance(answer, StreamReserveCreditResponse)
    assert order_of(answer) == "o1"
    answers, failure = await read_to_failure(call)
    assert (answers, failure.code()) == ([], grpc.StatusCode.DEADLINE_EXCEEDED)


async def test_a_stream_lasts_no_longer_than_it_may(
    channel: grpc.aio.Channel, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put_account(channel, account_id)
    monkeypatch.setattr(host, "STREAM_AGE_MAX_S", 0.3)
    for timeout_s in (None, 60):
        call = CreditServiceStub(channel).StreamReserveCredit(timeout=timeout_s)
        await call.write(order(account_id, "o1"))
        assert isinstance(await call.read(), StreamReserveCreditResponse)
        answers, failure = await read_to_failure(call)
        assert (answers, reason_of(failure)) == ([], "DEADLINE_EXCEEDED")


async def test_a_message_that_is_too_large_ends_the_stream_behind_the_answers_before(
    channel: grpc.aio.Channel, account_id: str
) -> None:
    await put_account(channel, account_id)
    good = order(account_id, "o1").SerializeToString()
    for bad, reason in (
        (b"\xff" * (MEBIBYTE + 1), "MESSAGE_TOO_LARGE"),
        (b"\xff" * MEBIBYTE, "MALFORMED_REQUEST"),
        (b"\x0a\x04\x0a\x02\xff\xff", "MALFORMED_REQUEST"),
    ):
        call = channel.stream_stream(STREAM, request_serializer=bytes, response_deserializer=bytes)
        answers, failure = await read_to_failure(call(iter([good, good, bad, good]), timeout=20))
        assert (failure.code(), reason_of(failure)) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
        assert [order_of(StreamReserveCreditResponse.FromString(answer)) for answer in answers] == ["o1", "o1"]
    assert (await exposure_of(channel, account_id)).reserved_minor == 100


async def test_a_message_that_grpc_refuses_ends_the_stream(channel: grpc.aio.Channel) -> None:
    call = channel.stream_stream(STREAM, request_serializer=bytes, response_deserializer=bytes)
    answers, failure = await read_to_failure(call(iter([b"\xff" * (4 * MEBIBYTE + 1)]), timeout=20))
    assert (answers, failure.code()) == ([], grpc.StatusCode.RESOURCE_EXHAUSTED)


async def test_a_stream_outlasts_a_store_that_goes_and_comes_back(
    own_redis: Callable[..., PrivateRedis], account_id: str
) -> None:
    redis = own_redis()
    settings = settings_for(redis.url, redis_timeout_s=0.3)
    async with running_service(settings) as service, open_channel(service.address) as channel:
        assert await service.store.wait_ready(10)
        await put_account(channel, account_id)
        call = CreditServiceStub(channel).StreamReserveCredit(timeout=60)

        async def ask(order_id: str) -> StreamReserveCreditResponse:
            await call.write(order(account_id, order_id))
            answer = await call.read()
            assert isinstance(answer, StreamReserveCreditResponse)
            return answer

        assert order_of(await ask("o1")) == "o1"
        redis.freeze()
        for order_id in ("o2", "o3"):
            away = await ask(order_id)
            assert (away.error.code, reason_in(away.error)) == (14, "STORE_UNAVAILABLE")
        redis.thaw()
        assert await service.store.wait_ready(10)
        assert order_of(await ask("o3")) == "o3"
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF


async def test_a_stopping_service_ends_streams_and_does_not_wait_for_its_grace(redis_url: str, account_id: str) -> None:
    settings = settings_for(redis_url, drain_grace_s=300)
    async with running_service(settings) as service:
        channel = open_channel(service.address)
        assert await service.store.wait_ready(10)
        await put_account(channel, account_id)
        call = CreditServiceStub(channel).StreamReserveCredit(timeout=60)
        for number in range(20):
            await call.write(order(account_id, f"o{number}"))
        assert isinstance(await call.read(), StreamReserveCreditResponse)
        idle = ReceivablesServiceStub(channel).ImportOpenItems(timeout=60)
        await idle.write(ImportOpenItemsRequest(items=[item(account_id, "d1", 1)]))
        assert isinstance(await idle.read(), ImportOpenItemsResponse)
        stopped = time.monotonic()
    assert time.monotonic() - stopped < 30
    answers, failure = await read_to_failure(call)
    assert [order_of(answer) for answer in answers] == [f"o{number + 1}" for number in range(len(answers))]
    assert (failure.code(), reason_of(failure)) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
    summaries, failure = await read_to_failure(idle)
    assert (summaries, reason_of(failure)) == ([], "SHUTTING_DOWN"), "an import that was cut short has no summary"
    await channel.close()


async def test_a_client_that_does_not_read_is_cut_off_after_the_grace(redis_url: str, account_id: str) -> None:
    async with running_service(settings_for(redis_url, drain_grace_s=0.3)) as service:
        channel = grpc.aio.insecure_channel(str(service.address), options=SMALL_WINDOW)
        assert await service.store.wait_ready(10)
        await put_account(channel, account_id)
        call = CreditServiceStub(channel).StreamReserveCredit(timeout=60)
        for number in range(2_000):
            await call.write(order(account_id, f"o{number}", 1))
        stopped = time.monotonic()
    assert time.monotonic() - stopped < 30
    answers, failure = await read_to_failure(call)
    assert [order_of(answer) for answer in answers] == [f"o{number}" for number in range(len(answers))]
    assert failure.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    await channel.close()


# --- ImportOpenItems


def item(account_id: str, document_id: str, amount_minor: int) -> OpenItem:
    return OpenItem(account_id=account_id, document_id=document_id, amount_minor=amount_minor, currency_code="USD")


def counts(answer: object) -> tuple[int, int, int, int, int]:
    """Return received, imported, replayed, failed and how many failures are told."""
    assert isinstance(answer, ImportOpenItemsResponse)
    progress = answer.progress
    return progress.received, progress.imported, progress.replayed, progress.failed, len(answer.failures)


async def test_an_import_tells_its_progress_its_failures_and_its_end(
    channel: grpc.aio.Channel, account_id: str, new_id: Callable[[str], str]
) -> None:
    await put_account(channel, account_id)
    nobody = new_id("nobody")
    chunks = [
        [item(account_id, "d1", 500), item(account_id, "d2", -200)],
        [item(account_id, "d1", 500), item(nobody, "d1", 1), item(account_id, "d3", 0), item(account_id, "d4", 7)],
        [item(account_id, "d4", 8)],
    ]
    call = ReceivablesServiceStub(channel).ImportOpenItems(
        iter([ImportOpenItemsRequest(items=chunk) for chunk in chunks]), timeout=20
    )
    answers = [answer async for answer in call]
    assert [counts(answer) for answer in answers] == [
        (2, 2, 0, 0, 0),
        (6, 3, 1, 2, 2),
        (7, 3, 1, 3, 1),
        (7, 3, 1, 3, 0),
    ]
    assert [answer.finished for answer in answers] == [False, False, False, True]
    unknown, wrong = answers[1].failures
    assert (unknown.index, unknown.account_id, unknown.document_id) == (3, nobody, "d1")
    assert reason_in(unknown.error) == "ACCOUNT_NOT_FOUND"
    assert (wrong.index, wrong.document_id, fields_in(wrong.error)) == (4, "d3", ["amount_minor"])
    (differs,) = answers[2].failures
    assert (differs.index, reason_in(differs.error)) == (6, "DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS")
    assert (await exposure_of(channel, account_id)).receivable_minor == 307


async def test_a_repeated_import_changes_nothing(channel: grpc.aio.Channel, account_id: str) -> None:
    await put_account(channel, account_id)
    items = [item(account_id, f"d{number}", 3) for number in range(2500)]
    chunks = [ImportOpenItemsRequest(items=items[start : start + 1000]) for start in range(0, 2500, 1000)]
    stub = ReceivablesServiceStub(channel)
    first = [answer async for answer in stub.ImportOpenItems(iter(chunks), timeout=60)]
    again = [answer async for answer in stub.ImportOpenItems(iter(chunks), timeout=60)]
    assert [counts(answer)[:3] for answer in first] == [(n, n, 0) for n in (1000, 2000, 2500, 2500)]
    assert [counts(answer)[:3] for answer in again] == [(n, 0, n) for n in (1000, 2000, 2500, 2500)]
    assert (await exposure_of(channel, account_id)).receivable_minor == 7500


async def test_an_import_of_nothing(channel: grpc.aio.Channel) -> None:
    call = ReceivablesServiceStub(channel).ImportOpenItems(iter([]), timeout=20)
    (summary,) = [answer async for answer in call]
    assert (summary.finished, counts(summary)) == (True, (0, 0, 0, 0, 0))


@pytest.mark.parametrize("size", [0, 1001])
async def test_a_chunk_out_of_bounds_ends_the_import_and_leaves_what_came_before(
    channel: grpc.aio.Channel, account_id: str, size: int
) -> None:
    await put_account(channel, account_id)
    chunks = [
        ImportOpenItemsRequest(items=[item(account_id, "d1", 5)]),
        ImportOpenItemsRequest(items=[item(account_id, "d2", 5)] * size),
    ]
    call = ReceivablesServiceStub(channel).ImportOpenItems(iter(chunks), timeout=20)
    answers, failure = await read_to_failure(call)
    assert reason_of(failure) == "INVALID_FIELD"
    assert failure.details() == f"items must have 1 to 1000 items, had {size}"
    assert [counts(answer) for answer in answers] == [(1, 1, 0, 0, 0)]
    assert (await exposure_of(channel, account_id)).receivable_minor == 5


async def test_an_import_while_the_store_is_away_may_be_sent_again(
    own_redis: Callable[..., PrivateRedis], account_id: str
) -> None:
    redis = own_redis()
    settings = settings_for(redis.url, redis_timeout_s=0.3)
    async with running_service(settings) as service, open_channel(service.address) as channel:
        assert await service.store.wait_ready(10)
        await put_account(channel, account_id)
        chunk = ImportOpenItemsRequest(items=[item(account_id, f"d{number}", 3) for number in range(500)])
        call = ReceivablesServiceStub(channel).ImportOpenItems(timeout=60)
        redis.freeze()
        await call.write(chunk)
        away = await call.read()
        assert counts(away) == (500, 0, 0, 500, 500)
        assert isinstance(away, ImportOpenItemsResponse)
        assert {reason_in(failure.error) for failure in away.failures} == {"STORE_UNAVAILABLE"}
        redis.thaw()
        assert await service.store.wait_ready(10)
        await call.write(chunk)
        assert counts(await call.read())[3:] == (500, 0)
        await call.done_writing()
        summary = await call.read()
        assert isinstance(summary, ImportOpenItemsResponse)
        assert (summary.finished, summary.progress.received) == (True, 1000)
        assert (await exposure_of(channel, account_id)).receivable_minor == 1500, "each item counts once"


async def test_the_largest_answer_is_one_that_clients_take(channel: grpc.aio.Channel) -> None:
    worst = OpenItem(account_id="ä" * 250, document_id="ä" * 250, amount_minor=-(2**63), currency_code="usd")
    chunk = ImportOpenItemsRequest(items=[worst] * 1000)
    assert chunk.ByteSize() > MEBIBYTE * 0.9
    call = ReceivablesServiceStub(channel).ImportOpenItems(iter([chunk]), timeout=20)
    answers = [answer async for answer in call]
    assert [counts(answer) for answer in answers] == [(1000, 0, 0, 1000, 1000), (1000, 0, 0, 1000, 0)]
    assert {len(failure.account_id) for failure in answers[0].failures} == {128}
    assert answers[0].ByteSize() < 3 * MEBIBYTE
