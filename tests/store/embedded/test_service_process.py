"""What happens to the embedded Redis when its service is interrupted or killed."""

import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from creditgate.store.embedded import EmbeddedRedis, EmbeddedRedisOptions, OrphanError
from creditgate.store.embedded.directory_lock import DirectoryLock
from creditgate.store.embedded.files import RedisFiles
from creditgate.store.embedded.process import find_server, is_server_of
from tests.patience import PATIENCE_S
from tests.waiting import eventually

IMPATIENT = EmbeddedRedisOptions(answer_timeout_s=1.5, stop_timeout_s=1.5)
"""For servers that can't answer or end; what they are asked next they do in time, also when the machine is busy."""


class Service:
    """A process with a process group of its own, as a shell gives one to a command."""

    def __init__(self, data_dir: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("service_process.py"), data_dir],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.redis_pid = self._first_number()

    def _first_number(self) -> int:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            assert selector.select(PATIENCE_S), "the service did not start"
        return int(self._process.stdout.readline())

    def press_ctrl_c(self) -> tuple[str, int]:
        """Return what it wrote until its end, and its status."""
        os.killpg(self._process.pid, signal.SIGINT)
        written, _ = self._process.communicate(timeout=PATIENCE_S)
        return written, self._process.returncode

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=PATIENCE_S)


@pytest.fixture
def service(data_dir: Path) -> Iterator[Service]:
    running = Service(data_dir)
    yield running
    running.kill()


async def started_by(redis: EmbeddedRedis) -> int:
    async with Redis.from_url(redis.url) as client:
        return int(await client.get("started_by") or 0)


def test_ctrl_c_reaches_the_service_alone(service: Service, data_dir: Path) -> None:
    pid = service.redis_pid
    assert service.press_ctrl_c() == (f"started by {pid}, pid {pid}, restarts 0\n", 0)
    assert find_server(RedisFiles.of(data_dir)) is None


async def test_the_server_of_a_killed_service_is_adopted(service: Service, data_dir: Path) -> None:
    service.kill()
    async with EmbeddedRedis(data_dir) as redis:
        assert redis.pid == service.redis_pid
        assert redis.restarts == 0
        os.kill(service.redis_pid, signal.SIGKILL)
        await eventually(lambda: redis.restarts == 1)
        assert await started_by(redis) == service.redis_pid
    assert not is_server_of(service.redis_pid, RedisFiles.of(data_dir))


async def test_an_adopted_server_ends_with_its_new_service(service: Service, data_dir: Path) -> None:
    service.kill()
    redis = EmbeddedRedis(data_dir)
    await redis.start()
    await redis.stop()
    assert not is_server_of(service.redis_pid, RedisFiles.of(data_dir))


async def test_a_server_that_was_stopped_is_continued(service: Service, data_dir: Path) -> None:
    service.kill()
    os.kill(service.redis_pid, signal.SIGSTOP)
    async with EmbeddedRedis(data_dir, options=IMPATIENT) as redis:
        assert redis.pid == service.redis_pid


async def test_a_server_that_does_not_answer_is_killed(service: Service, data_dir: Path) -> None:
    service.kill()
    with socket.socket(socket.AF_UNIX) as endless:
        endless.connect(os.fspath(RedisFiles.of(data_dir).socket))
        endless.sendall(b"EVAL 'while true do end' 0\r\n")
        async with EmbeddedRedis(data_dir, options=IMPATIENT) as redis:
            assert redis.pid != service.redis_pid
            assert await started_by(redis) == service.redis_pid


async def test_a_server_with_other_settings_is_replaced(service: Service, data_dir: Path) -> None:
    service.kill()
    async with EmbeddedRedis(data_dir, options=EmbeddedRedisOptions(appendfsync="everysec")) as redis:
        assert redis.pid != service.redis_pid
        assert await started_by(redis) == service.redis_pid


async def test_a_server_whose_socket_was_removed_is_replaced(service: Service, data_dir: Path) -> None:
    service.kill()
    RedisFiles.of(data_dir).socket.unlink()
    async with EmbeddedRedis(data_dir, options=IMPATIENT) as redis:
        assert redis.pid != service.redis_pid
        assert await started_by(redis) == service.redis_pid


async def test_a_server_that_cannot_be_recognised_is_left_alone(service: Service, data_dir: Path) -> None:
    files = RedisFiles.of(data_dir)
    service.kill()
    files.socket.unlink()
    files.pid.write_text(f"{os.getpid()}\n")  # a pid that somebody else has by now
    try:
        with pytest.raises(OrphanError, match="a redis-server still runs"):
            await EmbeddedRedis(data_dir, options=IMPATIENT).start()
        assert is_server_of(service.redis_pid, files)
    finally:
        files.pid.write_text(f"{service.redis_pid}\n")
    async with EmbeddedRedis(data_dir, options=IMPATIENT):
        pass


async def test_what_a_killed_server_left_is_cleaned(service: Service, data_dir: Path) -> None:
    files = RedisFiles.of(data_dir)
    service.kill()
    os.kill(service.redis_pid, signal.SIGKILL)
    await eventually(lambda: find_server(files) is None)
    assert files.socket.exists()
    assert files.pid.exists()
    async with EmbeddedRedis(data_dir) as redis:
        assert await started_by(redis) == service.redis_pid
    assert not files.socket.exists()
    assert not files.pid.exists()


async def test_a_directory_moved_under_its_server_keeps_its_data(service: Service, data_dir: Path) -> None:
    service.kill()
    moved = data_dir / "moved"
    moved.mkdir()
    for name in ("redis", "creditgate.lock"):
        (data_dir / name).rename(moved / name)
    async with EmbeddedRedis(moved) as redis:
        assert await started_by(redis) == service.redis_pid
    assert not is_server_of(service.redis_pid, RedisFiles.of(moved))


def test_a_lock_is_held_once_and_stays_with_a_child_that_got_it(tmp_path: Path) -> None:
    first, second = DirectoryLock(tmp_path / "lock"), DirectoryLock(tmp_path / "lock")
    assert first.acquire()
    assert not second.acquire()
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, pass_fds=(first.fileno(),)) as heir:
        first.release()
        assert not second.acquire()
        heir.communicate(timeout=PATIENCE_S)
    assert second.acquire()
    second.release()
