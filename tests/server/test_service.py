"""The wired service: a Redis that goes and comes back, starting, stopping in order, the process."""

import asyncio
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError

from creditgate.bootstrap import RunningService, ServiceStartError, running_service
from creditgate.ops.listen_address import ListenAddress
from creditgate.settings import Settings
from creditgate.v1.admin_service_pb2 import PutAccountRequest
from creditgate.v1.admin_service_pb2_grpc import AdminServiceStub
from creditgate.v1.credit_service_pb2_grpc import CreditServiceStub
from tests.patience import PATIENCE_S, PATIENT_REDIS_S
from tests.private_redis import PrivateRedis
from tests.server.calls import NOT_SERVING, SERVING, health_of, open_channel, reason_of, reserve_request
from tests.waiting import eventually

FREE_PORT = ListenAddress("127.0.0.1", 0)


def settings_for(redis_url: str | None, **fields: object) -> Settings:
    given = {
        "redis_url": redis_url,
        "listen": FREE_PORT,
        "metrics_listen": FREE_PORT,
        "redis_timeout_s": PATIENT_REDIS_S,
        "deadline_default_s": PATIENCE_S,
        "stop_wait_s": 0,
    }
    return Settings(**(given | fields))  # type: ignore[arg-type]


async def fetch(service: RunningService, path: str) -> tuple[int, str]:
    def get() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://{service.metrics_address}{path}", timeout=PATIENCE_S) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    return await asyncio.to_thread(get)


def fill(redis_url: str) -> None:
    """Write 24 MiB in one step, which Redis lets end once it has begun, and see that it is full."""
    with Redis.from_url(redis_url) as client:
        client.eval("for i = 1, 24 do redis.call('SET', KEYS[1] .. i, string.rep('x', 1048576)) end", 1, "filler")
        with pytest.raises(OutOfMemoryError):
            client.set("one", "more")


async def put_account(channel: grpc.aio.Channel, account_id: str) -> None:
    request = PutAccountRequest()
    request.account.account_id = account_id
    request.account.currency_code = "USD"
    request.account.unlimited = True
    await AdminServiceStub(channel).PutAccount(request, timeout=PATIENCE_S)


async def is_serving(channel: grpc.aio.Channel) -> bool:
    return await health_of(channel) == SERVING


async def is_not_serving(channel: grpc.aio.Channel) -> bool:
    return await health_of(channel) == NOT_SERVING


async def test_a_killed_redis_and_its_return(
    own_redis: Callable[..., PrivateRedis], new_id: Callable[[str], str]
) -> None:
    redis = own_redis()
    async with running_service(settings_for(redis.url)) as service, open_channel(service.address) as channel:
        await eventually(lambda: is_serving(channel))
        assert await fetch(service, "/readyz") == (200, "ok\n")
        redis.kill()
        await eventually(lambda: is_not_serving(channel))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await put_account(channel, new_id("acc"))
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert reason_of(caught.value) == "STORE_UNAVAILABLE"
        status, why = await fetch(service, "/readyz")
        assert (status, bool(why.strip())) == (503, True)
        assert (await fetch(service, "/healthz"))[0] == 200
        redis.start()
        await eventually(lambda: is_serving(channel))
        await put_account(channel, new_id("acc"))


async def test_a_frozen_redis_and_its_return(
    own_redis: Callable[..., PrivateRedis], new_id: Callable[[str], str]
) -> None:
    redis = own_redis()
    settings = settings_for(redis.url, redis_timeout_s=0.5)
    async with running_service(settings) as service, open_channel(service.address) as channel:
        await eventually(lambda: is_serving(channel))
        redis.freeze()
        await eventually(lambda: is_not_serving(channel))
        redis.thaw()

        async def answers() -> bool:
            try:
                await put_account(channel, new_id("acc"))
            except grpc.aio.AioRpcError as error:  # such a short time-out may pass again
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                return False
            return True

        await eventually(answers)
        await eventually(lambda: is_serving(channel))


async def test_a_redis_without_the_library(tmp_path: Path) -> None:
    redis = PrivateRedis(tmp_path)
    redis.start(load=False)
    async with running_service(settings_for(redis.url)) as service, open_channel(service.address) as channel:

        async def says_what_to_do() -> bool:
            return "creditgate library load" in (await fetch(service, "/readyz"))[1]

        await eventually(says_what_to_do)
        assert await is_not_serving(channel)
    redis.kill()


async def test_the_embedded_redis_keeps_its_data(tmp_path: Path, account_id: str) -> None:
    settings = settings_for(None, data_dir=tmp_path)
    async with running_service(settings) as service, open_channel(service.address) as channel:
        await eventually(lambda: is_serving(channel))
        await put_account(channel, account_id)
        first = await CreditServiceStub(channel).ReserveCredit(reserve_request(account_id, "o-1"))
    async with running_service(settings) as service, open_channel(service.address) as channel:
        await eventually(lambda: is_serving(channel))
        again = await CreditServiceStub(channel).ReserveCredit(reserve_request(account_id, "o-1"))
    assert (again.replayed, again.decision) == (True, first.decision)


