"""Brings operations that arrive one by one into calls of the library.

What arrives in one turn of the event loop shares a call. While calls are in flight, what arrives waits; the next call
takes all of it, up to the bound. Idle, there is no added wait; under load, a call's fixed cost is shared.
"""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress
from typing import Final, cast

from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from creditgate.domain.bounds import CALL_OPERATIONS_MAX
from creditgate.domain.deadlines import Deadlines
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import Operation
from creditgate.store import keys
from creditgate.store.answers import Answer, unpack_answer
from creditgate.store.lane import Argument, Lane, LaneBrokenError, Reply, pack_command
from creditgate.store.observer import StoreObserver
from creditgate.store.operations import SETTLE_OPERATIONS, pack_operation
from creditgate.store.replication import ReplicaAcks, ReplicasBehindError, call_replicated

AnyOperation = Operation[object]
Outcome = object
"""What an operation ended with: its answer, or a `CreditError`."""

CALLS_IN_FLIGHT_MAX: Final = 2
"""One call that Redis carries out and one that waits in its socket, so that Redis never waits for this process."""


REFUSALS_MAX: Final = 5
"""How often a call that is sent to the wrong server is sent again: two servers may name each other for a moment."""

_SETTLE: Final = "creditgate_settle"

_ADVICE: Final = {
    False: "asking again is safe",
    True: "whether the change was made is unknown, asking again is safe",
}
"""What to make of an error, by whether the change that was asked for was sent."""

_NOT_RUN: Final = (AskError, ClusterDownError, MovedError, NoPermissionError, ReadOnlyError, TryAgainError)
_NO_FUNCTION: Final = "Function not found"

SENT_ROUND: Final = "the servers send the call from one to another"


@dataclass(eq=False, slots=True)
class _Entry:
    """Operations that wait together, at most as many as a call takes; `number` counts them in order of arrival."""

    operations: Sequence[AnyOperation]
    partitions: Sequence[int]
    future: asyncio.Future[Sequence[Outcome]]
    number: int
    refusals: int = 0
    sent: bool = False
    """Whether a change that it asks for may have been made."""


@dataclass(eq=False, slots=True)
class _Call:
    """A call in flight: what it was made for, and what was sent of that, to which function and in which partitions."""

    lane: Lane
    entries: list[_Entry]
    operations: Sequence[AnyOperation]
    function: str
    sent: Sequence[AnyOperation]
    partitions: Sequence[int]
    started: float = 0.0


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


def store_unavailable(why: str, *, sent: bool) -> CreditError:
    """Return the error of an operation that the store could not answer; `sent` is whether it may have made a change."""
    return CreditError(ErrorReason.STORE_UNAVAILABLE, f"the store does not answer ({why}); {_ADVICE[sent]}")


def _deadline_exceeded(*, sent: bool) -> CreditError:
    return CreditError(ErrorReason.DEADLINE_EXCEEDED, f"the deadline passed before the store answered; {_ADVICE[sent]}")


def store_full() -> CreditError:
    """Return the error of an operation that a full store does not carry out."""
    return CreditError(
        ErrorReason.STORE_FULL,
        "the store is full (maxmemory is reached): nothing new is held; releases, commits and payments still work",
    )


def may_have_run(error: ResponseError) -> bool:
    """Return whether Redis may have begun with a call that it answered with this error."""
    return not isinstance(error, _NOT_RUN) and _NO_FUNCTION not in str(error)


def _outcomes(call: _Call, answers: list[Answer]) -> list[Outcome]:
    """Return what each operation of a call ended with; what a full store does not carry out was not sent."""
    sent = [unpack_answer(operation, answer) for operation, answer in zip(call.sent, answers, strict=True)]
    if call.function != _SETTLE:
        return sent
    settled, full = iter(sent), store_full()
    return [next(settled) if type(operation) in SETTLE_OPERATIONS else full for operation in call.operations]


