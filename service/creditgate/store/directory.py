"""Where accounts live, as far as it is not the partition that their id hashes onto.

An account of a credit group lives in the group's partition, so that both change in one atomic step. The partition that
its id hashes onto, its home, then has a stub that leads there; so has every partition that it has left. A server
remembers where it was led; what it remembers may be old, then it is led on.
"""

from collections import OrderedDict
from typing import Final

from creditgate.store import keys

REMEMBERED_MAX: Final = 200_000
"""Accounts whose place is remembered; the longest unused are forgotten, and found again by their stub."""

HOPS_MAX: Final = 8
"""How often an operation is led on before it is given up: far more often than an account moves meanwhile."""


class Directory:
    """Remembers where accounts live that are not at home."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._away: OrderedDict[str, int] = OrderedDict()

    def home_of(self, account_id: str) -> int:
        """Return the partition that an id hashes onto."""
        return keys.partition_of(account_id, self._partitions)

    def partition_of(self, account_id: str) -> int:
        """Return where an account lives, as far as is known."""
        if not self._away:
            return keys.partition_of(account_id, self._partitions)
        partition = self._away.get(account_id)
        if partition is None:
            return keys.partition_of(account_id, self._partitions)
        self._away.move_to_end(account_id)
        return partition

    def learn(self, account_id: str, partition: int) -> None:
        """Remember where an account was found to live."""
        if partition == self.home_of(account_id):
            self._away.pop(account_id, None)
            return
        self._away[account_id] = partition
        self._away.move_to_end(account_id)
        if len(self._away) > REMEMBERED_MAX:
            self._away.popitem(last=False)
