"""Tells the rows of a batch apart from others: a digest that goes on from window to window."""

import hashlib
from typing import Final, NamedTuple

_DIGEST_BYTES: Final = 16


class RowsContent(NamedTuple):
    """What a sender said of rows, byte for byte; the same rows in other messages give the same bytes in a row."""

    readable: bytes
    unreadable: bytes


class WindowDigest:
    """Digests the rows of one window, whatever messages they come in."""

    def __init__(self) -> None:
        self._readable = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        self._unreadable = hashlib.blake2b(digest_size=_DIGEST_BYTES)

    def add(self, content: RowsContent) -> None:
        """Add the next rows."""
        self._readable.update(content.readable)
        self._unreadable.update(content.unreadable)

    def behind(self, rows_digest: str) -> str:
        """Return the digest of the rows before the window and those in it."""
        digest = hashlib.blake2b(rows_digest.encode(), digest_size=_DIGEST_BYTES)
        digest.update(self._readable.digest())
        digest.update(self._unreadable.digest())
        return digest.hexdigest()
