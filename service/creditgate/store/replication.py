"""Waiting until replicas have what a call has changed, before its answer goes out."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, cast

from redis.exceptions import ResponseError

from creditgate.store import keys
from creditgate.store.lane import Argument, Lane, Reply

REPLICA_ACKS_MAX: Final = 8
_NEVER_S: Final = 253_402_300_799
"""The last second of the year 9999."""


@dataclass(frozen=True, slots=True)
class ReplicaAcks:
    """How many replicas must have acknowledged a change, and how many seconds they get; 0 replicas: no wait."""

    count: int = 0
    timeout_s: float = 0.5


class ReplicasBehindError(Exception):
    """Too few replicas acknowledged in time; what the call changed may be lost in a failover."""


async def call_replicated(
    lane: Lane, acks: ReplicaAcks, partitions: Collection[int], arguments: tuple[Argument, ...]
) -> Reply:
    """Send a call that touches some partitions, and return its reply once enough replicas have acknowledged.

    WAIT looks at what its own connection has written. An answer may repeat what another one wrote, and whose
    acknowledgement failed; so something is always written, behind which that change stands in the replication
    stream: a time to live of the partition's clock that never ends. It has to be allowed when the store is full, too.

    Raises:
        ReplicasBehindError: too few did.
        LaneBrokenError: the connection broke, or Redis did not answer in time.
        redis.exceptions.ResponseError: Redis refused the call.

    """
    marks = [("EXPIREAT", keys.clock(partition), _NEVER_S) for partition in partitions]
    wait = ("WAIT", acks.count, round(acks.timeout_s * 1000))
    reply, *marked, acknowledged = await lane.call_each([arguments, *marks, wait])
    if isinstance(reply, ResponseError):
        raise reply
    refusal = next((refused for refused in (*marked, acknowledged) if isinstance(refused, ResponseError)), None)
    if refusal is not None:
        raise ReplicasBehindError(f"replicas can't be waited for: {refusal}")
    if cast("int", acknowledged) < acks.count:
        raise ReplicasBehindError(
            f"{acknowledged} of {acks.count} replicas acknowledged the change within {acks.timeout_s:g} s"
        )
    return reply
