"""A primary behind sentinels: found, followed when it fails, and given up when it is one no more."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import GetAccount, PutAccount
from creditgate.store import PARTITIONS_DEFAULT, RedisCreditStore
from creditgate.store.library import check_library
from creditgate.store.node import PROBE_INTERVAL_S
from creditgate.store.replication import ReplicaAcks
from tests.cluster.conftest import LONG
from tests.cluster.sentinel_site import REPLICAS, SERVICE, SentinelSite
from tests.cluster.servers import wait_until
from tests.cluster.store_load import StoreLoad, account_in, until_answered
from tests.patience import PATIENCE_S
from tests.unready import wait_unready

FAILOVERS = 20 if LONG else 1


def deadline() -> float:
    return time.monotonic() + PATIENCE_S


@pytest.fixture
def account_ids(new_id: Callable[[str], str]) -> list[str]:
    return [account_in(partition, PARTITIONS_DEFAULT, new_id) for partition in range(PARTITIONS_DEFAULT)]


@pytest.fixture
async def whole_site(sentinel_site: SentinelSite) -> AsyncIterator[SentinelSite]:
    """The servers and sentinels, brought back after the test."""
    yield sentinel_site
    for server in (*sentinel_site.servers, *sentinel_site.sentinels):
        if server.running:
            server.thaw()
        else:
            await asyncio.to_thread(sentinel_site.bring_back, server)
    await asyncio.to_thread(wait_until, sentinel_site.whole, "the servers are not whole again")


@pytest.mark.parametrize("replicas", [REPLICAS, 1, 0] if LONG else [REPLICAS, 0])
async def test_orders_go_on_over_failovers(
    whole_site: SentinelSite,
    new_store: Callable[..., RedisCreditStore],
    account_ids: list[str],
    report: Callable[[str], None],
    replicas: int,
) -> None:
    store = new_store(whole_site.url, replica_acks=ReplicaAcks(replicas, 0.5))
    await store.start()
    assert await store.wait_ready(PATIENCE_S), store.unready_reason
    async with StoreLoad(store, account_ids) as load:
        for _ in range(FAILOVERS):
            await load.wait_for_more(account_ids, 20)
            ended = await asyncio.to_thread(whole_site.fail_over)
            if replicas < REPLICAS:
                await load.wait_for_more(account_ids, 5)
            await asyncio.to_thread(whole_site.bring_back, ended)
        await load.wait_for_more(account_ids, 20)
    lost = await load.lost()
    report(
        f"sentinel, {FAILOVERS} failovers, {replicas} replicas asked: "
        f"{lost} of {load.acknowledged} acknowledged orders lost"
    )
    assert load.unanswered
    if replicas == REPLICAS:
        assert lost == 0, "whichever replica is promoted has acknowledged"


async def test_a_demoted_primary_is_given_up_at_once(
    whole_site: SentinelSite, new_store: Callable[..., RedisCreditStore], new_id: Callable[[str], str]
) -> None:
    store = new_store(whole_site.url)
    await store.start()
    assert await store.wait_ready(PATIENCE_S)
    account_id = new_id("acc")
    await store.run(PutAccount(account_id, "USD", unlimited=True), deadline())
    old = whole_site.primary()
    sentinel = whole_site.sentinels[0]  # which may not have looked at the replicas yet, and refuses until then
    await asyncio.to_thread(wait_until, lambda: bool(sentinel.ask("SENTINEL", "FAILOVER", SERVICE)))
    await asyncio.to_thread(wait_until, lambda: old.facts("replication")["role"] == "slave")
    renamed, _ = await until_answered(store, PutAccount(account_id, display_name="after"))
    assert renamed.account.display_name == "after"
    assert whole_site.primary() is not old


async def test_sentinels_that_are_away_do_not_matter_while_the_primary_is_there(
    whole_site: SentinelSite, new_store: Callable[..., RedisCreditStore]
) -> None:
    redis_timeout_s = 3.0
    store = new_store(whole_site.url, redis_timeout_s=redis_timeout_s)
    await store.start()
    assert await store.wait_ready(PATIENCE_S)
    for sentinel in whole_site.sentinels:
        sentinel.freeze()
    probed = time.monotonic() + PROBE_INTERVAL_S + redis_timeout_s + 1
    while time.monotonic() < probed:
        assert store.ready
        await until_known(store)
    first, *others = whole_site.sentinels
    first.thaw()
    late = new_store(whole_site.url)
    await late.start()
    assert await late.wait_ready(PATIENCE_S), "one sentinel is enough to find the primary"
    for sentinel in others:
        sentinel.thaw()


async def until_known(store: RedisCreditStore) -> None:
    """Have one operation answered."""
    with pytest.raises(CreditError) as caught:
        await store.run(GetAccount("nobody"), deadline())
    assert caught.value.reason is ErrorReason.ACCOUNT_NOT_FOUND
    await asyncio.sleep(0.05)


async def test_what_the_sentinels_do_not_know_is_said(
    sentinel_site: SentinelSite, new_store: Callable[..., RedisCreditStore]
) -> None:
    store = new_store(sentinel_site.url.replace(f"/{SERVICE}", "/other"))
    await store.start()
    await wait_unready(store, "'other'")


async def test_the_library_is_looked_for_on_the_primary(sentinel_site: SentinelSite) -> None:
    status = await check_library(sentinel_site.url)
    assert status.usable
    assert status.servers == 1
