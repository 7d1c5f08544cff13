"""A redis-server that a killed service left behind: adopt it if it answers, end it if it is stuck."""

import asyncio
import logging
import signal

from creditgate.store.embedded.connection import ServerAnswer, ask
from creditgate.store.embedded.directory_lock import DirectoryLock
from creditgate.store.embedded.errors import OrphanError
from creditgate.store.embedded.files import RedisFiles
from creditgate.store.embedded.process import POLL_S, ServerProcess, find_server

_log = logging.getLogger(__name__)


async def find_orphan(
    files: RedisFiles, server_lock: DirectoryLock, *, answer_timeout_s: float, end_timeout_s: float
) -> ServerProcess | None:
    """Return the answering server on `files`; None, holding `server_lock`, when none runs (any more).

    Two servers on one append-only file would destroy it. That none runs is known by three signs: nobody answers on the
    socket, the process of the pid file is gone, and nobody holds the lock that a server and its forks inherit.

    Raises:
        OrphanError: something runs there that is not ours, cannot be recognised or does not end.
        OSError: the lock or the pid file cannot be read.
    """
    answer = await _first_answer(files, server_lock, answer_timeout_s)
    stuck = find_server(files) if answer is None else None
    if stuck is not None:
        answer = await _wake(stuck, files, answer_timeout_s)
    if answer is not None:
        if answer.directory != files.directory:
            raise OrphanError(
                f"the redis-server pid {answer.pid} that answers on {files.socket} writes to {answer.directory}, "
                f"not to {files.directory}; end it and start again"
            )
        return ServerProcess(answer.pid, files)
    if stuck is not None:
        await _kill(stuck, files, end_timeout_s)
    await _claim(files, server_lock, end_timeout_s)
    return None


async def _first_answer(files: RedisFiles, server_lock: DirectoryLock, timeout_s: float) -> ServerAnswer | None:
    """Ask once if nobody holds the lock, else until the time is over: a server may just be starting."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + timeout_s
    while True:
        answer = await ask(files.socket, timeout_s=max(POLL_S, deadline_s - loop.time()))
        if answer is not None or server_lock.acquire() or loop.time() >= deadline_s:
            return answer
        await asyncio.sleep(POLL_S)


async def _wake(stuck: ServerProcess, files: RedisFiles, timeout_s: float) -> ServerAnswer | None:
    _log.warning("redis-server pid %d, left by an earlier service, does not answer: trying to continue it", stuck.pid)
    stuck.send(signal.SIGCONT)
    return await ask(files.socket, timeout_s=timeout_s)


async def _kill(stuck: ServerProcess, files: RedisFiles, timeout_s: float) -> None:
    _log.warning("redis-server pid %d, left by an earlier service, does not answer: killing it", stuck.pid)
    stuck.send(signal.SIGKILL)
    if not await stuck.wait_gone(timeout_s):
        raise OrphanError(
            f"redis-server pid {stuck.pid}, left on {files.directory} by an earlier service, neither answers nor ends"
        )


async def _claim(files: RedisFiles, server_lock: DirectoryLock, timeout_s: float) -> None:
    """Take the lock, waiting for a fork that outlives its killed server by a moment."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + timeout_s
    while not server_lock.acquire():
        if loop.time() > deadline_s:
            raise OrphanError(
                f"a redis-server still runs on {files.directory} and cannot be recognised by its pid file; "
                "end it and start again"
            )
        await asyncio.sleep(POLL_S)
