"""deploy/redis: the shipped configuration and users, on every Redis of this machine."""

import asyncio
import re
import shutil
import stat
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, ResponseError

from creditgate.domain.decision import Outcome
from creditgate.domain.operations import (
    AmendReservation,
    CheckCredit,
    CloseAccount,
    CommitReservation,
    GetAccount,
    LimitSetting,
    PutAccount,
    RecordPayment,
    ReleaseReservation,
    ReserveCredit,
    UpdateAging,
)
from creditgate.store import RedisCreditStore, StoreOptions, Sweeper, keys
from creditgate.store.embedded.binary import RedisBinary, all_redis_servers, find_redis_server
from creditgate.store.library import render_library
from tests.deploy.deployed_redis import PASSWORDS, DeployedRedis, start_command
from tests.patience import PATIENCE_S, PATIENT_REDIS_S
from tests.quiet_observer import QuietObserver
from tests.unready import wait_unready

SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "save": "",
    "io-threads": "1",
    "maxmemory": str(2 * 1024**3),
    "maxmemory-policy": "noeviction",
    "maxmemory-clients": str(256 * 1024**2),
    "protected-mode": "yes",
    "databases": "1",
    "tcp-keepalive": "60",
    "timeout": "0",
    "latency-monitor-threshold": "20",
    "busy-reply-threshold": "1000",
    "activedefrag": "no",
    "enable-debug-command": "no",
    "enable-module-command": "no",
    "enable-protected-configs": "no",
    "replica-serve-stale-data": "no",
}

ASKED_OUTSIDE_OF_FUNCTIONS = {
    "cluster|info",
    "cluster|slots",
    "config|get",
    "expireat",
    "fcall",
    "fcall_ro",
    "hget",
    "hsetnx",
    "info",
    "ping",
    "wait",
}
"""What the service asks itself: the calls of the library and what `creditgate.store.readiness` looks at."""

YEAR_S = 365 * 86_400
HOLD_S = 3600

REFUSED = {
    "creditgate": (
        "FLUSHALL",
        "FLUSHDB",
        "KEYS cg:*",
        "CONFIG SET appendfsync no",
        "SHUTDOWN NOSAVE",
        "DEBUG SLEEP 1",
        "FUNCTION LOAD REPLACE x",
        "FUNCTION DELETE creditgate",
        "FUNCTION FLUSH",
        "SCRIPT FLUSH",
        "EVAL return 0",
        "ACL SETUSER x",
        "CLIENT KILL TYPE normal",
        "CLIENT PAUSE 1000",
        "CLIENT LIST",
        "REPLICAOF NO ONE",
        "MODULE LIST",
        "SAVE",
        "RENAME cg:a cg:b",
        "GETDEL cg:a",
        "EXPIRE cg:a 1",
        "HSET other field value",
        "GET other",
    ),
    "library": (
        "FCALL creditgate_apply 1 cg:{0} x",
        "GET cg:{0}:c",
        "HSET cg:{store} partitions 1",
        "FUNCTION DELETE creditgate",
        "FUNCTION FLUSH",
        "CONFIG GET *",
        "FLUSHALL",
    ),
    "operator": ("FLUSHALL", "FLUSHDB", "SWAPDB 0 1", "FUNCTION FLUSH", "FUNCTION RESTORE x", "REPLICAOF host 1"),
}

ALLOWED = {
    "creditgate": (
        "CLIENT SETNAME x",
        "CONFIG GET appendfsync",
        "INFO",
        "FCALL creditgate_apply 1 cg:{0} x",
        "HSETNX cg:{store} partitions 16",
    ),
    "library": ("FUNCTION LOAD REPLACE x", "FCALL_RO creditgate_library_version 0"),
    "operator": ("CONFIG SET maxmemory 3gb", "BGREWRITEAOF", "SLOWLOG GET", "LATENCY DOCTOR", "ACL LOG", "CLIENT LIST"),
}


def deadline() -> float:
    return time.monotonic() + PATIENCE_S


def dry_run(operator: Redis, user: str, command: str) -> str:
    return str(operator.acl_dryrun(user, *command.split()))


def allowed_commands(operator: Redis, user: str) -> set[str]:
    """The commands that ACL GETUSER lists one by one after taking all away."""
    description = cast("dict[str, object]", operator.acl_getuser(user))
    granted = cast("list[str]", description["commands"])
    assert "-@all" in granted or not any(word.startswith("+@") for word in granted)
    return {word.removeprefix("+") for word in granted if word.startswith("+")}


@pytest.fixture
async def store(loaded_redis: DeployedRedis) -> AsyncIterator[RedisCreditStore]:
    store = RedisCreditStore(
        loaded_redis.url("creditgate"), options=StoreOptions(redis_timeout_s=PATIENT_REDIS_S), observer=QuietObserver()
    )
    await store.start()
    assert await store.wait_ready(PATIENCE_S), store.unready_reason
    yield store
    await store.close()


def test_this_machine_has_a_redis() -> None:
    assert all_redis_servers()


