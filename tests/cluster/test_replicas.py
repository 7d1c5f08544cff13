"""Waiting until a replica has acknowledged, on every Redis version of this machine."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from creditgate.domain.bounds import CALL_OPERATIONS_MAX
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import GetAccount, LimitSetting, PutAccount, ReserveCredit
from creditgate.store import RedisCreditStore
from creditgate.store.embedded.binary import all_redis_servers
from creditgate.store.library import load_library
from creditgate.store.replication import ReplicaAcks
from tests.cluster.servers import Server, wait_until
from tests.cluster.store_load import until_answered
from tests.patience import PATIENCE_S, PATIENT_REDIS_S
from tests.store.batches import Batch, rows_of
from tests.unready import wait_unready

ORDER = ("o1", 5, "USD", 3600)


class Pair(NamedTuple):
    primary: Server
    replica: Server

    @property
    def url(self) -> str:
        return f"redis://{self.primary.address}"


@pytest.fixture(params=all_redis_servers(), ids=str)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    """A primary and its replica, with the library loaded."""
    pair = Pair(*(Server(request.param, tmp_path / name, repl_diskless_sync_delay="0") for name in Pair._fields))
    try:
        pair.primary.start()
        pair.replica.start(replicaof=f"127.0.0.1 {pair.primary.port}")
        wait_until(lambda: "state=online" in pair.primary.facts("replication").get("slave0", ""))
        asyncio.run(load_library(pair.url))
        yield pair
    finally:
        for server in pair:
            server.kill()


def deadline() -> float:
    return time.monotonic() + PATIENCE_S


async def ready_store(pair: Pair, new_store: Callable[..., RedisCreditStore]) -> RedisCreditStore:
    store = new_store(pair.url, redis_timeout_s=PATIENT_REDIS_S, replica_acks=ReplicaAcks(1, 0.2))
    await store.start()
    assert await store.wait_ready(PATIENCE_S), store.unready_reason
    return store


async def why_refused(store: RedisCreditStore, account_id: str) -> str:
    with pytest.raises(CreditError) as caught:
        await store.run(ReserveCredit(account_id, *ORDER), deadline())
    assert caught.value.reason is ErrorReason.STORE_UNAVAILABLE
    return caught.value.message


async def test_an_answer_waits_for_its_replica_and_a_repeated_one_as_well(
    pair: Pair, new_store: Callable[..., RedisCreditStore], account_id: str
) -> None:
    store = await ready_store(pair, new_store)
    await until_answered(store, PutAccount(account_id, "USD", base_limit=LimitSetting(100)))
    pair.replica.freeze()
    assert "0 of 1 replicas acknowledged the change within 0.2 s" in await why_refused(store, account_id)
    held = await store.run(GetAccount(account_id), deadline())
    assert held.exposure.reserved_minor == 5, "whether it took effect was unknown"
    # Another server has written nothing by itself: what it repeats is as little acknowledged.
    other = await ready_store(pair, new_store)
    for asked in (store, other):
        assert "0 of 1 replicas acknowledged" in await why_refused(asked, account_id)
    pair.replica.thaw()
    for asked in (store, other):
        again, _ = await until_answered(asked, ReserveCredit(account_id, *ORDER))
        assert again.replayed


async def test_many_calls_that_wait_for_replicas_do_not_make_redis_look_stuck(
    pair: Pair, new_store: Callable[..., RedisCreditStore], account_id: str
) -> None:
    # One wait is shorter than the time-out, two of them are longer, and the calls in flight are two.
    store = new_store(pair.url, redis_timeout_s=2.0, replica_acks=ReplicaAcks(1, 1.3))
    await store.start()
    assert await store.wait_ready(PATIENCE_S)
    await until_answered(store, PutAccount(account_id, "USD", unlimited=True))
    pair.replica.freeze()
    orders = [ReserveCredit(account_id, f"o{number}", 1, "USD", 3600) for number in range(3 * CALL_OPERATIONS_MAX)]
    answers = await store.run_each(orders, deadline())
    assert {answer.reason for answer in answers if isinstance(answer, CreditError)} == {ErrorReason.STORE_UNAVAILABLE}
    assert [str(answer) for answer in answers if "replicas acknowledged" not in str(answer)] == []
    assert store.ready
    pair.replica.thaw()


async def test_a_chunk_of_limits_is_answered_when_replicas_have_it(
    pair: Pair, new_store: Callable[..., RedisCreditStore], account_id: str
) -> None:
    store = await ready_store(pair, new_store)
    await until_answered(store, PutAccount(account_id, "USD", base_limit=LimitSetting(100)))
    batch = Batch(store, "batch")
    await batch.stage(rows_of([account_id], 700, 1))
    pair.replica.freeze()
    with pytest.raises(CreditError) as caught:
        await batch.apply()
    assert caught.value.reason is ErrorReason.STORE_UNAVAILABLE
    assert "0 of 1 replicas acknowledged" in caught.value.message
    # There is nothing left to do, and it is not acknowledged all the same.
    with pytest.raises(CreditError):
        await batch.apply()
    pair.replica.thaw()
    # Whoever goes on finds the chunk done; what became of it is counted.
    assert (await batch.apply()).applied_rows == 0
    assert (await batch.applied()).applied_rows == 1


async def test_without_its_replica_a_store_is_not_ready(pair: Pair, new_store: Callable[..., RedisCreditStore]) -> None:
    store = await ready_store(pair, new_store)
    pair.replica.kill()
    await wait_unready(store, "0 replicas are connected, and CREDITGATE_REPLICA_ACKS is 1")
    pair.replica.start(replicaof=f"127.0.0.1 {pair.primary.port}")
    assert await store.wait_ready(PATIENCE_S)
