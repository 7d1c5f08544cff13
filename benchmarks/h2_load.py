"""Unary gRPC calls over a few raw connections, with a given number always in flight.

A gRPC client in Python costs more than the service it would measure, and takes its time from the same cores. Here the
messages are encoded before the clock starts, and a call costs one frame out and a few in.
"""

import gc
import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from benchmarks.h2_frames import (
    ACK,
    DATA_SIZE_MAX,
    END_HEADERS,
    END_STREAM,
    HEADER_SIZE,
    PADDED,
    SETTING_INITIAL_WINDOW_SIZE,
    WINDOW_DEFAULT,
    WINDOW_MAX,
    FrameHeader,
    FrameType,
    frame,
    greeting,
    grpc_status_of,
    parse_settings,
    request_headers,
    window_update,
)

_CALL_TIMEOUT_S: Final = 20
_SILENCE_MAX_S: Final = 20.0
_RECEIVE_BYTES: Final = 256 * 1024
_WINDOW_TOP_UP: Final = WINDOW_MAX // 2
_GRPC_PREFIX_BYTES: Final = 5
_FIRST_STREAM: Final = 1
_CONNECTIONS_MAX: Final = 4
_OK_TRAILERS_MAX: Final = 16


NO_STATUS: Final = -1
"""Stands for the status of a call that the server cut off without one."""


class LoadError(Exception):
    """The server broke the connection or went silent; the text says which."""


class Answer(NamedTuple):
    """How one call ended: its gRPC status (or NO_STATUS), its response (empty without one), how long it took."""

    status: int
    body: bytes
    latency_s: float


