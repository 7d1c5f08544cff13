"""Waiting for a store to say why it is not ready."""

import asyncio
import time

from creditgate.store import RedisCreditStore
from tests.patience import PATIENCE_S

_POLL_S = 0.02


async def wait_unready(store: RedisCreditStore, why: str) -> None:
    """Wait until the store is not ready and a text is part of the reason it gives."""
    give_up = time.monotonic() + PATIENCE_S
    while why not in store.unready_reason:  # empty while it is ready
        assert time.monotonic() < give_up, store.unready_reason
        await asyncio.sleep(_POLL_S)
