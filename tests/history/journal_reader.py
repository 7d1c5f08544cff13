"""Collects the journal while it is written, so that its bound does not matter, and through every fault."""

import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, NamedTuple, TypeVar, cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from creditgate.store import keys
from creditgate.store.constants import JOURNAL_ENTRIES_MAX
from creditgate.store.journal import read_effects
from tests.history.readings import JournaledEffect, read_journaled

T = TypeVar("T")

_ENTRIES_MAX: Final = 1000
"""Entries that one read brings."""

_EVERY_S: Final = 0.1
_TIMEOUT_S: Final = 1.0
_JOIN_S: Final = 30.0
_GIVE_UP_S: Final = 30.0
_BEGINNING: Final = "0-0"


class Entry(NamedTuple):
    """An entry of a partition's journal."""

    entry_id: str
    effects: bytes


class JournalReader:
    """Reads the journal of some partitions from where it stood at `start`, in a thread of its own, until `finish`.

    `meanwhile` is called at every turn.
    """

    def __init__(self, redis_url: str, partitions: Iterable[int], meanwhile: Callable[[], None]) -> None:
        self._redis = Redis.from_url(
            redis_url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=Retry(NoBackoff(), 0)
        )
        self._meanwhile = meanwhile
        self._entries: dict[int, list[Entry]] = {partition: [] for partition in sorted(partitions)}
        self._begin: dict[int, str] = {}
        self._finishing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal-reader", daemon=True)

    def start(self) -> None:
        """Begin to collect what comes from now on."""
        for partition in self._entries:
            last = self._insist(partial(self._read, self._redis.xrevrange, partition, count=1))
            self._begin[partition] = last[0].entry_id if last else _BEGINNING
        self._thread.start()

    def finish(self) -> None:
        """Collect what is there by now, and end."""
        self._finishing.set()
        self._thread.join(_JOIN_S)
        assert not self._thread.is_alive()
        while self._insist(self._collect):
            pass

    def close(self) -> None:
        """End the thread, if it runs, and the connection."""
        self._finishing.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)
        self._redis.close()

    @property
    def count(self) -> int:
        """How many entries were collected."""
        return sum(map(len, self._entries.values()))

    def effects_on(self, account_ids: frozenset[str]) -> tuple[list[list[JournaledEffect]], list[str]]:
        """Return the effects on accounts, partition after partition, and what the journal should not have."""
        journal, faults = [], []
        for partition, entries in self._entries.items():
            effects: list[JournaledEffect] = []
            for entry in entries:
                for effect in read_effects(entry.effects):
                    if effect.account_id not in account_ids:
                        continue
                    journaled = read_journaled(entry.entry_id, effect)
                    if journaled is None:
                        faults.append(f"partition {partition}, entry {entry.entry_id}: nobody asks for {effect}")
                    else:
                        effects.append(journaled)
            journal.append(effects)
        return journal, faults

    def lost(self) -> list[str]:
        """Return where the journal no longer has what was read: entries may go by its bound, the oldest first."""
        faults = []
        for partition, entries in self._entries.items():
            if not entries:
                continue
            kept = self._insist(
                partial(
                    self._read,
                    self._redis.xrange,
                    partition,
                    min=f"({self._begin[partition]}",
                    max=entries[-1].entry_id,
                )
            )
            wanted = entries[-max(len(kept), min(len(entries), JOURNAL_ENTRIES_MAX)) :]
            if kept != wanted:
                other = sorted(entry_id for entry_id, _ in set(wanted) ^ set(kept))
                faults.append(f"partition {partition}: {len(other)} journal entries are not what was read: {other[:5]}")
        return faults

    def _run(self) -> None:
        while not self._finishing.is_set():
            self._meanwhile()
            try:
                while self._collect():
                    pass
            except RedisError:
                # Redis is down or frozen: what is not collected yet is collected when it is back.
                self._redis.connection_pool.disconnect()
            self._finishing.wait(_EVERY_S)

    def _collect(self) -> bool:
        """Collect what is new, up to a bound; return whether there may be more."""
        more = False
        for partition, entries in self._entries.items():
            last = entries[-1].entry_id if entries else self._begin[partition]
            new = self._read(self._redis.xrange, partition, min=f"({last}", count=_ENTRIES_MAX)
            entries.extend(new)
            more = more or len(new) == _ENTRIES_MAX
        return more

    def _insist(self, read: Callable[[], T]) -> T:
        """Read until Redis answers: at the end of a play it is there, but may be slow."""
        give_up = time.monotonic() + _GIVE_UP_S
        while True:
            try:
                return read()
            except RedisError:
                self._redis.connection_pool.disconnect()
                if time.monotonic() > give_up:
                    raise
            threading.Event().wait(_EVERY_S)

    def _read(self, read: Callable[..., object], partition: int, **bounds: str | int) -> list[Entry]:
        found = cast("list[tuple[bytes, dict[bytes, bytes]]]", read(keys.journal(partition), **bounds))
        return [Entry(entry_id.decode(), fields[b"e"]) for entry_id, fields in found]