class _Connection:
    """One HTTP/2 connection; windows are kept as the peer sets them, so nothing is sent that it has no room for."""

    def __init__(self, host: str, port: int, method: str) -> None:
        self.socket = socket.create_connection((host, port), timeout=_SILENCE_MAX_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(greeting())
        self._headers = request_headers(method, f"{host}:{port}", _CALL_TIMEOUT_S)
        self._unpack = FrameHeader().unpack_at
        self._received = bytearray()
        self._out: list[bytes] = []
        self._next_stream = _FIRST_STREAM
        self._started: dict[int, float] = {}
        self._bodies: dict[int, bytes] = {}
        self._blocked: deque[tuple[int, bytes]] = deque()
        self._window = WINDOW_DEFAULT
        self._stream_window_first = WINDOW_DEFAULT
        self._stream_windows: dict[int, int] = {}
        self._consumed = 0
        self._ok_trailers: set[bytes] = set()
        self._ended: list[Answer] = []

    def start(self, message: bytes) -> None:
        """Begin a call; it leaves with the next `flush`, as far as the windows allow."""
        stream = self._next_stream
        self._next_stream += 2
        self._out.append(frame(FrameType.HEADERS, END_HEADERS, stream, self._headers))
        self._started[stream] = time.perf_counter()
        self._stream_windows[stream] = self._stream_window_first
        self._blocked.append((stream, b"\0" + len(message).to_bytes(4, "big") + message))
        self._send_data()

    def flush(self) -> None:
        """Send what has gathered."""
        if self._out:
            self.socket.sendall(b"".join(self._out))
            self._out.clear()

    def receive(self) -> list[Answer]:
        """Read what has come, and return the calls that ended with it."""
        chunk = self.socket.recv(_RECEIVE_BYTES)
        if not chunk:
            raise LoadError("the server closed the connection")
        received = self._received
        received += chunk
        position, end = 0, len(received)
        while end - position >= HEADER_SIZE:
            length, kind, flags, stream = self._unpack(received, position)
            start = position + HEADER_SIZE
            if end - start < length:
                break
            position = start + length
            self._take(kind, flags, stream, bytes(received[start:position]))
        del received[:position]
        ended, self._ended = self._ended, []
        return ended

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == FrameType.DATA:
            self._take_data(flags, stream, payload)
        elif kind == FrameType.HEADERS:
            if flags & END_STREAM:
                self._end(stream, self._status_of(payload))
        elif kind == FrameType.WINDOW_UPDATE:
            self._widen(stream, int.from_bytes(payload, "big"))
        elif kind == FrameType.RST_STREAM:
            self._end(stream, NO_STATUS)
        elif kind in (FrameType.GOAWAY, FrameType.CONTINUATION):
            raise LoadError(f"the server sent {FrameType(kind).name}: {payload!r}")
        elif not flags & ACK:
            self._answer_control(kind, payload)

    def _answer_control(self, kind: int, payload: bytes) -> None:
        if kind == FrameType.PING:
            self._out.append(frame(FrameType.PING, ACK, 0, payload))
        elif kind == FrameType.SETTINGS:
            self._settle(parse_settings(payload))

    def _take_data(self, flags: int, stream: int, payload: bytes) -> None:
        if flags & PADDED:
            raise LoadError("the server sent a padded frame")
        self._bodies[stream] = self._bodies[stream] + payload if stream in self._bodies else payload
        self._consumed += len(payload)
        if self._consumed >= _WINDOW_TOP_UP:
            self._out.append(window_update(0, self._consumed))
            self._consumed = 0

    def _status_of(self, trailers: bytes) -> int:
        if trailers in self._ok_trailers:
            return 0
        status = grpc_status_of(trailers)
        if status == 0 and len(self._ok_trailers) < _OK_TRAILERS_MAX:
            self._ok_trailers.add(trailers)
        return NO_STATUS if status is None else status

    def _end(self, stream: int, status: int) -> None:
        self._stream_windows.pop(stream, None)
        started = self._started.pop(stream, None)
        if started is not None:
            body = self._bodies.pop(stream, b"")[_GRPC_PREFIX_BYTES:]
            self._ended.append(Answer(status, body, time.perf_counter() - started))

    def _settle(self, settings: dict[int, int]) -> None:
        first = settings.get(SETTING_INITIAL_WINDOW_SIZE)
        if first is not None:
            change, self._stream_window_first = first - self._stream_window_first, first
            for stream in self._stream_windows:
                self._stream_windows[stream] += change
        self._out.append(frame(FrameType.SETTINGS, ACK, 0))
        self._send_data()

    def _widen(self, stream: int, increment: int) -> None:
        if stream == 0:
            self._window += increment
        elif stream in self._stream_windows:
            self._stream_windows[stream] += increment
        if self._blocked:
            self._send_data()

    def _send_data(self) -> None:
        """Send messages in the order of their calls, until a window is used up."""
        while self._blocked:
            stream, message = self._blocked[0]
            if stream not in self._stream_windows:  # the server has ended the call already
                self._blocked.popleft()
                continue
            room = min(self._window, self._stream_windows[stream], DATA_SIZE_MAX)
            if room <= 0:
                return
            piece, rest = message[:room], message[room:]
            self._window -= len(piece)
            self._stream_windows[stream] -= len(piece)
            self._out.append(frame(FrameType.DATA, 0 if rest else END_STREAM, stream, piece))
            if rest:
                self._blocked[0] = (stream, rest)
            else:
                self._blocked.popleft()


def run_calls(address: tuple[str, int], method: str, messages: Sequence[bytes], in_flight: int) -> list[Answer]:
    """Make one call for each message with `in_flight` of them at a time, and return how they ended.

    Raises:
        LoadError: the server closed a connection, or said nothing for too long.
        OSError: the server can't be reached.

    """
    host, port = address
    connections = [_Connection(host, port, method) for _ in range(min(in_flight, _CONNECTIONS_MAX))]
    try:
        return _drive(connections, deque(messages), in_flight)
    finally:
        for connection in connections:
            connection.socket.close()


def _drive(connections: list[_Connection], waiting: deque[bytes], in_flight: int) -> list[Answer]:
    by_fd = {connection.socket.fileno(): connection for connection in connections}
    poller = select.epoll()
    for fd in by_fd:
        poller.register(fd, select.EPOLLIN)
    answers: list[Answer] = []
    total = len(waiting)
    collecting = gc.isenabled()
    gc.disable()
    try:
        for index in range(min(in_flight, total)):
            connections[index % len(connections)].start(waiting.popleft())
        for connection in connections:
            connection.flush()
        while len(answers) < total:
            events = poller.poll(_SILENCE_MAX_S)
            if not events:
                raise LoadError(f"the server said nothing for {_SILENCE_MAX_S:g} s")
            for fd, _ in events:
                connection = by_fd[fd]
                ended = connection.receive()
                answers += ended
                for _ in range(min(len(ended), len(waiting))):
                    connection.start(waiting.popleft())
                connection.flush()
        return answers
    finally:
        poller.close()
        if collecting:
            gc.enable()
