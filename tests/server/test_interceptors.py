"""What every call passes, without a host: deadline, faults, log lines, counts."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo
from prometheus_client import CollectorRegistry

from creditgate.api.context import CallContext
from creditgate.api.endpoints import Endpoint, StreamHandler
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.ops.logs import configure_logs
from creditgate.ops.rpc_metrics import RpcMetrics
from creditgate.server.answer import Answer, Failure, Serve, Stream
from creditgate.server.interceptors.concurrency import SETTING, ServedCalls
from creditgate.server.interceptors.metrics import CODES
from creditgate.server.pipeline import build_serve, build_stream_serve
from creditgate.settings import variable_of
from creditgate.v1.credit_service_pb2 import GetAccountRequest, GetAccountResponse

SERVICE = "creditgate.v1.CreditService"
METHOD = f"{SERVICE}/GetAccount"

Handler = Callable[[GetAccountRequest, CallContext], Awaitable[Message]]


class Context(CallContext):
    peer = "ipv4:192.0.2.1:4000"

    def metadata(self, key: str) -> str | None:
        return {"x-request-id": "r-77"}.get(key)


def context(timeout_s: float = 5) -> CallContext:
    return Context(METHOD, time.monotonic() + timeout_s, timeout_s)


class Counts:
    """What the metrics say of an RPC, and what is served."""

    def __init__(self, served: ServedCalls | None = None, method: str = "GetAccount") -> None:
        self._labels = {"method": f"{SERVICE}/{method}"}
        self.served = served or ServedCalls(100)
        self.registry = CollectorRegistry()
        self.metrics = RpcMetrics(self.registry, CODES)

    def counted(self, code: str) -> float | None:
        return self.registry.get_sample_value("creditgate_rpcs_total", self._labels | {"code": code})

    @property
    def in_flight(self) -> float | None:
        return self.registry.get_sample_value("creditgate_rpcs_in_flight", self._labels)


class Pipeline(Counts):
    """A handler behind all interceptors."""

    def __init__(
        self,
        handler: Handler,
        *,
        slow_call_s: float = 60,
        log_every_call: bool = False,
        served: ServedCalls | None = None,
        method: str = "GetAccount",
    ) -> None:
        super().__init__(served, method)
        endpoint = Endpoint(SERVICE, method, GetAccountRequest, GetAccountResponse, handler)
        self.serve: Serve[bytes] = build_serve(
            endpoint, self.metrics, self.served, slow_call_s=slow_call_s, log_every_call=log_every_call
        )


async def answer(request: GetAccountRequest, _: CallContext) -> GetAccountResponse:
    response = GetAccountResponse()
    response.account.account_id = request.account_id
    return response


async def refuse(request: GetAccountRequest, _: CallContext) -> GetAccountResponse:
    raise CreditError(ErrorReason.ACCOUNT_NOT_FOUND, f"there is no account {request.account_id}")


async def break_down(_: GetAccountRequest, __: CallContext) -> GetAccountResponse:
    raise ZeroDivisionError("secret of the inside")


async def wait_for_ever(_: GetAccountRequest, __: CallContext) -> GetAccountResponse:
    await asyncio.Event().wait()
    raise AssertionError


def reason_of(failed: Answer) -> str:
    assert isinstance(failed, Failure)
    info = ErrorInfo()
    assert failed.status.details[0].Unpack(info)
    assert info.reason == failed.reason.name
    return info.reason


@pytest.fixture(autouse=True)
def logs(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    configure_logs("json", "debug")
    logging.getLogger().addHandler(caplog.handler)
    caplog.set_level(logging.DEBUG)
    return caplog


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, object]]]:
    return [
        (record.levelname, record.msg)
        for record in caplog.records
        if record.name.startswith("creditgate") and isinstance(record.msg, dict)
    ]


async def test_an_answer_passes(logs: pytest.LogCaptureFixture) -> None:
    pipeline = Pipeline(answer)
    response = await pipeline.serve(GetAccountRequest(account_id="A1").SerializeToString(), context())
    assert isinstance(response, bytes)
    assert GetAccountResponse.FromString(response).account.account_id == "A1"
    assert (pipeline.counted("OK"), pipeline.in_flight) == (1, 0)
    assert not lines(logs)


async def test_a_fault_is_answered_counted_and_logged(logs: pytest.LogCaptureFixture) -> None:
    pipeline = Pipeline(refuse)
    failed = await pipeline.serve(GetAccountRequest(account_id="A1").SerializeToString(), context())
    assert reason_of(failed) == "ACCOUNT_NOT_FOUND"
    assert (pipeline.counted("NOT_FOUND"), pipeline.counted("OK"), pipeline.in_flight) == (1, 0, 0)
    ((level, line),) = lines(logs)
    assert (level, line["event"], line["method"], line["peer"]) == ("INFO", "call failed", METHOD, Context.peer)
    assert (line["code"], line["reason"], line["request_id"]) == ("NOT_FOUND", "ACCOUNT_NOT_FOUND", "r-77")
    assert line["error"] == "there is no account A1"


async def test_a_defect_is_answered_without_details_and_logged_with_them(logs: pytest.LogCaptureFixture) -> None:
    pipeline = Pipeline(break_down)
    failed = await pipeline.serve(b"", context())
    assert reason_of(failed) == "INTERNAL"
    assert isinstance(failed, Failure)
    assert b"secret" not in failed.status.SerializeToString()
    assert pipeline.counted("INTERNAL") == 1
    (defect, call) = lines(logs)
    assert (defect[0], call[0]) == ("ERROR", "ERROR")
    assert "exc_info" in defect[1]


@pytest.mark.parametrize(("method", "effect"), [
    ("GetAccount", ""),
    ("ReserveCredit", "whether a change was made is unknown, "),
])  # fmt: skip
async def test_a_call_ends_at_its_deadline(method: str, effect: str) -> None:
    pipeline = Pipeline(wait_for_ever, method=method)
    failed = await pipeline.serve(b"", context(timeout_s=0.02))
    assert reason_of(failed) == "DEADLINE_EXCEEDED"
    assert isinstance(failed, Failure)
    assert failed.status.message.endswith(f" s; {effect}asking again is safe")
    assert (pipeline.counted("DEADLINE_EXCEEDED"), pipeline.in_flight) == (1, 0)


async def test_a_deadline_that_has_passed() -> None:
    failed = await Pipeline(wait_for_ever, method="ReserveCredit").serve(b"", context(timeout_s=-1))
    assert reason_of(failed) == "DEADLINE_EXCEEDED"
    assert isinstance(failed, Failure)
    assert failed.status.message == "the deadline passed before the call began; asking again is safe"


async def test_a_timeout_of_the_inside_is_no_deadline() -> None:
    async def time_out(_: GetAccountRequest, __: CallContext) -> GetAccountResponse:
        raise TimeoutError

    assert reason_of(await Pipeline(time_out).serve(b"", context())) == "INTERNAL"


async def test_a_cancelled_call_stays_cancelled_and_is_counted() -> None:
    pipeline = Pipeline(wait_for_ever)
    call = asyncio.ensure_future(pipeline.serve(b"", context()))
    await asyncio.sleep(0)
    assert pipeline.in_flight == 1
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (pipeline.counted("CANCELLED"), pipeline.in_flight) == (1, 0)


async def test_a_call_beyond_those_served_at_once_is_refused_counted_and_logged(
    logs: pytest.LogCaptureFixture,
) -> None:
    pipeline = Pipeline(answer, served=ServedCalls(2))
    pipeline.served.count = 2
    failed = await pipeline.serve(b"", context())
    assert reason_of(failed) == "OVERLOADED"
    assert (pipeline.counted("RESOURCE_EXHAUSTED"), pipeline.in_flight, pipeline.served.count) == (1, 0, 2)
    ((level, line),) = lines(logs)
    assert (level, line["code"], line["reason"]) == ("WARNING", "RESOURCE_EXHAUSTED", "OVERLOADED")
    assert variable_of("concurrency_max") == SETTING
    assert f"as many calls are served already as {SETTING} allows (2)" in str(line["error"])


@pytest.mark.parametrize("handler", [answer, refuse, break_down, wait_for_ever])
async def test_a_call_that_has_ended_however_makes_room(handler: Handler) -> None:
    pipeline = Pipeline(handler, served=ServedCalls(1))
    for _ in range(2):
        failed = await pipeline.serve(b"", context(timeout_s=0.02))
        assert not isinstance(failed, Failure) or failed.reason is not ErrorReason.OVERLOADED
    call = asyncio.ensure_future(pipeline.serve(b"", context()))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait({call})
    assert pipeline.served.count == 0


async def test_a_slow_call_is_logged(logs: pytest.LogCaptureFixture) -> None:
    await Pipeline(answer, slow_call_s=0).serve(b"", context())
    ((level, line),) = lines(logs)
    assert (level, line["event"]) == ("WARNING", "call was slow")


async def test_every_call_is_logged_when_asked(logs: pytest.LogCaptureFixture) -> None:
    await Pipeline(answer, log_every_call=True).serve(b"", context())
    ((level, line),) = lines(logs)
    assert (level, line["event"], line["method"]) == ("DEBUG", "call", METHOD)


# --- streams


class StreamPipeline(Counts):
    """A handler of streams behind all interceptors; `sent` is what the client gets."""

    def __init__(
        self, handler: StreamHandler, *, log_every_call: bool = False, served: ServedCalls | None = None
    ) -> None:
        super().__init__(served)
        endpoint = Endpoint(SERVICE, "GetAccount", GetAccountRequest, GetAccountResponse, handler)
        self.sent: list[str] = []
        self.has_sent = asyncio.Event()
        self._serve: Serve[Stream] = build_stream_serve(
            endpoint, self.metrics, self.served, log_every_call=log_every_call
        )

    async def serve(self, messages: AsyncIterator[bytes], timeout_s: float = 5) -> Answer:
        async def send(message: bytes) -> None:
            self.sent.append(GetAccountResponse.FromString(message).account.account_id)
            self.has_sent.set()

        return await self._serve(Stream(messages, send), context(timeout_s))


async def asking(*account_ids: str, then: BaseException | asyncio.Event | None = None) -> AsyncIterator[bytes]:
    """Ask for accounts; then the stream ends, fails, or waits."""
    for account_id in account_ids:
        yield GetAccountRequest(account_id=account_id).SerializeToString()
    if isinstance(then, asyncio.Event):
        await then.wait()
    elif then is not None:
        raise then


async def answer_each(
    requests: AsyncIterator[GetAccountRequest], call: CallContext
) -> AsyncGenerator[GetAccountResponse, None]:
    async for request in requests:
        yield await answer(request, call)


async def refuse_second(
    requests: AsyncIterator[GetAccountRequest], call: CallContext
) -> AsyncGenerator[GetAccountResponse, None]:
    yield await answer(await anext(requests), call)
    yield await refuse(await anext(requests), call)


async def break_down_behind_first(
    requests: AsyncIterator[GetAccountRequest], call: CallContext
) -> AsyncGenerator[GetAccountResponse, None]:
    yield await answer(await anext(requests), call)
    raise ZeroDivisionError("secret of the inside")


async def test_a_stream_is_one_call(logs: pytest.LogCaptureFixture) -> None:
    pipeline = StreamPipeline(answer_each)
    assert await pipeline.serve(asking("A1", "A2", "A3")) == b""
    assert pipeline.sent == ["A1", "A2", "A3"]
    assert (pipeline.counted("OK"), pipeline.in_flight) == (1, 0)
    assert not lines(logs), "a stream is never slow: it lasts"


async def test_a_stream_is_in_flight_as_long_as_it_lasts() -> None:
    pipeline = StreamPipeline(answer_each)
    end = asyncio.Event()
    call = asyncio.ensure_future(pipeline.serve(asking("A1", then=end)))
    await pipeline.has_sent.wait()
    assert (pipeline.counted("OK"), pipeline.in_flight) == (0, 1)
    end.set()
    await call
    assert (pipeline.counted("OK"), pipeline.in_flight) == (1, 0)


async def test_a_fault_ends_a_stream_behind_its_answers(logs: pytest.LogCaptureFixture) -> None:
    pipeline = StreamPipeline(refuse_second)
    failed = await pipeline.serve(asking("A1", "A2", "A3"))
    assert (reason_of(failed), pipeline.sent) == ("ACCOUNT_NOT_FOUND", ["A1"])
    assert (pipeline.counted("NOT_FOUND"), pipeline.counted("OK"), pipeline.in_flight) == (1, 0, 0)
    ((level, line),) = lines(logs)
    assert (level, line["event"], line["reason"]) == ("INFO", "call failed", "ACCOUNT_NOT_FOUND")


async def test_a_defect_ends_a_stream_without_details(logs: pytest.LogCaptureFixture) -> None:
    pipeline = StreamPipeline(break_down_behind_first)
    failed = await pipeline.serve(asking("A1"))
    assert isinstance(failed, Failure)
    assert (reason_of(failed), pipeline.sent, b"secret" in failed.status.SerializeToString()) == (
        "INTERNAL",
        ["A1"],
        False,
    )
    assert pipeline.counted("INTERNAL") == 1
    assert "exc_info" in lines(logs)[0][1]


async def test_a_stream_that_this_side_ends_is_counted_and_logged_as_what_its_client_sees(
    logs: pytest.LogCaptureFixture,
) -> None:
    pipeline = StreamPipeline(answer_each)
    stopping = CreditError(ErrorReason.SHUTTING_DOWN, "the service is stopping")
    failed = await pipeline.serve(asking("A1", then=stopping))
    assert (reason_of(failed), pipeline.sent) == ("SHUTTING_DOWN", ["A1"])
    assert (pipeline.counted("UNAVAILABLE"), pipeline.counted("OK")) == (1, 0)
    ((level, line),) = lines(logs)
    assert (level, line["code"]) == ("WARNING", "UNAVAILABLE")


async def test_a_stream_counts_among_those_served_at_once(logs: pytest.LogCaptureFixture) -> None:
    served = ServedCalls(1)
    pipeline, unary = StreamPipeline(answer_each, served=served), Pipeline(answer, served=served)
    end = asyncio.Event()
    call = asyncio.ensure_future(pipeline.serve(asking("A1", then=end)))
    await pipeline.has_sent.wait()
    assert reason_of(await unary.serve(b"", context())) == "OVERLOADED"
    assert reason_of(await pipeline.serve(asking("A2"))) == "OVERLOADED"
    assert (pipeline.counted("RESOURCE_EXHAUSTED"), pipeline.sent) == (1, ["A1"])
    assert [line["reason"] for _, line in lines(logs)] == ["OVERLOADED"] * 2
    end.set()
    assert await call == b""
    assert isinstance(await unary.serve(b"", context()), bytes)


async def test_a_stream_ends_at_its_deadline() -> None:
    pipeline = StreamPipeline(answer_each)
    failed = await pipeline.serve(asking("A1", then=asyncio.Event()), timeout_s=0.05)
    assert (reason_of(failed), pipeline.sent) == ("DEADLINE_EXCEEDED", ["A1"])
    assert (pipeline.counted("DEADLINE_EXCEEDED"), pipeline.in_flight) == (1, 0)


async def test_a_cancelled_stream_is_counted() -> None:
    pipeline = StreamPipeline(answer_each)
    call = asyncio.ensure_future(pipeline.serve(asking("A1", then=asyncio.Event())))
    await pipeline.has_sent.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (pipeline.counted("CANCELLED"), pipeline.in_flight) == (1, 0)


async def test_every_stream_is_logged_when_asked(logs: pytest.LogCaptureFixture) -> None:
    await StreamPipeline(answer_each, log_every_call=True).serve(asking("A1", "A2"))
    ((level, line),) = lines(logs)
    assert (level, line["event"], line["method"]) == ("DEBUG", "call", METHOD)
