"""What the embedded Redis is told: the options a caller may set, and the configuration file made of them."""

import math
import os
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

from creditgate.store.embedded.binary import RedisBinary
from creditgate.store.embedded.errors import EmbeddedRedisOptionError
from creditgate.store.embedded.files import RedisFiles

Appendfsync = Literal["always", "everysec", "no"]

MEMORY_MIN_BYTES: Final = 16 * 1024 * 1024
"""An empty server with the function library takes a few MiB; less than this would refuse the first order."""

PROCESS_TITLE: Final = "creditgate-redis"

_PLAIN: Final = (string.ascii_letters + string.digits + " !#$%&'()*+,-./:;<=>?@[]^_`{|}~").encode()
"""Bytes that stand for themselves between double quotes in redis.conf."""

_DIRECTIVE = re.compile(r"[a-z][a-z0-9-]*")
_RESERVED: Final = frozenset(
    {
        "appendfsync",
        "daemonize",
        "dir",
        "include",
        "logfile",
        "maxmemory",
        "pidfile",
        "proc-title-template",
        "requirepass",
        "supervised",
        "unixsocket",
        "unixsocketperm",
    }
)
"""Directives that have an option of their own, or on which finding and adopting a server depends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedRedisOptions:
    """How the embedded Redis runs; the defaults are those of the service.

    Raises:
        EmbeddedRedisOptionError: a value is outside its bounds.
    """

    appendfsync: Appendfsync = "always"
    """When the append-only file reaches the disk; only `always` loses nothing acknowledged on a power cut."""
    maxmemory_bytes: int | None = None
    """From here on Redis refuses new reservations; None sets no bound."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Further directives with their arguments spelled as in redis.conf; they win over the service's own."""
    binary: RedisBinary | None = None
    """The server to run; None looks for one."""
    start_timeout_s: float = 300.0
    """Longest wait for a server that starts without reading any more of its data; reading itself may take longer."""
    answer_timeout_s: float = 5.0
    """Longest wait for the answer of an orphan before it counts as stuck."""
    stop_timeout_s: float = 10.0
    """Longest wait for each step of ending a server: asked, told (SIGTERM), killed."""
    log_max_bytes: int = 8 * 1024 * 1024
    """A log above this size is emptied when a server starts."""

    def __post_init__(self) -> None:
        if self.appendfsync not in get_args(Appendfsync):
            raise EmbeddedRedisOptionError(f"appendfsync is {self.appendfsync!r}, not one of always, everysec, no")
        if self.maxmemory_bytes is not None and self.maxmemory_bytes < MEMORY_MIN_BYTES:
            raise EmbeddedRedisOptionError(f"maxmemory_bytes is {self.maxmemory_bytes}, less than {MEMORY_MIN_BYTES}")
        if self.log_max_bytes < 0:
            raise EmbeddedRedisOptionError(f"log_max_bytes is {self.log_max_bytes}, less than 0")
        _check_duration("start_timeout_s", self.start_timeout_s)
        _check_duration("answer_timeout_s", self.answer_timeout_s)
        _check_duration("stop_timeout_s", self.stop_timeout_s)
        for directive, arguments in self.extra.items():
            _check_directive(directive, arguments)


def render_configuration(files: RedisFiles, binary: RedisBinary, options: EmbeddedRedisOptions) -> str:
    """Return the text of redis.conf.

    It names the binary too, so that an orphan runs with the configuration and the binary of the next service exactly
    when the texts are equal.
    """
    directives = {
        "port": "0",
        "bind": "127.0.0.1",
        "unixsocket": _quoted(files.socket),
        "unixsocketperm": "700",
        "timeout": "0",
        "dir": _quoted(files.directory),
        "pidfile": _quoted(files.pid),
        "daemonize": "no",
        "supervised": "no",
        "proc-title-template": f'"{PROCESS_TITLE} {{config-file}}"',
        "always-show-logo": "no",
        "io-threads": "1",  # since Redis 8, replies of other threads leave before the fsync
        "appendonly": "yes",
        "appendfsync": options.appendfsync,
        "no-appendfsync-on-rewrite": "no",
        "aof-load-truncated": "yes",  # a write cut off by the end of the process was never acknowledged
        "aof-use-rdb-preamble": "yes",
        "auto-aof-rewrite-percentage": "100",
        "auto-aof-rewrite-min-size": "64mb",
        "save": '""',
        "stop-writes-on-bgsave-error": "yes",
        "maxmemory": str(options.maxmemory_bytes or 0),
        "maxmemory-policy": "noeviction",
    }
    directives.update({directive: arguments or '""' for directive, arguments in options.extra.items()})
    server = f"{binary.product.value} {binary.version} {_quoted(binary.path)}"
    lines = (f"{directive} {arguments}\n" for directive, arguments in directives.items())
    return "".join((f"# Written by creditgate at each start, for {server}\n", *lines))


def _quoted(path: Path) -> str:
    """Return the path as one argument in redis.conf, whatever bytes it has."""
    spelled = (chr(byte) if byte in _PLAIN else f"\\x{byte:02x}" for byte in os.fsencode(path))
    return f'"{"".join(spelled)}"'


def _check_duration(name: str, value_s: float) -> None:
    if not (math.isfinite(value_s) and value_s > 0):
        raise EmbeddedRedisOptionError(f"{name} is {value_s}, not a number of seconds above 0")


def _check_directive(directive: str, arguments: str) -> None:
    if not _DIRECTIVE.fullmatch(directive):
        raise EmbeddedRedisOptionError(f"extra has {directive!r}, which is not the name of a Redis directive")
    if directive in _RESERVED:
        raise EmbeddedRedisOptionError(f"extra must not set {directive}: creditgate sets it")
    if not arguments.isprintable():
        raise EmbeddedRedisOptionError(f"extra sets {directive} to {arguments!r}: control characters are not allowed")
