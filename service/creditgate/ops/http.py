"""The HTTP server for operators: /metrics, /healthz and /readyz, in threads of its own."""

import asyncio
import socket
import socketserver
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Final

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from creditgate.ops.listen_address import ListenAddress, check_usable

CONNECTIONS_MAX: Final = 32
"""Most requests at once; a further one is closed unanswered, so that a flood of probes can't use up threads."""

REQUEST_TIMEOUT_S: Final = 10.0
LOOP_ANSWER_MAX_S: Final = 2.0
"""An event loop that does not come round within this time is stuck."""

_TEXT: Final = "text/plain; charset=utf-8"
_OK: Final = "ok"
_STOP_POLL_S: Final = 0.1
_log = structlog.get_logger(__name__)


class OperatorHttpServer:
    """Serves /metrics, /healthz (the event loop comes round) and /readyz (calls are answered).

    Args:
        address: where to listen; a host and a port.
        registry: what /metrics shows.
        unready_reason: says in a sentence why calls are not answered now, empty when they are; called from threads.
        stuck_reason: says in a sentence which other event loop is stuck, or nothing; called from threads.
        ready_text: what /readyz says when calls are answered; called from threads.

    """

    def __init__(
        self,
        address: ListenAddress,
        registry: CollectorRegistry,
        unready_reason: Callable[[], str],
        *,
        stuck_reason: Callable[[], str] = str,
        ready_text: Callable[[], str] = lambda: _OK,
    ) -> None:
        self._address = address
        self._registry = registry
        self._unready_reason = unready_reason
        self._stuck_reason = stuck_reason
        self._ready_text = ready_text
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> ListenAddress:
        """Listen, serve in the background, and return the bound address.

        Call it on the event loop that /healthz is to watch. Raises AddressUnusableError.
        """
        check_usable(self._address)
        pages = _Pages(
            asyncio.get_running_loop(), self._registry, self._unready_reason, self._stuck_reason, self._ready_text
        )
        self._server = _Server(self._address, pages)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_STOP_POLL_S,), name="creditgate-http", daemon=True
        )
        self._thread.start()
        return self._address.with_port(self._server.server_address[1])

    def stop(self) -> None:
        """Stop listening. Blocks for a moment; requests under way end by themselves."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server = self._thread = None


class _Pages:
    """What each path answers: status, content type, body."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        registry: CollectorRegistry,
        unready_reason: Callable[[], str],
        stuck_reason: Callable[[], str],
        ready_text: Callable[[], str],
    ) -> None:
        self._loop = loop
        self._registry = registry
        self._unready_reason = unready_reason
        self._stuck_reason = stuck_reason
        self._ready_text = ready_text

    def answer(self, path: str, accept: str) -> tuple[HTTPStatus, str, bytes]:
        if path == "/metrics":
            encode, content_type = choose_encoder(accept)
            return HTTPStatus.OK, content_type, encode(self._registry)
        if path == "/healthz":
            return self._probe(self._stuck_reason() if self._loop_comes_round() else "the event loop is stuck", _OK)
        if path == "/readyz":
            return self._probe(self._unready_reason(), self._ready_text())
        return HTTPStatus.NOT_FOUND, _TEXT, b"not found; there are /metrics, /healthz and /readyz\n"

    @staticmethod
    def _probe(why_not: str, otherwise: str) -> tuple[HTTPStatus, str, bytes]:
        if why_not:
            return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, f"{why_not}\n".encode()
        return HTTPStatus.OK, _TEXT, f"{otherwise}\n".encode()

    def _loop_comes_round(self) -> bool:
        came_round = threading.Event()
        try:
            self._loop.call_soon_threadsafe(came_round.set)
        except RuntimeError:  # the loop is closed
            return False
        return came_round.wait(LOOP_ANSWER_MAX_S)


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A bounded number of threads. Not http.server's, which asks the DNS for its own name before it listens."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = CONNECTIONS_MAX

    def __init__(self, address: ListenAddress, pages: _Pages) -> None:
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self.pages = pages
        self._free = threading.BoundedSemaphore(CONNECTIONS_MAX)
        super().__init__((address.host, address.port), _RequestHandler)

    def process_request(self, request: object, client_address: object) -> None:
        """Serve a connection in a thread, or close it when all of them are busy."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)  # type: ignore[arg-type]
        else:
            self.shutdown_request(request)  # type: ignore[arg-type]

    def process_request_thread(self, request: object, client_address: object) -> None:
        """Serve a connection, in its thread."""
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - socketserver's signature
        """Log what the base class would print; a caller that went away is nobody's fault."""
        if isinstance(sys.exception(), ConnectionError | TimeoutError):
            _log.debug("an HTTP request ended early", exc_info=True)
        else:
            _log.exception("an HTTP request failed")


class _RequestHandler(BaseHTTPRequestHandler):
    """One request a connection."""

    server: _Server
    timeout = REQUEST_TIMEOUT_S
    server_version = "creditgate"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer a page."""
        self._send(with_body=True)

    def do_HEAD(self) -> None:
        """Answer a page's headers."""
        self._send(with_body=False)

    def _send(self, *, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        status, content_type, body = self.server.pages.answer(path, self.headers.get("Accept", ""))
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
        """Log at debug what the base class would print."""
        _log.debug("HTTP", message=format % args)
