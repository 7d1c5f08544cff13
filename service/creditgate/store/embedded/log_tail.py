"""The log of the redis-server: kept small, and quoted when a start fails."""

from pathlib import Path
from typing import Final

LINES_QUOTED_MAX: Final = 12
BYTES_QUOTED_MAX: Final = 4096
_ADVICE: Final = {
    "Can't handle RDB format version": "The data was written by a newer server: install that version or a newer one.",
    "Bad file format reading the append only file": "The append-only file is damaged: restore a backup of the data "
    "directory, or read about redis-check-aof before you repair it.",
    "No space left on device": "Free space on the disk of the data directory.",
}


def shorten_log(log: Path, max_bytes: int) -> int:
    """Empty the log if it is longer than `max_bytes`; return its length, where the next server starts to write."""
    try:
        length = log.stat().st_size
    except FileNotFoundError:
        return 0
    if length <= max_bytes:
        return length
    log.write_bytes(b"")
    return 0


def quote_log(log: Path, start: int) -> str:
    """Return the last lines written since `start`, each indented, after what to do where that is known."""
    with log.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(start, end - BYTES_QUOTED_MAX))
        lines = file.read().decode(errors="replace").splitlines()
    lines = [line for line in lines if line.strip()][-LINES_QUOTED_MAX:]
    advice = [text for sign, text in _ADVICE.items() if any(sign in line for line in lines)]
    return "\n  ".join([" ".join([*advice, f"The end of {log}:"]), *lines])
