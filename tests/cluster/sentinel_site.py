"""A primary and two replicas, watched by three sentinels."""

from pathlib import Path

from creditgate.store.embedded.binary import RedisBinary
from tests.cluster.servers import SentinelServer, Server, wait_until

SERVICE = "credit"
REPLICAS = 2
_SERVERS = REPLICAS + 1
_QUORUM = 2


class SentinelSite:
    """`fail_over` ends the primary and waits until the sentinels have made another one."""

    def __init__(self, binary: RedisBinary, directory: Path) -> None:
        self.servers = [
            Server(
                binary,
                directory / f"server-{number}",
                repl_diskless_sync_delay="0",
                appendonly="yes",
                appendfsync="everysec",
            )
            for number in range(_SERVERS)
        ]
        self.sentinels = [
            SentinelServer(binary, directory / f"sentinel-{number}", SERVICE, self.servers[0], _QUORUM)
            for number in range(_SERVERS)
        ]

    @property
    def url(self) -> str:
        return "redis+sentinel://" + ",".join(sentinel.address for sentinel in self.sentinels) + f"/{SERVICE}"

    def start(self) -> None:
        first, *others = self.servers
        first.start()
        for server in others:
            server.start()
            server.ask("REPLICAOF", "127.0.0.1", first.port)
        for sentinel in self.sentinels:
            sentinel.start()
        wait_until(self.whole, "the sentinels do not see everybody")

    def kill(self) -> None:
        for server in (*self.sentinels, *self.servers):
            server.kill()

    def primary(self) -> Server:
        """Return the primary, as the first sentinel that runs tells."""
        reply = self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        assert isinstance(reply, list)
        return next(server for server in self.servers if server.port == int(reply[1]))

    def whole(self) -> bool:
        """Whether all servers run, both replicas follow the primary, and every sentinel can carry out a failover."""
        primary = self.primary()
        facts = primary.facts("replication")
        return (
            facts["role"] == "master"
            and sum("state=online" in fact for fact in facts.values()) == REPLICAS
            and all(
                server.facts("replication").get("master_link_status") == "up"
                for server in self.servers
                if server is not primary
            )
            and all(self._sees_everybody(sentinel, primary) for sentinel in self.sentinels)
        )

    def fail_over(self) -> Server:
        """End the primary, wait for another one, and return the one that ended."""
        old = self.primary()
        old.kill()
        wait_until(
            lambda: self.primary() is not old and self.primary().facts("replication")["role"] == "master",
            "there was no failover",
        )
        return old

    def bring_back(self, server: Server) -> None:
        """Start a server that ended, and wait until it is a replica in step."""
        server.start(replicaof=f"127.0.0.1 {self.primary().port}")
        wait_until(self.whole, "the server does not come back as a replica")

    def _sees_everybody(self, sentinel: Server, primary: Server) -> bool:
        reply = sentinel.ask("SENTINEL", "MASTER", SERVICE)
        assert isinstance(reply, list)
        facts = dict(zip(reply[::2], reply[1::2], strict=True))
        replicas = sentinel.ask("SENTINEL", "REPLICAS", SERVICE)
        assert isinstance(replicas, list)
        known = [dict(zip(each[::2], each[1::2], strict=True)) for each in replicas]
        return (
            facts[b"flags"] == b"master"
            and int(facts[b"port"]) == primary.port
            and int(facts[b"num-other-sentinels"]) == REPLICAS
            and [(each[b"flags"], each[b"master-link-status"]) for each in known] == [(b"slave", b"ok")] * (REPLICAS)
        )
