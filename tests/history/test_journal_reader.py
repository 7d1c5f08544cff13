"""The reader of the journal collects it through faults, and tells when some of it is lost."""

from collections.abc import Callable, Iterator

import pytest

from creditgate.store import keys
from creditgate.store.constants import JOURNAL_ENTRIES_MAX
from tests.history.journal_reader import JournalReader
from tests.private_redis import PrivateRedis

PARTITION = 3
JOURNAL = keys.journal(PARTITION)


@pytest.fixture
def redis(own_redis: Callable[..., PrivateRedis]) -> PrivateRedis:
    return own_redis(appendonly="yes", appendfsync="always")


@pytest.fixture
def reader(redis: PrivateRedis) -> Iterator[JournalReader]:
    reader = JournalReader(redis.url, {PARTITION}, lambda: None)
    reader.start()
    yield reader
    reader.close()


def write(redis: PrivateRedis, count: int) -> None:
    with redis.client() as client, client.pipeline() as pipeline:
        for number in range(count):
            pipeline.xadd(JOURNAL, {"e": str(number)})
        pipeline.execute()


def test_all_is_collected_through_a_kill_and_beyond_the_bound(redis: PrivateRedis, reader: JournalReader) -> None:
    write(redis, 10)
    redis.kill()
    redis.start(load=False)
    write(redis, JOURNAL_ENTRIES_MAX)
    reader.finish()
    with redis.client() as client:
        client.xtrim(JOURNAL, maxlen=JOURNAL_ENTRIES_MAX, approximate=False)
    assert reader.lost() == []
    assert reader.count == JOURNAL_ENTRIES_MAX + 10


def test_an_entry_that_is_gone_is_told(redis: PrivateRedis, reader: JournalReader) -> None:
    write(redis, 3)
    reader.finish()
    with redis.client() as client:
        client.xdel(JOURNAL, client.xrange(JOURNAL)[1][0])
    (fault,) = reader.lost()
    assert fault.startswith(f"partition {PARTITION}: 1 journal entries")


def test_entries_that_are_gone_and_replaced_are_told(redis: PrivateRedis, reader: JournalReader) -> None:
    write(redis, 3)
    reader.finish()
    with redis.client() as client:
        client.delete(JOURNAL)
    write(redis, 3)
    reader.finish()
    (fault,) = reader.lost()
    assert fault.startswith(f"partition {PARTITION}: 3 journal entries")
