"""A timed run without gRPC: the service's store, or what one would write in its place with WATCH, MULTI and EXEC."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Literal, NamedTuple, cast

import uvloop
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import WatchError

from benchmarks.meter import Meter
from benchmarks.orders import Orders, operations
from benchmarks.sampling import FailedRunError, Sample
from benchmarks.stores import deadline_soon, opened_store
from creditgate.domain.bounds import HOLD_DEFAULT_S
from creditgate.domain.decision import Outcome
from creditgate.domain.errors import CreditError
from creditgate.domain.operations import ReserveCredit

WATCH_LIMIT_FIELD: Final = "limit"
_RESERVED_FIELD: Final = "reserved"

Way = Literal["store", "watch"]
Reserve = Callable[[ReserveCredit], Awaitable[bool]]


class StoreRun(NamedTuple):
    """What to do: place the orders with `in_flight` of them at a time, in one of two ways."""

    way: Way
    redis_url: str
    orders: Orders
    in_flight: int
    redis_pid: int


def run_store(run: StoreRun) -> Sample:
    """Place the orders and return what that took.

    Raises:
        FailedRunError: an order was not approved.

    """
    return uvloop.run(_run(run))


def watch_key(account_id: str) -> str:
    """Return the hash that the optimistic transaction keeps an account in."""
    return f"watch:{account_id}"


async def _run(run: StoreRun) -> Sample:
    opened = _opened_store if run.way == "store" else _opened_watch
    waiting = iter(operations(run.orders))
    latencies_s: list[float] = []
    async with opened(run) as reserve:

        async def place() -> None:
            for order in waiting:
                started = time.perf_counter()
                if not await reserve(order):
                    raise FailedRunError(f"order {order.order_id} was not approved")
                latencies_s.append(time.perf_counter() - started)

        with Meter(None, run.redis_pid) as meter:
            try:
                async with asyncio.TaskGroup() as tasks:
                    for _ in range(run.in_flight):
                        tasks.create_task(place())
            except* (CreditError, FailedRunError) as failed:
                raise FailedRunError(str(failed.exceptions[0])) from None
    return Sample.of(run.orders.count, meter, latencies_s)


@asynccontextmanager
async def _opened_store(run: StoreRun) -> AsyncIterator[Reserve]:
    async with opened_store(run.redis_url) as store:

        async def reserve(order: ReserveCredit) -> bool:
            reserved = await store.run(order, deadline_soon())
            return reserved.decision.outcome is Outcome.APPROVED and not reserved.replayed

        yield reserve


@asynccontextmanager
async def _opened_watch(run: StoreRun) -> AsyncIterator[Reserve]:
    async with Redis.from_url(
        run.redis_url, max_connections=run.in_flight, protocol=2, retry=Retry(NoBackoff(), 0)
    ) as client:

        async def reserve(order: ReserveCredit) -> bool:
            while True:
                approved = await _try_optimistically(client, order)
                if approved is not None:
                    return approved

        yield reserve


async def _try_optimistically(client: Redis, order: ReserveCredit) -> bool | None:
    """Read the account, compare, write the hold; return whether it is approved, None when somebody was faster."""
    account, hold = watch_key(order.account_id), f"watch:{order.account_id}:{order.order_id}"
    async with client.pipeline(transaction=True) as pipe:
        await pipe.watch(account, hold)
        limit, reserved = await cast(
            "Awaitable[list[bytes | None]]", pipe.hmget(account, WATCH_LIMIT_FIELD, _RESERVED_FIELD)
        )
        known = await pipe.exists(hold)
        exposure = int(reserved or 0) + order.amount_minor
        if known or limit is None or exposure > int(limit):
            return False
        pipe.multi()  # type: ignore[no-untyped-call]  # untyped in redis-py
        pipe.hset(account, _RESERVED_FIELD, exposure)
        pipe.hset(hold, mapping={"amount": order.amount_minor, "currency": order.currency_code})
        pipe.expire(hold, order.hold_s or HOLD_DEFAULT_S)
        try:
            await pipe.execute()
        except WatchError:
            return None
    return True
