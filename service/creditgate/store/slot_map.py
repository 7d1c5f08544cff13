"""Which node of a Redis Cluster serves which slot, as a node tells it."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple, cast

from redis.exceptions import ResponseError

from creditgate.store.lane import Lane, LaneBrokenError
from creditgate.store.location import RedisAddress, RedisLocation


class SlotRange(NamedTuple):
    """Slots from `first` to `last` and their primary."""

    first: int
    last: int
    primary: RedisAddress


class SlotMap(NamedTuple):
    """What one node knows; a greater epoch is later."""

    epoch: int
    ranges: tuple[SlotRange, ...]

    def primary_of(self, slot: int) -> RedisAddress | None:
        """Return the node that serves a slot, or None when none does."""
        return next((each.primary for each in self.ranges if each.first <= slot <= each.last), None)

    @property
    def primaries(self) -> tuple[RedisAddress, ...]:
        """The nodes that serve slots, each once."""
        return tuple(dict.fromkeys(each.primary for each in self.ranges))


async def read_slot_map(lane: Lane, asked_host: str) -> SlotMap:
    """Return the slot map of the node behind a lane; a node that does not know its own name is at `asked_host`.

    Raises:
        LaneBrokenError: it does not answer, or is no node of a cluster.

    """
    facts, flat = await lane.call_each([("CLUSTER", "INFO"), ("CLUSTER", "SLOTS")])
    for reply in (facts, flat):
        if isinstance(reply, ResponseError):
            raise LaneBrokenError(f"Redis does not tell its slots: {reply}")
    lines = (line.partition(b":") for line in cast("bytes", facts).splitlines())
    epoch = next((int(value) for name, _, value in lines if name == b"cluster_current_epoch"), 0)
    ranges = []
    for first, last, (host, port, *_), *_ in cast("list[list[list[bytes]]]", flat):
        name = bytes(host or b"").decode()
        place = RedisAddress(name if name not in {"", "?"} else asked_host, int(cast("int", port)))
        ranges.append(SlotRange(int(cast("int", first)), int(cast("int", last)), place))
    return SlotMap(epoch, tuple(ranges))


async def ask_seeds(location: RedisLocation, known: Iterable[RedisAddress], timeout_s: float) -> SlotMap:
    """Return the latest slot map that the nodes of the URL and other known ones tell.

    Raises:
        LaneBrokenError: none of them does.

    """
    addresses = dict.fromkeys((*location.addresses, *known))
    answers = await asyncio.gather(
        *(_ask(location, address, timeout_s) for address in addresses), return_exceptions=True
    )
    maps = [answer for answer in answers if isinstance(answer, SlotMap) and answer.ranges]
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, LaneBrokenError):
            raise answer
    if not maps:
        whys = dict.fromkeys(str(answer) for answer in answers if isinstance(answer, LaneBrokenError))
        raise LaneBrokenError(f"no node of the cluster tells its slots: {'; '.join(whys) or 'no slot is served'}")
    return max(maps)


async def _ask(location: RedisLocation, address: RedisAddress, timeout_s: float) -> SlotMap:
    lane = await Lane.open(location.url_of(address), timeout_s)
    try:
        return await read_slot_map(lane, address.host)
    finally:
        await lane.close()
