"""Reads the journal: what an entry's effects did, each enough to redo its change (`layouts.py`)."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from creditgate.store import layouts
from creditgate.store.constants import EffectKind

_SIZE_BYTES: Final = 4
"""An effect begins with its length; its kind is the next byte."""

_ORDER_TEXTS: Final = {
    EffectKind.RESERVED: 1,
    EffectKind.REJECTED: 1,
    EffectKind.AMENDED: 1,
    EffectKind.AMEND_REJECTED: 1,
    EffectKind.COMMITTED: 1,
    EffectKind.RELEASED: 2,
    EffectKind.EXPIRED: 0,
    EffectKind.REVIEW_RELEASED: 0,
}
"""Kinds of effects on an order, each with the number of texts of its own."""

_ENTRY_KINDS: Final = frozenset(
    {
        EffectKind.RECORDED,
        EffectKind.FOLDED,
        EffectKind.FORGOTTEN,
        EffectKind.GROUP_CHANGED,
        EffectKind.RATE_CHANGED,
        EffectKind.MOVED_AWAY,
        EffectKind.MOVED_HERE,
    }
)


_BATCH_KINDS: Final = frozenset({EffectKind.LIMITS_APPLIED, EffectKind.LIMITS_RESTORED, EffectKind.LIMIT_BATCH_CHANGED})


class Sums(NamedTuple):
    """An account's sums after an effect, in minor units of its currency."""

    reserved_minor: int
    receivable_minor: int
    secured_receivable_minor: int
    pending_minor: int


class Effect(NamedTuple):
    """One effect on one account.

    Attributes:
        kind: what it did.
        time_ms: when, by the store's clock.
        account_id: the account; empty for an effect on a group, a rate or a limit batch.
        name: the order, the field of the ledger, the group, the pair of currencies or the limit batch; empty for an
            effect on the account's settings.
        texts: what the kind says beside its record: a source, a document id, a request id, an actor and a reason, a
            model version.
        sums: the account's sums afterwards; None for an effect on its settings.
        record: the packed record as it is afterwards, with what else was written behind it.

    """

    kind: EffectKind
    time_ms: int
    account_id: str
    name: str
    texts: tuple[str, ...]
    sums: Sums | None
    record: bytes


def read_effects(entry: bytes) -> Iterator[Effect]:
    """Return the effects of a journal entry (its field `e`), in the order in which they were carried out."""
    start = 0
    while start < len(entry):
        size = int.from_bytes(entry[start : start + _SIZE_BYTES], "little")
        yield _read_effect(entry[start : start + size])
        start += size


def _read_effect(blob: bytes) -> Effect:
    kind = EffectKind(blob[_SIZE_BYTES])
    if kind in _ORDER_TEXTS or kind in _ENTRY_KINDS:
        layout = layouts.ORDER_EFFECT if kind in _ORDER_TEXTS else layouts.ENTRY_EFFECT
        _, _, time_ms, *sums = layout.packer.unpack_from(blob)
        count = layout.text_count + _ORDER_TEXTS.get(kind, 0)
        *texts, record = blob[layout.size :].split(b"\0", count)
        account_id, name, *own = (text.decode() for text in texts)
        return Effect(kind, time_ms, account_id, name, tuple(own), Sums(*sums), record)
    if kind in _BATCH_KINDS:
        _, _, time_ms = layouts.BATCH_EFFECT.packer.unpack_from(blob)
        batch_id, model_version, record = blob[layouts.BATCH_EFFECT.size :].split(b"\0", 2)
        return Effect(kind, time_ms, "", batch_id.decode(), (model_version.decode(),), None, record)
    _, _, time_ms = layouts.ACCOUNT_EFFECT.packer.unpack_from(blob)
    actor, reason, record = blob[layouts.ACCOUNT_EFFECT.size :].split(b"\0", 2)
    account_id = record[layouts.ACCOUNT_ANSWER.size :].split(b"\0", 1)[0].decode()
    return Effect(kind, time_ms, account_id, "", (actor.decode(), reason.decode()), None, record)
