"""What the model test drives: the store itself, and later the service, behind the same few blocking methods."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from redis import Redis

from creditgate.domain.errors import CreditError
from creditgate.domain.operations import ImportOpenItem, Operation, Recorded
from creditgate.domain.reservation import Reservation
from creditgate.store import RedisCreditStore, Sweeper
from tests.model.words import ImportAnswer
from tests.patience import PATIENCE_S
from tests.quiet_observer import QuietObserver

T = TypeVar("T")

_SWEEP_INTERVAL_S = 0.02
_POLL_S = 0.01
_US_PER_MS = 1000
_MS_PER_S = 1000


class Gate(Protocol):
    """Carries out operations; an error is returned, not raised."""

    def run(self, operation: Operation[object]) -> object:
        """Carry out one operation."""

    def run_each(self, operations: Sequence[Operation[object]]) -> Sequence[object]:
        """Carry out operations together, those of one account in their order."""

    def list_reservations(self, account_id: str, page_size: int) -> Sequence[object]:
        """Read all reservations of an account, in pages."""

    def verify(self, account_id: str) -> Sequence[object]:
        """Return where an account's sums are not what they should add up to."""

    def now_ms(self) -> int:
        """Read the store's clock."""

    def let_time_pass(self, until_ms: int) -> None:
        """Return once the store's clock has come so far."""

    def set_sweeping(self, *, on: bool) -> None:
        """Let a sweeper run in the background, or not."""


def read_clock_ms(client: Redis) -> int:
    """Return the store's clock."""
    seconds, microseconds = client.time()
    return int(seconds) * _MS_PER_S + int(microseconds) // _US_PER_MS


def wait_until(client: Redis, until_ms: int, pause: Callable[[float], None]) -> None:
    """Return once the store's clock has come so far: it is real, only waiting makes it go on."""
    give_up = time.monotonic() + PATIENCE_S
    while read_clock_ms(client) < until_ms:
        assert time.monotonic() < give_up
        pause(_POLL_S)


class StoreGate:
    """The store on its own event loop, which runs only while something is asked."""

    def __init__(self, url: str, store: RedisCreditStore, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._loop = loop
        self._clock = Redis.from_url(url)
        self._sweeper: Sweeper | None = None

    def close(self) -> None:
        """Give back what the gate holds; the store is the caller's."""
        self.set_sweeping(on=False)
        self._clock.close()

    def run(self, operation: Operation[object]) -> object:
        """Carry out one operation."""
        try:
            return _shown(operation, self._finish(self._store.run(operation, _deadline())))
        except CreditError as error:
            return error

    def run_each(self, operations: Sequence[Operation[object]]) -> Sequence[object]:
        """Carry out operations in one call."""
        answers = self._finish(self._store.run_each(operations, _deadline()))
        return [_shown(operation, answer) for operation, answer in zip(operations, answers, strict=True)]

    def list_reservations(self, account_id: str, page_size: int) -> Sequence[object]:
        """Read all reservations of an account, in pages."""
        found: list[Reservation] = []
        token = ""
        while True:
            page = self._finish(self._store.list_reservations(account_id, frozenset(), page_size, token, _deadline()))
            found += page.items
            token = page.next_page_token
            if not token:
                return found

    def verify(self, account_id: str) -> Sequence[object]:
        """Return where an account's sums are not what they should add up to."""
        return self._finish(self._store.verify_account(account_id, repair=False, deadline=_deadline()))

    def now_ms(self) -> int:
        """Read the store's clock."""
        return read_clock_ms(self._clock)

    def let_time_pass(self, until_ms: int) -> None:
        """Return once the store's clock has come so far."""
        wait_until(self._clock, until_ms, lambda seconds: self._finish(asyncio.sleep(seconds)))

    def set_sweeping(self, *, on: bool) -> None:
        """Let a sweeper run whenever the loop does."""
        if on and self._sweeper is None:
            self._sweeper = Sweeper(self._store, QuietObserver(), _SWEEP_INTERVAL_S)
            self._finish(_start(self._sweeper))
        elif not on and self._sweeper is not None:
            self._finish(self._sweeper.stop())
            self._sweeper = None

    def _finish(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)


def _shown(operation: Operation[object], answer: object) -> object:
    """Return an answer as the service would show it: of an open item, only whether it was there."""
    if isinstance(operation, ImportOpenItem) and isinstance(answer, Recorded):
        return ImportAnswer(answer.replayed)
    return answer


async def _start(sweeper: Sweeper) -> None:
    sweeper.start()


def _deadline() -> float:
    return time.monotonic() + PATIENCE_S
