"""The partitions that one call may span: their queues, and the lanes to the server that holds them."""

import asyncio
import time
from collections.abc import Callable

from redis.exceptions import OutOfMemoryError, ResponseError

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.store import keys
from creditgate.store.coalescer import (
    REFUSALS_MAX,
    SENT_ROUND,
    CallOptions,
    Coalescer,
    may_have_run,
    store_full,
    store_unavailable,
)
from creditgate.store.failures import read_refusal
from creditgate.store.lane import Argument, Lane, LaneBrokenError, Reply
from creditgate.store.replication import ReplicasBehindError, call_replicated
from creditgate.store.topology import LanePair

Refused = Callable[[int, Lane, ResponseError], str | None]


class PartitionGroup:
    """`creditgate.store.topology.LaneUser` of one group of partitions.

    Attributes:
        number: the group's place among the topology's groups.
        writes: what changes accounts goes through here.
        reads: what only looks goes through here.
        why: why the group can't be used, in one sentence; empty when it can, or is about to.

    """

    def __init__(self, number: int, refused: Refused, options: CallOptions, on_change: Callable[[], None]) -> None:
        self.number = number
        self.why = "connecting to Redis"
        self.writes = Coalescer("creditgate_apply", options, self._call_refused, read_only=False)
        self.reads = Coalescer("creditgate_read", options, self._call_refused, read_only=True)
        self._refused = refused
        self._observer = options.observer
        self._acks = options.acks
        self._on_change = on_change
        self._lanes: LanePair | None = None
        self._decided = asyncio.Event()
        self._decided.set()

    @property
    def usable(self) -> bool:
        """Whether operations can be carried out now."""
        return not self.why

    def use(self, lanes: LanePair) -> None:
        """Send calls on these lanes from now on (see `LaneUser.use`)."""
        if lanes is self._lanes:
            return
        self._lanes, self.why = lanes, ""
        self._decided.set()
        self.writes.use(lanes.write)
        self.reads.use(lanes.read)
        self._on_change()

    def lose(self, why: str) -> None:
        """Fail what waits and what comes (see `LaneUser.lose`)."""
        if self._lanes is None and why == self.why:
            return
        self._lanes, self.why = None, why
        self._decided.set()
        self.writes.lose(why)
        self.reads.lose(why)
        self._on_change()

    def hold(self) -> None:
        """Keep what waits and what comes (see `LaneUser.hold`)."""
        self._lanes, self.why = None, ""
        self._decided.clear()
        self.writes.hold()
        self.reads.hold()
        self._on_change()

    async def wait_idle(self) -> None:
        """Return when nothing waits and nothing is in flight."""
        await self.writes.wait_idle()
        await self.reads.wait_idle()

    async def call(
        self,
        function: str,
        partition: int,
        arguments: tuple[Argument, ...],
        deadline: float,
        *,
        read_only: bool,
        replicated: bool = False,
    ) -> Reply:
        """Call a function of the library that is no operation, on one partition, and return its reply.

        With `replicated`, as many replicas as `CREDITGATE_REPLICA_ACKS` says have its changes then.

        Raises:
            CreditError: STORE_UNAVAILABLE; STORE_FULL; DEADLINE_EXCEEDED when no lane was to be had before; what the
                function refuses the call with.

        """
        command = ("FCALL_RO" if read_only else "FCALL", function, 1, keys.prefix(partition), *arguments)
        acks = self._acks if replicated and self._acks.count and not read_only else None
        for _ in range(REFUSALS_MAX):
            lanes = await self._wait_lanes(deadline)
            lane = lanes.read if read_only else lanes.write
            started = time.perf_counter()
            failed = True
            try:
                if acks is None:
                    reply = await lane.call(*command)
                else:
                    reply = await call_replicated(lane, acks, (partition,), command)
                failed = False
            except (LaneBrokenError, ReplicasBehindError) as error:
                raise store_unavailable(str(error), sent=not read_only) from error
            except OutOfMemoryError as error:
                raise store_full() from error
            except ResponseError as error:
                refusal = read_refusal(error)
                if refusal is not None:
                    failed = False
                    raise refusal from error
                why = self._call_refused(lane, error)
                if why is not None:
                    raise store_unavailable(why, sent=not read_only and may_have_run(error)) from error
            else:
                return reply
            finally:
                self._observer.call_finished(function, 1, time.perf_counter() - started, failed=failed)
        raise store_unavailable(SENT_ROUND, sent=False)

    def _call_refused(self, lane: Lane, error: ResponseError) -> str | None:
        return self._refused(self.number, lane, error)

    async def _wait_lanes(self, deadline: float) -> LanePair:
        while self._lanes is None:
            if self.why:
                raise store_unavailable(self.why, sent=False)
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._decided.wait()
            except TimeoutError:
                msg = "the deadline passed before the partition was found; asking again is safe"
                raise CreditError(ErrorReason.DEADLINE_EXCEEDED, msg) from None
        return self._lanes
