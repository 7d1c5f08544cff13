"""An exclusive lock on a directory that the kernel frees when its last holder ends, however it ends."""

import fcntl
import os
from pathlib import Path


class DirectoryLock:
    """A lock file that one process at a time holds, by `flock`.

    The lock belongs to the open file: a child that is handed `fileno()` keeps it for as long as the child or one of its
    own children lives. Nobody else inherits it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def acquire(self) -> bool:
        """Take the lock unless somebody holds it; return whether it is held by this object now.

        Raises:
            OSError: the file cannot be opened or its file system has no locks.
        """
        if self._fd is not None:
            return True
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        except OSError:
            os.close(fd)
            raise
        self._fd = fd
        return True

    def fileno(self) -> int:
        """Return the descriptor that carries the lock, to be handed to a child."""
        if self._fd is None:
            raise ValueError(f"{self._path} is not held")
        return self._fd

    def write_holder(self, pid: int) -> None:
        """Write who holds the lock, for the message that another one gets."""
        os.ftruncate(self.fileno(), 0)
        os.pwrite(self.fileno(), f"{pid}\n".encode(), 0)

    def holder_pid(self) -> int | None:
        """Return the process that wrote itself into the file last, None when there is none."""
        try:
            written = self._path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return None
        return int(written) if written.isdecimal() else None

    def release(self) -> None:
        """Close the file; the lock is free unless a child was handed the descriptor."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
