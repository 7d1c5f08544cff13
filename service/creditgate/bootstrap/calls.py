"""The part of a service that answers calls: store, handlers, gRPC host; its start and its stop in order."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import structlog

from creditgate.api.endpoints import build_endpoints
from creditgate.bootstrap.policy import policy_source
from creditgate.bootstrap.start_errors import naming_setting
from creditgate.limit_feed import Finisher, LimitFeed, Resumer
from creditgate.ops.counted_store import CountedStore
from creditgate.ops.listen_address import ListenAddress
from creditgate.ops.metrics import Metrics
from creditgate.ops.readiness import Readiness
from creditgate.server.health import ServiceHealth
from creditgate.server.host import GrpcHost, HostOptions
from creditgate.settings import Settings, mask_url
from creditgate.store import RedisCreditStore, ReplicaAcks, StoreOptions, Sweeper

_REASON_POLL_S: Final = 1.0
"""How often an unready store is asked for its reason, which may change; readiness itself is told at once."""

START_PATIENCE_S: Final = 5.0
"""How long a service that has just started may be unready before that is worth a warning."""

STORE_DRAIN_MIN_S: Final = 1.0
"""Wait for the store's last answers, also when calls have used up the grace."""

_log = structlog.get_logger(__name__)


async def _nothing_to_prepare() -> None:
    """An external Redis is there, or comes by itself."""


