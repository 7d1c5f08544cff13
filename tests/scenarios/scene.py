"""Where scenarios take place: one store on one Redis, and of it a partition for each scenario."""

import asyncio
import itertools
import time
from collections.abc import Coroutine, Sequence
from datetime import date
from typing import Any, Final, TypeVar

from redis import Redis

from creditgate.domain.errors import CreditError
from creditgate.domain.operations import Operation
from creditgate.domain.policy import DEFAULT_POLICY
from creditgate.domain.reservation import Etag
from creditgate.policies import PolicyError, parse_policy
from creditgate.store import RedisCreditStore, keys
from tests.scenarios.table import TableError
from tests.scenarios.words import MS_PER_S, Instant, date_at, read_instant

T = TypeVar("T")

PARTITIONS: Final = 1024
"""A scenario has a partition to itself, and with it a clock, a journal and queues."""

START_S: Final = 3_786_912_000
"""T: the beginning of 2090. A partition never turns back to a clock that is behind it, so that no real one matters."""

_CALL_TIMEOUT_S: Final = 10.0


class Stage:
    """A store, a client of its Redis, and the event loop on which the store runs while something is asked."""

    def __init__(self, store: RedisCreditStore, client: Redis, loop: asyncio.Runner) -> None:
        self.store = store
        self.client = client
        self._loop = loop
        self._partitions = iter(range(PARTITIONS))

    def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry out what the store does asynchronously."""
        return self._loop.run(work)

    def open_scene(self) -> "Scene":
        """Return a scene on a partition that no other has had, judged as without a policy file."""
        self.store.use_policy(DEFAULT_POLICY)
        partition = next(self._partitions, None)
        assert partition is not None, "there are more scenarios than PARTITIONS"
        return Scene(self, partition)


class Scene:
    """One scenario's partition, its time, and the names that it uses."""

    def __init__(self, stage: Stage, partition: int) -> None:
        self.client = stage.client
        self.partition = partition
        self.store = stage.store
        self.currencies: dict[str, str] = {}
        self.journaled: dict[str, int] = {}
        """How many effects on an account the scenario has stated so far."""
        self._stage = stage
        self._now_s = START_S
        self._account_ids: dict[str, str] = {}
        self._group_ids: dict[str, str] = {}
        self._rules: dict[str, str] = {}
        self._etags: dict[str, Etag] = {}
        self._set_clock()

    # --- the store

    @property
    def deadline(self) -> float:
        """When a call that begins now must be answered."""
        return time.monotonic() + _CALL_TIMEOUT_S

    def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry out what the store does asynchronously."""
        return self._stage.finish(work)

    def run_each(self, operations: Sequence[Operation[object]]) -> list[object | CreditError]:
        """Carry out operations in one call."""
        return self.finish(self.store.run_each(operations, self.deadline))

    # --- accounts

    @property
    def accounts(self) -> Sequence[str]:
        """The accounts that the scenario has named."""
        return tuple(self._account_ids)

    def account_id(self, name: str) -> str:
        """Return the id of an account: its name with a suffix that brings it into this partition."""
        if name not in self._account_ids:
            self._account_ids[name] = self._id_here(name)
        return self._account_ids[name]

    def group_id(self, name: str) -> str:
        """Return the id of a credit group: as that of an account."""
        if name not in self._group_ids:
            self._group_ids[name] = self._id_here(name)
        return self._group_ids[name]

    def _id_here(self, name: str) -> str:
        candidates = (f"{name}.{number}" for number in itertools.count())
        return next(each for each in candidates if keys.partition_of(each, PARTITIONS) == self.partition)

    # --- the policy

    def set_rule(self, name: str, setting: str) -> None:
        """Judge by a rule as a policy file says it; the others stay as they are."""
        self._rules[name] = setting
        rules = "".join(f"    {rule}: {told}\n" for rule, told in self._rules.items())
        try:
            document = parse_policy(f"default:\n  rules:\n{rules}")
        except PolicyError as error:
            raise TableError(str(error)) from None
        self.store.use_policy(document.compiled(shadow=False))

    # --- time

    def tick(self, seconds: int) -> None:
        """Let so much time pass."""
        self._now_s += seconds
        self._set_clock()

    def _set_clock(self) -> None:
        self.client.set(keys.clock(self.partition), self._now_s)

    def instant(self, time_ms: int) -> Instant:
        """Return an instant of the store as a table writes it."""
        return Instant(time_ms - START_S * MS_PER_S)

    def time_ms(self, word: str) -> int:
        """Return the milliseconds since 1970 that an instant is."""
        return START_S * MS_PER_S + read_instant(word).offset_ms

    def date(self, word: str) -> date:
        """Return the day of an instant."""
        return date_at(self.time_ms(word))

    # --- etags

    def etag(self, name: str) -> Etag:
        """Return the etag of a name that an answer has stated."""
        if name not in self._etags:
            raise TableError(f"no answer has stated an etag {name}")
        return self._etags[name]

    def is_etag(self, name: str, actual: Etag) -> bool:
        """Return whether a name stands for an etag; a new name stands for one that has no name yet."""
        if name not in self._etags and actual not in self._etags.values():
            self._etags[name] = actual
        return self._etags.get(name) == actual

    def etag_name(self, actual: Etag) -> str:
        """Return the name of an etag, for people."""
        return next((name for name, etag in self._etags.items() if etag == actual), "without a name")
