"""`creditgate serve --workers`: calls spread, crashes, replacing, stopping, one address, one view of the metrics."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from creditgate.client import CreditClient
from creditgate.v1.credit_service_pb2 import GetAccountRequest
from creditgate.v1.decision_pb2 import OUTCOME_FLAGGED
from tests.cli.served import CREDITGATE, environment
from tests.killable import has_ended
from tests.patience import PATIENCE_S
from tests.private_redis import PrivateRedis
from tests.waiting import wait_until
from tests.workers.load import CALLERS_ONCE, Load, open_channels
from tests.workers.served_workers import WORKERS, ServedWorkers

GET_ACCOUNT = "creditgate.v1.CreditService/GetAccount"
CONNECTIONS = 24
CALLS_EACH = 3


@pytest.fixture(scope="module")
def workers(private_redis: PrivateRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedWorkers]:
    """A service with workers on the session's Redis; each test leaves it with all of them."""
    service = ServedWorkers(tmp_path_factory.mktemp("workers"), redis_url=private_redis.url, log_level="debug")
    service.start()
    yield service
    service.close()


@pytest.fixture
def account(workers: ServedWorkers, account_id: str) -> str:
    """An account without a limit."""
    with CreditClient(workers.address, timeout_s=PATIENCE_S) as client:
        client.put_account(account_id, currency_code="USD", unlimited=True)
    return account_id


def answered_reads(workers: ServedWorkers) -> float:
    """Return how many were answered, as the page knows it: of a worker that is slow to tell, what it told before."""
    return workers.metric("creditgate_rpcs_total", method=GET_ACCOUNT, code="OK")


def wait_for_reads(workers: ServedWorkers, wanted: Callable[[float], bool]) -> None:
    """Wait until the page knows of a wanted number of answers."""
    wait_until(lambda: wanted(answered_reads(workers)), lambda: f"{answered_reads(workers)} reads are answered")


def make_calls(workers: ServedWorkers, account_id: str) -> None:
    with ExitStack() as stack:
        for stub in open_channels(workers.address, CONNECTIONS, stack):
            for _ in range(CALLS_EACH):
                stub.GetAccount(GetAccountRequest(account_id=account_id), timeout=PATIENCE_S)


def test_calls_spread_and_metrics_are_joined(workers: ServedWorkers, account: str) -> None:
    before = answered_reads(workers)
    make_calls(workers, account)
    wait_for_reads(workers, lambda reads: reads == before + CONNECTIONS * CALLS_EACH)
    took_part = {entry["worker"] for entry in workers.logged("call") if entry["method"] == GET_ACCOUNT}
    assert took_part == set(range(WORKERS))
    _, text = workers.page("/metrics")
    lines = text.splitlines()
    assert "creditgate_store_ready 1.0" in lines
    assert f"creditgate_workers_ready {float(WORKERS)}" in lines
    assert f'creditgate_rpcs_in_flight{{method="{GET_ACCOUNT}"}} 0.0' in lines
    assert len([line for line in lines if line.startswith("creditgate_build_info{")]) == 1
    assert len([line for line in lines if line.startswith("process_cpu_seconds_total")]) == 1 + WORKERS
    families = [line for line in lines if line.startswith("# TYPE ")]
    assert len(families) == len(set(families))


def test_a_crashed_worker_is_started_again(workers: ServedWorkers, account: str) -> None:
    make_calls(workers, account)
    before = answered_reads(workers), workers.metric("creditgate_worker_restarts_total")
    pids = workers.worker_pids
    with Load(workers.address, account) as load:
        load.wait_for_more(100)
        os.kill(pids[1], signal.SIGKILL)
        load.wait_for_more(100)
        wait_until(lambda: workers.worker_pids[1] != pids[1])
        workers.wait_ready()
    assert not load.failures
    assert load.raw_codes <= {grpc.StatusCode.UNAVAILABLE}
    assert workers.worker_pids[0] == pids[0]
    assert workers.logged("a worker has ended: starting it again")[-1]["ended_by"] == "signal 9 (Killed)"
    assert workers.metric("creditgate_worker_restarts_total") == before[1] + 1
    wait_for_reads(workers, lambda reads: reads > before[0])


