"""Whether the service answers calls, and why not: for health, /readyz and the log."""

import asyncio
from collections.abc import Callable


class Readiness:
    """Joins what the store says with whether the service is stopping.

    Attributes:
        changed: set when readiness has changed; whoever acts on it clears it.

    """

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self._stopping = False
        self._store_reason: Callable[[], str] = lambda: "the service is starting"

    def follow_store(self, unready_reason: Callable[[], str]) -> None:
        """Ask the store from now on, which says in a sentence why it is not ready, or nothing."""
        self._store_reason = unready_reason
        self.changed.set()

    def stop(self) -> None:
        """Be unready for good."""
        self._stopping = True
        self.changed.set()

    def unready_reason(self) -> str:
        """Return why calls are not answered now, in one sentence, or an empty text. May be called from any thread."""
        return "the service is stopping" if self._stopping else self._store_reason()
