"""What serving a call ends with: the bytes of a response, or a failure."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from google.rpc.status_pb2 import Status

from creditgate.api.context import CallContext
from creditgate.domain.errors import ErrorReason


class Failure(NamedTuple):
    """A fault as the caller gets it."""

    reason: ErrorReason
    status: Status


Answer = bytes | Failure

Respond = Callable[[bytes, CallContext], Awaitable[bytes]]
"""Serves one RPC; a fault is raised as `CreditError`."""

Serve = Callable[[bytes, CallContext], Awaitable[Answer]]
"""Serves one RPC; a fault is an answer too."""
