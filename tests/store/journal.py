"""Reads the journal as a test wants it: effect by effect."""

from typing import NamedTuple, cast

from redis import Redis

from creditgate.store import keys, layouts
from creditgate.store.constants import EffectKind

_SIZE_BYTES = 4
"""An effect begins with its length; its kind is the next byte."""

_ORDER_KINDS = {
    EffectKind.RESERVED: 1,
    EffectKind.REJECTED: 1,
    EffectKind.COMMITTED: 1,
    EffectKind.RELEASED: 2,
    EffectKind.EXPIRED: 0,
}
"""Kinds of effects on an order, each with the number of texts of its own."""


class Effect(NamedTuple):
    """One effect; the texts of an effect on an account and the sums of one on its settings stay empty."""

    kind: str
    time_ms: int
    account_id: str
    order_id: str
    reserved_minor: int
    receivable_minor: int
    own_texts: tuple[str, ...]


def _split(blob: bytes, count: int) -> list[str]:
    return [text.decode() for text in blob.split(b"\0")[:count]]


def _decode(blob: bytes) -> Effect:
    kind = EffectKind(blob[_SIZE_BYTES])
    if kind in _ORDER_KINDS:
        _, _, time_ms, reserved, receivable, _ = layouts.ORDER_EFFECT.packer.unpack_from(blob)
        account_id, order_id, *own = _split(blob[layouts.ORDER_EFFECT.size :], 2 + _ORDER_KINDS[kind])
        return Effect(kind.name, time_ms, account_id, order_id, reserved, receivable, tuple(own))
    if kind is EffectKind.PAID:
        _, _, time_ms, reserved, receivable, _, amount = layouts.PAYMENT_EFFECT.packer.unpack_from(blob)
        account_id, payment_id = _split(blob[layouts.PAYMENT_EFFECT.size :], 2)
        return Effect(kind.name, time_ms, account_id, "", reserved, receivable, (payment_id, str(amount)))
    _, _, time_ms = layouts.ACCOUNT_EFFECT.packer.unpack_from(blob)
    (account_id,) = _split(blob[layouts.ACCOUNT_EFFECT.size + layouts.ACCOUNT_ANSWER.size :], 1)
    return Effect(kind.name, time_ms, account_id, "", 0, 0, ())


def read_entries(client: Redis, partition: int) -> list[list[Effect]]:
    """Return the partition's journal: a list of effects for each entry, oldest first."""
    entries = []
    for _, fields in cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(keys.journal(partition))):
        blob, effects = fields[b"e"], []
        while blob:
            size = int.from_bytes(blob[:_SIZE_BYTES], "little")
            effects.append(_decode(blob[:size]))
            blob = blob[size:]
        entries.append(effects)
    return entries


def read_effects(client: Redis, partition: int, account_id: str) -> list[Effect]:
    """Return the effects on one account, oldest first."""
    return [effect for entry in read_entries(client, partition) for effect in entry if effect.account_id == account_id]
