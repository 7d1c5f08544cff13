import asyncio
import os
import signal
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from creditgate.store.embedded import (
    DataDirectoryInUse,
    DataDirectoryUnusableError,
    EmbeddedRedis,
    EmbeddedRedisError,
    EmbeddedRedisOptions,
    RedisBinary,
    RedisStartError,
    all_redis_servers,
    find_redis_server,
)
from creditgate.store.embedded.files import SOCKET_PATH_BYTES_MAX, RedisFiles
from creditgate.store.embedded.process import find_server
from tests.waiting import eventually

STUCK = {"key-load-delay": "60000000"}
"""A server with data rests a minute, in microseconds, before it reads the next command of it."""

STOP_S = 1.0
"""How long a server that can't end is waited for; a killed one is gone by then, also when the machine is busy."""

START_S = 3.0
"""How long a server may read nothing more of its data; one without data is there by then, as above."""


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def client_of(redis: EmbeddedRedis) -> Redis:
    return Redis.from_url(redis.url, decode_responses=True)


def restarted(redis: EmbeddedRedis, *, times: int) -> Callable[[], bool]:
    return lambda: redis.restarts == times


@pytest.mark.parametrize("binary", all_redis_servers(), ids=str)
async def test_what_was_written_is_there_after_the_next_start(data_dir: Path, binary: RedisBinary) -> None:
    options = EmbeddedRedisOptions(binary=binary)
    for written in range(3):
        async with EmbeddedRedis(data_dir, options=options) as redis, client_of(redis) as client:
            assert redis.binary == binary
            assert await client.incr("starts") == written + 1
            pid = redis.pid
        assert pid is not None
        assert not runs(pid)
        assert redis.pid is None