@pytest.mark.parametrize(("directive", "value"), SETTINGS.items())
def test_runs_with_the_setting(deployed_redis: DeployedRedis, directive: str, value: str) -> None:
    with deployed_redis.client("operator") as operator:
        assert operator.config_get(directive) == {directive: value}


def test_limits_the_buffers_of_every_kind_of_client(deployed_redis: DeployedRedis) -> None:
    with deployed_redis.client("operator") as operator:
        limits = cast("dict[str, str]", operator.config_get("client-output-buffer-limit"))["client-output-buffer-limit"]
    kinds = limits.split()
    assert len(kinds) == 12
    assert "0" not in kinds


async def names_of_accounts(store: RedisCreditStore) -> set[str]:
    token, names = "", set()
    while True:
        page = await store.list_accounts(1000, token, deadline())
        names |= {account.account_id for account in page.items}
        token = page.next_page_token
        if not token:
            return names


async def sweep_until_something_is_settled(store: RedisCreditStore) -> None:
    observer = QuietObserver()
    sweeper = Sweeper(store, observer, 0.05)
    sweeper.start()
    async with asyncio.timeout(PATIENCE_S):
        while not observer.settled:  # noqa: ASYNC110 - the clock of Redis makes it so, no event tells
            await asyncio.sleep(0.02)
    await sweeper.stop()


async def test_the_service_does_its_work_without_a_denied_command(
    loaded_redis: DeployedRedis, store: RedisCreditStore, new_id: Callable[[str], str]
) -> None:
    account, other = new_id("acc"), new_id("acc")
    for each in (account, other):
        await store.run(PutAccount(each, "USD", base_limit=LimitSetting(1000)), deadline())
    assert (await store.run(CheckCredit(account, 600, "USD"), deadline())).outcome is Outcome.APPROVED
    for order, hold_s in (("order-1", 3600), ("order-2", 3600), ("order-3", 1)):
        reserved = await store.run(ReserveCredit(account, order, 300, "USD", hold_s), deadline())
        assert reserved.decision.outcome is Outcome.APPROVED
    await store.run(AmendReservation(account, "order-1", 200, "USD", request_id="change-1"), deadline())
    await store.run(CommitReservation(account, "order-1", 200, "USD", "doc-1", final=True), deadline())
    await store.run(ReleaseReservation(account, "order-2"), deadline())
    await store.run(RecordPayment(account, "pay-1", 300, "USD"), deadline())
    await store.run(UpdateAging(account, 100, 0, None, 1), deadline())
    await sweep_until_something_is_settled(store)
    await store.run(CloseAccount(other), deadline())
    assert await store.verify_account(account, repair=True, deadline=deadline()) == ()
    assert len((await store.list_reservations(account, frozenset(), 10, "", deadline())).items) == 3
    assert {account, other} <= await names_of_accounts(store)
    partition = keys.partition_of(account, store.partitions)
    with loaded_redis.client("operator") as operator:
        # What differs is put right, and what was kept long enough is cleaned up.
        operator.delete(keys.ledger(partition, account))
        assert await store.verify_account(account, repair=True, deadline=deadline()) != ()
        assert await store.verify_account(account, repair=True, deadline=deadline()) == ()
        assert (await store.retire(partition, 100, -YEAR_S)).settled > 0, "all of it is old enough for such a retention"
        assert operator.acl_log() == []


async def test_the_service_is_ready_only_after_the_deploy_step(tmp_path: Path) -> None:
    server = DeployedRedis(tmp_path, find_redis_server())
    server.start()
    store = RedisCreditStore(
        server.url("creditgate"), options=StoreOptions(redis_timeout_s=PATIENT_REDIS_S), observer=QuietObserver()
    )
    try:
        await store.start()
        await wait_unready(store, "creditgate library load")
        with server.client("library") as client:
            client.function_load(render_library(), replace=True)
        assert await store.wait_ready(PATIENCE_S), store.unready_reason
    finally:
        await store.close()
        server.kill()


async def loaded_store(server: DeployedRedis) -> RedisCreditStore:
    """Return the service's store on a server that has the library."""
    with server.client("library") as client:
        client.function_load(render_library(), replace=True)
    store = RedisCreditStore(
        server.url("creditgate"), options=StoreOptions(redis_timeout_s=PATIENT_REDIS_S), observer=QuietObserver()
    )
    await store.start()
    assert await store.wait_ready(PATIENCE_S), store.unready_reason
    return store


async def fill(server: DeployedRedis, account_id: str) -> None:
    """Change an account by the library: Redis logs what a function writes as one transaction."""
    store = await loaded_store(server)
    await store.run(PutAccount(account_id, "USD", base_limit=LimitSetting(1000)), deadline())
    for order_id in ("o1", "o2"):
        await store.run(ReserveCredit(account_id, order_id, 200, "USD", HOLD_S), deadline())
    await store.run(CommitReservation(account_id, "o1", 200, "USD", "d1", final=True), deadline())
    await store.close()


