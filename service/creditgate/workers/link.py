"""What a parent and a worker tell each other, over a pair of connected sockets.

Each message is a line. Both are processes of one release: the parent starts its workers from its own program.
"""

import asyncio
import json
import socket
from collections.abc import Sequence
from enum import StrEnum, unique
from typing import Final, NamedTuple

from creditgate.ops.joined_metrics import MetricSample

LINE_MAX_BYTES: Final = 8 * 1024 * 1024
"""The longest line carries all metrics of a worker; every label has few values."""


@unique
class Order(StrEnum):
    """What a parent wants of a worker."""

    STOP = "stop"
    SKIP_WAIT = "skip wait"
    TELL_METRICS = "tell metrics"


class Report(NamedTuple):
    """What a worker says of itself: in regular intervals, at each change, and with its metrics when asked for them.

    Attributes:
        unready_reason: why it does not answer calls, in a sentence; empty when it does.
        metrics: all its values, None if they were not asked for.

    """

    unready_reason: str
    metrics: Sequence[MetricSample] | None = None

    def render(self) -> bytes:
        """Return the report as a line."""
        return json.dumps(self, separators=(",", ":")).encode() + b"\n"


def parse_report(line: bytes) -> Report:
    """Return the report that a line is."""
    unready_reason, told = json.loads(line)
    if told is None:
        return Report(unready_reason)
    metrics = [
        MetricSample(family, name, tuple((label, text) for label, text in labels), value)
        for family, name, labels, value in told
    ]
    return Report(unready_reason, metrics)


async def open_link(end: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the streams of one end."""
    return await asyncio.open_unix_connection(sock=end, limit=LINE_MAX_BYTES)
