"""A redis-server started by deploy/redis/start.sh, as deploy/compose.yaml does it."""

import os
import subprocess
import time
from pathlib import Path
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from creditgate.store.embedded.binary import RedisBinary
from tests.patience import PATIENCE_S

DEPLOY: Final = Path(__file__).resolve().parents[2] / "deploy"
START: Final = DEPLOY / "redis" / "start.sh"
PASSWORDS: Final = {
    "REDIS_SERVICE_PASSWORD": "service-0123456789abcdef",
    "REDIS_LIBRARY_PASSWORD": "library-0123456789abcdef",
    "REDIS_OPERATOR_PASSWORD": "operator-0123456789abcdef",
}
_PASSWORD_OF: Final = {
    "creditgate": PASSWORDS["REDIS_SERVICE_PASSWORD"],
    "library": PASSWORDS["REDIS_LIBRARY_PASSWORD"],
    "operator": PASSWORDS["REDIS_OPERATOR_PASSWORD"],
}
_PAUSE_S: Final = 0.02


def start_command(directory: Path, binary: RedisBinary, passwords: dict[str, str]) -> subprocess.Popen[str]:
    """Run start.sh with its files in `directory`, listening on a socket there and nowhere else."""
    environment = {
        "PATH": os.environ["PATH"],
        "REDIS_SERVER": str(binary.path),
        "REDIS_ACL_FILE": str(directory / "users.acl"),
        **passwords,
    }
    return subprocess.Popen(
        ["/bin/sh", START, "--dir", directory, "--port", "0", "--unixsocket", directory / "r.sock"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


class DeployedRedis:
    """The shipped configuration and users on one server of this machine."""

    def __init__(self, directory: Path, binary: RedisBinary) -> None:
        self.directory = directory
        self.binary = binary
        self._process: subprocess.Popen[str] | None = None

    def url(self, user: str) -> str:
        """Return the URL under which a user of users.acl.template logs in."""
        return f"unix://{user}:{_PASSWORD_OF[user]}@{self.directory / 'r.sock'}"

    def client(self, user: str) -> Redis:
        """Return a user's connection."""
        return Redis.from_url(self.url(user), socket_timeout=PATIENCE_S, decode_responses=True)

    def start(self) -> None:
        """Start the server and wait until it answers its service."""
        process = self._process = start_command(self.directory, self.binary, PASSWORDS)
        give_up = time.monotonic() + PATIENCE_S
        while not self._answers():
            assert time.monotonic() < give_up, f"{self.binary} did not answer within {PATIENCE_S:.0f} s"
            try:
                process.wait(_PAUSE_S)
            except subprocess.TimeoutExpired:
                continue
            assert process.stdout is not None
            raise AssertionError(f"{self.binary} ended: {process.stdout.read()}")

    def kill(self) -> None:
        """End the server as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate(timeout=PATIENCE_S)
            self._process = None

    def stop(self) -> None:
        """End the server as an orderly stop does."""
        assert self._process is not None
        self._process.terminate()
        self._process.communicate(timeout=PATIENCE_S)
        self._process = None

    def _answers(self) -> bool:
        try:
            with self.client("creditgate") as client:
                return bool(client.ping())
        except (RedisError, OSError):
            return False