async def check_filled(server: DeployedRedis, account_id: str) -> None:
    """Make sure that all is there."""
    store = await loaded_store(server)
    exposure = (await store.run(GetAccount(account_id), deadline())).exposure
    assert (exposure.limit_minor, exposure.reserved_minor, exposure.receivable_minor) == (1000, 200, 200)
    assert (await store.run(ReserveCredit(account_id, "o2", 200, "USD", HOLD_S), deadline())).replayed
    assert await store.verify_account(account_id, repair=False, deadline=deadline()) == ()
    await store.close()


@pytest.mark.parametrize("binary", all_redis_servers(), ids=str)
@pytest.mark.parametrize("ends", ["kill", "stop"])
async def test_what_was_acknowledged_is_there_after_a_restart(
    binary: RedisBinary, tmp_path: Path, new_id: Callable[[str], str], ends: str
) -> None:
    """Also what functions have written: Redis reads its log again as the user `default`."""
    server, account_id = DeployedRedis(tmp_path, binary), new_id("acc")
    server.start()
    try:
        await fill(server, account_id)
        if ends == "stop":
            server.stop()
        else:
            server.kill()
        server.start()
        await check_filled(server, account_id)
    finally:
        server.kill()


@pytest.mark.parametrize("binary", all_redis_servers(), ids=str)
async def test_a_copy_made_while_it_runs_can_be_started(
    binary: RedisBinary, tmp_path: Path, new_id: Callable[[str], str]
) -> None:
    """The backup of docs/operations.md."""
    (tmp_path / "copy").mkdir()
    server, restored = DeployedRedis(tmp_path, binary), DeployedRedis(tmp_path / "copy", binary)
    account_id = new_id("acc")
    try:
        server.start()
        await fill(server, account_id)
        with server.client("operator") as operator:
            operator.config_set("auto-aof-rewrite-percentage", 0)
            assert cast("dict[str, int]", operator.info("persistence"))["aof_rewrite_in_progress"] == 0
            shutil.copytree(tmp_path / "appendonlydir", tmp_path / "copy" / "appendonlydir")
            operator.config_set("auto-aof-rewrite-percentage", 100)
        restored.start()
        await check_filled(restored, account_id)
    finally:
        server.kill()
        restored.kill()


@pytest.mark.parametrize(("user", "command"), [(user, command) for user in REFUSED for command in REFUSED[user]])
def test_refuses(deployed_redis: DeployedRedis, user: str, command: str) -> None:
    with deployed_redis.client("operator") as operator:
        assert re.search("has no permissions to (run|access)", dry_run(operator, user, command)), command


@pytest.mark.parametrize(("user", "command"), [(user, command) for user in ALLOWED for command in ALLOWED[user]])
def test_allows(deployed_redis: DeployedRedis, user: str, command: str) -> None:
    with deployed_redis.client("operator") as operator:
        assert dry_run(operator, user, command) == "OK"


def test_the_service_may_run_the_commands_of_the_library_and_no_others(deployed_redis: DeployedRedis) -> None:
    library = render_library()
    called = {name.lower() for name in re.findall(r"redis\.p?call\(\s*'([A-Za-z]+)'", library)}
    assert called, "no call of redis.call found"
    assert not re.findall(r"redis\.p?call\(\s*[^'\s].*", library), "a command whose name does not stand in the call"
    with deployed_redis.client("operator") as operator:
        allowed = {name for name in allowed_commands(operator, "creditgate") if not name.startswith("client")}
    assert allowed == called | ASKED_OUTSIDE_OF_FUNCTIONS


def test_nobody_gets_in_without_a_name(deployed_redis: DeployedRedis) -> None:
    with Redis(unix_socket_path=str(deployed_redis.directory / "r.sock"), socket_timeout=PATIENCE_S) as nobody:
        with pytest.raises(AuthenticationError):
            nobody.ping()
        for password in ("", *PASSWORDS.values()):
            with pytest.raises((AuthenticationError, ResponseError)):
                nobody.execute_command("AUTH", password)
            with pytest.raises((AuthenticationError, ResponseError)):
                nobody.execute_command("AUTH", "default", password)


def test_the_users_file_has_no_password_and_is_for_its_owner(deployed_redis: DeployedRedis) -> None:
    users = deployed_redis.directory / "users.acl"
    text = users.read_text(encoding="utf-8")
    assert stat.S_IMODE(users.stat().st_mode) == 0o600
    assert "#{" not in text
    assert not [password for password in PASSWORDS.values() if password in text]


@pytest.mark.parametrize("name", PASSWORDS)
@pytest.mark.parametrize("value", ["", "short", "has/a/slash/0123456789", "new\nline-0123456789ab"])
def test_start_refuses_a_bad_password(tmp_path: Path, name: str, value: str) -> None:
    process = start_command(tmp_path, find_redis_server(), {**PASSWORDS, name: value})
    try:
        output, _ = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()  # a Redis that was started after all must not stay
        process.wait(PATIENCE_S)
    assert process.returncode == 1
    assert output.startswith(f"start.sh: {name} has ")
    assert value == "" or value not in output
    assert not (tmp_path / "users.acl").exists()
