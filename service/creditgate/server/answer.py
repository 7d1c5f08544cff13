"""What serving a call ends with: the bytes of a response, or a failure."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple, TypeVar

from google.rpc.status_pb2 import Status

from creditgate.api.context import CallContext
from creditgate.domain.errors import ErrorReason


class Failure(NamedTuple):
    """A fault as the caller gets it."""

    reason: ErrorReason
    status: Status


Answer = bytes | Failure

RequestT = TypeVar("RequestT")

Respond = Callable[[RequestT, CallContext], Awaitable[bytes]]
"""Serves one RPC; a fault is raised as `CreditError`."""

Serve = Callable[[RequestT, CallContext], Awaitable[Answer]]
"""Serves one RPC; a fault is an answer too."""


class Stream(NamedTuple):
    """The request of a streaming RPC: messages come and go as bytes. The bytes of its answer are empty."""

    messages: AsyncIterator[bytes]
    send: Callable[[bytes], Awaitable[None]]