async def test_it_runs_with_the_options_it_was_given(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    options = EmbeddedRedisOptions(appendfsync="no", maxmemory_bytes=64 * 2**20, extra={"port": str(port)})
    async with EmbeddedRedis(data_dir, options=options), Redis(port=port, decode_responses=True) as client:
        settings = await client.config_get("appendfsync", "maxmemory", "save", "bind")
        assert settings == {"appendfsync": "no", "maxmemory": str(64 * 2**20), "save": "", "bind": "127.0.0.1"}


async def test_a_killed_server_is_started_again_with_its_data(data_dir: Path) -> None:
    async with EmbeddedRedis(data_dir) as redis, client_of(redis) as client:
        for kills in range(1, 3):
            await client.incr("writes")
            killed = redis.pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            await eventually(restarted(redis, times=kills))
            assert redis.pid not in (None, killed)
            assert await client.get("writes") == str(kills)


async def test_a_lost_connection_alone_restarts_nothing(data_dir: Path) -> None:
    async with EmbeddedRedis(data_dir) as redis, client_of(redis) as client:

        async def others() -> set[str]:
            listed = await client.client_list()
            return {each["id"] for each in listed} - {str(await client.client_id())}

        async def watches_one_connection() -> bool:
            return len(await others()) == 1

        await eventually(watches_one_connection)
        (watched,) = await others()
        pid = redis.pid
        await client.client_kill_filter(_id=watched, skipme=True)

        async def watches_another() -> bool:
            return bool(await others() - {watched})

        await eventually(watches_another)
        assert (redis.pid, redis.restarts) == (pid, 0)
        os.kill(pid or 0, signal.SIGKILL)
        await eventually(restarted(redis, times=1))


async def test_restarting_is_tried_again_until_it_works(data_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with EmbeddedRedis(data_dir) as redis, client_of(redis) as client:
        await client.set("key", "value")
        log = RedisFiles.of(data_dir).log
        log.rename(log.with_suffix(".away"))
        log.mkdir()
        os.kill(redis.pid or 0, signal.SIGKILL)
        await eventually(lambda: "redis-server was not started again" in caplog.text)
        assert redis.pid is None
        log.rmdir()
        await eventually(restarted(redis, times=1))
        assert await client.get("key") == "value"


async def test_a_restart_without_progress_is_tried_afresh(data_dir: Path) -> None:
    stuck = EmbeddedRedisOptions(extra=STUCK, start_timeout_s=START_S, stop_timeout_s=STOP_S)
    async with EmbeddedRedis(data_dir, options=stuck) as redis, client_of(redis) as client:
        await client.mset({f"key-{number}": "value" for number in range(100)})
        seen = {None, redis.pid}
        os.kill(redis.pid or 0, signal.SIGKILL)
        for _ in range(2):
            await eventually(lambda: redis.pid not in seen)
            seen.add(redis.pid)
        assert redis.restarts == 0


async def test_stop_while_restarting_leaves_nothing(data_dir: Path) -> None:
    slow_to_read = EmbeddedRedisOptions(extra=STUCK, stop_timeout_s=STOP_S)
    async with EmbeddedRedis(data_dir, options=slow_to_read) as redis, client_of(redis) as client:
        await client.mset({f"key-{number}": "value" for number in range(100)})
        killed = redis.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda: redis.pid not in {None, killed})
    assert redis.restarts == 0
    assert find_server(RedisFiles.of(data_dir)) is None


async def test_a_second_service_on_the_directory_is_refused(data_dir: Path) -> None:
    async with EmbeddedRedis(data_dir) as first:
        with pytest.raises(DataDirectoryInUse) as caught:
            await EmbeddedRedis(data_dir).start()
        assert str(caught.value) == (
            f"data directory {data_dir} is in use by creditgate service pid {os.getpid()}; "
            "stop it or set CREDITGATE_DATA_DIR to another directory"
        )
        async with client_of(first) as client:
            assert await client.ping()
    async with EmbeddedRedis(data_dir):
        pass


async def test_start_and_stop_may_be_repeated(data_dir: Path) -> None:
    redis = EmbeddedRedis(data_dir)
    await redis.stop()
    with pytest.raises(EmbeddedRedisError, match="was not started"):
        _ = redis.binary
    await redis.start()
    pid = redis.pid
    await redis.start()
    assert redis.pid == pid
    await asyncio.gather(redis.stop(), redis.stop())
    await redis.stop()
    assert redis.pid is None
    await redis.start()
    await redis.stop()


async def test_a_cancelled_start_leaves_nothing(data_dir: Path) -> None:
    slow_to_read = EmbeddedRedisOptions(extra=STUCK, stop_timeout_s=STOP_S)
    async with EmbeddedRedis(data_dir) as redis, client_of(redis) as client:
        await client.mset({f"key-{number}": "value" for number in range(100)})
    starting = asyncio.create_task(EmbeddedRedis(data_dir, options=slow_to_read).start())
    await eventually(lambda: find_server(RedisFiles.of(data_dir)))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert find_server(RedisFiles.of(data_dir)) is None
    async with EmbeddedRedis(data_dir) as redis, client_of(redis) as client:
        assert await client.dbsize() == 100


async def test_start_waits_for_all_data_however_long_it_is_read(
    data_dir: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("creditgate.store.embedded.readiness.REPORT_EVERY_S", 0.1)
    caplog.set_level("INFO", logger="creditgate")
    async with EmbeddedRedis(data_dir) as redis, client_of(redis) as client:
        await client.mset({f"key-{number}": "value" for number in range(4000)})
        await client.bgrewriteaof()

        async def rewritten() -> bool:
            return int((await client.info("persistence"))["aof_base_size"]) > 4000

        await eventually(rewritten)
    takes_5_s = {"key-load-delay": "1250", "loading-process-events-interval-bytes": "1024"}  # 4000 keys of 1.25 ms
    options = EmbeddedRedisOptions(extra=takes_5_s, start_timeout_s=START_S)
    async with EmbeddedRedis(data_dir, options=options) as redis, client_of(redis) as client:
        assert await client.dbsize() == 4000
    assert "% of its data" in caplog.text


async def test_a_start_without_progress_is_given_up(data_dir: Path) -> None:
    async with EmbeddedRedis(data_dir) as redis, client_of(redis) as client:
        await client.mset({f"key-{number}": "value" for number in range(100)})
    stuck = EmbeddedRedisOptions(extra=STUCK, start_timeout_s=0.2, stop_timeout_s=STOP_S)
    with pytest.raises(RedisStartError, match=r"read \d % of its data and nothing more for 0\.2 s"):
        await EmbeddedRedis(data_dir, options=stuck).start()
    assert find_server(RedisFiles.of(data_dir)) is None


@pytest.mark.parametrize("name", ['with space, "quotes", \\ and % é', "deep/" * 60 + "down"])
async def test_any_directory_path_will_do(data_dir: Path, name: str) -> None:
    directory = data_dir / name
    for written in range(2):
        async with EmbeddedRedis(directory) as redis, client_of(redis) as client:
            assert await client.incr("starts") == written + 1
            assert len(os.fsencode(RedisFiles.of(directory).socket)) <= SOCKET_PATH_BYTES_MAX
            assert find_server(RedisFiles.of(directory)) is not None
    assert not RedisFiles.of(directory).socket.exists()


async def test_the_place_of_a_far_socket_is_private_and_goes_with_it(data_dir: Path) -> None:
    directory = data_dir / ("deep/" * 60)
    place = RedisFiles.of(directory).socket.parent
    assert not place.is_relative_to(data_dir)
    async with EmbeddedRedis(directory):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert not place.exists()


async def test_the_place_of_a_far_socket_may_not_be_prepared_by_another(data_dir: Path, tmp_path: Path) -> None:
    directory = data_dir / ("deep/" * 60)
    place = RedisFiles.of(directory).socket.parent
    place.symlink_to(tmp_path)
    try:
        with pytest.raises(DataDirectoryUnusableError, match="is not a directory of user id"):
            await EmbeddedRedis(directory).start()
    finally:
        place.unlink()


async def test_nobody_else_can_read_the_data(data_dir: Path) -> None:
    files = RedisFiles.of(data_dir)
    files.directory.mkdir(mode=0o755)
    async with EmbeddedRedis(data_dir):
        modes = {
            path: stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (files.directory, *files.directory.iterdir())
        }
        assert files.socket in modes
        assert set(modes.values()) == {0}, modes


async def test_a_file_in_place_of_the_directory_is_named(data_dir: Path) -> None:
    (data_dir / "file").touch()
    with pytest.raises(DataDirectoryUnusableError, match=r"/file cannot be used: File exists: .* CREDITGATE_DATA_DIR"):
        await EmbeddedRedis(data_dir / "file").start()


async def test_a_refused_configuration_is_quoted(data_dir: Path) -> None:
    unknown = EmbeddedRedisOptions(extra={"no-such-directive": "1"})
    with pytest.raises(RedisStartError, match=r"ended with status 1 before it was ready(?s:.*)no-such-directive"):
        await EmbeddedRedis(data_dir, options=unknown).start()
    async with EmbeddedRedis(data_dir):
        pass


async def test_a_damaged_append_only_file_is_quoted_and_kept(data_dir: Path) -> None:
    async with EmbeddedRedis(data_dir) as redis, client_of(redis) as client:
        await client.set("key", "value")
    (file,) = RedisFiles.of(data_dir).directory.glob("appendonlydir/*.incr.aof")
    damaged = b"this was not written by Redis\n" + file.read_bytes()
    file.write_bytes(damaged)
    with pytest.raises(RedisStartError, match=r"append-only file is damaged(?s:.*)Bad file format"):
        await EmbeddedRedis(data_dir).start()
    assert file.read_bytes() == damaged


async def test_an_append_only_file_cut_off_in_its_last_write_is_read(data_dir: Path) -> None:
    async with EmbeddedRedis(data_dir) as redis, client_of(redis) as client:
        await client.set("acknowledged", "value")
        await client.set("cut-off", "value")
    (file,) = RedisFiles.of(data_dir).directory.glob("appendonlydir/*.incr.aof")
    os.truncate(file, file.stat().st_size - 5)
    async with EmbeddedRedis(data_dir) as redis, client_of(redis) as client:
        assert await client.keys() == ["acknowledged"]


async def test_a_binary_that_is_gone_is_named(data_dir: Path) -> None:
    found = find_redis_server()
    gone = EmbeddedRedisOptions(binary=RedisBinary(data_dir / "redis-server", found.version))
    with pytest.raises(RedisStartError, match="redis-server cannot be run: No such file or directory"):
        await EmbeddedRedis(data_dir, options=gone).start()


async def test_a_long_log_is_emptied_at_the_next_start(data_dir: Path) -> None:
    log = RedisFiles.of(data_dir).log
    log.parent.mkdir()
    log.write_text("old\n" * 1000)
    async with EmbeddedRedis(data_dir, options=EmbeddedRedisOptions(log_max_bytes=4000)):
        assert log.read_text().startswith("old\n")
    async with EmbeddedRedis(data_dir, options=EmbeddedRedisOptions(log_max_bytes=3999)):
        assert "old" not in log.read_text()
