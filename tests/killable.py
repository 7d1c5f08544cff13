"""A process of a test's own: ended, frozen and thawed by pid."""

import signal
import subprocess
from pathlib import Path

from tests.patience import PATIENCE_S


def has_ended(pid: int) -> bool:
    """Return whether a process is gone or only waits to be reaped."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # the latter when it goes between opening and reading
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


class Killable:
    """Whoever starts a process and keeps it in `_process`, None while there is none."""

    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End the process at once, as a power cut does, also when it is frozen."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
            self._process = None

    def freeze(self) -> None:
        """Stop the process: it keeps its connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