def _tell_nobody(_: str) -> None:
    """Health and the log are told in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsOptions:
    """How the part that answers calls fits into its process.

    Attributes:
        prepare_redis: awaited between listening and connecting to Redis.
        on_readiness: told why calls are not answered, in a sentence, or an empty text, whenever that changes.
        skip_wait: when set, the stop does not wait for load balancers to see NOT_SERVING.
        shares_port: whether other processes of this service listen on the same address.
        sweeps: whether this process settles holds whose time is over, and carries on limit batches that stand still.
        last_good_policy: what decides while the policy file can't be used; without one, that keeps it from starting.

    """

    prepare_redis: Callable[[], Awaitable[None]] = _nothing_to_prepare
    on_readiness: Callable[[str], None] = _tell_nobody
    skip_wait: asyncio.Event | None = None
    shares_port: bool = False
    sweeps: bool = True
    last_good_policy: str | None = None


@dataclass(frozen=True, slots=True)
class RunningCalls:
    """What answers calls: where it is served, its store and its sweeper."""

    address: ListenAddress
    store: RedisCreditStore
    sweeper: Sweeper


@asynccontextmanager
async def answering_calls(
    settings: Settings, redis_url: str, metrics: Metrics, readiness: Readiness, options: CallsOptions
) -> AsyncIterator[RunningCalls]:
    """Listen at once, NOT_SERVING until the store is ready; stop in order at the end.

    Raises:
        ServiceStartError: the address or the policy file can't be used, or what `prepare_redis` raises.

    """
    async with AsyncExitStack() as stack:
        policy = policy_source(settings, metrics, options.last_good_policy)
        store = RedisCreditStore(
            redis_url, options=_store_options(settings), observer=metrics.store, policy=policy.policy
        )
        sweeper = Sweeper(store, metrics.store, settings.sweep_interval_s, settings.idempotency_retention_s)
        watch = store.orders_watch
        finisher = Finisher(
            store.limit_batches, policy, metrics.limit_feed, lambda: store.operations_done, watch.elsewhere
        )
        resumer = Resumer(store.limit_batches, finisher, metrics.limit_feed, lambda: store.ready)
        feed = LimitFeed(store.limit_batches, finisher)
        endpoints = build_endpoints(CountedStore(store, metrics.decisions), policy, feed)
        host = GrpcHost(endpoints, _host_options(settings, shares_port=options.shares_port), metrics.rpcs)
        stack.push_async_callback(store.close)
        stack.push_async_callback(policy.stop)
        stack.push_async_callback(watch.stop)
        stack.push_async_callback(sweeper.stop)
        stack.push_async_callback(resumer.stop)
        stack.push_async_callback(_drain, host, finisher, store, settings.drain_grace_s)
        with naming_setting("listen", settings.listen):
            address = await host.start()

        await options.prepare_redis()
        _log.info("using Redis", url=mask_url(redis_url))
        _log.info(
            "using the policy",
            policy_version=policy.policy.version,
            mode=settings.mode,
            file=settings.policy_file and str(settings.policy_file),
        )
        policy.start(store.use_policy)
        await store.start()
        watch.start()
        if options.sweeps:
            sweeper.start()
            resumer.start()
        readiness.follow_store(lambda: store.unready_reason)
        following = asyncio.create_task(
            follow_readiness(readiness, host.health, options.on_readiness), name="creditgate-readiness"
        )
        stack.push_async_callback(_announce_stop, readiness, host.health, settings.stop_wait_s, options.skip_wait)
        stack.callback(following.cancel)
        yield RunningCalls(address, store, sweeper)


def _store_options(settings: Settings) -> StoreOptions:
    return StoreOptions(
        partitions=settings.partitions,
        redis_timeout_s=settings.redis_timeout_s,
        queue_max=settings.queue_max,
        replica_acks=ReplicaAcks(settings.replica_acks, settings.replica_timeout_s),
    )


def _host_options(settings: Settings, *, shares_port: bool) -> HostOptions:
    return HostOptions(
        address=settings.listen,
        deadline_default_s=settings.deadline_default_s,
        deadline_max_s=settings.deadline_max_s,
        concurrency_max=settings.concurrency_max,
        slow_call_s=settings.slow_call_s,
        log_every_call=settings.log_level == "debug",
        shares_port=shares_port,
    )


async def follow_readiness(
    readiness: Readiness,
    health: ServiceHealth,
    tell: Callable[[str], None],
    start_patience_s: float = START_PATIENCE_S,
) -> None:
    """Keep health and the log at what readiness says, until cancelled.

    Every start is unready for a moment: that is no warning before `start_patience_s` seconds are over.
    """
    told: str | None = None
    patient_until = time.monotonic() + start_patience_s
    warned = False
    while True:
        reason = readiness.unready_reason()
        starting = time.monotonic() < patient_until
        if reason != told or (reason and not (starting or warned)):
            await health.set_serving(serving=not reason)
            _log_readiness(reason, starting=starting)
            told, warned = reason, bool(reason) and not starting
            tell(reason)
        if not reason:
            patient_until = 0.0
        with suppress(TimeoutError):
            async with asyncio.timeout(_REASON_POLL_S):
                await readiness.changed.wait()
        readiness.changed.clear()


def _log_readiness(reason: str, *, starting: bool) -> None:
    if not reason:
        _log.info("calls are answered")
    elif starting:
        _log.info("calls are not answered yet", reason=reason)
    else:
        _log.warning("calls are not answered", reason=reason)


async def _announce_stop(
    readiness: Readiness, health: ServiceHealth, wait_s: float, skip_wait: asyncio.Event | None
) -> None:
    """Say NOT_SERVING and give those who route calls a moment to see it; calls are still answered meanwhile."""
    readiness.stop()
    await health.stop()
    _log.info("stopping", wait_s=wait_s)
    with suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            await (skip_wait or asyncio.Event()).wait()


async def _drain(host: GrpcHost, finisher: Finisher, store: RedisCreditStore, grace_s: float) -> None:
    """Take no more calls, and let those under way end; then let the store end what it was given.

    Limit batches under way are left where they are: another server carries them on, or this one after its start.
    """
    give_up = time.monotonic() + grace_s
    await host.stop(grace_s)
    await finisher.stop()
    await store.drain(max(give_up - time.monotonic(), STORE_DRAIN_MIN_S))
