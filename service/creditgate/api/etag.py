"""Etags as callers carry them."""

import re
from typing import Final

from creditgate.domain.reservation import Etag

_match_etag: Final = re.compile("(0|[1-9a-f][0-9a-f]{0,11})\\.([1-9a-f][0-9a-f]{0,7})").fullmatch
"""Revisions count from 1: one of 0 would mean to the store that nothing is compared."""


def render_etag(etag: Etag) -> str:
    """Return an etag as callers carry it."""
    return f"{etag.decide_time_ms:x}.{etag.revision:x}"


def parse_etag(text: str) -> Etag | None:
    """Return the state of a reservation that an etag names, or None for a text that is none."""
    match = _match_etag(text)
    return Etag(int(match[1], 16), int(match[2], 16)) if match is not None else None
