"""Reads the journal as a test wants it: effect by effect."""

from typing import cast

from redis import Redis

from creditgate.store import keys
from creditgate.store.journal import Effect, read_effects


def read_entries(client: Redis, partition: int) -> list[list[Effect]]:
    """Return the partition's journal: a list of effects for each entry, oldest first."""
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(keys.journal(partition)))
    return [list(read_effects(fields[b"e"])) for _, fields in entries]


def read_account_effects(client: Redis, partition: int, account_id: str) -> list[Effect]:
    """Return the effects on one account, oldest first."""
    return [effect for entry in read_entries(client, partition) for effect in entry if effect.account_id == account_id]
