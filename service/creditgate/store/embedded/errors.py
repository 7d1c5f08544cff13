"""Why the embedded Redis cannot serve; every message is a sentence for the person who starts the service."""

from pathlib import Path


class EmbeddedRedisError(Exception):
    """The embedded Redis cannot be started, kept running or ended."""


class EmbeddedRedisOptionError(EmbeddedRedisError, ValueError):
    """An option is outside its bounds; the message names both."""


class RedisServerNotFoundError(EmbeddedRedisError):
    """This machine has no redis-server that is new enough and runs; the message says what to install."""


class DataDirectoryUnusableError(EmbeddedRedisError):
    """The data directory cannot be created, entered, locked or written."""


class DataDirectoryInUse(EmbeddedRedisError):  # noqa: N818 - a state that a person ends, not a fault of the directory
    """Another service runs on the data directory."""

    def __init__(self, data_dir: Path, pid: int | None) -> None:
        service = "another creditgate service" if pid is None else f"creditgate service pid {pid}"
        super().__init__(
            f"data directory {data_dir} is in use by {service}; stop it or set CREDITGATE_DATA_DIR to another directory"
        )
        self.pid = pid


class OrphanError(EmbeddedRedisError):
    """A redis-server that an earlier service left on the data can be neither adopted nor ended."""


class RedisStartError(EmbeddedRedisError):
    """The redis-server ended, or did not become ready in time; the message carries the end of its log."""


class RedisStopError(EmbeddedRedisError):
    """The redis-server did not end, not even when killed."""
