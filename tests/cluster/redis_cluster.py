"""A Redis Cluster of three primaries with a replica each, put together by its own commands."""

from pathlib import Path

from redis import RedisError
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from creditgate.store import keys
from creditgate.store.embedded.binary import RedisBinary
from tests.cluster.servers import Server, free_port, wait_until

PRIMARIES = 3
_NODE_TIMEOUT_MS = 3000
"""Long enough that no node counts as lost because the machine is busy."""

_COPIED_AT_ONCE = 10


def slot_of(partition: int) -> int:
    return key_slot(keys.prefix(partition).encode())


class NotServedError(RedisError):
    """No primary that runs serves the partition."""


class RedisCluster:
    """Six nodes; `start` returns when all slots are served and each primary has its replica."""

    def __init__(self, binary: RedisBinary, directory: Path) -> None:
        self.nodes = [
            Server(
                binary,
                directory / f"node-{number}",
                cluster_enabled="yes",
                cluster_port=str(free_port()),
                cluster_config_file="nodes.conf",
                cluster_node_timeout=str(_NODE_TIMEOUT_MS),
                cluster_require_full_coverage="no",
                cluster_replica_validity_factor="0",
                repl_diskless_sync_delay="0",
                appendonly="yes",
                appendfsync="everysec",
            )
            for number in range(2 * PRIMARIES)
        ]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(node.address for node in self.nodes)

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        first = self.nodes[0]
        for number, node in enumerate(self.nodes):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number < PRIMARIES:
                bounds = [REDIS_CLUSTER_HASH_SLOTS * place // PRIMARIES for place in (number, number + 1)]
                node.ask("CLUSTER", "ADDSLOTSRANGE", bounds[0], bounds[1] - 1)
            if node is not first:
                first.ask("CLUSTER", "MEET", "127.0.0.1", node.port, self._bus_port(node))
        wait_until(lambda: all(self._knows(node) == len(self.nodes) for node in self.nodes), "the nodes do not meet")
        for primary, replica in zip(self.nodes[:PRIMARIES], self.nodes[PRIMARIES:], strict=True):
            replica.ask("CLUSTER", "REPLICATE", self.id_of(primary))
        wait_until(self.whole, "the cluster is not whole")

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()

    def whole(self) -> bool:
        """Whether every node agrees that all slots are served, and every replica is in step."""
        return all(
            b"cluster_state:ok" in self._bytes(node, "CLUSTER", "INFO")
            and len(self.ranges(node)) == PRIMARIES
            and (self._is_primary(node) or node.facts("replication").get("master_link_status") == "up")
            for node in self.nodes
        )

    def _is_primary(self, node: Server) -> bool:
        return node.facts("replication")["role"] == "master"

    def ranges(self, asked: Server) -> dict[str, Server]:
        """Return the primaries that serve slots, by id, as a node knows them."""
        reply = asked.ask("CLUSTER", "SLOTS")
        assert isinstance(reply, list)
        return {primary[2].decode(): self._at(primary[1]) for _, _, primary, *_ in reply}

    def home_of(self, partition: int) -> Server:
        """Return the primary of a partition, as it says itself."""
        slot = slot_of(partition)
        for node in self.nodes:
            if node.running and self._is_primary(node):
                reply = node.ask("CLUSTER", "SLOTS")
                assert isinstance(reply, list)
                if any(first <= slot <= last and primary[1] == node.port for first, last, primary, *_ in reply):
                    return node
        raise NotServedError(partition)

    def partitions_of(self, node: Server, partitions: int) -> list[int]:
        return [partition for partition in range(partitions) if self.home_of(partition) is node]

    def id_of(self, node: Server) -> bytes:
        return self._bytes(node, "CLUSTER", "MYID")

    def primaries(self) -> list[Server]:
        return [node for node in self.nodes if node.running and self._is_primary(node)]

    def migrate(self, partition: int, target: Server) -> None:
        """Move a partition's slot, key by key, as redis-cli does."""
        slot, source = slot_of(partition), self.home_of(partition)
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", self.id_of(source))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", self.id_of(target))
        self.move_keys(partition, source, target)
        for node in (target, source):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", self.id_of(target))

    def move_keys(self, partition: int, source: Server, target: Server) -> None:
        while batch := source.ask("CLUSTER", "GETKEYSINSLOT", slot_of(partition), _COPIED_AT_ONCE):
            assert isinstance(batch, list)
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *batch)

    def _at(self, port: int) -> Server:
        return next(node for node in self.nodes if node.port == port)

    def _knows(self, node: Server) -> int:
        lines = self._bytes(node, "CLUSTER", "NODES").splitlines()
        return sum(b"connected" in line.split() and b"handshake" not in line for line in lines)

    def _bus_port(self, node: Server) -> int:
        return int(self._bytes(node, "CLUSTER", "NODES").split()[1].split(b"@")[1].split(b",")[0])

    def _bytes(self, node: Server, *words: str) -> bytes:
        reply = node.ask(*words)
        assert isinstance(reply, bytes)
        return reply
