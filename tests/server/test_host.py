"""The host by itself: deadlines, addresses, how many calls at once, stopping."""

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from prometheus_client import CollectorRegistry

from creditgate.api.context import CallContext
from creditgate.api.endpoints import Endpoints, StreamEndpoint, UnaryEndpoint
from creditgate.api.ordered import in_order
from creditgate.ops.listen_address import AddressUnusableError, ListenAddress
from creditgate.ops.rpc_metrics import RpcMetrics
from creditgate.server.host import GrpcHost, HostOptions
from creditgate.server.interceptors.metrics import CODES
from creditgate.v1.credit_service_pb2 import GetAccountRequest, GetAccountResponse
from tests.server.calls import (
    NOT_SERVING,
    SERVING,
    call_raw,
    health_of,
    open_channel,
    raw_method,
    reason_of,
)
from tests.waiting import eventually

SERVICE = "creditgate.v1.CreditService"
GET_ACCOUNT = f"/{SERVICE}/GetAccount"
FREE_PORT = ListenAddress("127.0.0.1", 0)

OPTIONS = HostOptions(address=FREE_PORT, deadline_default_s=10, deadline_max_s=30, concurrency_max=100, slow_call_s=60)

Handler = Callable[[GetAccountRequest, CallContext], Awaitable[GetAccountResponse]]


class Gate:
    """A handler that answers once it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.entered = 0
        self.seen: list[tuple[str, str, str | None, str | None, float]] = []

    async def handle(self, _: GetAccountRequest, context: CallContext) -> GetAccountResponse:
        self.entered += 1
        ids = (context.metadata("x-request-id"), context.metadata("x-other"))
        self.seen.append((context.method, context.peer, *ids, context.deadline - time.monotonic()))
        await self.opened.wait()
        return GetAccountResponse()

    async def wait_entered(self, calls: int) -> None:
        async def entered() -> bool:
            return self.entered >= calls

        await eventually(entered)


def host_of(
    handler: Handler, address: ListenAddress = FREE_PORT, concurrency_max: int = 100, deadline_max_s: float = 30
) -> GrpcHost:
    endpoint = UnaryEndpoint(SERVICE, "GetAccount", GetAccountRequest, GetAccountResponse, handler)
    options = replace(
        OPTIONS,
        address=address,
        deadline_default_s=min(10, deadline_max_s),
        deadline_max_s=deadline_max_s,
        concurrency_max=concurrency_max,
    )
    return GrpcHost(Endpoints((endpoint,)), options, RpcMetrics(CollectorRegistry(), CODES))


@asynccontextmanager
async def started(host: GrpcHost) -> AsyncIterator[grpc.aio.Channel]:
    address = await host.start()
    async with open_channel(address) as channel:
        yield channel
    await host.stop(0)


@pytest.fixture
def gate() -> Gate:
    return Gate()


async def test_the_context_says_who_calls_what_until_when(gate: Gate) -> None:
    gate.opened.set()
    async with started(host_of(gate.handle)) as channel:
        call = raw_method(channel, GET_ACCOUNT)
        await call(b"", timeout=5, metadata=(("x-request-id", "r-1"),))
        await call(b"", timeout=500)
        await call(b"")
    method, peer, request_id, other, remaining_s = gate.seen[0]
    assert method == f"{SERVICE}/GetAccount"
    assert peer.startswith("ipv4:127.0.0.1:")
    assert (request_id, other) == ("r-1", None)
    assert remaining_s < 5.5  # gRPC rounds a deadline up on its way
    assert 10 < gate.seen[1][-1] <= 30
    assert 5 < gate.seen[2][-1] <= 10


async def test_the_longest_deadline_is_ours(gate: Gate) -> None:
    async with started(host_of(gate.handle, deadline_max_s=0.05)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await raw_method(channel, GET_ACCOUNT)(b"", timeout=30)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert reason_of(caught.value) == "DEADLINE_EXCEEDED"


async def test_calls_beyond_the_bound_are_refused(gate: Gate) -> None:
    async with started(host_of(gate.handle, concurrency_max=2)) as channel:
        waiting = [asyncio.ensure_future(call_raw(channel, b"", GET_ACCOUNT)) for _ in range(2)]
        await gate.wait_entered(2)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call_raw(channel, b"", GET_ACCOUNT)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert reason_of(caught.value) == "OVERLOADED"
        assert "CREDITGATE_CONCURRENCY_MAX" in (caught.value.details() or "")
        gate.opened.set()
        await asyncio.gather(*waiting)


async def test_a_call_under_way_ends_within_the_grace(gate: Gate) -> None:
    host = host_of(gate.handle)
    async with started(host) as channel:
        call = asyncio.ensure_future(call_raw(channel, b"", GET_ACCOUNT))
        await gate.wait_entered(1)
        stop = asyncio.ensure_future(host.stop(20))
        await asyncio.sleep(0)
        gate.opened.set()
        assert await call == b""
        await stop


async def test_a_call_that_outlasts_the_grace_is_cut_off(gate: Gate) -> None:
    host = host_of(gate.handle)
    async with started(host) as channel:
        call = asyncio.ensure_future(call_raw(channel, b"", GET_ACCOUNT))
        await gate.wait_entered(1)
        await host.stop(0.05)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
    assert caught.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


class StreamGate:
    """A handler of streams that answers what it has read once it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.entered = 0

    async def handle(
        self, requests: AsyncIterator[GetAccountRequest], _: CallContext
    ) -> AsyncGenerator[GetAccountResponse, None]:
        async with aclosing(in_order(requests, self.answer, 8)) as responses:
            async for response in responses:
                yield response

    async def answer(self, request: GetAccountRequest) -> GetAccountResponse:
        self.entered += 1
        await self.opened.wait()
        response = GetAccountResponse()
        response.account.account_id = request.account_id
        return response


