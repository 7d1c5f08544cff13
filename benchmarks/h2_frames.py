"""As much of HTTP/2 (RFC 9113) and HPACK (RFC 7541) as a load generator for unary gRPC calls needs.

Header blocks are literal and never indexed, and the peer is told to keep no dynamic table, so that a block can be read
and written without any state.
"""

import struct
from enum import IntEnum, unique
from typing import Final

HEADER_SIZE: Final = 9
DATA_SIZE_MAX: Final = 16_384
"""Largest frame that every peer takes (SETTINGS_MAX_FRAME_SIZE at its least)."""
WINDOW_DEFAULT: Final = 65_535
WINDOW_MAX: Final = 2**31 - 1

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8

SETTING_HEADER_TABLE_SIZE: Final = 1
SETTING_INITIAL_WINDOW_SIZE: Final = 4

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADER: Final = struct.Struct(">BHBBI")
_SETTING: Final = struct.Struct(">HI")
_LENGTH_HIGH_SHIFT: Final = 16
_HPACK_INTEGER_7_MAX: Final = 127
_GRPC_STATUS: Final = b"grpc-status"


@unique
class FrameType(IntEnum):
    """The types of frames that a server sends."""

    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class FrameHeader(struct.Struct):
    """Reads frame headers: `unpack_at` returns length, type, flags and stream."""

    def __init__(self) -> None:
        super().__init__(_HEADER.format)

    def unpack_at(self, received: bytes | bytearray, offset: int) -> tuple[int, int, int, int]:
        """Return the frame header at an offset."""
        high, low, kind, flags, stream = self.unpack_from(received, offset)
        return (high << _LENGTH_HIGH_SHIFT) + low, kind, flags, stream & WINDOW_MAX


def frame(kind: FrameType, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return one frame."""
    length = len(payload)
    return _HEADER.pack(length >> _LENGTH_HIGH_SHIFT, length & 0xFFFF, kind, flags, stream) + payload


def window_update(stream: int, increment: int) -> bytes:
    """Return the frame that lets the peer send `increment` bytes more, on a stream or (0) on the connection."""
    return frame(FrameType.WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def greeting() -> bytes:
    """Return what a client sends first: it takes all the peer has to say, and keeps no table of headers."""
    settings = _SETTING.pack(SETTING_HEADER_TABLE_SIZE, 0) + _SETTING.pack(SETTING_INITIAL_WINDOW_SIZE, WINDOW_MAX)
    return _PREFACE + frame(FrameType.SETTINGS, 0, 0, settings) + window_update(0, WINDOW_MAX - WINDOW_DEFAULT)


def parse_settings(payload: bytes) -> dict[int, int]:
    """Return the settings of a SETTINGS frame by their number."""
    return dict(_SETTING.iter_unpack(payload))


def request_headers(method: str, authority: str, timeout_s: int) -> bytes:
    """Return the header block of a gRPC call; `method` is `/package.Service/Method`."""
    return (
        b"\x83\x86"  # :method POST, :scheme http
        + _literal(b"\x04", method.encode())  # :path
        + _literal(b"\x01", authority.encode())  # :authority
        + _literal(b"\x0f\x10", b"application/grpc")  # content-type
        + _literal(b"\x00\x02te", b"trailers")
        + _literal(b"\x00\x0cgrpc-timeout", f"{timeout_s}S".encode())
    )


def _literal(name: bytes, value: bytes) -> bytes:
    """Return a literal header field without indexing; `name` is an index or a length with the name itself."""
    if len(value) >= _HPACK_INTEGER_7_MAX:
        raise ValueError(f"a header value must be shorter than {_HPACK_INTEGER_7_MAX} bytes, was {len(value)}")
    return name + bytes((len(value),)) + value


def grpc_status_of(trailers: bytes) -> int | None:
    """Return the gRPC status in a header block without Huffman coding, None when there is none."""
    name_at = trailers.find(_GRPC_STATUS)
    if name_at < 0:
        return None
    value_at = name_at + len(_GRPC_STATUS) + 1
    value = trailers[value_at : value_at + trailers[value_at - 1]]
    return int(value) if value.isdigit() else None
