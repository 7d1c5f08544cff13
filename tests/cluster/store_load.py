"""Orders without pause on many accounts of a store; every answer is remembered."""

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Final, Self, TypeVar

from creditgate.domain.decision import Outcome
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import GetAccount, Operation, PutAccount, ReserveCredit
from creditgate.domain.reservation import Reservation
from creditgate.store import RedisCreditStore, keys
from tests.patience import PATIENCE_S

R = TypeVar("R")

_ASK_AGAIN: Final = frozenset({ErrorReason.STORE_UNAVAILABLE, ErrorReason.DEADLINE_EXCEEDED})
_CALL_TIMEOUT_S: Final = 3.0
_PAUSE_S: Final = 0.01
_PAGE: Final = 500


def account_in(partition: int, partitions: int, new_id: Callable[[str], str]) -> str:
    """Return the id of a new account that hashes onto a partition."""
    return next(
        account_id
        for account_id in map(new_id, itertools.repeat("acc"))
        if keys.partition_of(account_id, partitions) == partition
    )


async def until_answered(store: RedisCreditStore, operation: Operation[R]) -> tuple[R, int]:
    """Ask until there is an answer; return it, and how often there was none. Any other error is raised."""
    return await _until_answered(lambda deadline: store.run(operation, deadline))


async def _until_answered(ask: Callable[[float], Awaitable[R]]) -> tuple[R, int]:
    give_up = time.monotonic() + PATIENCE_S
    for unanswered in itertools.count():
        try:
            return await ask(time.monotonic() + _CALL_TIMEOUT_S), unanswered
        except CreditError as error:
            if error.reason not in _ASK_AGAIN or time.monotonic() > give_up:
                raise
            await asyncio.sleep(_PAUSE_S)
    raise AssertionError


class StoreLoad:
    """Runs from the beginning to the end of an `async with`, one worker for each account.

    Each worker asks for an order until it is answered, so at the end every order has been acknowledged.
    """

    def __init__(self, store: RedisCreditStore, account_ids: Sequence[str]) -> None:
        self._store = store
        self._acknowledged: dict[str, list[str]] = defaultdict(list)
        self._account_ids = account_ids
        self._stop = asyncio.Event()
        self._workers: list[asyncio.Task[None]] = []
        self.unanswered = 0

    async def __aenter__(self) -> Self:
        for account_id in self._account_ids:
            await until_answered(self._store, PutAccount(account_id, "USD", unlimited=True))
        self._workers = [asyncio.create_task(self._work(account_id)) for account_id in self._account_ids]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        await asyncio.gather(*self._workers)

    async def wait_for_more(self, account_ids: Sequence[str], orders: int) -> None:
        """Wait until each of some accounts has so many further orders acknowledged."""
        give_up = time.monotonic() + PATIENCE_S
        wanted = {account_id: len(self._acknowledged[account_id]) + orders for account_id in account_ids}
        while any(len(self._acknowledged[account_id]) < count for account_id, count in wanted.items()):
            for worker in self._workers:
                if worker.done():
                    worker.result()
            assert time.monotonic() < give_up, "orders are not answered"
            await asyncio.sleep(_PAUSE_S)

    async def lost(self) -> int:
        """Return how many acknowledged orders are not there; what is there must be whole."""
        lost = 0
        for account_id in self._account_ids:
            account, _ = await until_answered(self._store, GetAccount(account_id))
            held = await self._reservations(account_id)
            assert len({each.order_id for each in held}) == len(held)
            assert account.exposure.reserved_minor == sum(each.amount_minor for each in held)
            acknowledged = set(self._acknowledged[account_id])
            assert {each.order_id for each in held} <= acknowledged
            lost += len(acknowledged) - len(held)
        return lost

    @property
    def acknowledged(self) -> int:
        """How many orders have been acknowledged."""
        return sum(map(len, self._acknowledged.values()))

    async def _reservations(self, account_id: str) -> list[Reservation]:
        found: dict[str, Reservation] = {}
        token = ""
        while True:
            page, _ = await _until_answered(
                partial(self._store.list_reservations, account_id, frozenset(), _PAGE, token)
            )
            found |= {each.order_id: each for each in page.items}
            token = page.next_page_token
            if not token:
                return list(found.values())

    async def _work(self, account_id: str) -> None:
        for number in itertools.count():
            if self._stop.is_set():
                return
            order = ReserveCredit(account_id, f"o{number}", 1 + number % 90, "USD", 3600)
            reserved, unanswered = await until_answered(self._store, order)
            assert reserved.decision.outcome is Outcome.APPROVED
            self.unanswered += unanswered
            self._acknowledged[account_id].append(order.order_id)
