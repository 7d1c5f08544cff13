"""The embedded Redis of a service, with the library it needs."""

import structlog

from creditgate.bootstrap.start_errors import ServiceStartError
from creditgate.ops.metrics import Metrics
from creditgate.settings import Settings
from creditgate.store.embedded import EmbeddedRedis, EmbeddedRedisError, EmbeddedRedisOptions
from creditgate.store.library import (
    LibraryNewerError,
    LibraryStatus,
    RedisUnusableError,
    check_library,
    load_library,
)

_log = structlog.get_logger(__name__)


def embedded_redis(settings: Settings, metrics: Metrics) -> EmbeddedRedis:
    """Return the embedded Redis that the settings ask for, not started yet; the metrics count its restarts."""
    options = EmbeddedRedisOptions(maxmemory_bytes=settings.embedded_maxmemory_bytes)
    embedded = EmbeddedRedis(settings.data_dir, options=options)
    metrics.watch_restarts(lambda: embedded.restarts)
    return embedded


async def start_embedded(embedded: EmbeddedRedis) -> None:
    """Bring the embedded Redis up with the library. Raises ServiceStartError."""
    try:
        await embedded.start()
        status = await _provide_library(embedded.url)
    except (EmbeddedRedisError, LibraryNewerError, RedisUnusableError) as error:
        raise ServiceStartError(str(error)) from error
    _log.info("the embedded Redis is up", server=str(embedded.binary), library=str(status))


async def _provide_library(redis_url: str) -> LibraryStatus:
    """Load the library, or make do with the one that is there: a full Redis takes no other."""
    try:
        return await load_library(redis_url)
    except RedisUnusableError:
        status = await check_library(redis_url)
        if not status.usable:
            raise
        return status
