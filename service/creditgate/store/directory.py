"""Where accounts live, as far as it is not the partition that their id hashes onto.

An account of a credit group lives in the group's partition, so that both change in one atomic step. The partition that
its id hashes onto, its home, then has a stub that leads there; so has every partition that it has left. A server
remembers where it was led; what it remembers may be old, then it is led on.
"""

from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from typing import Final

from creditgate.store import keys

HOPS_MAX: Final = 8
"""How often an operation is led on before it is given up: far more often than an account moves meanwhile."""

SLOTS: Final = 1 << 22
"""Places in the table, of 8 bytes each: of a million accounts a tenth share one with another."""

_PLACE_BITS: Final = 16
_PLACE_MASK: Final = (1 << _PLACE_BITS) - 1
_TAG_MASK: Final = (1 << 64) - 1 - _PLACE_MASK


class Directory:
    """Remembers where accounts live that are not at home.

    An account has one slot in a table that never grows, by the last bits of its id's hash; what is learned takes the
    place of what was there, and is found again by its stub. A dict would take several times the memory for a million
    accounts, and let every order wait while it grows. A slot holds the other bits of the hash and the place: two ids
    are only taken for one if all 64 bits are alike.
    """

    def __init__(self, partitions: int, slots: int = SLOTS) -> None:
        self._partitions = partitions
        self._last_slot = slots - 1
        # Memory is taken as it is written to.
        self._slots = memoryview(mmap(-1, slots * 8, flags=MAP_PRIVATE | MAP_ANONYMOUS)).cast("Q")

    def home_of(self, account_id: str) -> int:
        """Return the partition that an id hashes onto."""
        return keys.partition_of(account_id, self._partitions)

    def partition_of(self, account_id: str) -> int:
        """Return where an account lives, as far as is known."""
        hashed = hash(account_id)
        entry = self._slots[hashed & self._last_slot]
        if entry and not (entry ^ hashed) & _TAG_MASK:
            return (entry & _PLACE_MASK) - 1
        return keys.partition_of(account_id, self._partitions)

    def learn(self, account_id: str, partition: int) -> None:
        """Remember where an account was found to live."""
        hashed = hash(account_id)
        self._slots[hashed & self._last_slot] = hashed & _TAG_MASK | partition + 1
