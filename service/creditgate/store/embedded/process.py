"""The redis-server as a process: start it, know it again by its pid, wait for it and end it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from creditgate.store.embedded.binary import RedisBinary
from creditgate.store.embedded.connection import ask_to_end
from creditgate.store.embedded.errors import RedisStartError, RedisStopError
from creditgate.store.embedded.files import RedisFiles

POLL_S: Final = 0.02
_TITLE_PATH_LENGTH: Final = 200  # a process title is cut after 255 bytes
_PS_TIMEOUT_S: Final = 5.0


class ServerProcess:
    """A redis-server that runs on `files`: a child of this process, or one that an earlier service left."""

    def __init__(self, pid: int, files: RedisFiles, child: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self._files = files
        self._child = child

    def is_running(self) -> bool:
        """Return whether the process is still there, and still that redis-server."""
        if self._child is not None:
            return self._child.poll() is None
        return is_server_of(self.pid, self._files)

    def send(self, what: signal.Signals) -> None:
        """Send a signal, unless the process has ended: its pid may be somebody else's by now."""
        if self.is_running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, what)

    @property
    def how_it_ended(self) -> str:
        """In words; how an adopted process ended is known to its parent alone."""
        status = None if self._child is None else self._child.returncode
        if status is None:
            return "ended"
        return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"

    async def wait_gone(self, timeout_s: float) -> bool:
        """Wait for the end of the process; return whether it came in time."""
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        while self.is_running():
            if asyncio.get_running_loop().time() > deadline_s:
                return False
            await asyncio.sleep(POLL_S)
        return True

    async def end(self, timeout_s: float) -> None:
        """End the server: asked by SHUTDOWN, told by SIGTERM, killed; each step has `timeout_s`.

        Raises:
            RedisStopError: it is there even after that.
        """
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + timeout_s
        await ask_to_end(self._files.socket, timeout_s=timeout_s)
        if await self.wait_gone(deadline_s - loop.time()):
            return
        for what in (signal.SIGTERM, signal.SIGKILL):
            self.send(what)
            if await self.wait_gone(timeout_s):
                return
        raise RedisStopError(f"redis-server pid {self.pid} on {self._files.directory} does not end, even when killed")


def start_server(binary: RedisBinary, files: RedisFiles, lock_fd: int) -> ServerProcess:
    """Start the server as configured in `files`, appending to its log.

    It gets a session of its own, so that Ctrl-C reaches the service alone, and keeps `lock_fd` as long as it lives.

    Raises:
        OSError: the log cannot be written.
        RedisStartError: the binary cannot be run.
    """
    with os.fdopen(os.open(files.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as log:
        try:
            child = subprocess.Popen(  # noqa: S603 - a server found on PATH or in the wheel, without a shell
                [binary.path, files.configuration],
                cwd=files.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock_fd,),
                umask=0o077,
                env={**os.environ, "LC_ALL": "C"},  # a redis-server refuses to start in a locale this machine lacks
            )
        except OSError as error:
            raise RedisStartError(f"{binary} cannot be run: {error.strerror}") from error
    return ServerProcess(child.pid, files, child)


def find_server(files: RedisFiles) -> ServerProcess | None:
    """Return the running server that wrote the pid file, None when it has ended."""
    try:
        written = files.pid.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    if not written.isdecimal() or not is_server_of(int(written), files):
        return None
    return ServerProcess(int(written), files)


def is_server_of(pid: int, files: RedisFiles) -> bool:
    """Return whether this process is a redis-server running on `files`, not one that was given its pid later."""
    configuration = os.fsencode(files.configuration)[:_TITLE_PATH_LENGTH]
    if sys.platform != "linux":
        return configuration in _command_by_ps(pid)
    process = Path("/proc") / str(pid)
    try:
        return process.joinpath("cwd").readlink() == files.directory and (
            configuration in process.joinpath("cmdline").read_bytes()
        )
    except OSError:  # it ended, or belongs to another user
        return False


def _command_by_ps(pid: int) -> bytes:
    listed = subprocess.run(  # noqa: S603 - fixed arguments, without a shell
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_PS_TIMEOUT_S,
        check=False,
    )
    return listed.stdout
