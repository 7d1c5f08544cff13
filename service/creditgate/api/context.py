"""What a handler may know of the call it serves, whichever server hosts it."""

import time
from abc import ABC, abstractmethod


class CallContext(ABC):
    """One call.

    Attributes:
        method: the RPC's full name, `creditgate.v1.CreditService/ReserveCredit`.
        deadline: when the answer is no longer wanted, as a value of `time.monotonic()` in seconds.
        item_timeout_s: how long one message of a stream may take to be answered, in seconds.

    """

    __slots__ = ("deadline", "item_timeout_s", "method")

    def __init__(self, method: str, deadline: float, item_timeout_s: float) -> None:
        self.method = method
        self.deadline = deadline
        self.item_timeout_s = item_timeout_s

    def item_deadline(self) -> float:
        """Return when the answer to a message that is taken up now is no longer wanted, as `deadline` counts."""
        return min(self.deadline, time.monotonic() + self.item_timeout_s)

    @property
    @abstractmethod
    def peer(self) -> str:
        """Where the call comes from, as the host spells it."""

    @abstractmethod
    def metadata(self, key: str) -> str | None:
        """Return the first value that the caller sent under a lower-case key, None when there is none."""
