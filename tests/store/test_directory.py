"""A server remembers where accounts live, in a table that never grows."""

from creditgate.store.directory import Directory
from creditgate.store.redis_store import PARTITIONS_MAX

ACCOUNTS = [f"account-{number}" for number in range(1000)]


def away(directory: Directory, account_id: str, by: int = 1) -> int:
    return (directory.home_of(account_id) + by) % PARTITIONS_MAX


def test_an_account_is_at_home_until_it_was_found_elsewhere() -> None:
    directory = Directory(PARTITIONS_MAX)
    for number, account_id in enumerate(ACCOUNTS):
        assert directory.partition_of(account_id) == directory.home_of(account_id)
        place = away(directory, account_id, number)
        directory.learn(account_id, place)
        assert directory.partition_of(account_id) == place


def test_an_account_is_where_it_was_found_last() -> None:
    directory = Directory(PARTITIONS_MAX)
    for by in (1, 2, 0, 3):
        directory.learn("a", away(directory, "a", by))
        assert directory.partition_of("a") == away(directory, "a", by)


def test_accounts_that_share_a_slot_are_not_taken_for_each_other() -> None:
    directory = Directory(PARTITIONS_MAX, slots=8)
    for account_id in ACCOUNTS:
        directory.learn(account_id, away(directory, account_id))
    places = {account_id: directory.partition_of(account_id) for account_id in ACCOUNTS}
    known = [account_id for account_id, place in places.items() if place == away(directory, account_id)]
    at_home = [account_id for account_id, place in places.items() if place == directory.home_of(account_id)]
    assert (len(known), len(at_home)) == (8, len(ACCOUNTS) - 8)


def test_the_first_and_the_last_partition_are_places_like_others() -> None:
    directory = Directory(PARTITIONS_MAX)
    for place in (0, PARTITIONS_MAX - 1):
        directory.learn("a", place)
        assert directory.partition_of("a") == place
