"""Page tokens: a place in a listing, opaque to whoever carries it."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from typing import Final, NamedTuple

_CURSOR_END: Final = 1 << 64


class PageTokenError(ValueError):
    """The token was not given out by this listing."""


class PagePlace(NamedTuple):
    """Where a listing goes on: a partition, a scan cursor ('' is the end) and the last field returned of its step."""

    partition: int
    cursor: str
    behind: str


def render_page_token(place: PagePlace) -> str:
    """Return the token of a place; empty at the end."""
    if not place.cursor:
        return ""
    return urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode().rstrip("=")


def parse_page_token(token: str, partition: int | None, partitions: int) -> PagePlace:
    """Return the place of a token; an empty token is the beginning.

    `partition` is the only one that the listing reads, or None if it reads all `partitions`.

    Raises:
        PageTokenError: the token is not one of this listing.

    """
    if not token:
        return PagePlace(partition or 0, "0", "")
    try:
        parsed = json.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (Base64Error, ValueError) as error:
        raise PageTokenError(token) from error
    match parsed:
        case [int(token_partition), str(cursor), str(behind)] if (
            0 <= token_partition < partitions
            and partition in {None, token_partition}
            and cursor.isascii()
            and cursor.isdigit()
            and int(cursor) < _CURSOR_END
        ):
            return PagePlace(token_partition, cursor, behind)
    raise PageTokenError(token)
