"""A worker whose event loop is stuck when its parent ends."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

STUCK = """
import sys, threading, time
from creditgate.bootstrap.worker import _end_with_parent
threading.Thread(target=_end_with_parent, args=(int(sys.argv[1]), 0.1), daemon=True).start()
print("stuck", flush=True)
time.sleep(60)
"""


@contextmanager
def stuck_worker() -> Iterator[tuple[subprocess.Popen[str], socket.socket]]:
    """Start a stuck worker; give its process and its parent's end of the link."""
    parents_end, workers_end = socket.socketpair()
    with parents_end:
        with workers_end:
            command = [sys.executable, "-c", STUCK, str(workers_end.fileno())]
            process = subprocess.Popen(command, pass_fds=(workers_end.fileno(),), stdout=subprocess.PIPE, text=True)
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == "stuck\n"
            yield process, parents_end
            process.kill()


def test_it_ends_all_the_same() -> None:
    with stuck_worker() as (process, link):
        link.close()
        assert process.wait(20) == 70


def test_it_lives_as_long_as_its_parent() -> None:
    with stuck_worker() as (process, link):
        link.sendall(b"stop\n")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
