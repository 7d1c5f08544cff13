"""What a handler may know of the call it serves, whichever server hosts it."""

from abc import ABC, abstractmethod


class CallContext(ABC):
    """One call.

    Attributes:
        method: the RPC's full name, `creditgate.v1.CreditService/ReserveCredit`.
        deadline: when the answer is no longer wanted, as a value of `time.monotonic()` in seconds.

    """

    __slots__ = ("deadline", "method")

    def __init__(self, method: str, deadline: float) -> None:
        self.method = method
        self.deadline = deadline

    @property
    @abstractmethod
    def peer(self) -> str:
        """Where the call comes from, as the host spells it."""

    @abstractmethod
    def metadata(self, key: str) -> str | None:
        """Return the first value that the caller sent under a lower-case key, None when there is none."""
