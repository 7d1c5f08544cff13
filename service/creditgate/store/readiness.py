"""Whether a Redis is fit to be the store: its kind and settings, the library, its replicas, the partition count."""

import re
from typing import Final, cast

from redis.exceptions import ResponseError

from creditgate.store import keys
from creditgate.store.lane import Lane
from creditgate.store.library import LIBRARY_VERSION, LibraryStatus

_REDIS_OLDEST: Final = (7, 0)
_VALKEY_OLDEST: Final = (7, 2)
_REDIS_REPLIES_BEFORE_FSYNC: Final = (8, 0)
_REPLICA: Final = re.compile(r"slave\d+")


class NotReadyError(Exception):
    """Redis answers, but is not fit to be the store; the text says why and what to do."""


async def verify_server(lane: Lane, *, cluster: bool, replicas_min: int) -> None:
    """Return if the server behind a lane is fit to hold partitions, as a node of a cluster or by itself.

    Raises:
        NotReadyError: it is not.
        LaneBrokenError: it does not answer.

    """
    try:
        facts = _parse_facts(cast("bytes", await lane.call("INFO")).decode(errors="replace"))
        _verify_facts(facts, cluster=cluster)
        await _verify_settings(lane, facts)
        await _verify_library(lane)
    except ResponseError as error:
        msg = f"Redis refuses: {error}"
        raise NotReadyError(msg) from error
    _verify_replicas(facts, replicas_min)


def _parse_facts(text: str) -> dict[str, str]:
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line and not line.startswith("#"))


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _verify_facts(facts: dict[str, str], *, cluster: bool) -> None:
    if facts.get("loading") == "1":
        msg = "Redis is loading its data"
        raise NotReadyError(msg)
    valkey = facts.get("valkey_version")
    version, oldest, product = (
        (valkey, _VALKEY_OLDEST, "Valkey") if valkey else (facts["redis_version"], _REDIS_OLDEST, "Redis")
    )
    if _version(version) < oldest:
        msg = f"{product} {version} is too old; {product} {'.'.join(map(str, oldest))} or newer is needed"
        raise NotReadyError(msg)
    if facts.get("role") == "slave":
        msg = "Redis is a replica; CREDITGATE_REDIS_URL must name the primary"
        raise NotReadyError(msg)
    in_cluster = facts.get("cluster_enabled") == "1"
    if in_cluster is not cluster:
        kind, begin = ("a", "redis+cluster://") if in_cluster else ("no", "redis:// or redis+sentinel://")
        msg = f"Redis is {kind} node of a cluster; CREDITGATE_REDIS_URL must begin with {begin}"
        raise NotReadyError(msg)


def _verify_replicas(facts: dict[str, str], replicas_min: int) -> None:
    """Refuse a primary of which it is known that too few replicas can acknowledge."""
    online = sum("state=online" in fact for name, fact in facts.items() if _REPLICA.fullmatch(name))
    if online < replicas_min:
        msg = f"{online} replicas are connected, and CREDITGATE_REPLICA_ACKS is {replicas_min}"
        raise NotReadyError(msg)


async def _verify_settings(lane: Lane, facts: dict[str, str]) -> None:
    """Refuse Redis >= 8 with I/O threads and appendfsync always: there, replies leave before their fsync."""
    if "valkey_version" in facts or _version(facts["redis_version"]) < _REDIS_REPLIES_BEFORE_FSYNC:
        return
    try:
        flat = cast("list[bytes]", await lane.call("CONFIG", "GET", "io-threads", "appendfsync", "appendonly"))
    except ResponseError:
        # A user without CONFIG can't ask; then the operator vouches for the settings (docs/operations.md).
        return
    settings = {flat[index].decode(): flat[index + 1].decode() for index in range(0, len(flat), 2)}
    if (
        settings.get("io-threads") != "1"
        and settings.get("appendfsync") == "always"
        and settings["appendonly"] == "yes"
    ):
        msg = (
            "Redis 8 or newer with io-threads above 1 answers before appendfsync always has written: "
            "set io-threads to 1"
        )
        raise NotReadyError(msg)


async def _verify_library(lane: Lane) -> None:
    try:
        loaded = cast("int | None", await lane.call("FCALL_RO", "creditgate_library_version", 0))
    except ResponseError as error:
        if "Function not found" not in str(error):
            raise
        loaded = None
    status = LibraryStatus(loaded, LIBRARY_VERSION)
    if not status.usable:
        msg = f"{status}; run `creditgate library load`"
        raise NotReadyError(msg)


async def verify_partitions(lane: Lane, partitions: int) -> None:
    """Return if the store has so many partitions; a new store gets them.

    Raises:
        NotReadyError: it has another number of them.
        LaneBrokenError: Redis does not answer.
        redis.exceptions.ResponseError: Redis refuses.

    """
    stored = cast("bytes | None", await lane.call("HGET", keys.STORE_KEY, "partitions"))
    if stored is None:
        await lane.call("HSETNX", keys.STORE_KEY, "partitions", partitions)
        stored = cast("bytes", await lane.call("HGET", keys.STORE_KEY, "partitions"))
    if int(stored) != partitions:
        msg = (
            f"the store was created with {int(stored)} partitions, which can't change: set CREDITGATE_PARTITIONS "
            f"to {int(stored)} (it is {partitions})"
        )
        raise NotReadyError(msg)
