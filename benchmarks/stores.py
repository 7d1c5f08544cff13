"""Redis servers with accounts in them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Literal, NamedTuple

from benchmarks.orders import CURRENCY_CODE, LIMIT_MINOR, account_id
from benchmarks.sampling import FailedRunError
from creditgate import __version__
from creditgate.domain.errors import CreditError
from creditgate.domain.operations import LimitSetting, PutAccount
from creditgate.ops.metrics import Metrics
from creditgate.server.interceptors.metrics import CODES
from creditgate.store import RedisCreditStore, StoreOptions
from creditgate.store.embedded import EmbeddedRedis, EmbeddedRedisOptions
from creditgate.store.library import LIBRARY_VERSION, load_library

Durability = Literal["memory", "always"]

_READY_TIMEOUT_S: Final = 20.0
_OPERATION_TIMEOUT_S: Final = 60.0
_PUT_AT_ONCE: Final = 1024
_NEVER_REWRITE: Final = {"auto-aof-rewrite-percentage": "0"}
"""Rewriting the append-only file takes a core for seconds, at a moment that is another one in each run."""


class Redis(NamedTuple):
    """A redis-server of the benchmark's own, with the library loaded."""

    url: str
    pid: int


@asynccontextmanager
async def started_redis(data_dir: Path, durability: Durability) -> AsyncIterator[Redis]:
    """Run a redis-server: in memory alone, or with every change on disk before its answer, as the embedded one has."""
    extra = _NEVER_REWRITE if durability == "always" else {"appendonly": "no"}
    options = EmbeddedRedisOptions(appendfsync="always", extra=extra)
    async with EmbeddedRedis(data_dir, options=options) as server:
        await load_library(server.url)
        yield Redis(server.url, server.pid or 0)


@asynccontextmanager
async def opened_store(redis_url: str) -> AsyncIterator[RedisCreditStore]:
    """Open the service's store without the service, its metrics included."""
    metrics = Metrics(
        codes=CODES, version=__version__, library_version=LIBRARY_VERSION, on_readiness=asyncio.Event().set
    )
    store = RedisCreditStore(redis_url, options=StoreOptions(), observer=metrics.store)
    await store.start()
    try:
        if not await store.wait_ready(_READY_TIMEOUT_S):
            raise FailedRunError(f"the store is not ready: {store.unready_reason}")
        yield store
    finally:
        await store.close()


async def put_accounts(store: RedisCreditStore, count: int, first_account: int = 0) -> None:
    """Create accounts with room for every order. Raises FailedRunError."""
    for start in range(first_account, first_account + count, _PUT_AT_ONCE):
        numbers = range(start, min(start + _PUT_AT_ONCE, first_account + count))
        await put_each(store, [plain_account(number) for number in numbers])


async def put_each(store: RedisCreditStore, puts: list[PutAccount]) -> None:
    """Carry out PutAccount operations. Raises FailedRunError."""
    for answer in await store.run_each(puts, deadline_soon()):
        if isinstance(answer, CreditError):
            raise FailedRunError(f"an account could not be created: {answer.message}")


def plain_account(number: int) -> PutAccount:
    """Return the settings of an account that has a limit and nothing else."""
    return PutAccount(account_id(number), CURRENCY_CODE, base_limit=LimitSetting(LIMIT_MINOR))


def deadline_soon() -> float:
    """Return a deadline that no operation of the benchmark should reach."""
    return time.monotonic() + _OPERATION_TIMEOUT_S
