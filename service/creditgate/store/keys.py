"""Spells every key; `lua/keys.lua` is its counterpart inside the library, and a test holds the two together.

All keys of a partition begin with `cg:{N}`: the braces are the Redis Cluster hash tag, so that an account, its
reservations, its due sums and the partition's journal share a slot. `|` parts an account from an order: ids can't
contain it. A call declares the prefix itself as its one key per partition.
"""

from binascii import crc32
from typing import Final

STORE_KEY: Final = "cg:{store}"
"""Hash: facts about the whole store, fixed when its data is created (`partitions`)."""


def partition_of(account_id: str, partitions: int) -> int:
    """Return the partition, from 0, that an account hashes onto."""
    return crc32(account_id.encode()) % partitions


def prefix(partition: int) -> str:
    """Return the declared key of a partition, with which all its keys begin."""
    return f"cg:{{{partition}}}"


def account(partition: int, account_id: str) -> str:
    """Return the string of an account's sums and settings."""
    return f"{prefix(partition)}:a:{account_id}"


def orders(partition: int, account_id: str) -> str:
    """Return the hash of an account's reservations by order id."""
    return f"{prefix(partition)}:o:{account_id}"


def due(partition: int, account_id: str) -> str:
    """Return the sorted set of an account's exposure by the second at which it falls due."""
    return f"{prefix(partition)}:d:{account_id}"


def ledger(partition: int, account_id: str) -> str:
    """Return the hash of an account's receivable entries and of the markers of amends."""
    return f"{prefix(partition)}:l:{account_id}"


def texts(partition: int, account_id: str) -> str:
    """Return the hash of an account's texts that no decision reads."""
    return f"{prefix(partition)}:t:{account_id}"


def names(partition: int) -> str:
    """Return the hash of display names by account id: the partition's list of accounts."""
    return f"{prefix(partition)}:n"


def sweep_seconds(partition: int) -> str:
    """Return the sorted set of the seconds at which holds end."""
    return f"{prefix(partition)}:q"


def sweep_list(partition: int, second: int) -> str:
    """Return the list of the holds that end at a second."""
    return f"{prefix(partition)}:q:{second}"


def retention_steps(partition: int) -> str:
    """Return the sorted set of the steps of time in which something ended."""
    return f"{prefix(partition)}:r"


def retention_list(partition: int, step: int) -> str:
    """Return the list of what ended within a step and is kept for the retention."""
    return f"{prefix(partition)}:r:{step}"


def waiting(partition: int, account_id: str) -> str:
    """Return the sorted set of an account's orders that wait for a person, or whose amend does."""
    return f"{prefix(partition)}:w:{account_id}"


def waiting_accounts(partition: int) -> str:
    """Return the sorted set of accounts of which something waits, by the second at which that is to be judged anew."""
    return f"{prefix(partition)}:wa"


def velocity(partition: int, account_id: str) -> str:
    """Return the string of what was approved for an account within its window."""
    return f"{prefix(partition)}:v:{account_id}"


def group(partition: int, group_id: str) -> str:
    """Return the string of a credit group's limit and sums."""
    return f"{prefix(partition)}:g:{group_id}"


def group_due(partition: int, group_id: str) -> str:
    """Return the sorted set of a group's exposure by the second at which it falls due."""
    return f"{prefix(partition)}:h:{group_id}"


def group_names(partition: int) -> str:
    """Return the hash of display names by group id: the partition's list of groups."""
    return f"{prefix(partition)}:gn"


def rates(partition: int) -> str:
    """Return the hash of exchange rates by pair of currencies."""
    return f"{prefix(partition)}:x"


def moves(partition: int) -> str:
    """Return the hash of the accounts that are being moved away."""
    return f"{prefix(partition)}:m"


def limit_batches() -> str:
    """Return the sorted set of the limit batches' ids by when they were created."""
    return f"{prefix(0)}:b"


def limit_batch(batch_id: str) -> str:
    """Return the hash of a limit batch's record."""
    return f"{prefix(0)}:b:{batch_id}"


def limit_batch_errors(batch_id: str) -> str:
    """Return the hash of a limit batch's rows that were wrong on receipt, by row."""
    return f"{prefix(0)}:be:{batch_id}"


def limit_batch_measured(batch_id: str) -> str:
    """Return the hash of a limit batch's rows that were wrong when it was last measured, by row."""
    return f"{prefix(0)}:bm:{batch_id}"


def batch_states() -> str:
    """Return the hash of the limit batches' states."""
    return f"{prefix(0)}:bs"


def gone_batches() -> str:
    """Return the hash of the limit batches whose records are gone and whose rows are still to be dropped."""
    return f"{prefix(0)}:bg"


def staged_rows(partition: int, batch_id: str) -> str:
    """Return the hash of a limit batch's chunks of rows that are not in force."""
    return f"{prefix(partition)}:s:{batch_id}"


def staged_accounts(partition: int, batch_id: str) -> str:
    """Return the hash of the row of each account that a limit batch has named, while it is received."""
    return f"{prefix(partition)}:i:{batch_id}"


def undo_rows(partition: int, batch_id: str) -> str:
    """Return the hash of what undoes a limit batch, by chunk."""
    return f"{prefix(partition)}:u:{batch_id}"


def rows_applied(partition: int, batch_id: str) -> str:
    """Return the hash of what has become of a limit batch's chunks: whoever is in it is done."""
    return f"{prefix(partition)}:f:{batch_id}"


def rows_restored(partition: int, batch_id: str) -> str:
    """Return the hash of what a rollback has made of a limit batch's chunks."""
    return f"{prefix(partition)}:z:{batch_id}"


def servers_with_orders() -> str:
    """Return the hash of server -> when it last had orders."""
    return f"{prefix(0)}:k"


def journal(partition: int) -> str:
    """Return the partition's journal, a stream."""
    return f"{prefix(partition)}:j"


def clock(partition: int) -> str:
    """Return the string with the latest second that the partition has seen."""
    return f"{prefix(partition)}:c"
