"""A service of several processes: the parent owns the embedded Redis, the address, the probes and the workers."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog
from prometheus_client import CollectorRegistry

from creditgate.bootstrap.calls import STORE_DRAIN_MIN_S
from creditgate.bootstrap.embedded import embedded_redis, start_embedded
from creditgate.bootstrap.policy import LAST_GOOD, policy_source
from creditgate.bootstrap.service import new_metrics
from creditgate.bootstrap.start_errors import ServiceStartError, naming_setting
from creditgate.ops.http import OperatorHttpServer
from creditgate.ops.joined_metrics import JoinedMetrics, ProcessSamples
from creditgate.ops.listen_address import HeldAddress, ListenAddress
from creditgate.ops.readiness import Readiness
from creditgate.settings import PREFIX, Settings, environment_of, variable_of
from creditgate.store.embedded import EmbeddedRedis
from creditgate.workers.process import WorkerProcess
from creditgate.workers.supervisor import METRICS_S_MAX, WorkerStartError, WorkerSupervisor

WORKER_MODULE: Final = "creditgate.bootstrap.worker"

_ENDING_S_MAX: Final = 5.0
"""What the end of a worker takes beside its waits: closing connections, ending the interpreter."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunningWorkers:
    """Where a service of several processes is served."""

    address: ListenAddress
    metrics_address: ListenAddress


@asynccontextmanager
async def running_workers(
    settings: Settings, skip_wait: asyncio.Event, replace: asyncio.Event
) -> AsyncIterator[RunningWorkers]:
    """Start workers and what they need, and stop all of it in order at the end. Touches no signals.

    Args:
        settings: what to do.
        skip_wait: when set, the stop does not wait for load balancers to see NOT_SERVING.
        replace: when set, the workers are replaced one after another.

    Raises:
        ServiceStartError: an address, the policy file, the embedded Redis or a worker can't be used.

    """
    _check_can_share(settings)
    readiness = Readiness()
    metrics = new_metrics(readiness)
    policy = policy_source(settings, metrics)
    async with AsyncExitStack() as stack:
        embedded: EmbeddedRedis | None = None
        redis_url = settings.redis_url
        if redis_url is None:
            embedded = embedded_redis(settings, metrics)
            redis_url = embedded.url
            stack.push_async_callback(embedded.stop)

        workers = WorkerSupervisor(
            settings.workers,
            lambda number: WorkerProcess.start(number, WORKER_MODULE, environment | {LAST_GOOD: policy.text}),
            stop_s_max=settings.stop_wait_s + settings.drain_grace_s + STORE_DRAIN_MIN_S + _ENDING_S_MAX,
            on_restart=metrics.worker_restarts.inc,
        )
        metrics.watch_workers(lambda: workers.ready_count)
        http = OperatorHttpServer(
            settings.metrics_listen,
            _joined(metrics.registry, workers.take_samples),
            readiness.unready_reason,
            stuck_reason=workers.stuck_reason,
            ready_text=workers.ready_text,
        )
        stack.push_async_callback(asyncio.to_thread, http.stop)
        with naming_setting("metrics_listen", settings.metrics_listen):
            metrics_address = http.start()
        with naming_setting("listen", settings.listen):
            held = HeldAddress(settings.listen)
        stack.callback(held.release)

        environment = _worker_environment(settings, redis_url, held.address)
        policy.start(lambda _: None)
        stack.push_async_callback(policy.stop)
        stack.push_async_callback(workers.stop, skip_wait)
        try:
            await workers.start()
        except (WorkerStartError, OSError) as error:
            raise ServiceStartError(str(error)) from error
        if embedded is not None:
            await start_embedded(embedded)
        readiness.follow_store(workers.unready_reason)
        stack.callback(readiness.stop)
        replacing = asyncio.create_task(_replace_when_asked(workers, replace), name="creditgate-replace")
        stack.push_async_callback(_end, replacing)
        yield RunningWorkers(held.address, metrics_address)


def _check_can_share(settings: Settings) -> None:
    if settings.listen.unix_path is not None:
        raise ServiceStartError(
            f"{variable_of('listen')} is {settings.listen}, on which one process alone can listen: "
            f"use host:port, or set {variable_of('workers')} to 1"
        )
    if sys.platform != "linux":
        raise ServiceStartError(
            f"{variable_of('workers')} is {settings.workers}; above 1 it needs Linux, which spreads connections"
        )


def _worker_environment(settings: Settings, redis_url: str, address: ListenAddress) -> dict[str, str]:
    """Return this process's environment with the settings that a worker is to have."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    told = settings.model_copy(update={"redis_url": redis_url, "listen": address, "workers": 1})
    return inherited | environment_of(told)


def _joined(
    own: CollectorRegistry, take_samples: Callable[[], Coroutine[None, None, Sequence[ProcessSamples]]]
) -> CollectorRegistry:
    """Return the registry that /metrics shows; its pages are made in threads, its samples on this event loop."""
    loop = asyncio.get_running_loop()

    def ask_processes() -> Sequence[ProcessSamples]:
        return asyncio.run_coroutine_threadsafe(take_samples(), loop).result(2 * METRICS_S_MAX)

    joined = CollectorRegistry()
    joined.register(JoinedMetrics(own, ask_processes))
    return joined


async def _replace_when_asked(workers: WorkerSupervisor, replace: asyncio.Event) -> None:
    while True:
        await replace.wait()
        replace.clear()
        _log.info("replacing the workers")
        await workers.replace_each()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
