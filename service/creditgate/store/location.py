"""Where Redis is: the forms that CREDITGATE_REDIS_URL takes."""

import re
from dataclasses import dataclass, field
from enum import Enum, unique
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

_SINGLE_SCHEMES: Final = ("redis", "rediss", "unix")
_SERVICE_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
_PORT_MAX: Final = 65_535
_SENTINEL_USERNAME: Final = "sentinel_username"
_SENTINEL_PASSWORD: Final = "sentinel_password"  # noqa: S105 - the name of an option


class RedisAddress(NamedTuple):
    """A server's host (an IPv6 address without its brackets) and port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@unique
class RedisKind(Enum):
    """What is behind a URL; the value ends its scheme, and tells the port that may be left out."""

    SINGLE = ("", 6379)
    SENTINEL = ("+sentinel", 26_379)
    CLUSTER = ("+cluster", 6379)


@dataclass(frozen=True, slots=True)
class RedisLocation:
    """A parsed URL. Only `url_of` and `sentinel_url_of` give out what it holds of passwords.

    Attributes:
        kind: one server, a primary that sentinels know, or a cluster.
        addresses: the sentinels, or the nodes of the cluster that are asked first; none for one server.
        service: the name that the sentinels know the primary by.

    """

    kind: RedisKind
    addresses: tuple[RedisAddress, ...] = ()
    service: str = ""
    _url: str = field(default="", repr=False)
    _scheme: str = "redis"
    _credentials: str = field(default="", repr=False)
    _sentinel_credentials: str = field(default="", repr=False)
    _query: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The URL of the one server."""
        return self._url

    def url_of(self, address: RedisAddress) -> str:
        """Return the URL of a primary that the sentinels or the cluster told."""
        return f"{self._scheme}://{self._credentials}{address}{self._query}"

    def sentinel_url_of(self, address: RedisAddress) -> str:
        """Return the URL of a sentinel."""
        return f"{self._scheme}://{self._sentinel_credentials}{address}{self._query}"


def parse_location(url: str) -> RedisLocation:
    """Return what a URL names.

    - `redis://`, `rediss://` (TLS) and `unix://` name one server, as redis-py reads them.
    - `redis+sentinel://user:password@host:port,host:port/service` names sentinels, and the primary by its service
      name. User and password are those of the primary; those of the sentinels are the options `sentinel_username` and
      `sentinel_password`.
    - `redis+cluster://user:password@host:port,host:port` names some nodes of a cluster.

    `rediss+sentinel://` and `rediss+cluster://` are the same over TLS.

    Raises:
        ValueError: it is none of these; the text completes a sentence that begins with the setting's name.

    """
    parts = urlsplit(url)
    if parts.scheme in _SINGLE_SCHEMES:
        return RedisLocation(RedisKind.SINGLE, _url=url)
    scheme, _, ending = parts.scheme.partition("+")
    kind = next((kind for kind in RedisKind if kind.value[0] == f"+{ending}"), None)
    if kind is None or scheme not in {"redis", "rediss"}:
        raise ValueError("must begin with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://")
    credentials, at, places = parts.netloc.rpartition("@")
    options = dict(parse_qsl(parts.query))
    user, password = options.pop(_SENTINEL_USERNAME, ""), options.pop(_SENTINEL_PASSWORD, "")
    return RedisLocation(
        kind,
        tuple(_parse_address(place, kind.value[1]) for place in places.split(",")),
        _parse_path(parts.path, kind),
        _scheme=scheme,
        _credentials=credentials + at,
        _sentinel_credentials=f"{quote(user, safe='')}:{quote(password, safe='')}@" if password else "",
        _query=f"?{urlencode(options)}" if options else "",
    )


def _parse_address(place: str, port_default: int) -> RedisAddress:
    wrong = ValueError("must name each server as host:port, parted by commas")
    try:
        parts = urlsplit(f"//{place}")
        host, port = parts.hostname, parts.port if parts.port is not None else port_default
    except ValueError:
        raise wrong from None
    if not host or parts.path or "@" in place or not 0 < port <= _PORT_MAX:
        raise wrong
    return RedisAddress(host, port)


def _parse_path(path: str, kind: RedisKind) -> str:
    name = path.removeprefix("/")
    if kind is RedisKind.CLUSTER and name:
        raise ValueError("must end behind the nodes: a cluster has one database")
    if kind is RedisKind.SENTINEL and not _SERVICE_NAME.fullmatch(name):
        raise ValueError("must end in the service name that the sentinels know, such as /mymaster")
    return name
