"""One server that holds everything: a single Redis, or the primary that sentinels know."""

from collections.abc import Sequence
from typing import Final

from redis.exceptions import ReadOnlyError, ResponseError

from creditgate.store.lane import Lane
from creditgate.store.location import RedisKind, RedisLocation
from creditgate.store.node import Node
from creditgate.store.readiness import verify_partitions, verify_server
from creditgate.store.sentinel import Sentinels
from creditgate.store.topology import LaneUser

_DEMOTED: Final = "Redis has become a replica"


class PrimaryTopology:
    """`creditgate.store.topology.Topology` of one primary: all partitions are one group."""

    def __init__(self, location: RedisLocation, partitions: int, timeout_s: float, replicas_min: int) -> None:
        self.groups: Sequence[Sequence[int]] = (range(partitions),)
        self._location = location
        self._sentinels = Sentinels(location, timeout_s) if location.kind is RedisKind.SENTINEL else None
        self._partitions = partitions
        self._replicas_min = replicas_min
        self._node = Node(self._find, self._check, timeout_s, self._tell)
        self._user: LaneUser | None = None

    def start(self, users: Sequence[LaneUser]) -> None:
        """Begin to connect (see `Topology.start`)."""
        (self._user,) = users
        self._tell()
        self._node.start()

    async def close(self) -> None:
        """Close the lanes (see `Topology.close`)."""
        await self._node.close()
        if self._sentinels is not None:
            await self._sentinels.close()

    def refused(self, group: int, lane: Lane, error: ResponseError) -> str | None:  # noqa: ARG002 - there is one group
        """Give a demoted primary up (see `Topology.refused`); nothing is sent again."""
        if isinstance(error, ReadOnlyError):
            if self._node.lanes is not None and lane in self._node.lanes:
                self._node.give_up(_DEMOTED)
            return _DEMOTED
        return str(error)

    async def _find(self) -> str:
        return self._location.url if self._sentinels is None else await self._sentinels.find_primary()

    async def _check(self, lane: Lane) -> None:
        await verify_server(lane, cluster=False, replicas_min=self._replicas_min)
        await verify_partitions(lane, self._partitions)

    def _tell(self) -> None:
        if self._user is None:
            return
        if self._node.lanes is not None:
            self._user.use(self._node.lanes)
        else:
            self._user.lose(self._node.why)
