"""What the store needs to know of how Redis is set up. Only the topologies ask what kind of Redis there is."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from redis.exceptions import ResponseError

from creditgate.store.lane import Lane


class LanePair(NamedTuple):
    """The lanes to one server: calls that write, and calls that read."""

    write: Lane
    read: Lane


class LaneUser(Protocol):
    """Sends the calls of one group of partitions. Its methods return at once."""

    def use(self, lanes: LanePair) -> None:
        """Send calls on these lanes from now on."""

    def lose(self, why: str) -> None:
        """Fail what waits and what comes, until there are lanes."""

    def hold(self) -> None:
        """Keep what waits and what comes, until there are lanes or none to be had."""


class Topology(Protocol):
    """Opens lanes to the servers that hold the partitions, and keeps them open and fit."""

    @property
    def groups(self) -> Sequence[Sequence[int]]:
        """The partitions in groups: a call may span the partitions of one group."""
        ...

    def start(self, users: Sequence[LaneUser]) -> None:
        """Begin to connect, and keep the users of the groups, in their order, told; returns at once."""
        ...

    async def close(self) -> None:
        """Close the lanes; what is in flight on them fails."""
        ...

    def refused(self, group: int, lane: Lane, error: ResponseError) -> str | None:
        """Learn from a call that a server refused before it ran.

        Returns why it can't be answered; None if it should be sent again, on the lanes that the group's user has or
        gets next.
        """
        ...
