"""Brings operations that arrive one by one into calls of the library.

While a call is in flight, what arrives waits; the next call takes all of it, up to the bound. When nothing is in
flight an operation goes out at once: idle, there is no added wait; under load, a call's fixed cost is shared.
"""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Final, cast

from redis.exceptions import OutOfMemoryError, ResponseError

from creditgate.domain.bounds import CALL_OPERATIONS_MAX
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import Operation
from creditgate.store import codec, keys
from creditgate.store.lane import Argument, Lane, LaneBrokenError
from creditgate.store.observer import StoreObserver
from creditgate.store.replication import ReplicaAcks, ReplicasBehindError, call_replicated

AnyOperation = Operation[object]
Outcome = object
"""What an operation ended with: its answer, or a `CreditError`."""

CALLS_IN_FLIGHT_MAX: Final = 2
"""One call that Redis carries out and one that waits in its socket, so that Redis never waits for this process."""


REFUSALS_MAX: Final = 5
"""How often a call that is sent to the wrong server is sent again: two servers may name each other for a moment."""

SENT_ROUND: Final = "the servers send the call from one to another"


@dataclass(eq=False, slots=True)
class _Entry:
    """Operations that wait together, at most as many as a call takes; `number` counts them in order of arrival."""

    operations: Sequence[AnyOperation]
    partitions: Sequence[int]
    future: asyncio.Future[list[Outcome]]
    number: int
    refusals: int = 0


class WaitingRoom:
    """Bounds what waits in several queues together.

    Where there are several groups of partitions, a queue may take as much as it leaves: those of a server that is
    stuck never take all, so that the others go on.
    """

    def __init__(self, operations_max: int, groups: int) -> None:
        self.waiting = 0
        self._operations_max = operations_max
        self._several = groups > 1
        self.numbers = itertools.count()

    def admit(self, queued: int, count: int) -> None:
        """Return if so many operations may join a queue of so many; raise `CreditError` OVERLOADED if not."""
        free = self._operations_max - self.waiting
        if count > free:
            msg = f"{self.waiting} operations wait already, at most {self._operations_max} may; ask again later"
            raise CreditError(ErrorReason.OVERLOADED, msg)
        if self._several and queued + count > free:
            msg = f"{queued} operations wait already for the account's partition; ask again later"
            raise CreditError(ErrorReason.OVERLOADED, msg)


def store_unavailable(why: str) -> CreditError:
    """Return the error of an operation that the store could not answer."""
    return CreditError(
        ErrorReason.STORE_UNAVAILABLE,
        f"the store does not answer ({why}); whether the change was made is unknown, asking again is safe",
    )


def _deadline_exceeded() -> CreditError:
    return CreditError(
        ErrorReason.DEADLINE_EXCEEDED,
        "the deadline passed before the store answered; whether the change was made is unknown, asking again is safe",
    )


