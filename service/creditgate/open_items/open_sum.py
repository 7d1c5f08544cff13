"""Adds up what the rows of a file have open, each document once however often the file has it."""

from collections import Counter
from hashlib import blake2b
from typing import Final, NamedTuple

from creditgate.open_items.csv_source import Item

_KEY_BYTES: Final = 8
"""Two documents of ten million share a key once in 370,000 files."""


class _Open(NamedTuple):
    currency_code: str
    amount_minor: int


class OpenSum:
    """What was sent and not refused; takes some 70 bytes a document.

    The service takes the same document of an account again only with the same details, and owes it once.

    Attributes:
        minor: by currency, what is open, in minor units.
        repeated: rows whose document an earlier row has, and that the service did not refuse.

    """

    def __init__(self) -> None:
        self.minor: Counter[str] = Counter()
        self.repeated = 0
        self._counted: set[int] = set()
        self._again: dict[int, dict[int, _Open]] = {}

    def add(self, position: int, item: Item) -> None:
        """Count a row that is sent; `position` is its place among those sent."""
        key = _key(item.account_id, item.document_id)
        if key in self._counted:
            self.repeated += 1
            self._again.setdefault(key, {})[position] = _Open(item.currency_code, item.amount_minor)
        else:
            self._counted.add(key)
            self.minor[item.currency_code] += item.amount_minor

    def take_back(self, position: int, item: Item) -> None:
        """Leave out a row that was refused; another one with its document then counts in its place."""
        key = _key(item.account_id, item.document_id)
        again = self._again.get(key, {})
        if again.pop(position, None) is not None:
            self.repeated -= 1
            return
        self.minor[item.currency_code] -= item.amount_minor
        if not again:
            self._counted.discard(key)
            return
        self.repeated -= 1
        next_one = again.pop(min(again))
        self.minor[next_one.currency_code] += next_one.amount_minor


def _key(account_id: str, document_id: str) -> int:
    return int.from_bytes(blake2b(f"{account_id}|{document_id}".encode(), digest_size=_KEY_BYTES).digest())
