"""The store: `creditgate.domain.ports.CreditStore` on Redis Functions."""

from creditgate.store.location import parse_location
from creditgate.store.observer import StoreObserver
from creditgate.store.redis_store import PARTITIONS_DEFAULT, PARTITIONS_MAX, RedisCreditStore, StoreOptions
from creditgate.store.replication import REPLICA_ACKS_MAX, ReplicaAcks
from creditgate.store.sweeper import Sweeper

__all__ = [
    "PARTITIONS_DEFAULT",
    "PARTITIONS_MAX",
    "REPLICA_ACKS_MAX",
    "RedisCreditStore",
    "ReplicaAcks",
    "StoreObserver",
    "StoreOptions",
    "Sweeper",
    "parse_location",
]
