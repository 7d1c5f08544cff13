"""Asks sentinels which server is the primary."""

import asyncio
from typing import NamedTuple, cast

from redis.exceptions import ResponseError

from creditgate.store.lane import Lane, LaneBrokenError
from creditgate.store.location import RedisAddress, RedisLocation


class _Testimony(NamedTuple):
    """What one sentinel says: the greatest epoch is that of the latest failover."""

    epoch: int
    primary: RedisAddress


class Sentinels:
    """The sentinels of one primary, on connections that stay open."""

    def __init__(self, location: RedisLocation, timeout_s: float) -> None:
        self._location = location
        self._timeout_s = timeout_s
        self._lanes: dict[RedisAddress, Lane] = {}

    async def find_primary(self) -> str:
        """Return the URL of the primary as most sentinels know it; of what they say, the latest failover counts.

        Raises:
            LaneBrokenError: no sentinel knows it, or answers in time.

        """
        asked = {asyncio.create_task(self._ask(address)): address for address in self._location.addresses}
        pending = set(asked)
        said: list[_Testimony] = []
        try:
            while pending and len(said) * 2 <= len(asked):
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                said += [task.result() for task in done if task.exception() is None]
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        if not said:
            raise LaneBrokenError(self._why_none([task for task in asked if not task.cancelled()]))
        return self._location.url_of(max(said).primary)

    async def close(self) -> None:
        """Close the connections."""
        for lane in self._lanes.values():
            await lane.close()
        self._lanes.clear()

    async def _ask(self, address: RedisAddress) -> _Testimony:
        lane = self._lanes.get(address)
        if lane is None or lane.broken is not None:
            lane = await Lane.open(self._location.sentinel_url_of(address), self._timeout_s)
            self._lanes[address] = lane
        service = self._location.service
        place, facts = await lane.call_each(
            [("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service), ("SENTINEL", "MASTER", service)]
        )
        if isinstance(facts, ResponseError) or not place:
            raise LaneBrokenError(f"the sentinel at {address} does not know the service {service!r}: {facts}")
        host, port = cast("list[bytes]", place)
        flat = cast("list[bytes]", facts)
        epoch = int(flat[flat.index(b"config-epoch") + 1])
        return _Testimony(epoch, RedisAddress(host.decode(), int(port)))

    def _why_none(self, failed: list[asyncio.Task[_Testimony]]) -> str:
        whys = dict.fromkeys(str(task.exception()) for task in failed)
        return f"no sentinel tells where {self._location.service!r} is: {'; '.join(whys)}"
