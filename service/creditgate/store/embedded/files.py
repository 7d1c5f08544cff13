"""Where the embedded Redis keeps what: everything in its data directory, the socket too if its path is short enough."""

import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from creditgate.store.embedded.errors import DataDirectoryUnusableError

SOCKET_PATH_BYTES_MAX: Final = 103
"""sockaddr_un holds 104 bytes on macOS (108 on Linux), the closing zero included."""

_PRIVATE: Final = 0o700


@dataclass(frozen=True, slots=True)
class RedisFiles:
    """The files of one data directory; every path is real (no symbolic links)."""

    data_dir: Path
    service_lock: Path
    """Held by the service; names its process."""
    directory: Path
    """Redis' own directory, entered by nobody else."""
    server_lock: Path
    """Held by the redis-server and its forks: while it is held, the data is being written."""
    configuration: Path
    log: Path
    pid: Path
    socket: Path

    @classmethod
    def of(cls, data_dir: Path) -> "RedisFiles":
        """Return where everything lies for `data_dir`; touches nothing."""
        data_dir = Path(os.path.realpath(data_dir))
        directory = data_dir / "redis"
        return cls(
            data_dir=data_dir,
            service_lock=data_dir / "creditgate.lock",
            directory=directory,
            server_lock=directory / "redis.lock",
            configuration=directory / "redis.conf",
            log=directory / "redis.log",
            pid=directory / "redis.pid",
            socket=_socket_directory(directory) / "redis.sock",
        )

    @property
    def url(self) -> str:
        """The address for `redis.asyncio.Redis.from_url`."""
        return f"unix://{quote(os.fsencode(self.socket))}"

    @property
    def has_socket_elsewhere(self) -> bool:
        """Whether the socket lies outside of the data directory."""
        return self.socket.parent != self.directory

    def create_directories(self) -> None:
        """Create what is missing, closed to other users.

        Raises:
            OSError: a directory cannot be created or closed to others.
            DataDirectoryUnusableError: the place of the socket belongs to somebody else.
        """
        self.data_dir.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        self.directory.mkdir(mode=_PRIVATE, exist_ok=True)
        _close_to_others(self.directory)
        if self.has_socket_elsewhere:
            self.socket.parent.mkdir(mode=_PRIVATE, exist_ok=True)
            _check_owner(self.socket.parent)
            _close_to_others(self.socket.parent)

    def remove_socket(self) -> None:
        """Remove the socket of a server that has ended, and the directory made for it alone."""
        self.socket.unlink(missing_ok=True)
        if self.has_socket_elsewhere and self.socket.parent.is_dir():
            self.socket.parent.rmdir()


def _socket_directory(directory: Path) -> Path:
    """Return a directory whose socket path is short enough, the same one each time for the same `directory`."""
    name = f"creditgate-{os.geteuid()}-{hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]}"
    for place in (directory, Path(os.path.realpath(tempfile.gettempdir())) / name):
        if len(os.fsencode(place / "redis.sock")) <= SOCKET_PATH_BYTES_MAX:
            return place
    return Path(os.path.realpath("/tmp")) / name  # noqa: S108 - created closed to others, and its owner is checked


def _close_to_others(directory: Path) -> None:
    if stat.S_IMODE(directory.stat().st_mode) != _PRIVATE:
        directory.chmod(_PRIVATE)


def _check_owner(directory: Path) -> None:
    """Refuse a directory that another user prepared in a place open to all."""
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise DataDirectoryUnusableError(
            f"{directory}, the place of the Redis socket, is not a directory of user id {os.geteuid()}; remove it, "
            "or set CREDITGATE_DATA_DIR to a shorter path, which needs no such place"
        )
