"""A Redis Cluster: each partition is a group of its own, on the node that serves its slot.

A partition's slot moves as a whole or not at all. The key that a call declares, `cg:{N}`, never exists, so while the
keys of a slot are moved one by one the old node answers ASK before a function runs, and the new one MOVED: no call ever
sees half of a partition. ASK is not followed, for the new node may have only half.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from redis.crc import key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, ReadOnlyError, ResponseError, TryAgainError

from creditgate.domain.background import Background
from creditgate.store import keys
from creditgate.store.lane import Lane, LaneBrokenError
from creditgate.store.location import RedisAddress, RedisLocation
from creditgate.store.node import PROBE_INTERVAL_S, Node
from creditgate.store.readiness import NotReadyError, verify_partitions, verify_server
from creditgate.store.slot_map import SlotMap, ask_seeds, read_slot_map
from creditgate.store.topology import LaneUser

_SEARCH_INTERVAL_S: Final = 0.2
"""How often the cluster is asked for its slots while a partition has no server."""

_REFRESH_PAUSE_S: Final = 0.05
"""Redirections ask for a new map at once, but not more often than this."""

_MAP_WAIT_S: Final = 0.2
"""A node that takes longer to tell its slots is not waited for, when others have told."""

_MOVING: Final = "the partition is being moved to another node"

_log = logging.getLogger(__name__)


class ClusterTopology:
    """`creditgate.store.topology.Topology` of a Redis Cluster."""

    def __init__(self, location: RedisLocation, partitions: int, timeout_s: float, replicas_min: int) -> None:
        self.groups: Sequence[Sequence[int]] = [(partition,) for partition in range(partitions)]
        self._location = location
        self._partitions = partitions
        self._timeout_s = timeout_s
        self._replicas_min = replicas_min
        self._slots = [key_slot(keys.prefix(partition).encode()) for partition in range(partitions)]
        self._store_slot = key_slot(keys.STORE_KEY.encode())
        self._homes: list[RedisAddress | None] = [None] * partitions
        self._store_home: RedisAddress | None = None
        self._nodes: dict[RedisAddress, Node] = {}
        self._leaving: set[RedisAddress] = set()
        self._users: Sequence[LaneUser] = ()
        self._stale = asyncio.Event()
        self._unfit = "connecting to the Redis Cluster"
        self._background = Background("supervision of the Redis Cluster", self._supervise)

    def start(self, users: Sequence[LaneUser]) -> None:
        """Begin to connect (see `Topology.start`)."""
        self._users = users
        self._tell()
        self._background.start()

    async def close(self) -> None:
        """Close the lanes (see `Topology.close`)."""
        await self._background.stop()
        await asyncio.gather(*(node.close() for node in self._nodes.values()))

    def refused(self, group: int, lane: Lane, error: ResponseError) -> str | None:
        """Follow a partition that has moved (see `Topology.refused`)."""
        if isinstance(error, MovedError):
            self._follow(group, lane, error)
            return None
        if isinstance(error, (AskError, TryAgainError)):
            return _MOVING
        if isinstance(error, (ClusterDownError, ReadOnlyError)):
            self._stale.set()
        return str(error)

    # --- the map

    def _follow(self, group: int, lane: Lane, error: MovedError) -> None:
        home = self._homes[group]
        node = self._nodes.get(home) if home is not None else None
        if home is None or (node is not None and node.lanes is not None and lane not in node.lanes):
            return  # the map has changed since that call was sent
        self._homes[group] = target = RedisAddress(error.host or home.host, error.port)
        self._node_at(target)
        self._users[group].hold()
        # Later: the refused call has to be back in its queue, before those that came behind it are sent.
        asyncio.get_running_loop().call_soon(self._tell)
        self._stale.set()

    async def _supervise(self) -> None:
        while True:
            try:
                await self._refresh()
            except (LaneBrokenError, NotReadyError) as error:
                self._set_unfit(str(error))
            except Exception as error:  # noqa: BLE001 - logged; see below
                # Without its supervisor no partition that moves would be found: whatever it meets, it goes on.
                _log.exception("the supervision of the Redis Cluster met a defect and begins again")
                self._set_unfit(f"defect in the supervision of the Redis Cluster: {error}")
            complete = not self._unfit and all(self._node_of(home) for home in self._homes)
            await asyncio.sleep(_REFRESH_PAUSE_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(PROBE_INTERVAL_S if complete else _SEARCH_INTERVAL_S):
                    await self._stale.wait()
            self._stale.clear()

    async def _refresh(self) -> None:
        try:
            slot_map = await self._read_map()
        except LaneBrokenError:
            if self._unfit:
                raise
            return  # each node says by itself that it is away
        self._homes = [slot_map.primary_of(slot) for slot in self._slots]
        self._store_home = slot_map.primary_of(self._store_slot)
        owners = {home for home in (*self._homes, self._store_home) if home is not None}
        nodes = [self._node_at(home) for home in owners]
        if self._unfit:
            await asyncio.gather(*(node.attempted.wait() for node in nodes))
        await self._check_partitions()
        self._tell()
        await self._part_from(self._nodes.keys() - owners)

    async def _read_map(self) -> SlotMap:
        """Return the latest map that the nodes in use tell, or others if they don't."""
        asked = [
            asyncio.create_task(read_slot_map(node.lanes.read, address.host))
            for address, node in self._nodes.items()
            if node.lanes is not None
        ]
        if asked:
            try:
                await asyncio.wait(asked, timeout=_MAP_WAIT_S)
            finally:  # also when whoever waits is cancelled: a wait leaves what it waited for alone
                for task in asked:
                    task.cancel()
                ended = await asyncio.gather(*asked, return_exceptions=True)
            maps = [told for told in ended if isinstance(told, SlotMap) and told.ranges]
            if maps:
                return max(maps)
        return await ask_seeds(self._location, self._nodes, self._timeout_s)

    async def _check_partitions(self) -> None:
        """Look at the partition count; once it has been seen, its node may be away for a while.

        Raises:
            NotReadyError: it is another one, or has never been seen.

        """
        node = self._node_of(self._store_home)
        if node is None or node.lanes is None:
            away = self._nodes.get(self._store_home) if self._store_home is not None else None
            if self._unfit:
                raise NotReadyError(away.why if away is not None else "no node of the cluster keeps the store's facts")
            return
        try:
            await verify_partitions(node.lanes.write, self._partitions)
        except (LaneBrokenError, ResponseError) as error:
            if self._unfit:
                raise NotReadyError(f"the partition count can't be read: {error}") from error
            return
        self._unfit = ""

    # --- the nodes

    def _node_of(self, home: RedisAddress | None) -> Node | None:
        """Return the node at an address if it can be used."""
        node = self._nodes.get(home) if home is not None else None
        return node if node is not None and node.lanes is not None else None

    def _node_at(self, address: RedisAddress) -> Node:
        """Return the node at an address, which is connected to if it is new."""
        node = self._nodes.get(address)
        if node is None:
            url = self._location.url_of(address)

            async def find() -> str:
                return url

            node = self._nodes[address] = Node(find, self._check, self._timeout_s, self._node_changed)
            node.start()
        return node

    async def _check(self, lane: Lane) -> None:
        await verify_server(lane, cluster=True, replicas_min=self._replicas_min)

    def _node_changed(self) -> None:
        self._tell()
        self._stale.set()

    async def _part_from(self, idle: set[RedisAddress]) -> None:
        """Close the nodes that had nothing to serve a round ago either: calls that were in flight are answered."""
        for address in idle & self._leaving:
            await self._nodes.pop(address).close()
        self._leaving = idle - self._leaving

    def _set_unfit(self, why: str) -> None:
        self._unfit = why
        self._tell()

    def _tell(self) -> None:
        """Tell each user what its partition's node has."""
        for user, home in zip(self._users, self._homes, strict=False):
            node = self._nodes.get(home) if home is not None else None
            if self._unfit:
                user.lose(self._unfit)
            elif node is None:
                user.lose("no node of the cluster serves the partition")
            elif node.lanes is not None:
                user.use(node.lanes)
            elif node.attempted.is_set():
                user.lose(f"the node at {home}: {node.why}")
            else:
                user.hold()
