import asyncio
import inspect
import shutil
import signal
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from creditgate.store.embedded.files import RedisFiles
from creditgate.store.embedded.process import find_server
from tests.patience import PATIENCE_S


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A directory with a short path, unlike tmp_path, so that the socket lies in it."""
    directory = Path(tempfile.mkdtemp(prefix="creditgate-")).resolve()
    yield directory
    directories = [pid_file.parent.parent for pid_file in directory.rglob("redis.pid")]
    left = [server for each in directories if (server := find_server(RedisFiles.of(each))) is not None]
    for server in left:
        server.send(signal.SIGKILL)
    shutil.rmtree(directory)
    assert left == [], "the test left its redis-server running"


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Wait until a condition, or what it awaits, holds; the test fails when it does not in time."""

    async def holds_now(condition: Callable[[], object]) -> object:
        answer = condition()
        return await answer if inspect.isawaitable(answer) else answer

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not await holds_now(condition):  # noqa: ASYNC110 - another process makes it hold, no event tells
                await asyncio.sleep(0.01)

    return wait
