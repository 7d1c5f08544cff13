"""A redis-server of a test's own: started and ended by pid, on a unix socket, with any options."""

import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from creditgate.store.embedded.binary import RedisBinary, find_redis_server
from creditgate.store.library import render_library
from tests.killable import Killable
from tests.patience import PATIENCE_S

_NEVER = threading.Event()


class PrivateRedis(Killable):
    """A plain redis-server with the function library loaded."""

    def __init__(self, directory: Path, binary: RedisBinary | None = None, **options: str) -> None:
        self.directory = directory
        self.binary = binary or find_redis_server()
        self.options: Mapping[str, str] = options
        self.socket = directory / "r.sock"
        self.url = f"unix://{self.socket}"

    def start(self, *, load: bool = True) -> None:
        """Start the server on what data its directory has, and wait until it answers."""
        arguments = {
            "port": "0",
            "unixsocket": str(self.socket),
            "dir": str(self.directory),
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            "logfile": str(self.directory / "redis.log"),
            **{name.replace("_", "-"): value for name, value in self.options.items()},
        }
        flat = [word for name, value in arguments.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen([str(self.binary.path), *flat], start_new_session=True)
        self.wait_answering()
        if load:
            with self.client() as client:
                client.function_load(render_library(), replace=True)

    def client(self) -> Redis:
        """Return a client of one's own."""
        return Redis.from_url(self.url, socket_timeout=PATIENCE_S)

    def wait_answering(self) -> None:
        """Wait until PING is answered."""
        give_up = time.monotonic() + PATIENCE_S
        while True:
            try:
                with Redis.from_url(self.url, socket_timeout=0.2) as client:
                    client.ping()
            except (RedisConnectionError, RedisError, OSError):
                assert time.monotonic() < give_up, (self.directory / "redis.log").read_text()
                _NEVER.wait(0.01)
            else:
                return
