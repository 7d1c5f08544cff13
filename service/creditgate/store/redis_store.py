"""The store on Redis: one library call for many operations, on the lanes that the topology keeps open."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, TypeVar, cast

from creditgate.domain.account import Account
from creditgate.domain.bounds import CALL_OPERATIONS_MAX
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import Operation
from creditgate.domain.policy import DEFAULT_POLICY, Policy
from creditgate.domain.ports import Page
from creditgate.domain.reservation import Reservation, ReservationState
from creditgate.domain.verification import SumDifference, Verified
from creditgate.store import codec, keys
from creditgate.store.audit import audit_account
from creditgate.store.coalescer import AnyOperation, CallOptions, WaitingRoom
from creditgate.store.failures import unpack_failure
from creditgate.store.lane import Argument, Reply
from creditgate.store.location import RedisKind, parse_location
from creditgate.store.observer import StoreObserver
from creditgate.store.page_token import PagePlace, PageTokenError, parse_page_token, render_page_token
from creditgate.store.partition_group import PartitionGroup
from creditgate.store.replication import ReplicaAcks
from creditgate.store.topology import Topology
from creditgate.store.topology_cluster import ClusterTopology
from creditgate.store.topology_primary import PrimaryTopology

R = TypeVar("R")

PARTITIONS_DEFAULT: Final = 16
PARTITIONS_MAX: Final = 4096
_SWEEP_WAIT_S: Final = 10.0
"""How long one step of the sweeper may wait for lanes to its partition."""


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """How the store behaves.

    Attributes:
        partitions: how many the accounts hash onto.
        redis_timeout_s: how long Redis may say nothing while calls wait for it.
        queue_max: how many operations may wait for Redis.
        replica_acks: how many replicas acknowledge a change before it is answered.

    """

    partitions: int = PARTITIONS_DEFAULT
    redis_timeout_s: float = 2.0
    queue_max: int = 10_000
    replica_acks: ReplicaAcks = field(default_factory=ReplicaAcks)


def _retrieve_error(call: asyncio.Future[Reply]) -> None:
    """Look at the error of a call that nobody waits for any more, which asyncio would otherwise complain about."""
    if not call.cancelled():
        call.exception()


class QueueStep(NamedTuple):
    """What one step of a queue did: what was settled, references looked at, and how late the oldest was, in seconds.

    No references mean that nothing is due.
    """

    settled: int
    looked_at: int
    lag_s: int


def _topology(url: str, options: StoreOptions) -> Topology:
    location = parse_location(url)
    kind = ClusterTopology if location.kind is RedisKind.CLUSTER else PrimaryTopology
    return kind(location, options.partitions, options.redis_timeout_s, options.replica_acks.count)


class RedisCreditStore:
    """`creditgate.domain.ports.CreditStore` on one Redis, on one behind Sentinel, or on a Redis Cluster.

    `start` begins to connect and returns at once; until `ready`, and whenever Redis is away, every operation fails at
    once with STORE_UNAVAILABLE. On a cluster, this holds for the operations of each partition by itself.
    """

    def __init__(
        self, url: str, *, options: StoreOptions, observer: StoreObserver, policy: Policy = DEFAULT_POLICY
    ) -> None:
        self._options = options
        self._observer = observer
        self._topology = _topology(url, options)
        spans = self._topology.groups
        room = WaitingRoom(options.queue_max, len(spans))
        call_options = CallOptions(codec.pack_policy(policy), options.partitions, room, observer, options.replica_acks)
        self._groups = [
            PartitionGroup(number, self._topology.refused, call_options, self._group_changed)
            for number in range(len(spans))
        ]
        self._group_of = {
            partition: group for group, span in zip(self._groups, spans, strict=True) for partition in span
        }
        self._only = self._groups[0] if len(self._groups) == 1 else None
        self._stopping = False
        self._ready = asyncio.Event()
        self._unready_reason = "the store has not been started"

    # --- life

    @property
    def ready(self) -> bool:
        """Whether operations can be carried out now, those of some partitions at least."""
        return self._ready.is_set()

    @property
    def unready_reason(self) -> str:
        """Why operations can't be carried out now, in one sentence; empty when they can."""
        return "" if self.ready else self._unready_reason

    @property
    def partitions(self) -> int:
        """How many partitions the accounts hash onto."""
        return self._options.partitions

    async def start(self) -> None:
        """Begin to connect; returns at once, and does not fail because Redis is away."""
        self._unready_reason = "connecting to Redis"
        self._topology.start(self._groups)

    async def wait_ready(self, timeout_s: float) -> bool:
        """Wait until operations can be carried out; return whether they can, after `timeout_s` seconds at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        return self.ready

    async def drain(self, timeout_s: float) -> None:
        """Take no more operations (SHUTTING_DOWN) and wait until those taken are answered, `timeout_s` at most."""
        self._stopping = True
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                for group in self._groups:
                    await group.wait_idle()

    async def close(self) -> None:
        """Close the connections; whatever still waits fails."""
        self._stopping = True
        await self._topology.close()
        for group in self._groups:
            group.lose("the service is stopping")

    # --- the port

    async def run(self, operation: Operation[R], deadline: float) -> R:
        """Carry out one operation (see `CreditStore.run`)."""
        (outcome,) = await self._submit((cast("AnyOperation", operation),), deadline)
        self._count(operation, outcome)
        if isinstance(outcome, CreditError):
            raise outcome
        return cast("R", outcome)

    async def run_each(self, operations: Sequence[Operation[R]], deadline: float) -> list[R | CreditError]:
        """Carry out operations of one kind, reading or writing, independently (see `CreditStore.run_each`)."""
        chunks = self._chunks(cast("Sequence[AnyOperation]", operations))
        ended = await asyncio.gather(
            *(self._submit([operations[index] for index in chunk], deadline) for chunk in chunks),
            return_exceptions=True,
        )
        outcomes: list[object] = [None] * len(operations)
        for chunk, result in zip(chunks, ended, strict=True):
            if isinstance(result, BaseException) and not isinstance(result, CreditError):
                raise result
            each = [result] * len(chunk) if isinstance(result, CreditError) else result
            for index, outcome in zip(chunk, each, strict=True):
                outcomes[index] = outcome
        for operation, outcome in zip(operations, outcomes, strict=True):
            self._count(operation, outcome)
        return cast("list[R | CreditError]", outcomes)

    async def list_reservations(
        self, account_id: str, states: frozenset[ReservationState], page_size: int, page_token: str, deadline: float
    ) -> Page[Reservation]:
        """Return a page of reservations (see `CreditStore.list_reservations`)."""
        partition = keys.partition_of(account_id, self.partitions)
        place = self._place(page_token, partition)
        wanted = "".join("1" if not states or state in states else "0" for state in ReservationState)
        reply = await self._list(
            "creditgate_list_reservations",
            partition,
            (account_id, place.cursor, place.behind, page_size, wanted),
            deadline,
        )
        if isinstance(reply, bytes):
            raise unpack_failure(Operation(account_id), reply)
        cursor, behind, *items = cast("list[bytes]", reply)
        reservations = tuple(
            codec.unpack_reservation(account_id, items[index].decode(), items[index + 1])
            for index in range(0, len(items), 2)
        )
        return Page(reservations, render_page_token(PagePlace(partition, cursor.decode(), behind.decode())))

    async def list_accounts(self, page_size: int, page_token: str, deadline: float) -> Page[Account]:
        """Return a page of accounts, partition after partition (see `CreditStore.list_accounts`)."""
        place = self._place(page_token, None)
        arguments = (place.cursor, place.behind, page_size)
        reply = await self._list("creditgate_list_accounts", place.partition, arguments, deadline)
        cursor, behind, *items = cast("list[bytes]", reply)
        following = PagePlace(place.partition, cursor.decode(), behind.decode())
        if not cursor and place.partition + 1 < self.partitions:
            following = PagePlace(place.partition + 1, "0", "")
        return Page(tuple(codec.unpack_account(item)[0] for item in items), render_page_token(following))

    async def verify_account(self, account_id: str, *, repair: bool, deadline: float) -> tuple[SumDifference, ...]:
        """Recompute an account's sums (see `CreditStore.verify_account`)."""
        differences = await self._verify(account_id, repair=repair, deadline=deadline)
        if differences is None:
            raise CreditError(ErrorReason.ACCOUNT_NOT_FOUND, f"there is no account {account_id}")
        return differences

    async def verify_accounts(self, *, page_size: int, page_token: str, repair: bool, deadline: float) -> Verified:
        """Verify a page of all accounts (see `CreditStore.verify_accounts`)."""
        page = await self.list_accounts(page_size, page_token, deadline)
        differences: list[SumDifference] = []
        for account in page.items:
            differences += await self._verify(account.account_id, repair=repair, deadline=deadline) or ()
        return Verified(len(page.items), tuple(differences), page.next_page_token)

    async def _verify(self, account_id: str, *, repair: bool, deadline: float) -> tuple[SumDifference, ...] | None:
        partition = keys.partition_of(account_id, self.partitions)

        async def ask(arguments: Sequence[Argument]) -> Reply:
            return await self._call_shielded("creditgate_audit", partition, tuple(arguments), deadline, read_only=True)

        finding = await audit_account(account_id, ask)
        if finding is None or not finding.differences or not repair:
            return finding.differences if finding is not None else None
        arguments = (account_id, *finding.repair)
        await self._call_shielded("creditgate_repair", partition, arguments, deadline, read_only=False)
        return tuple(replace(difference, repaired=True) for difference in finding.differences)

    async def sweep(self, partition: int, references_max: int) -> QueueStep:
        """Settle holds of a partition whose time is over, oldest first.

        Raises `CreditError` STORE_UNAVAILABLE.
        """
        deadline = time.monotonic() + _SWEEP_WAIT_S
        reply = await self._group_of[partition].call(
            "creditgate_sweep", partition, (references_max,), deadline, read_only=False
        )
        return QueueStep(*cast("list[int]", reply))

    async def retire(self, partition: int, references_max: int, retention_s: int) -> QueueStep:
        """Clean up what ended in a partition longer ago than it has to be kept, oldest first.

        Raises `CreditError` STORE_UNAVAILABLE.
        """
        deadline = time.monotonic() + _SWEEP_WAIT_S
        reply = await self._group_of[partition].call(
            "creditgate_retire", partition, (references_max, retention_s), deadline, read_only=False
        )
        return QueueStep(*cast("list[int]", reply))

    # --- inside

    async def _submit(self, operations: Sequence[AnyOperation], deadline: float) -> Sequence[object]:
        if self._stopping:
            raise CreditError(ErrorReason.SHUTTING_DOWN, "the service is stopping; ask another one, or again later")
        group = self._only or self._group_of[keys.partition_of(operations[0].account_id, self.partitions)]
        coalescer = group.reads if type(operations[0]) in codec.READ_OPERATIONS else group.writes
        return await coalescer.submit(operations, deadline)

    def _chunks(self, operations: Sequence[AnyOperation]) -> list[Sequence[int]]:
        """Return which operations, by index, share a call: as many as a call takes, of one group of partitions."""
        if self._only is not None:
            spans: Iterable[Sequence[int]] = (range(len(operations)),)
        else:
            by_group: defaultdict[int, list[int]] = defaultdict(list)
            for index, operation in enumerate(operations):
                by_group[self._group_of[keys.partition_of(operation.account_id, self.partitions)].number].append(index)
            spans = by_group.values()
        return [
            span[start : start + CALL_OPERATIONS_MAX]
            for span in spans
            for start in range(0, len(span), CALL_OPERATIONS_MAX)
        ]

    def _count(self, operation: Operation[R], outcome: object) -> None:
        result = outcome.reason.name if isinstance(outcome, CreditError) else "OK"
        self._observer.operation_finished(type(operation).__name__, result)

    def _place(self, page_token: str, partition: int | None) -> PagePlace:
        try:
            return parse_page_token(page_token, partition, self.partitions)
        except PageTokenError:
            raise CreditError.of_field("page_token", "is not a token that this listing gave out") from None

    async def _list(self, function: str, partition: int, arguments: tuple[Argument, ...], deadline: float) -> Reply:
        return await self._call_shielded(function, partition, arguments, deadline, read_only=True)

    async def _call_shielded(
        self, function: str, partition: int, arguments: tuple[Argument, ...], deadline: float, *, read_only: bool
    ) -> Reply:
        # Shielded: a call that is given up must not take the lane with it.
        group = self._group_of[partition]
        call = asyncio.ensure_future(group.call(function, partition, arguments, deadline, read_only=read_only))
        call.add_done_callback(_retrieve_error)
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await asyncio.shield(call)
        except TimeoutError:
            msg = "the deadline passed before the store answered; asking again is safe"
            raise CreditError(ErrorReason.DEADLINE_EXCEEDED, msg) from None

    def _group_changed(self) -> None:
        """Learn that a group of partitions can or can't be used now."""
        ready = any(group.usable for group in self._groups)
        if not ready:
            self._unready_reason = "; ".join(dict.fromkeys(group.why for group in self._groups))
        if ready != self.ready:
            self._ready.set() if ready else self._ready.clear()
            self._observer.readiness_changed(ready=ready, why=self.unready_reason)
