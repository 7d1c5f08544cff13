"""A timed run of the library's function itself: packed calls, pipelined to Redis by a process of its own.

`redis-benchmark` can't do this: it takes its command as program arguments, which can't hold the zero bytes of packed
operations, and the one random number it knows is independent of the partition that an account belongs to.
"""

import gc
import socket
import time
from collections import deque
from typing import Any, Final, NamedTuple, cast

import hiredis

from benchmarks.meter import Meter
from benchmarks.orders import Orders, operations
from benchmarks.sampling import FailedRunError, Sample
from creditgate.domain.decision import Outcome
from creditgate.domain.operations import Operation, ReserveCredit, Reserved
from creditgate.domain.policy import DEFAULT_POLICY
from creditgate.store import PARTITIONS_DEFAULT, keys
from creditgate.store.answers import unpack_answer
from creditgate.store.operations import pack_operation
from creditgate.store.policy_blob import pack_policy

_FUNCTION: Final = "creditgate_apply"
_SILENCE_MAX_S: Final = 20.0
_RECEIVE_BYTES: Final = 256 * 1024


class FcallRun(NamedTuple):
    """What to call: the orders in calls of `batch_size`, `in_flight` calls at a time."""

    socket_path: str
    orders: Orders
    in_flight: int
    batch_size: int
    redis_pid: int


def run_fcall(run: FcallRun) -> Sample:
    """Place the orders and return what that took; packing and checking are outside of the clock.

    Raises:
        FailedRunError: an order was not approved, Redis can't be reached, or it says nothing for too long.

    """
    placed = operations(run.orders)
    chunks = [placed[start : start + run.batch_size] for start in range(0, len(placed), run.batch_size)]
    calls = deque(map(_packed_call, chunks))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_SILENCE_MAX_S)
        try:
            connection.connect(run.socket_path)
            with Meter(None, run.redis_pid) as meter:
                replies, latencies_s = _pipeline(connection, calls, run.in_flight)
        except OSError as error:
            raise FailedRunError(f"the calls to Redis broke off: {error}") from error
    _check(chunks, replies)
    return Sample.of(len(placed), meter, latencies_s)


def _packed_call(chunk: list[ReserveCredit]) -> bytes:
    """Return the command that the store sends for these operations."""
    parts: dict[int, int] = {}
    blobs = []
    for operation in chunk:
        part = parts.setdefault(keys.partition_of(operation.account_id, PARTITIONS_DEFAULT), len(parts) + 1)
        blobs.append(pack_operation(cast("Operation[object]", operation), part))
    words: tuple[Any, ...] = (
        *("FCALL", _FUNCTION, len(parts)),
        *map(keys.prefix, parts),
        pack_policy(DEFAULT_POLICY),
        *blobs,
    )
    return cast("bytes", hiredis.pack_command(words))  # its stub knows tuples of one


def _pipeline(connection: socket.socket, calls: deque[bytes], in_flight: int) -> tuple[list[object], list[float]]:
    reader = hiredis.Reader()
    total = len(calls)
    replies: list[object] = []
    latencies_s: list[float] = []
    sent_at: deque[float] = deque()
    gc.disable()
    try:
        for _ in range(min(in_flight, total)):
            sent_at.append(time.perf_counter())
            connection.sendall(calls.popleft())
        while len(replies) < total:
            reader.feed(connection.recv(_RECEIVE_BYTES))
            while (reply := reader.gets()) is not False:
                latencies_s.append(time.perf_counter() - sent_at.popleft())
                replies.append(reply)
                if calls:
                    sent_at.append(time.perf_counter())
                    connection.sendall(calls.popleft())
    finally:
        gc.enable()
    return replies, latencies_s


def _check(chunks: list[list[ReserveCredit]], replies: list[object]) -> None:
    for chunk, reply in zip(chunks, replies, strict=True):
        if isinstance(reply, hiredis.ReplyError):
            raise FailedRunError(f"Redis refused a call: {reply}")
        for operation, answer in zip(chunk, cast("list[bytes]", reply), strict=True):
            outcome = unpack_answer(cast("Operation[object]", operation), answer)
            if not isinstance(outcome, Reserved) or outcome.decision.outcome is not Outcome.APPROVED:
                raise FailedRunError(f"order {operation.order_id} was not approved: {outcome}")