def test_workers_are_replaced_without_a_failed_call(workers: ServedWorkers, account: str) -> None:
    make_calls(workers, account)
    before, pids = answered_reads(workers), workers.worker_pids
    replaced = len(workers.logged("replaced a worker"))
    with Load(workers.address, account) as load:
        load.wait_for_more(100)
        workers.send(signal.SIGHUP)
        workers.wait_for("replaced a worker", replaced + WORKERS)
        load.wait_for_more(100)
    assert not load.failures
    # A call that reaches a stopping server before its client has seen GOAWAY gets CANCELLED, and a connection that its
    # listener has not accepted is reset: once for each worker at most, and the client makes such a call again.
    assert load.raw_codes <= {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}
    assert load.interruptions <= WORKERS * CALLERS_ONCE
    assert set(workers.worker_pids.values()).isdisjoint(pids.values())
    assert all(has_ended(pid) for pid in pids.values())
    wait_for_reads(workers, lambda reads: reads >= before + load.answered)
    workers.wait_ready()


def test_a_stuck_worker_is_told(workers: ServedWorkers) -> None:
    wait_until(lambda: workers.page("/healthz") == (200, "ok\n"))
    pid = workers.worker_pids[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: workers.page("/healthz") == (503, "the event loop of worker 0 is stuck\n"))
        assert workers.page("/metrics")[0] == 200
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: workers.page("/healthz")[0] == 200)
    workers.wait_ready()


