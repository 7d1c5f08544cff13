"""redis-servers on loopback ports, started and ended by pid, in their own directories."""

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from creditgate.store.embedded.binary import RedisBinary
from tests import waiting
from tests.killable import Killable

_DOWN_AFTER_MS = 3000
"""Long enough that no server counts as lost because the machine is busy."""

_ANSWER_S = 20.0
"""Longest wait for one answer: a frozen server gives none, and whoever waits asks again."""


def wait_until(done: Callable[[], bool], what: str = "") -> None:
    """Wait until something is so; Redis may be away meanwhile."""
    waiting.wait_until(done, lambda: what, passing=(RedisError, OSError))


_given_ports: set[int] = set()


def free_port() -> int:
    """Return a port that nobody listens on and that was not given before: its server may start later."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in _given_ports:
            _given_ports.add(port)
            return port


class Server(Killable):
    """One server, with options by name; it keeps its port and its data when it is started again."""

    def __init__(self, binary: RedisBinary, directory: Path, **options: str) -> None:
        self.port = free_port()
        self.directory = directory
        self._binary = binary
        self._options = options
        directory.mkdir(parents=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self, **options: str) -> None:
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.directory),
            "save": "",
            "logfile": str(self.directory / "log"),
            **{name.replace("_", "-"): value for name, value in (self._options | options).items()},
        }
        flat = [word for name, value in settings.items() for word in (f"--{name}", value)]
        self._launch([str(self._binary.path), *flat])

    def _launch(self, words: list[str]) -> None:
        self._process = subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL)
        wait_until(lambda: bool(self.ask("PING")), f"{self.directory} does not answer")

    def client(self) -> Redis:
        return Redis(port=self.port, socket_timeout=_ANSWER_S, protocol=2)

    def ask(self, *words: str | int | bytes) -> object:
        """Send one command and return its reply as it came."""
        with self.client() as client:
            client.response_callbacks.clear()
            reply: object = client.execute_command(*words)
            return reply

    def facts(self, section: str) -> dict[str, str]:
        text = self.ask("INFO", section)
        assert isinstance(text, bytes)
        return dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)


class SentinelServer(Server):
    """A sentinel; it keeps what it learns in its configuration file."""

    def __init__(self, binary: RedisBinary, directory: Path, service: str, primary: Server, quorum: int) -> None:
        super().__init__(binary, directory)
        self._file = directory / "sentinel.conf"
        lines = (
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {directory}",
            f"logfile {directory / 'log'}",
            f"sentinel monitor {service} 127.0.0.1 {primary.port} {quorum}",
            f"sentinel down-after-milliseconds {service} {_DOWN_AFTER_MS}",
            f"sentinel failover-timeout {service} {3 * _DOWN_AFTER_MS}",
        )
        self._file.write_text("\n".join(lines) + "\n")

    def start(self, **_options: str) -> None:
        self._launch([str(self._binary.path), str(self._file), "--sentinel"])
