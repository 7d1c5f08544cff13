"""The load generator against a gRPC server: what comes back is what was sent, and failures are seen as such."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from benchmarks.h2_load import LoadError, run_calls

SERVICE = "test.Echo"
METHOD = f"/{SERVICE}/Say"


async def echo(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    if request.startswith(b"fail"):
        await context.abort(grpc.StatusCode.NOT_FOUND, "no")
    return request


@pytest.fixture
async def address() -> AsyncIterator[tuple[str, int]]:
    server = grpc.aio.server()
    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(echo)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Say": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield "127.0.0.1", port
    await server.stop(0)


@pytest.mark.parametrize("in_flight", [1, 3, 64])
async def test_every_message_is_answered_once(address: tuple[str, int], in_flight: int) -> None:
    messages = [f"message {number}".encode() for number in range(200)]
    answers = await asyncio.to_thread(run_calls, address, METHOD, messages, in_flight)
    assert sorted(answer.body for answer in answers) == sorted(messages)
    assert {answer.status for answer in answers} == {0}
    assert all(answer.latency_s > 0 for answer in answers)


async def test_messages_larger_than_frames_and_windows_arrive_whole(address: tuple[str, int]) -> None:
    messages = [bytes([number]) * 400_000 for number in range(12)]
    answers = await asyncio.to_thread(run_calls, address, METHOD, messages, 6)
    assert sorted(answer.body for answer in answers) == messages


async def test_failed_calls_have_their_status(address: tuple[str, int]) -> None:
    messages = [b"fail" if number % 4 == 0 else b"well" for number in range(40)]
    answers = await asyncio.to_thread(run_calls, address, METHOD, messages, 8)
    assert sorted(answer.status for answer in answers) == [0] * 30 + [grpc.StatusCode.NOT_FOUND.value[0]] * 10


async def test_an_unknown_method_is_a_failure(address: tuple[str, int]) -> None:
    (answer,) = await asyncio.to_thread(run_calls, address, f"/{SERVICE}/Sing", [b"la"], 1)
    assert answer.status == grpc.StatusCode.UNIMPLEMENTED.value[0]


async def test_a_server_that_closes_the_connection_ends_the_run() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        with pytest.raises((LoadError, OSError)):
            await asyncio.to_thread(run_calls, (host, port), METHOD, [b"anybody?"], 1)
