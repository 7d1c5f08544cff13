"""grpc.health.v1 for the server as a whole and for each of its services."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

HEALTH_SERVICE: Final = health.SERVICE_NAME

_WATCHER_WAIT_S: Final = 1.0
"""Longest wait for one watcher that does not read; it then learns of the change with the next one."""


class ServiceHealth:
    """Says whether calls are answered: NOT_SERVING until told otherwise, and for good once stopped."""

    def __init__(self, services: Iterable[str]) -> None:
        self._services = ("", *services)
        self._servicer = _EndingHealthServicer()

    async def start(self, server: grpc.aio.Server) -> None:
        """Add the health service to a server that does not serve yet."""
        await self.set_serving(serving=False)
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def set_serving(self, *, serving: bool) -> None:
        """Tell whether calls are answered from now on; does nothing once stopped."""
        state = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in self._services:
            with suppress(TimeoutError):
                async with asyncio.timeout(_WATCHER_WAIT_S):
                    await self._servicer.set(service, state)

    async def stop(self) -> None:
        """Say NOT_SERVING for good."""
        await self.set_serving(serving=False)
        with suppress(TimeoutError):
            async with asyncio.timeout(_WATCHER_WAIT_S):
                await self._servicer.enter_graceful_shutdown()

    def end_watches(self) -> None:
        """End the streams of watchers, which would otherwise keep a server from stopping until its grace is over."""
        self._servicer.end_watches()


class _EndingHealthServicer(health.aio.HealthServicer):
    """The library's service, with watches that can be ended from this side."""

    def __init__(self) -> None:
        super().__init__()
        self._watches: set[asyncio.Task[None]] = set()

    async def Watch(  # noqa: N802 - the RPC's name
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse],
    ) -> None:
        """Send the state of a service, and each change of it, until the caller leaves or the watch is ended."""
        watch = asyncio.create_task(super().Watch(request, context), name="health-watch")
        self._watches.add(watch)
        try:
            await asyncio.wait({watch})
        finally:
            watch.cancel()
            self._watches.discard(watch)

    def end_watches(self) -> None:
        for watch in self._watches:
            watch.cancel()
