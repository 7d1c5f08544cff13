import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from creditgate.store.embedded.files import RedisFiles
from creditgate.store.embedded.process import find_server


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
