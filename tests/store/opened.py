"""Stores that a test opens for itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from creditgate.domain.policy import DEFAULT_POLICY, Policy
from creditgate.store import RedisCreditStore, StoreOptions
from tests.patience import PATIENCE_S, PATIENT_REDIS_S
from tests.quiet_observer import QuietObserver


@asynccontextmanager
async def open_store(
    url: str,
    *,
    policy: Policy = DEFAULT_POLICY,
    observer: QuietObserver | None = None,
    queue_max: int = StoreOptions().queue_max,
) -> AsyncIterator[RedisCreditStore]:
    """Provide a store on a Redis, ready."""
    options = StoreOptions(redis_timeout_s=PATIENT_REDIS_S, queue_max=queue_max)
    store = RedisCreditStore(url, options=options, observer=observer or QuietObserver(), policy=policy)
    await store.start()
    assert await store.wait_ready(PATIENCE_S), store.unready_reason
    yield store
    await store.close()
