"""A call as grpc.aio knows it."""

import time
from typing import cast

import grpc

from creditgate.api.context import CallContext

GrpcServicerContext = grpc.aio.ServicerContext[bytes, bytes]


class GrpcCallContext(CallContext):
    """A call of grpc.aio. Peer and metadata cost something to ask for, so they are asked for when they are needed."""

    __slots__ = ("_host",)

    def __init__(self, method: str, deadline: float, item_timeout_s: float, host: GrpcServicerContext) -> None:
        self.method = method
        self.deadline = deadline
        self.item_timeout_s = item_timeout_s
        self._host = host

    @property
    def peer(self) -> str:
        """Where the call comes from, `ipv4:127.0.0.1:40000`."""
        return self._host.peer()

    def metadata(self, key: str) -> str | None:
        """Return the first value that the caller sent under a lower-case key, None when there is none."""
        for name, value in self._host.invocation_metadata() or ():
            if name == key:
                return value if isinstance(value, str) else value.decode(errors="replace")
        return None


def deadline_of(host: GrpcServicerContext, default_s: float, max_s: float) -> float:
    """Return when a call ends, as a value of `time.monotonic()`: as its client says, `default_s` if it does not say.

    No call lasts longer than `max_s`.
    """
    remaining_s = cast("float | None", host.time_remaining())  # None without a deadline, whatever the stubs say
    if remaining_s is None:
        remaining_s = default_s
    elif remaining_s > max_s:
        remaining_s = max_s
    return time.monotonic() + remaining_s