def _expire(entry: _Entry) -> None:
    _fail([entry], _deadline_exceeded(sent=entry.sent))


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
        self._changes = not read_only
        self._policy = options.policy
        self._acks = options.acks if options.acks.count and not read_only else None
        self._room = options.room
        self._observer = options.observer
        self._refused = refused
        self._queue: deque[_Entry] = deque()
        self._queued = 0
        self._calls = 0
        self._pumps = False
        self._waits: set[asyncio.Task[None]] = set()
        self._lane: Lane | None = None
        self._called: Lane | None = None
        self._why = "connecting to Redis"
        self._deadlines = Deadlines(_expire)
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
    ) -> Sequence[Outcome]:
        """Carry out at most `CALL_OPERATIONS_MAX` operations, each in its partition; return what each ended with.

        Raises:
            CreditError: OVERLOADED, STORE_UNAVAILABLE or DEADLINE_EXCEEDED, for all of them alike.

        """
        if self._why:
            raise store_unavailable(self._why, sent=False)
        room = self._room
        room.admit(self._queued, len(operations))
        if deadline <= time.monotonic():
            raise _deadline_exceeded(sent=False)
        entry = _Entry(operations, partitions, asyncio.get_running_loop().create_future(), next(room.numbers))
        step = self._deadlines.watch(deadline, entry)
        self._queue.append(entry)
        self._count_queued(len(operations))
        self._idle.clear()
        if not self._pumps and self._calls < CALLS_IN_FLIGHT_MAX:
            self._pumps = True
            asyncio.get_running_loop().call_soon(self._pump_turn)
        try:
            return await entry.future
        finally:
            self._deadlines.forget(step, entry)

    async def wait_idle(self) -> None:
        """Return when nothing waits and nothing is in flight."""
        await self._idle.wait()

    def _pump_turn(self) -> None:
        self._pumps = False
        self._pump()

    def _pump(self) -> None:
        lane = self._lane
        # Order is kept when lanes change: nothing overtakes what the old one may refuse.
        if lane is not None and (lane is self._called or not self._calls):
            while self._queue and self._calls < CALLS_IN_FLIGHT_MAX:
                entries = self._take()
                if entries:
                    self._called = lane
                    self._begin(lane, entries)
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
                entry.sent = self._changes
                entries.append(entry)
                count += len(entry.operations)
        return entries

    # A call is a chain of callbacks, since a task for each would cost more than all that it does. Nothing in the chain
    # may raise: the callers would wait for their deadline, and the connection would be lost.

    def _begin(self, lane: Lane, entries: list[_Entry]) -> None:
        operations, partitions = entries[0].operations, entries[0].partitions
        if len(entries) > 1:
            operations = [operation for entry in entries for operation in entry.operations]
            partitions = [partition for entry in entries for partition in entry.partitions]
        self._calls += 1
        self._send(_Call(lane, entries, operations, self._function, operations, partitions))

    def _send(self, call: _Call) -> None:
        try:
            partitions, arguments = self._pack(call)
        except Exception as error:  # noqa: BLE001 - a defect belongs to the callers
            self._end(call, error)
            return
        call.started = time.perf_counter()
        if self._acks is None:
            call.lane.send(pack_command(arguments), partial(self._answered, call))
        else:
            wait = asyncio.create_task(self._wait_replicas(call, self._acks, partitions, arguments))
            self._waits.add(wait)
            wait.add_done_callback(self._waits.discard)

    def _pack(self, call: _Call) -> tuple[Collection[int], tuple[Argument, ...]]:
        """Return the partitions that a call touches, and its arguments."""
        parts: dict[int, int] = {}
        blobs = []
        for operation, partition in zip(call.sent, call.partitions, strict=True):
            blobs.append(pack_operation(operation, parts.setdefault(partition, len(parts) + 1)))
        prefixes = map(keys.prefix, parts)
        return parts, (self._command, call.function, len(parts), *prefixes, self._policy(), *blobs)

    async def _wait_replicas(
        self, call: _Call, acks: ReplicaAcks, partitions: Collection[int], arguments: tuple[Argument, ...]
    ) -> None:
        try:
            reply = await call_replicated(call.lane, acks, partitions, arguments)
        except Exception as error:  # noqa: BLE001 - a defect belongs to the callers
            reply = error
        self._answered(call, reply)

    def _answered(self, call: _Call, reply: Reply) -> None:
        failed = isinstance(reply, Exception)
        elapsed_s = time.perf_counter() - call.started
        self._observer.call_finished(call.function, len(call.sent), elapsed_s, failed=failed)
        if failed:
            self._failed(call, cast("Exception", reply))
            return
        try:
            outcomes = _outcomes(call, cast("list[bytes]", reply))
        except Exception as error:  # noqa: BLE001 - a defect belongs to the callers
            self._end(call, error)
            return
        start = 0
        for entry in call.entries:
            end = start + len(entry.operations)
            if not entry.future.done():
                entry.future.set_result(outcomes[start:end])
            start = end
        self._end(call)

    def _failed(self, call: _Call, error: Exception) -> None:
        if isinstance(error, OutOfMemoryError) and call.function != _SETTLE:
            self._settle(call)
        elif isinstance(error, ResponseError):
            self._call_refused(call.lane, call.entries, error)
            self._end(call)
        elif isinstance(error, LaneBrokenError | ReplicasBehindError):
            self._end(call, store_unavailable(str(error), sent=self._changes))
        else:
            self._end(call, error)

    def _settle(self, call: _Call) -> None:
        """Carry out what is carried out even when the store is full; Redis refused the whole call before it began."""
        settles = [type(operation) in SETTLE_OPERATIONS for operation in call.operations]
        call.function = _SETTLE
        call.sent, call.partitions = list(compress(call.sent, settles)), list(compress(call.partitions, settles))
        if call.sent:
            self._send(call)
        else:
            self._end(call, store_full())

    def _end(self, call: _Call, error: Exception | None = None) -> None:
        if error is not None:
            _fail(call.entries, error)
        self._calls -= 1
        self._pump()

    def _call_refused(self, lane: Lane, entries: list[_Entry], error: ResponseError) -> None:
        """Fail a call that did not run, or put it back in its place to be sent again."""
        why = self._refused(lane, error)
        if why is not None:
            _fail(entries, store_unavailable(why, sent=self._changes and may_have_run(error)))
            return
        again = [entry for entry in entries if entry.refusals < REFUSALS_MAX and not entry.future.done()]
        for entry in again:
            entry.refusals += 1
            entry.sent = False
            self._count_queued(len(entry.operations))
        self._queue = deque(sorted([*again, *self._queue], key=lambda entry: entry.number))
        _fail([entry for entry in entries if entry not in again], store_unavailable(SENT_ROUND, sent=False))
        if self._why:
            self._fail_queue()

    def _count_queued(self, count: int) -> None:
        self._queued += count
        self._room.waiting += count

    def _fail_queue(self) -> None:
        while self._queue:
            entry = self._queue.popleft()
            self._count_queued(-len(entry.operations))
            if not entry.future.done():
                entry.future.set_exception(store_unavailable(self._why, sent=False))
        self._pump()
