"""The Redis that comes with the service: a private redis-server on a unix socket, its data kept between runs."""

from creditgate.store.embedded.binary import (
    RedisBinary,
    ServerProduct,
    ServerVersion,
    all_redis_servers,
    find_redis_server,
)
from creditgate.store.embedded.configuration import Appendfsync, EmbeddedRedisOptions
from creditgate.store.embedded.errors import (
    DataDirectoryInUse,
    DataDirectoryUnusableError,
    EmbeddedRedisError,
    EmbeddedRedisOptionError,
    OrphanError,
    RedisServerNotFoundError,
    RedisStartError,
    RedisStopError,
)
from creditgate.store.embedded.supervisor import EmbeddedRedis

__all__ = [
    "Appendfsync",
    "DataDirectoryInUse",
    "DataDirectoryUnusableError",
    "EmbeddedRedis",
    "EmbeddedRedisError",
    "EmbeddedRedisOptionError",
    "EmbeddedRedisOptions",
    "OrphanError",
    "RedisBinary",
    "RedisServerNotFoundError",
    "RedisStartError",
    "RedisStopError",
    "ServerProduct",
    "ServerVersion",
    "all_redis_servers",
    "find_redis_server",
]
