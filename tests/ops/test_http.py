"""/metrics, /healthz and /readyz."""

import asyncio
import http.client
import selectors
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry, Counter

from creditgate.ops import http as operator_http
from creditgate.ops.http import OperatorHttpServer
from creditgate.ops.listen_address import AddressUnusableError, ListenAddress
from tests.patience import PATIENCE_S

FREE_PORT = ListenAddress("127.0.0.1", 0)


@dataclass
class Site:
    """A server with one metric."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    unready_reason: str = ""
    address: ListenAddress = FREE_PORT

    def request(self, method: str, path: str, **headers: str) -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection(self.address.host, self.address.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response.status, response.getheader("Content-Type", ""), response.read()
        finally:
            connection.close()

    async def get(self, path: str, **headers: str) -> tuple[int, str, bytes]:
        return await asyncio.to_thread(self.request, "GET", path, **headers)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    Counter("apples", "Apples.", registry=site.registry).inc()
    server = OperatorHttpServer(FREE_PORT, site.registry, lambda: site.unready_reason)
    site.address = server.start()
    yield site
    await asyncio.to_thread(server.stop)


async def test_metrics(site: Site) -> None:
    status, content_type, body = await site.get("/metrics")
    assert status == 200
    assert content_type.startswith("text/plain")
    assert b"\napples_total 1.0\n" in body


async def test_metrics_in_the_format_asked_for(site: Site) -> None:
    _, content_type, body = await site.get("/metrics?name=x", Accept="application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


async def test_readiness_has_its_reason(site: Site) -> None:
    assert (await site.get("/readyz"))[0::2] == (200, b"ok\n")
    site.unready_reason = "Redis is away"
    assert (await site.get("/readyz"))[0::2] == (503, b"Redis is away\n")


async def test_the_loop_comes_round(site: Site) -> None:
    assert (await site.get("/healthz"))[0::2] == (200, b"ok\n")


async def test_the_loop_is_stuck(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator_http, "LOOP_ANSWER_MAX_S", 0.05)
    answered: list[tuple[int, str, bytes]] = []
    asking = threading.Thread(target=lambda: answered.append(site.request("GET", "/healthz")))
    asking.start()
    asking.join(PATIENCE_S)  # this holds the event loop, which is what a stuck one looks like
    assert answered[0][0::2] == (503, b"the event loop is stuck\n")


async def test_other_paths_and_methods(site: Site) -> None:
    assert (await site.get("/"))[0] == 404
    assert (await site.get("/metrics/x"))[0] == 404
    assert (await asyncio.to_thread(site.request, "POST", "/metrics"))[0] == 501


async def test_head_has_no_body(site: Site) -> None:
    status, _, body = await asyncio.to_thread(site.request, "HEAD", "/metrics")
    assert (status, body) == (200, b"")


async def test_a_flood_of_connections_is_cut_off_and_service_goes_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator_http._RequestHandler, "timeout", None)  # noqa: SLF001 - ten seconds in earnest
    too_many = 8

    def flood() -> None:
        """Connect and ask nothing, until those who are too many have been closed."""
        with ExitStack() as stack, selectors.DefaultSelector() as closed:
            for _ in range(operator_http.CONNECTIONS_MAX + too_many):
                idle = stack.enter_context(socket.create_connection((site.address.host, site.address.port), PATIENCE_S))
                closed.register(idle, selectors.EVENT_READ)
            for _ in range(too_many):
                ((key, _), *_) = closed.select(PATIENCE_S)
                closed.unregister(key.fileobj)
            assert not closed.select(0), "as many as may be served are kept"

    await asyncio.to_thread(flood)
    give_up = time.monotonic() + PATIENCE_S
    while not await answers_again(site):
        assert time.monotonic() < give_up


async def answers_again(site: Site) -> bool:
    """Return whether a page is answered; a connection is closed while the flood's are not done with."""
    try:
        return (await site.get("/healthz"))[0] == 200
    except ConnectionError:
        return False


async def test_a_busy_port(site: Site) -> None:
    with pytest.raises(AddressUnusableError, match=r"^address already in use$"):
        OperatorHttpServer(site.address, site.registry, str).start()


async def test_a_stopped_server_does_not_listen() -> None:
    server = OperatorHttpServer(FREE_PORT, CollectorRegistry(), str)
    address = server.start()
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.stop)
    with pytest.raises(ConnectionRefusedError), socket.create_connection((address.host, address.port), 5):
        pass