async def test_a_full_embedded_redis_starts_again(tmp_path: Path) -> None:
    settings = settings_for(None, data_dir=tmp_path, embedded_maxmemory_bytes=16 * 1024 * 1024)
    async with running_service(settings) as service:
        assert await service.store.wait_ready(PATIENCE_S)
        fill(service.redis_url)
    async with running_service(settings) as service:
        assert await service.store.wait_ready(PATIENCE_S)


async def test_two_services_on_one_data_directory(tmp_path: Path) -> None:
    settings = settings_for(None, data_dir=tmp_path)
    async with running_service(settings):
        with pytest.raises(ServiceStartError, match="is in use by"):
            async with running_service(settings):
                pass


async def test_a_busy_address_is_named_with_its_setting(service: RunningService, redis_url: str) -> None:
    for fields, sentence in (
        ({"listen": service.address}, f"CREDITGATE_LISTEN is {service.address}, which can't be used: address already"),
        (
            {"metrics_listen": service.metrics_address},
            f"CREDITGATE_METRICS_LISTEN is {service.metrics_address}, which can't be used: address already in use",
        ),
    ):
        with pytest.raises(ServiceStartError) as caught:
            async with running_service(settings_for(redis_url, **fields)):
                pass
        assert str(caught.value).startswith(sentence)


async def test_the_order_of_the_stop(redis_url: str, account_id: str) -> None:
    """NOT_SERVING first, while calls are still answered; then no more calls."""
    skip_wait = asyncio.Event()
    leave = asyncio.Event()

    async def live(started: asyncio.Future[RunningService]) -> None:
        async with running_service(settings_for(redis_url, stop_wait_s=300), skip_wait) as service:
            started.set_result(service)
            await leave.wait()

    started: asyncio.Future[RunningService] = asyncio.get_running_loop().create_future()
    life = asyncio.create_task(live(started))
    service = await started
    async with open_channel(service.address) as channel:
        await eventually(lambda: is_serving(channel))
        await put_account(channel, account_id)
        leave.set()
        await eventually(lambda: is_not_serving(channel))
        assert await fetch(service, "/readyz") == (503, "the service is stopping\n")
        answered = await CreditServiceStub(channel).ReserveCredit(reserve_request(account_id, "o-1"))
        assert answered.HasField("reservation")
        skip_wait.set()
        await life
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await put_account(channel, account_id)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_metrics_tell_what_happened(service: RunningService, account_id: str) -> None:
    async with open_channel(service.address) as channel:
        await put_account(channel, account_id)
        credit = CreditServiceStub(channel)
        for _ in range(2):
            await credit.ReserveCredit(reserve_request(account_id, "o-1"))
    status, text = await fetch(service, "/metrics")
    assert status == 200
    for line in (
        'creditgate_rpcs_total{code="OK",method="creditgate.v1.CreditService/ReserveCredit"} 2.0',
        'creditgate_decisions_total{operation="ReserveCredit",outcome="APPROVED"} 1.0',
        'creditgate_replays_total{operation="ReserveCredit"} 1.0',
        'creditgate_store_operations_total{operation="ReserveCredit",result="OK"} 2.0',
        "creditgate_store_ready 1.0",
    ):
        assert f"\n{line}\n" in text


PROGRAM = "from creditgate.bootstrap import run; from creditgate.settings import read_settings; run(read_settings())"


@pytest.fixture
def started_process(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start the service as a process of its own, with settings as keywords."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(**variables: str) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CREDITGATE_")}
        environment |= {f"CREDITGATE_{name.upper()}": value for name, value in variables.items()}
        environment["CREDITGATE_DATA_DIR"] = str(tmp_path / "d")
        process = subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stderr=subprocess.PIPE)
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()
        assert process.stderr is not None
        process.stderr.close()


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_the_process_and_a_second_one_skips_the_wait(
    started_process: Callable[..., subprocess.Popen[bytes]], redis_url: str, tmp_path: Path, signal_number: int
) -> None:
    address = f"unix://{tmp_path / 's.sock'}"
    process = started_process(
        redis_url=redis_url, listen=address, metrics_listen="127.0.0.1:0", stop_wait="300", log_format="json"
    )
    async with open_channel(address) as channel:

        async def answers() -> bool:
            assert process.poll() is None
            try:
                return await is_serving(channel)
            except grpc.aio.AioRpcError:
                return False

        await eventually(answers)
        process.send_signal(signal_number)
        await eventually(lambda: is_not_serving(channel))
        process.send_signal(signal_number)
    _, log = await asyncio.to_thread(process.communicate, timeout=PATIENCE_S)
    assert process.returncode == 0
    assert b"Traceback" not in log
    assert b'"event": "stopped"' in log


async def test_a_signal_during_the_start_stops_it_too(
    started_process: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    process = started_process(listen="127.0.0.1:0", metrics_listen="127.0.0.1:0")

    async def has_begun() -> bool:
        assert process.poll() is None
        return (tmp_path / "d").exists()

    await eventually(has_begun)
    process.send_signal(signal.SIGTERM)
    _, log = await asyncio.to_thread(process.communicate, timeout=PATIENCE_S)
    assert process.returncode == 0, log
    assert b"Traceback" not in log
