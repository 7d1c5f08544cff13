"""The embedded Redis as the service sees it: start it, keep it running, end it."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from creditgate.store.embedded.binary import RedisBinary, find_redis_server
from creditgate.store.embedded.configuration import EmbeddedRedisOptions, render_configuration
from creditgate.store.embedded.connection import connection_lost
from creditgate.store.embedded.directory_lock import DirectoryLock
from creditgate.store.embedded.errors import (
    DataDirectoryInUse,
    DataDirectoryUnusableError,
    EmbeddedRedisError,
)
from creditgate.store.embedded.files import RedisFiles
from creditgate.store.embedded.log_tail import shorten_log
from creditgate.store.embedded.orphan import find_orphan
from creditgate.store.embedded.process import POLL_S, ServerProcess, start_server
from creditgate.store.embedded.readiness import wait_ready

RESTART_DELAY_MIN_S: Final = 0.1
RESTART_DELAY_MAX_S: Final = 5.0
STABLE_AFTER_S: Final = 10.0
"""A server that ran this long is started again at once; one that ended sooner after a growing delay."""

_DEFAULT_OPTIONS: Final = EmbeddedRedisOptions()
_log = logging.getLogger(__name__)


class EmbeddedRedis:
    """A private redis-server on the data of one directory, which one service at a time may use.

    The data outlives the object: the next one on the same directory finds all of it. A server that a killed service
    left running is adopted with its data in memory.
    """

    def __init__(self, data_dir: Path, *, options: EmbeddedRedisOptions = _DEFAULT_OPTIONS) -> None:
        self._options = options
        self._files = RedisFiles.of(data_dir)
        self._service_lock = DirectoryLock(self._files.service_lock)
        self._server_lock = DirectoryLock(self._files.server_lock)
        self._turn = asyncio.Lock()
        self._binary: RedisBinary | None = None
        self._process: ServerProcess | None = None
        self._supervision: asyncio.Task[None] | None = None
        self._ready_since_s = 0.0
        self._restart_delay_s = 0.0
        self._restarts = 0

    @property
    def url(self) -> str:
        """The address for `redis.asyncio.Redis.from_url`; the same for each start on this directory."""
        return self._files.url

    @property
    def pid(self) -> int | None:
        """The process that serves now, None before the start, after the stop and between an end and the restart."""
        return None if self._process is None or not self._process.is_running() else self._process.pid

    @property
    def binary(self) -> RedisBinary:
        """The server that was chosen.

        Raises:
            EmbeddedRedisError: it was not started yet.
        """
        if self._binary is None:
            raise EmbeddedRedisError(f"the embedded Redis on {self._files.data_dir} was not started")
        return self._binary

    @property
    def restarts(self) -> int:
        """How often the server was started again because it had ended by itself."""
        return self._restarts

    async def start(self) -> None:
        """Return when the server answers with all its data read; does nothing when it was started before.

        Raises:
            RedisServerNotFoundError: no usable redis-server is installed.
            DataDirectoryInUse: another service runs on the directory.
            DataDirectoryUnusableError: the directory cannot be created, locked or written.
            OrphanError: a server left by an earlier service can be neither adopted nor ended.
            RedisStartError: the server ended, or did not become ready.
        """
        async with self._turn:
            if self._supervision is not None:
                return
            binary = self._options.binary
            if binary is None:
                binary = await asyncio.to_thread(find_redis_server)
            self._binary = binary
            try:
                self._take_directory()
                await self._bring_up(binary)
            except BaseException:  # a cancelled start leaves nothing behind either
                await self._close()
                raise
            self._supervision = asyncio.create_task(self._supervise(binary), name="embedded-redis")
            self._supervision.add_done_callback(_report_fault)

    async def stop(self) -> None:
        """End the server and free the directory; does nothing when that was done before.

        Raises:
            RedisStopError: the server is there even after it was killed.
        """
        async with self._turn:
            if self._supervision is not None:
                self._supervision.cancel()
                await asyncio.wait({self._supervision})
                self._supervision = None
            await self._close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    def _take_directory(self) -> None:
        with _usable(self._files.data_dir):
            self._files.create_directories()
            if not self._service_lock.acquire():
                raise DataDirectoryInUse(self._files.data_dir, self._service_lock.holder_pid())
            self._service_lock.write_holder(os.getpid())

    async def _close(self) -> None:
        process, self._process = self._process, None
        try:
            if process is not None:
                await process.end(self._options.stop_timeout_s)
                self._files.remove_socket()
        finally:
            self._server_lock.release()
            self._service_lock.release()

    async def _bring_up(self, binary: RedisBinary) -> None:
        """Adopt the server that runs on the directory, else start one; return when it is ready."""
        configuration = render_configuration(self._files, binary, self._options).encode()
        with _usable(self._files.data_dir):
            process = await self._find_orphan()
            if process is not None and not self._is_configured_as(configuration):
                _log.info("replacing redis-server pid %d, left with other settings by an earlier service", process.pid)
                await process.end(self._options.stop_timeout_s)
                process = await self._find_orphan()
            log_start = shorten_log(self._files.log, self._options.log_max_bytes)
            if process is None:
                process = self._start_server(binary, configuration)
                _log.info("started %s on %s as pid %d", binary, self._files.directory, process.pid)
            else:
                _log.info("adopted redis-server pid %d, left on %s", process.pid, self._files.directory)
            self._process = process
        self._server_lock.release()  # the server holds it now
        await wait_ready(process, self._files, log_start=log_start, timeout_s=self._options.start_timeout_s)
        self._ready_since_s = asyncio.get_running_loop().time()

    async def _find_orphan(self) -> ServerProcess | None:
        return await find_orphan(
            self._files,
            self._server_lock,
            answer_timeout_s=self._options.answer_timeout_s,
            end_timeout_s=self._options.stop_timeout_s,
        )

    def _is_configured_as(self, configuration: bytes) -> bool:
        """Whether the server that runs was started with this text: the file is written at a start alone."""
        return self._files.configuration.is_file() and self._files.configuration.read_bytes() == configuration

    def _start_server(self, binary: RedisBinary, configuration: bytes) -> ServerProcess:
        self._files.pid.unlink(missing_ok=True)
        self._files.socket.unlink(missing_ok=True)
        fd = os.open(self._files.configuration, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(configuration)
        return start_server(binary, self._files, self._server_lock.fileno())

    async def _supervise(self, binary: RedisBinary) -> None:
        while True:
            await connection_lost(self._files.socket)
            process = self._process
            if process is not None and process.is_running():
                await asyncio.sleep(POLL_S)  # it is on its way out, or somebody closed this connection alone
                continue
            if process is not None:
                _log.error(
                    "redis-server pid %d %s: starting it again (its log is %s)",
                    process.pid,
                    process.how_it_ended,
                    self._files.log,
                )
            await self._restart(binary)

    async def _restart(self, binary: RedisBinary) -> None:
        """Bring the server up again on the same data, however many attempts it takes."""
        if asyncio.get_running_loop().time() - self._ready_since_s >= STABLE_AFTER_S:
            self._restart_delay_s = 0.0
        while True:
            await asyncio.sleep(self._restart_delay_s)
            self._restart_delay_s = min(max(2 * self._restart_delay_s, RESTART_DELAY_MIN_S), RESTART_DELAY_MAX_S)
            try:
                await self._end_half_started()
                await self._bring_up(binary)
            except EmbeddedRedisError as error:
                _log.error("redis-server was not started again: %s", error)
            else:
                self._restarts += 1
                return

    async def _end_half_started(self) -> None:
        """End a server that did not become ready, so that this attempt finds the directory free."""
        if self._process is not None:
            await self._process.end(self._options.stop_timeout_s)
            self._process = None


@contextlib.contextmanager
def _usable(data_dir: Path) -> Iterator[None]:
    """Turn what the file system refuses into a sentence about the data directory."""
    try:
        yield
    except OSError as error:
        raise DataDirectoryUnusableError(
            f"data directory {data_dir} cannot be used: {error.strerror}: {error.filename or data_dir}; "
            "correct that or set CREDITGATE_DATA_DIR to another directory"
        ) from error


def _report_fault(supervision: asyncio.Task[None]) -> None:
    if not supervision.cancelled() and (error := supervision.exception()) is not None:
        _log.critical("redis-server is no longer watched, and will not be started again", exc_info=error)
