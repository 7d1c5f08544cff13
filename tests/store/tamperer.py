"""Writes wrong bytes into what the store keeps of an account."""

from typing import cast

from redis import Redis

from creditgate.store import keys, layouts
from creditgate.store.layouts import Layout
from tests.store.clocked import PARTITION


class Tamperer:
    """Writes wrong bytes into what the store keeps of an account."""

    def __init__(self, client: Redis, account_id: str) -> None:
        self._client = client
        self.account_key = keys.account(PARTITION, account_id)
        self.due_key = keys.due(PARTITION, account_id)
        self.orders_key = keys.orders(PARTITION, account_id)
        self.ledger_key = keys.ledger(PARTITION, account_id)

    def add_to_account(self, **amounts: int) -> None:
        """Add to numbers of the account's record."""
        self._client.set(self.account_key, added(layouts.ACCOUNT, self._get(self.account_key), amounts))

    def set_next_due(self, second: int) -> None:
        record = self._get(self.account_key)
        _, _, _, _, _, next_due, *_ = layouts.ACCOUNT.packer.unpack_from(record)
        self.add_to_account(next_due_s=second - next_due)

    def add_to_entry(self, field: str, **amounts: int) -> None:
        """Add to numbers of an entry of the ledger."""
        record = cast("bytes", self._client.hget(self.ledger_key, field))
        self._client.hset(self.ledger_key, field, added(layouts.LEDGER_ENTRY, record, amounts))

    def copy_entry(self, field: str, to: str) -> None:
        self._client.hset(self.ledger_key, to, cast("bytes", self._client.hget(self.ledger_key, field)))

    def drop_entry(self, field: str) -> None:
        assert self._client.hdel(self.ledger_key, field) == 1

    def add_to_order(self, order_id: str, **amounts: int) -> None:
        """Add to numbers of a reservation."""
        record = cast("bytes", self._client.hget(self.orders_key, order_id))
        self._client.hset(self.orders_key, order_id, added(layouts.ORDER, record, amounts))

    def drop_order(self, order_id: str) -> None:
        assert self._client.hdel(self.orders_key, order_id) == 1

    def set_due(self, second: int, *amounts: int) -> None:
        """Let so many due sums stand at a second."""
        self._client.zremrangebyscore(self.due_key, second, second)
        for amount in amounts:
            self._client.zadd(self.due_key, {f"{second}:{amount}": second})

    def _get(self, key: str) -> bytes:
        return cast("bytes", self._client.get(key))


def added(layout: Layout, record: bytes, amounts: dict[str, int]) -> bytes:
    """Return a packed record with something added to some of its numbers."""
    names = [name for name, kind in layout.fields if kind is not layouts.FieldType.TEXT]
    numbers = dict(zip(names, layout.packer.unpack_from(record), strict=True))
    for name, amount in amounts.items():
        numbers[name] += amount
    return layout.packer.pack(*numbers.values()) + record[layout.size :]
