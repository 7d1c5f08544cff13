"""Addresses to listen on, and a clear answer when one can't be used."""

import errno
import socket
import stat
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

PORT_MAX: Final = 65_535
UNIX_PATH_LENGTH_MAX: Final = 107
"""Linux keeps a socket's path in 108 bytes, one of them the final zero."""

_UNIX_PREFIX: Final = "unix://"
_PROBE_TIMEOUT_S: Final = 1.0
_NOT_OF_THIS_HOST: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class ListenAddressError(ValueError):
    """A text that is no address to listen on; says what is allowed."""


class AddressUnusableError(Exception):
    """An address that can't be listened on; says why."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A host with a port (0: any free one), or the absolute path of a unix socket."""

    host: str = ""
    port: int = 0
    unix_path: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the address that `host:port`, `[ipv6]:port` or `unix:///path` spells; raise ListenAddressError."""
        if text.startswith(_UNIX_PREFIX):
            return cls(unix_path=_parse_unix_path(text.removeprefix(_UNIX_PREFIX)))
        host, colon, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        host = host[1:-1] if bracketed else host
        if not colon or not host or (":" in host) != bracketed:
            raise ListenAddressError("must be host:port, [ipv6]:port or unix:///path")
        if not (port.isascii() and port.isdigit() and int(port) <= PORT_MAX):
            raise ListenAddressError(f"must have a port between 0 and {PORT_MAX}")
        return cls(host=host, port=int(port))

    def with_port(self, port: int) -> "ListenAddress":
        """Return the same address with the port that was really bound; that of a unix socket is unchanged."""
        return self if self.unix_path is not None else ListenAddress(self.host, port)

    def __str__(self) -> str:
        if self.unix_path is not None:
            return f"{_UNIX_PREFIX}{self.unix_path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _parse_unix_path(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute():
        raise ListenAddressError("must name an absolute path after unix://")
    if len(text.encode()) > UNIX_PATH_LENGTH_MAX:
        raise ListenAddressError(f"must have a path of at most {UNIX_PATH_LENGTH_MAX} bytes after unix://")
    return path


def check_usable(address: ListenAddress) -> None:
    """Return if the address can be listened on now; raise AddressUnusableError if it can't, saying why.

    Servers report a busy port late, partly or not at all: gRPC takes a unix socket over from a living server, and is
    content with one of the addresses of a name.
    """
    if address.unix_path is not None:
        _check_unix_path(address.unix_path)
        return
    with ExitStack() as probes:
        for probe in _bind(address, probes):
            try:
                probe.listen()
            except OSError as error:
                raise AddressUnusableError(_reason(error)) from None


class HeldAddress:
    """An address that belongs to this service from now on, for its processes to listen on and for nobody else.

    Linux gives a port to several sockets when all of them ask for SO_REUSEPORT and are of one user; connections are
    spread over those that listen. The socket kept here never listens. It was bound as an only one, so that a port in
    use was refused, and shares the port from then on; as it does not have SO_REUSEADDR either, another service finds
    the port in use even while no process of this one listens.

    Attributes:
        address: where to listen, with the port that was chosen if any was asked for.

    """

    def __init__(self, address: ListenAddress) -> None:
        """Take the address. Raises AddressUnusableError."""
        check_usable(address)
        with ExitStack() as sockets:
            bound = _bind(address, sockets)
            for held in bound:
                held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
                held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self.address = address.with_port(bound[0].getsockname()[1])
            self._sockets = sockets.pop_all()

    def release(self) -> None:
        """Let others have the address."""
        self._sockets.close()


def _bind(address: ListenAddress, sockets: ExitStack) -> list[socket.socket]:
    """Return a bound socket for each address of the host, all on one port; raise AddressUnusableError."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise AddressUnusableError(f"the host {address.host!r} can't be resolved ({_reason(error)})") from None
    port = address.port
    elsewhere: OSError | None = None
    bound: list[socket.socket] = []
    for family, kind, protocol, _, (host, _, *scope) in found:
        try:
            each = sockets.enter_context(socket.socket(family, kind, protocol))
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            each.bind((host, port, *scope))
        except OSError as error:
            if error.errno not in _NOT_OF_THIS_HOST:
                raise AddressUnusableError(_reason(error)) from None
            elsewhere = error
        else:
            bound.append(each)
            port = each.getsockname()[1]
    if not bound:
        raise AddressUnusableError(_reason(elsewhere) if elsewhere else "the host has no address")
    return bound


def _check_unix_path(path: Path) -> None:
    """A path may be free, or the socket of a server that is gone."""
    if not path.parent.is_dir():
        raise AddressUnusableError(f"the directory {path.parent} does not exist")
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise AddressUnusableError(_reason(error)) from None
    if not stat.S_ISSOCK(mode):
        raise AddressUnusableError("the path is there and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_TIMEOUT_S)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return
        except OSError as error:
            raise AddressUnusableError(_reason(error)) from None
    raise AddressUnusableError("another server listens on it")


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text[:1].lower() + text[1:]