def _fail(entries: list[_Entry], error: Exception) -> None:
    for entry in entries:
        if not entry.future.done():
            entry.future.set_exception(error)


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What the calls of all coalescers have in common; `policy` returns the packed policy as it is now."""

    policy: Callable[[], bytes]
    room: WaitingRoom
    observer: StoreObserver
    acks: ReplicaAcks


class Coalescer:
    """The queue in front of one library function, on one lane.

    `refused` is asked about each call that Redis refused: it returns why the operations can't be answered, or None if
    the call is to be sent again.
    """

    def __init__(
        self,
        function: str,
        options: CallOptions,
        refused: Callable[[Lane, ResponseError], str | None],
        *,
        read_only: bool,
    ) -> None:
        self._function = function
        self._command = "FCALL_RO" if read_only else "FCALL"
        self._policy = options.policy
        self._acks = options.acks if options.acks.count and not read_only else None
        self._room = options.room
        self._observer = options.observer
        self._refused = refused
        self._queue: deque[_Entry] = deque()
        self._queued = 0
        self._calls: set[asyncio.Task[None]] = set()
        self._lane: Lane | None = None
        self._called: Lane | None = None
        self._why = "connecting to Redis"
        self._idle = asyncio.Event()
        self._idle.set()

    def use(self, lane: Lane) -> None:
        """Send calls on this lane from now on."""
        self._lane, self._why = lane, ""
        self._pump()

    def hold(self) -> None:
        """Send nothing from now on, and let operations wait."""
        self._lane, self._why = None, ""

    def lose(self, why: str) -> None:
        """Fail what waits, and what comes from now on."""
        self._lane, self._why = None, why
        self._fail_queue()

    async def submit(
        self, operations: Sequence[AnyOperation], partitions: Sequence[int], deadline: float
    ) -> list[Outcome]:
        """Carry out at most `CALL_OPERATIONS_MAX` operations, each in its partition; return what each ended with.

        Raises:
            CreditError: OVERLOADED, STORE_UNAVAILABLE or DEADLINE_EXCEEDED, for all of them alike.

        """
        if self._why:
            raise store_unavailable(self._why)
        room = self._room
        room.admit(self._queued, len(operations))
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0:
            raise _deadline_exceeded()
        loop = asyncio.get_running_loop()
        entry = _Entry(operations, partitions, loop.create_future(), next(room.numbers))
        timer = loop.call_later(remaining_s, self._expire, entry)
        self._queue.append(entry)
        self._count_queued(len(operations))
        self._idle.clear()
        self._pump()
        try:
            return await entry.future
        finally:
            timer.cancel()

    async def wait_idle(self) -> None:
        """Return when nothing waits and nothing is in flight."""
        await self._idle.wait()

    def _expire(self, entry: _Entry) -> None:
        if not entry.future.done():
            entry.future.set_exception(_deadline_exceeded())

    def _pump(self) -> None:
        lane = self._lane
        # Order is kept when lanes change: nothing overtakes what the old one may refuse.
        if lane is not None and (lane is self._called or not self._calls):
            while self._queue and len(self._calls) < CALLS_IN_FLIGHT_MAX:
                entries = self._take()
                if entries:
                    self._called = lane
                    call = asyncio.create_task(self._call(lane, entries))
                    self._calls.add(call)
                    call.add_done_callback(self._call_done)
        self._observer.queue_changed(self._room.waiting)
        if not self._queue and not self._calls:
            self._idle.set()

    def _take(self) -> list[_Entry]:
        """Take what the next call carries; what was cancelled or came too late is left out."""
        entries: list[_Entry] = []
        count = 0
        while self._queue and count + len(self._queue[0].operations) <= CALL_OPERATIONS_MAX:
            entry = self._queue.popleft()
            self._count_queued(-len(entry.operations))
            if not entry.future.done():
                entries.append(entry)
                count += len(entry.operations)
        return entries

    def _call_done(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._pump()

    async def _call(self, lane: Lane, entries: list[_Entry]) -> None:
        operations = [operation for entry in entries for operation in entry.operations]
        partitions = [partition for entry in entries for partition in entry.partitions]
        try:
            outcomes = await self._outcomes(lane, operations, partitions)
        except (LaneBrokenError, ReplicasBehindError) as error:
            _fail(entries, store_unavailable(str(error)))
            return
        except ResponseError as error:
            self._call_refused(lane, entries, error)
            return
        except Exception as error:  # noqa: BLE001 - a defect belongs to the callers, who would wait for their deadline
            _fail(entries, error)
            return
        start = 0
        for entry in entries:
            end = start + len(entry.operations)
            if not entry.future.done():
                entry.future.set_result(outcomes[start:end])
            start = end

    def _call_refused(self, lane: Lane, entries: list[_Entry], error: ResponseError) -> None:
        """Fail a call that did not run, or put it back in its place to be sent again."""
        why = self._refused(lane, error)
        if why is not None:
            _fail(entries, store_unavailable(why))
            return
        again = [entry for entry in entries if entry.refusals < REFUSALS_MAX and not entry.future.done()]
        for entry in again:
            entry.refusals += 1
            self._count_queued(len(entry.operations))
        self._queue = deque(sorted([*again, *self._queue], key=lambda entry: entry.number))
        _fail([entry for entry in entries if entry not in again], store_unavailable(SENT_ROUND))
        if self._why:
            self._fail_queue()

    async def _outcomes(self, lane: Lane, operations: list[AnyOperation], partitions: list[int]) -> list[Outcome]:
        try:
            return await self._invoke(lane, self._function, operations, partitions)
        except OutOfMemoryError:
            return await self._outcomes_when_full(lane, operations, partitions)

    async def _outcomes_when_full(
        self, lane: Lane, operations: list[AnyOperation], partitions: list[int]
    ) -> list[Outcome]:
        """Carry out what is carried out even when the store is full; Redis refused the whole call before it began."""
        full: Outcome = CreditError(
            ErrorReason.STORE_FULL,
            "the store is full (maxmemory is reached): nothing new is held; releases, commits and payments still work",
        )
        settles = [type(operation) in codec.SETTLE_OPERATIONS for operation in operations]
        settling, places = list(compress(operations, settles)), list(compress(partitions, settles))
        settled = iter(await self._invoke(lane, "creditgate_settle", settling, places) if settling else ())
        return [next(settled) if each else full for each in settles]

    async def _invoke(
        self, lane: Lane, function: str, operations: list[AnyOperation], partitions: list[int]
    ) -> list[Outcome]:
        parts: dict[int, int] = {}
        blobs = []
        for operation, partition in zip(operations, partitions, strict=True):
            blobs.append(codec.pack(operation, parts.setdefault(partition, len(parts) + 1)))
        started = time.perf_counter()
        failed = True
        try:
            arguments: tuple[Argument, ...] = (
                self._command,
                function,
                len(parts),
                *map(keys.prefix, parts),
                self._policy(),
                *blobs,
            )
            if self._acks is None:
                answers = await lane.call(*arguments)
            else:
                answers = await call_replicated(lane, self._acks, parts, arguments)
            failed = False
        finally:
            self._observer.call_finished(function, len(operations), time.perf_counter() - started, failed=failed)
        unpack = codec.unpack
        return [
            unpack(operation, answer)
            for operation, answer in zip(operations, cast("list[bytes]", answers), strict=True)
        ]

    def _count_queued(self, count: int) -> None:
        self._queued += count
        self._room.waiting += count

    def _fail_queue(self) -> None:
        while self._queue:
            entry = self._queue.popleft()
            self._count_queued(-len(entry.operations))
            if not entry.future.done():
                entry.future.set_exception(store_unavailable(self._why))
        self._pump()
