"""The store on Redis: one library call for many operations, on the lanes that the topology keeps open."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, NamedTuple, TypeVar, cast

from creditgate.domain.account import Account
from creditgate.domain.bounds import CALL_OPERATIONS_MAX
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.group import CreditGroup
from creditgate.domain.operations import GetAccount, GetGroup, Operation, PutAccount
from creditgate.domain.policy import DEFAULT_POLICY, Policy
from creditgate.domain.ports import Page
from creditgate.domain.rates import ExchangeRate
from creditgate.domain.reservation import Reservation, ReservationState
from creditgate.domain.verification import SumDifference, Verified
from creditgate.store.answers import MovedTo, unpack_account, unpack_group, unpack_reservation
from creditgate.store.coalescer import AnyOperation, CallOptions, WaitingRoom
from creditgate.store.directory import HOPS_MAX, Directory
from creditgate.store.failures import account_moving
from creditgate.store.function_calls import FunctionCalls
from creditgate.store.lane import Argument, Reply
from creditgate.store.limit_batches import RedisLimitBatches
from creditgate.store.limit_steps import StepsUnderWay
from creditgate.store.location import RedisKind, parse_location
from creditgate.store.mover import Mover
from creditgate.store.observer import StoreObserver
from creditgate.store.operations import GROUP_OPERATIONS, READ_OPERATIONS, pack_rate
from creditgate.store.orders_watch import OrdersWatch
from creditgate.store.page_token import PagePlace, render_page_token
from creditgate.store.partition_group import PartitionGroup
from creditgate.store.policy_blob import pack_policy
from creditgate.store.replication import ReplicaAcks
from creditgate.store.topology import Topology
from creditgate.store.topology_cluster import ClusterTopology
from creditgate.store.topology_primary import PrimaryTopology
from creditgate.store.verifier import Verifier

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


class QueueStep(NamedTuple):
    """What one step of a queue did: what was settled, references looked at, and how late the oldest was, in seconds.

    No references mean that nothing is due.
    """

    settled: int
    looked_at: int
    lag_s: int = 0


def _topology(url: str, options: StoreOptions) -> Topology:
    location = parse_location(url)
    kind = ClusterTopology if location.kind is RedisKind.CLUSTER else PrimaryTopology
    return kind(location, options.partitions, options.redis_timeout_s, options.replica_acks.count)


class RedisCreditStore:
    """`creditgate.domain.ports.CreditStore` on one Redis, on one behind Sentinel, or on a Redis Cluster.

    `limit_batches` is `creditgate.domain.ports.LimitBatchStore` on the same Redis.

    `start` begins to connect and returns at once; until `ready`, and whenever Redis is away, every operation fails at
    once with STORE_UNAVAILABLE. On a cluster, this holds for the operations of each partition by itself.
    """

    def __init__(
        self, url: str, *, options: StoreOptions, observer: StoreObserver, policy: Policy = DEFAULT_POLICY
    ) -> None:
        self._options = options
        self._policy = pack_policy(policy)
        self._directory = Directory(options.partitions)
        self.operations_done = 0
        """How many operations on accounts have ended so far, well or not."""
        self._observer = observer
        self._topology = _topology(url, options)
        spans = self._topology.groups
        room = WaitingRoom(options.queue_max, len(spans))
        call_options = CallOptions(lambda: self._policy, room, observer, options.replica_acks)
        self._groups = [
            PartitionGroup(number, self._topology.refused, call_options, self._group_changed)
            for number in range(len(spans))
        ]
        self._group_of = {
            partition: group for group, span in zip(self._groups, spans, strict=True) for partition in span
        }
        self._calls = FunctionCalls(self._group_of, self._directory, lambda: self._policy)
        self._mover = Mover(self._directory, self._move_step)
        self._verifier = Verifier(self._calls, self._directory)
        self.orders_watch = OrdersWatch(self._calls.call, lambda: self.operations_done)
        """Knows of orders of other servers, once it is started."""
        steps = StepsUnderWay(lambda: self.operations_done, self.orders_watch.elsewhere)
        self.limit_batches = RedisLimitBatches(
            options.partitions, lambda: self._policy, partial(self._calls.call, replicated=True), steps
        )
        self._only = self._groups[0] if len(self._groups) == 1 else None
        self._stopping = False
        self._ready = asyncio.Event()
        self._unready_reason = "the store has not been started"

    def use_policy(self, policy: Policy) -> None:
        """Decide by another policy from the next call on; those under way are decided by the one they went out with."""
        self._policy = pack_policy(policy)

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
        try:
            if type(operation) is PutAccount and operation.group_id:
                outcome: object = await self._join(operation, deadline)
            else:
                outcome = await self._run(cast("AnyOperation", operation), deadline)
        except CreditError as error:
            self._count(operation, error)
            raise
        self._count(operation, outcome)
        if isinstance(outcome, CreditError):
            raise outcome
        return cast("R", outcome)

    async def run_each(self, operations: Sequence[Operation[R]], deadline: float) -> list[R | CreditError]:
        """Carry out operations of one kind, reading or writing, independently (see `CreditStore.run_each`)."""
        asked = cast("Sequence[AnyOperation]", operations)
        partitions = [self._partition_of(operation) for operation in asked]
        outcomes: list[object] = [None] * len(asked)
        left: Sequence[int] = range(len(asked))
        for _ in range(HOPS_MAX):
            ended = await self._submit_each(
                [asked[index] for index in left], [partitions[index] for index in left], deadline
            )
            for index, outcome in zip(left, ended, strict=True):
                outcomes[index] = outcome
            # Those that are led on go together: they keep their order, and wait for one call more, not for one each.
            left = [index for index in left if isinstance(outcomes[index], MovedTo)]
            if not left:
                break
            for index in left:
                partitions[index] = cast("MovedTo", outcomes[index]).partition
                self._directory.learn(asked[index].account_id, partitions[index])
        for index in left:
            outcomes[index] = account_moving(asked[index].account_id)
        for operation, outcome in zip(operations, outcomes, strict=True):
            self._count(operation, outcome)
        return cast("list[R | CreditError]", outcomes)

    async def _submit_each(
        self, operations: Sequence[AnyOperation], partitions: Sequence[int], deadline: float
    ) -> Sequence[object]:
        """Ask for operations, each in its partition; return what each ended with, in their order."""
        chunks = self._chunks(partitions)
        ended = await asyncio.gather(
            *(
                self._submit([operations[index] for index in chunk], [partitions[index] for index in chunk], deadline)
                for chunk in chunks
            ),
            return_exceptions=True,
        )
        outcomes: list[object] = [None] * len(operations)
        for chunk, result in zip(chunks, ended, strict=True):
            if isinstance(result, BaseException) and not isinstance(result, CreditError):
                raise result
            each = [result] * len(chunk) if isinstance(result, CreditError) else result
            for index, outcome in zip(chunk, each, strict=True):
                outcomes[index] = outcome
        return outcomes

    async def list_reservations(
        self, account_id: str, states: frozenset[ReservationState], page_size: int, page_token: str, deadline: float
    ) -> Page[Reservation]:
        """Return a page of reservations (see `CreditStore.list_reservations`)."""
        wanted = "".join("1" if not states or state in states else "0" for state in ReservationState)

        place = PagePlace(0, "0", "")

        async def ask(partition: int) -> Reply:
            nonlocal place
            place = self._calls.place(page_token, partition)
            arguments = (account_id, place.cursor, place.behind, page_size, wanted)
            return await self._calls.call(
                "creditgate_list_reservations", partition, arguments, deadline, read_only=True
            )

        reply = await self._calls.at_account(account_id, ask)
        cursor, behind, *items = cast("list[bytes]", reply)
        reservations = tuple(
            unpack_reservation(account_id, items[index].decode(), items[index + 1]) for index in range(0, len(items), 2)
        )
        return Page(reservations, render_page_token(PagePlace(place.partition, cursor.decode(), behind.decode())))

    async def list_accounts(self, page_size: int, page_token: str, deadline: float) -> Page[Account]:
        """Return a page of accounts, partition after partition (see `CreditStore.list_accounts`)."""
        items, token = await self._calls.list_all("creditgate_list_accounts", page_size, page_token, deadline)
        return Page(tuple(unpack_account(item)[0] for item in items), token)

    async def list_groups(self, page_size: int, page_token: str, deadline: float) -> Page[CreditGroup]:
        """Return a page of credit groups, partition after partition (see `CreditStore.list_groups`)."""
        items, token = await self._calls.list_all("creditgate_list_groups", page_size, page_token, deadline)
        return Page(tuple(unpack_group(item)[0] for item in items), token)

    async def put_rates(self, rates: Sequence[ExchangeRate], version: int, expire_time_s: int, deadline: float) -> int:
        """Replace exchange rates in every partition (see `CreditStore.put_rates`)."""
        arguments: list[Argument] = [version, expire_time_s]
        for rate in rates:
            arguments += (f"{rate.from_currency_code}>{rate.to_currency_code}", pack_rate(rate))
        applied = await asyncio.gather(
            *(
                self._calls.call("creditgate_put_rates", partition, tuple(arguments), deadline)
                for partition in range(self.partitions)
            )
        )
        return min(cast("list[int]", applied))

    async def verify_account(self, account_id: str, *, repair: bool, deadline: float) -> tuple[SumDifference, ...]:
        """Recompute an account's sums (see `CreditStore.verify_account`)."""
        differences = await self._verifier.verify_account(account_id, repair=repair, deadline=deadline)
        if differences is None:
            raise CreditError(ErrorReason.ACCOUNT_NOT_FOUND, f"there is no account {account_id}")
        return differences

    async def verify_accounts(self, *, page_size: int, page_token: str, repair: bool, deadline: float) -> Verified:
        """Verify a page of all accounts (see `CreditStore.verify_accounts`)."""
        page = await self.list_accounts(page_size, page_token, deadline)
        differences: list[SumDifference] = []
        for account in page.items:
            differences += (
                await self._verifier.verify_account(account.account_id, repair=repair, deadline=deadline) or ()
            )
        partition = self._calls.place(page_token, None).partition
        if not page.next_page_token or self._calls.place(page.next_page_token, None).partition != partition:
            differences += await self._verifier.verify_groups(partition, repair=repair, deadline=deadline)
        return Verified(len(page.items), tuple(differences), page.next_page_token)

    async def sweep(self, partition: int, references_max: int) -> QueueStep:
        """Settle holds of a partition whose time is over, oldest first. Raises `CreditError` STORE_UNAVAILABLE."""
        return await self._queue_step("creditgate_sweep", partition, references_max)

    async def judge_waiting(self, partition: int, orders_max: int) -> QueueStep:
        """Judge what waits anew where a limit began or ended by itself, or a group's was raised.

        Raises `CreditError` STORE_UNAVAILABLE.
        """
        return await self._queue_step("creditgate_judge_waiting", partition, orders_max, self._policy)

    async def retire(self, partition: int, references_max: int, retention_s: int) -> QueueStep:
        """Clean up what ended in a partition longer ago than it has to be kept, oldest first.

        Raises `CreditError` STORE_UNAVAILABLE.
        """
        return await self._queue_step("creditgate_retire", partition, references_max, retention_s)

    async def _queue_step(self, function: str, partition: int, *arguments: Argument) -> QueueStep:
        deadline = time.monotonic() + _SWEEP_WAIT_S
        reply = await self._group_of[partition].call(function, partition, arguments, deadline, read_only=False)
        return QueueStep(*cast("list[int]", reply))

    # --- inside

    def _partition_of(self, operation: AnyOperation) -> int:
        if type(operation) in GROUP_OPERATIONS:
            return self._directory.home_of(operation.account_id)
        return self._directory.partition_of(operation.account_id)

    async def _run(self, operation: AnyOperation, deadline: float) -> object:
        """Carry out an operation where its account lives; return what it ended with."""
        partition = self._partition_of(operation)
        for _ in range(HOPS_MAX):
            (outcome,) = await self._submit((operation,), (partition,), deadline)
            if not isinstance(outcome, MovedTo):
                return outcome
            partition = outcome.partition
            self._directory.learn(operation.account_id, partition)
        return account_moving(operation.account_id)

    async def _submit(
        self, operations: Sequence[AnyOperation], partitions: Sequence[int], deadline: float
    ) -> Sequence[object]:
        if self._stopping:
            raise CreditError(ErrorReason.SHUTTING_DOWN, "the service is stopping; ask another one, or again later")
        group = self._only or self._group_of[partitions[0]]
        coalescer = group.reads if type(operations[0]) in READ_OPERATIONS else group.writes
        return await coalescer.submit(operations, partitions, deadline)

    def _chunks(self, partitions: Sequence[int]) -> list[Sequence[int]]:
        """Return which operations, by index, share a call: as many as a call takes, of one group of partitions."""
        if self._only is not None:
            spans: Iterable[Sequence[int]] = (range(len(partitions)),)
        else:
            by_group: defaultdict[int, list[int]] = defaultdict(list)
            for index, partition in enumerate(partitions):
                by_group[self._group_of[partition].number].append(index)
            spans = by_group.values()
        return [
            span[start : start + CALL_OPERATIONS_MAX]
            for span in spans
            for start in range(0, len(span), CALL_OPERATIONS_MAX)
        ]

    # --- groups

    async def _join(self, operation: PutAccount, deadline: float) -> object:
        """Put an account that is to be in a group: it is created where the group lives, or moved there first.

        Returns what that ended with, or raises it. The steps in between are part of it, and not counted by themselves.
        """
        account_id, group_id = operation.account_id, operation.group_id or ""
        await self._run_first(GetGroup(group_id), deadline)
        target = self._directory.home_of(group_id)
        for _ in range(HOPS_MAX):
            outcome = await self._run(GetAccount(account_id), deadline)
            lives_in = self._directory.partition_of(account_id)
            if isinstance(outcome, CreditError):
                if outcome.reason is not ErrorReason.ACCOUNT_NOT_FOUND:
                    return outcome
                if lives_in != target and operation.currency_code:
                    lives_in = await self._mover.place(account_id, target)
                if lives_in != target:
                    # Somebody else has begun to create it, for another group or none; that has to end first.
                    await self._run_first(cast("AnyOperation", replace(operation, group_id=None)), deadline)
                    continue
            elif lives_in != target:
                failed = await self._mover.move(operation, lives_in, target)
                if failed is not None:
                    return failed
                continue
            put = await self._run(cast("AnyOperation", operation), deadline)
            if self._directory.partition_of(account_id) == target:
                return put
        return account_moving(account_id)

    async def _run_first(self, operation: AnyOperation, deadline: float) -> None:
        """Carry out an operation that another one needs; raise what it fails with."""
        outcome = await self._run(operation, deadline)
        if isinstance(outcome, CreditError):
            raise outcome

    async def resume_moves(self, partition: int, patience_s: int) -> int:
        """Finish moves away from a partition that somebody began longer ago and did not finish; return how many.

        Raises `CreditError`, when all have been tried, where one can't be finished now.
        """
        now_s, flat = cast("tuple[int, list[bytes]]", await self._move_step("creditgate_moves", partition, ()))
        resumed = 0
        failed: CreditError | None = None
        for account_id, begun in zip(flat[::2], flat[1::2], strict=True):
            target, since_s, group_id = begun.decode().split("|")
            if now_s - int(since_s) >= patience_s:
                put = PutAccount(account_id.decode(), group_id=group_id)
                try:
                    await self._mover.move(put, partition, int(target))
                    resumed += 1
                except CreditError as error:
                    failed = error
        if failed is not None:
            raise failed
        return resumed

    async def _move_step(
        self, function: str, partition: int, arguments: Sequence[Argument], *, read_only: bool = False
    ) -> Reply:
        deadline = time.monotonic() + _SWEEP_WAIT_S
        return await self._calls.call(function, partition, tuple(arguments), deadline, read_only=read_only)

    def _count(self, operation: Operation[R], outcome: object) -> None:
        self.operations_done += 1
        result = outcome.reason.name if isinstance(outcome, CreditError) else "OK"
        self._observer.operation_finished(type(operation).__name__, result)

    def _group_changed(self) -> None:
        """Learn that a group of partitions can or can't be used now."""
        ready = any(group.usable for group in self._groups)
        if not ready:
            self._unready_reason = "; ".join(dict.fromkeys(group.why for group in self._groups))
        if ready != self.ready:
            self._ready.set() if ready else self._ready.clear()
            self._observer.readiness_changed(ready=ready, why=self.unready_reason)
