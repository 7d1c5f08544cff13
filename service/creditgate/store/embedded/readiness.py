"""Waiting for a redis-server that starts until it has read all its data."""

import asyncio
import logging
from typing import Final

from creditgate.store.embedded.connection import ask
from creditgate.store.embedded.errors import RedisStartError
from creditgate.store.embedded.files import RedisFiles
from creditgate.store.embedded.log_tail import quote_log
from creditgate.store.embedded.process import POLL_S, ServerProcess

ANSWER_TIMEOUT_S: Final = 1.0
REPORT_EVERY_S = 5.0

_log = logging.getLogger(__name__)


async def wait_ready(process: ServerProcess, files: RedisFiles, *, log_start: int, timeout_s: float) -> None:
    """Return when the server answers and has read its data; `log_start` is where its part of the log begins.

    `timeout_s` bounds the time in which it reads nothing more: a large append-only file may take longer than that.

    Raises:
        RedisStartError: it ended, or made no progress for too long; carries the end of the log.
    """
    loop = asyncio.get_running_loop()
    next_report_s = loop.time() + REPORT_EVERY_S
    deadline_s = loop.time() + timeout_s
    read_percent = 0.0
    while True:
        answer = await ask(files.socket, timeout_s=ANSWER_TIMEOUT_S)
        if answer is not None and not answer.is_loading:
            return
        now_s = loop.time()
        if answer is not None and answer.loaded_percent > read_percent:
            read_percent = answer.loaded_percent
            deadline_s = now_s + timeout_s
        if not process.is_running():
            raise RedisStartError(
                f"redis-server {process.how_it_ended} before it was ready. {quote_log(files.log, log_start)}"
            )
        if now_s > deadline_s:
            raise RedisStartError(
                f"redis-server pid {process.pid} has read {read_percent:.0f} % of its data and nothing more for "
                f"{timeout_s:g} s. {quote_log(files.log, log_start)}"
            )
        if now_s > next_report_s:
            _log.info("redis-server pid %d has read %.0f %% of its data", process.pid, read_percent)
            next_report_s += REPORT_EVERY_S
        await asyncio.sleep(POLL_S)