@pytest.mark.parametrize("count", ["1", "2"])
def test_a_second_service_on_the_address_is_refused(workers: ServedWorkers, redis_url: str, count: str) -> None:
    settings = environment(REDIS_URL=redis_url, LISTEN=workers.address, METRICS_LISTEN="127.0.0.1:0", WORKERS=count)
    ended = subprocess.run(
        [CREDITGATE, "serve"], env=settings, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert ended.returncode == 2
    assert f"CREDITGATE_LISTEN is {workers.address}, which can't be used: address already in use" in ended.stderr


def test_workers_do_not_share_a_unix_socket(tmp_path: Path) -> None:
    settings = environment(LISTEN=f"unix://{tmp_path / 's.sock'}", METRICS_LISTEN="127.0.0.1:0", WORKERS="1")
    ended = subprocess.run(
        [CREDITGATE, "serve", "--workers", "2"],
        env=settings,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 2
    assert "on which one process alone can listen" in ended.stderr


def test_the_number_is_bounded() -> None:
    ended = subprocess.run(
        [CREDITGATE, "serve", "--workers", "65"], env=environment(), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "CREDITGATE_WORKERS must be a whole number from 1 to 64, was '65'" in ended.stderr


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Callable[..., ServedWorkers]]:
    """Start a service with workers and a Redis of its own, with settings as keywords."""
    services: list[ServedWorkers] = []

    def start(**settings: str) -> ServedWorkers:
        service = ServedWorkers(tmp_path, **settings)
        services.append(service)
        service.start()
        return service

    yield start
    for service in services:
        service.close()


def redis_pid(directory: Path) -> int:
    return int((directory / "data" / "redis" / "redis.pid").read_text())


def test_the_stop_takes_workers_and_then_redis_along(
    embedded: Callable[..., ServedWorkers], tmp_path: Path, account_id: str
) -> None:
    """The first signal reaches all processes, as a service manager sends it; the second one skips the wait."""
    service = embedded(stop_wait="300")
    pids = [*service.worker_pids.values(), redis_pid(tmp_path)]
    with CreditClient(service.address, timeout_s=PATIENCE_S) as client:
        client.put_account(account_id, currency_code="USD", unlimited=True)
        for pid in (service.pid, *service.worker_pids.values()):
            os.kill(pid, signal.SIGTERM)
        service.wait_for("stopping", WORKERS)
        # The workers have heard the signal; the parent may hear it later.
        wait_until(lambda: service.page("/readyz") == (503, "the service is stopping\n"), service.log.read_text)
        assert client.get_account(account_id).account.account_id == account_id
        service.send(signal.SIGINT)
        assert service.wait_exit() == 0
    assert all(has_ended(pid) for pid in pids)
    assert [entry.get("worker") for entry in service.logged("stopped")][-1] is None
    assert len(service.logged("stopped")) == WORKERS + 1
    assert not service.logged("a worker has ended: starting it again")
    assert "Traceback" not in service.log.read_text()


def test_workers_end_with_a_killed_parent_and_redis_is_adopted(
    embedded: Callable[..., ServedWorkers], tmp_path: Path, account_id: str
) -> None:
    service = embedded()
    workers, redis = service.worker_pids.values(), redis_pid(tmp_path)
    with CreditClient(service.address, timeout_s=PATIENCE_S) as client:
        client.put_account(account_id, currency_code="USD", unlimited=True)
    os.kill(service.pid, signal.SIGKILL)
    assert service.wait_exit() == -signal.SIGKILL
    wait_until(lambda: all(has_ended(pid) for pid in workers))
    assert not has_ended(redis)
    again = embedded(listen=service.address)
    assert redis_pid(tmp_path) == redis
    with CreditClient(again.address, timeout_s=PATIENCE_S) as client:
        assert client.get_account(account_id).account.account_id == account_id
    assert again.stop() == 0
    assert has_ended(redis)


def test_a_signal_during_the_start_stops_it_too(tmp_path: Path) -> None:
    service = ServedWorkers(tmp_path)
    service.start(wait=False)
    try:
        service.wait_for("started a worker")
        assert service.stop() == 0
        assert all(has_ended(pid) for pid in service.worker_pids.values())
        assert "Traceback" not in service.log.read_text()
    finally:
        service.close()


def test_one_worker_is_one_process(redis_url: str, tmp_path: Path) -> None:
    settings = environment(REDIS_URL=redis_url, LISTEN="127.0.0.1:0", METRICS_LISTEN="127.0.0.1:0", LOG_FORMAT="json")
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([CREDITGATE, "serve", "--workers", "1"], env=settings, stderr=output)
    try:
        wait_until(lambda: '"serving"' in log.read_text(), log.read_text)
        assert not Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        assert "worker" not in log.read_text()
    finally:
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


def test_a_worker_starts_again_though_the_policy_file_has_become_wrong(
    private_redis: PrivateRedis, tmp_path: Path, account_id: str
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("default: {rules: {limit_not_set: {action: flag}}}\n")
    service = ServedWorkers(tmp_path, redis_url=private_redis.url, policy_file=str(policy))
    service.start()
    try:
        policy.write_text("default: {rules: {limit_not_set: {action: flg}}}\n")
        unusable = "the policy file can't be used; the last good policy goes on deciding"
        service.wait_for(unusable, 1 + WORKERS)
        pids = service.worker_pids
        os.kill(pids[0], signal.SIGKILL)
        wait_until(lambda: service.worker_pids[0] != pids[0])
        service.wait_ready()
        os.kill(pids[1], signal.SIGKILL)
        wait_until(lambda: service.worker_pids[1] != pids[1])
        service.wait_ready()
        with CreditClient(service.address, timeout_s=PATIENCE_S) as client:
            client.put_account(account_id, currency_code="USD")
            check = client.check_credit(account_id, amount_minor=1, currency_code="USD")
        assert check.decision.outcome == OUTCOME_FLAGGED
        assert service.metric("creditgate_policy_file_usable") == 0
    finally:
        service.close()
