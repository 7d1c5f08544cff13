"""The servers that are measured, each in a process of its own that ends with the benchmark."""

import asyncio
import multiprocessing
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, NamedTuple

import grpc
import uvloop
from prometheus_client import CollectorRegistry

from creditgate.api.context import CallContext
from creditgate.api.endpoints import Endpoints, UnaryEndpoint
from creditgate.bootstrap import running_service
from creditgate.bootstrap.garbage import set_aside_started
from creditgate.ops.listen_address import ListenAddress
from creditgate.ops.logs import configure_logs
from creditgate.ops.rpc_metrics import RpcMetrics
from creditgate.server.host import GrpcHost, HostOptions
from creditgate.server.interceptors.metrics import CODES
from creditgate.settings import Settings
from creditgate.v1.credit_service_pb2 import ReserveCreditRequest, ReserveCreditResponse

SERVICE: Final = "creditgate.v1.CreditService"
RESERVE_CREDIT: Final = f"/{SERVICE}/ReserveCredit"
BATCH_RESERVE_CREDIT: Final = f"/{SERVICE}/BatchReserveCredit"

_START_TIMEOUT_S: Final = 60.0
_STOP_TIMEOUT_S: Final = 15.0
_ANY_PORT: Final = ListenAddress("127.0.0.1", 0)

_spawning = multiprocessing.get_context("spawn")


class ServerStartError(Exception):
    """A server did not become ready; the text says why."""


class Server(NamedTuple):
    """A server that listens on 127.0.0.1."""

    address: tuple[str, int]
    pid: int


@asynccontextmanager
async def _started(target: Callable[..., None], *arguments: str) -> AsyncIterator[Server]:
    """Run a server in a process until the context ends. The server tells its port, and ends when the pipe does."""
    control, its_end = _spawning.Pipe()
    process = _spawning.Process(target=target, args=(its_end, *arguments), daemon=True)
    with interrupts_ignored():
        process.start()
    its_end.close()
    try:
        yield Server(("127.0.0.1", await _told_port(control)), process.pid or 0)
    finally:
        control.close()
        await asyncio.to_thread(process.join, _STOP_TIMEOUT_S)
        if process.is_alive():
            process.kill()
            await asyncio.to_thread(process.join)


async def _told_port(control: Connection) -> int:
    try:
        async with asyncio.timeout(_START_TIMEOUT_S):
            await _until_readable(control)
        told = control.recv()
    except TimeoutError:
        raise ServerStartError(f"a server did not start within {_START_TIMEOUT_S:g} s") from None
    except EOFError:
        raise ServerStartError("a server ended while it started; its error stands above") from None
    if not isinstance(told, int):
        raise ServerStartError(f"a server is not ready: {told}")
    return told


async def _serve_until_closed(control: Connection, told: int | str) -> None:
    """Tell the port, or why there is none, and return when the benchmark has closed its end of the pipe or is gone.

    What has been started is set aside, as `creditgate serve` does.
    """
    set_aside_started()
    with suppress(BrokenPipeError):  # it is gone already
        control.send(told)
    await _until_readable(control)


async def _until_readable(control: Connection) -> None:
    """Return when the other end of the pipe has sent something, was closed, or is gone."""
    readable = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(control.fileno(), readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(control.fileno())


def started_gate(redis_url: str, policy_file: Path | None = None) -> AbstractAsyncContextManager[Server]:
    """Run the service, as `creditgate serve` does, on a Redis that has the library."""
    return _started(_run_gate, redis_url, *([str(policy_file)] if policy_file is not None else []))


def started_empty_handler(*, intercepted: bool) -> AbstractAsyncContextManager[Server]:
    """Run a server whose ReserveCredit answers an empty response at once.

    `intercepted`: on the service's own host, decoded and behind all interceptors; else on grpc.aio alone, bytes to
    bytes.
    """
    return _started(_run_empty_intercepted if intercepted else _run_empty_bare)


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Start processes that leave Ctrl-C, which reaches every process of a terminal, to the one that ends them."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited by what is started meanwhile
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _serve(serving: Coroutine[None, None, None]) -> None:
    configure_logs("json", "error")
    uvloop.run(serving)


def _run_gate(control: Connection, redis_url: str, *policy_file: str) -> None:
    _serve(_serve_gate(control, redis_url, Path(policy_file[0]) if policy_file else None))


def _run_empty_intercepted(control: Connection) -> None:
    _serve(_serve_empty_intercepted(control))


def _run_empty_bare(control: Connection) -> None:
    _serve(_serve_empty_bare(control))


async def _serve_gate(control: Connection, redis_url: str, policy_file: Path | None) -> None:
    settings = Settings(
        redis_url=redis_url, listen=_ANY_PORT, metrics_listen=_ANY_PORT, stop_wait_s=0, policy_file=policy_file
    )
    async with running_service(settings) as service:
        ready = await service.store.wait_ready(_START_TIMEOUT_S)
        await _serve_until_closed(control, service.address.port if ready else service.store.unready_reason)


async def _serve_empty_intercepted(control: Connection) -> None:
    endpoint = UnaryEndpoint(SERVICE, "ReserveCredit", ReserveCreditRequest, ReserveCreditResponse, _answer_nothing)
    defaults = Settings.model_fields
    options = HostOptions(
        address=_ANY_PORT,
        deadline_default_s=defaults["deadline_default_s"].default,
        deadline_max_s=defaults["deadline_max_s"].default,
        concurrency_max=defaults["concurrency_max"].default,
        slow_call_s=defaults["slow_call_s"].default,
    )
    host = GrpcHost(Endpoints((endpoint,)), options, RpcMetrics(CollectorRegistry(), CODES))
    address = await host.start()
    await host.health.set_serving(serving=True)
    await _serve_until_closed(control, address.port)
    await host.stop(0)


async def _answer_nothing(_request: ReserveCreditRequest, _context: CallContext) -> ReserveCreditResponse:
    return ReserveCreditResponse()


async def _serve_empty_bare(control: Connection) -> None:
    server = grpc.aio.server()
    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(_answer_no_bytes)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"ReserveCredit": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await _serve_until_closed(control, port)
    await server.stop(0)


async def _answer_no_bytes(_request: bytes, _context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    return b""