async def test_a_stopping_host_answers_what_it_has_read_of_a_stream() -> None:
    gate = StreamGate()
    endpoint = StreamEndpoint(SERVICE, "GetAccount", GetAccountRequest, GetAccountResponse, gate.handle)
    host = GrpcHost(Endpoints((), (endpoint,)), OPTIONS, RpcMetrics(CollectorRegistry(), CODES))
    async with started(host) as channel:
        ask = channel.stream_stream(
            GET_ACCOUNT,
            request_serializer=GetAccountRequest.SerializeToString,
            response_deserializer=GetAccountResponse.FromString,
        )
        call = ask(timeout=30)
        for number in range(3):
            await call.write(GetAccountRequest(account_id=f"A{number}"))

        async def all_read() -> bool:
            return gate.entered == 3

        await eventually(all_read)
        stop = asyncio.ensure_future(host.stop(300))
        await asyncio.sleep(0)
        gate.opened.set()
        for number in range(3):
            answer = await call.read()
            assert isinstance(answer, GetAccountResponse)
            assert answer.account.account_id == f"A{number}"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
        await asyncio.wait_for(stop, 20)


async def test_a_stream_counts_as_one_call(gate: Gate) -> None:
    stream_gate = StreamGate()
    stream = StreamEndpoint(SERVICE, "Stream", GetAccountRequest, GetAccountResponse, stream_gate.handle)
    unary = UnaryEndpoint(SERVICE, "GetAccount", GetAccountRequest, GetAccountResponse, gate.handle)
    options = replace(OPTIONS, concurrency_max=1)
    host = GrpcHost(Endpoints((unary,), (stream,)), options, RpcMetrics(CollectorRegistry(), CODES))
    gate.opened.set()
    stream_gate.opened.set()
    async with started(host) as channel:
        ask = channel.stream_stream(f"/{SERVICE}/Stream", request_serializer=bytes, response_deserializer=bytes)
        call = ask(timeout=30)
        await call.write(b"")
        await call.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call_raw(channel, b"", GET_ACCOUNT)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert reason_of(caught.value) == "OVERLOADED"
        second = ask(timeout=30)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await second.read()
        assert reason_of(caught.value) == "OVERLOADED"
        assert await health_of(channel) == NOT_SERVING, "health is told whatever is served"
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        assert await call_raw(channel, b"", GET_ACCOUNT) == b""


async def test_health_follows_what_it_is_told_and_ends_its_watchers(gate: Gate) -> None:
    host = host_of(gate.handle)
    async with started(host) as channel:
        assert await health_of(channel) == NOT_SERVING
        watch = channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        answers = aiter(watch(health_pb2.HealthCheckRequest(service=SERVICE)))
        assert (await anext(answers)).status == NOT_SERVING
        await host.health.set_serving(serving=True)
        assert (await anext(answers)).status == SERVING
        await host.health.stop()
        assert (await anext(answers)).status == NOT_SERVING
        await host.health.set_serving(serving=True)
        assert await health_of(channel) == NOT_SERVING
        await asyncio.wait_for(host.stop(3600), 30)
        with pytest.raises(StopAsyncIteration):
            await anext(answers)


async def test_a_second_server_on_the_port_fails_and_says_so(gate: Gate) -> None:
    first = host_of(gate.handle)
    address = await first.start()
    with pytest.raises(AddressUnusableError, match=r"^address already in use$"):
        await host_of(gate.handle, address).start()
    await first.stop(0)


async def test_a_unix_socket(gate: Gate, tmp_path: Path) -> None:
    path = tmp_path / "gate.sock"
    address = ListenAddress(unix_path=path)
    gate.opened.set()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))  # left by a server that was killed
    async with started(host_of(gate.handle, address)) as channel:
        assert await call_raw(channel, b"", GET_ACCOUNT) == b""
        with pytest.raises(AddressUnusableError, match=r"^another server listens on it$"):
            await host_of(gate.handle, address).start()
        assert await call_raw(channel, b"", GET_ACCOUNT) == b""
    assert not path.exists()
