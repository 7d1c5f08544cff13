"""Etags as callers carry them."""

import re
from typing import Final

from creditgate.domain.reservation import Etag

_match_etag: Final = re.compile("([0-9a-f]{1,12})\\.([1-9a-f][0-9a-f]{0,6})").fullmatch
"""A revision is never 0, which the store would not compare."""


def render_etag(etag: Etag) -> str:
    """Return an etag as callers carry it."""
    return f"{etag.decide_time_ms:x}.{etag.revision:x}"


def parse_etag(text: str) -> Etag | None:
    """Return the state of a reservation that an etag names, or None for a text that is none."""
    match = _match_etag(text)
    return Etag(int(match[1], 16), int(match[2], 16)) if match is not None else None
