"""A service in one process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from creditgate import __version__
from creditgate.bootstrap.calls import CallsOptions, answering_calls
from creditgate.bootstrap.embedded import embedded_redis, start_embedded
from creditgate.bootstrap.start_errors import naming_setting
from creditgate.ops.http import OperatorHttpServer
from creditgate.ops.listen_address import ListenAddress
from creditgate.ops.metrics import Metrics
from creditgate.ops.readiness import Readiness
from creditgate.server.interceptors.metrics import CODES
from creditgate.settings import Settings
from creditgate.store import RedisCreditStore, Sweeper
from creditgate.store.library import LIBRARY_VERSION


@dataclass(frozen=True, slots=True)
class RunningService:
    """The pieces of a running service.

    Attributes:
        address: where gRPC is served.
        metrics_address: where /metrics is served.
        redis_url: the Redis in use.
        store: the store; its `wait_ready` waits until calls are answered.
        sweeper: settles holds whose time is over.
        metrics: what /metrics shows.

    """

    address: ListenAddress
    metrics_address: ListenAddress
    redis_url: str
    store: RedisCreditStore
    sweeper: Sweeper
    metrics: Metrics


@asynccontextmanager
async def running_service(settings: Settings, skip_wait: asyncio.Event | None = None) -> AsyncIterator[RunningService]:
    """Start a service, and stop it in order at the end: for tests, demonstrations and embedding. Touches no signals.

    The service listens at once and is NOT_SERVING until its store is ready; the context is entered when an embedded
    Redis is up and has the library. It is this process alone, whatever the settings say of workers.

    Args:
        settings: what to do.
        skip_wait: when set, the stop does not wait for load balancers to see NOT_SERVING.

    Raises:
        ServiceStartError: an address or the embedded Redis can't be used.

    """
    readiness = Readiness()
    metrics = new_metrics(readiness)
    metrics.watch_workers(lambda: 0 if readiness.unready_reason() else 1)
    options = CallsOptions(skip_wait=skip_wait)
    async with AsyncExitStack() as stack:
        redis_url = settings.redis_url
        if redis_url is None:
            embedded = embedded_redis(settings, metrics)
            redis_url = embedded.url
            stack.push_async_callback(embedded.stop)
            options = CallsOptions(skip_wait=skip_wait, prepare_redis=lambda: start_embedded(embedded))

        http = OperatorHttpServer(settings.metrics_listen, metrics.registry, readiness.unready_reason)
        stack.push_async_callback(asyncio.to_thread, http.stop)
        with naming_setting("metrics_listen", settings.metrics_listen):
            metrics_address = http.start()

        calls = await stack.enter_async_context(answering_calls(settings, redis_url, metrics, readiness, options))
        yield RunningService(calls.address, metrics_address, redis_url, calls.store, calls.sweeper, metrics)


def new_metrics(readiness: Readiness) -> Metrics:
    """Return the metrics of one process, which wake its readiness."""
    return Metrics(
        codes=CODES, version=__version__, library_version=LIBRARY_VERSION, on_readiness=readiness.changed.set
    )
