"""A Redis Cluster that moves partitions and loses servers, under load."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from creditgate.domain.decision import Outcome
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import GetAccount, LimitSetting, Operation, PutAccount, ReserveCredit, Reserved
from creditgate.store import PARTITIONS_DEFAULT, RedisCreditStore, Sweeper, keys
from creditgate.store.library import LIBRARY_NAME, check_library, load_library
from creditgate.store.replication import ReplicaAcks
from tests.cluster.redis_cluster import RedisCluster, slot_of
from tests.cluster.servers import Server, wait_until
from tests.cluster.store_load import StoreLoad, account_in, until_answered
from tests.patience import PATIENCE_S
from tests.quiet_observer import QuietObserver
from tests.unready import wait_unready

NewId = Callable[[str], str]


def deadline() -> float:
    return time.monotonic() + PATIENCE_S


@pytest.fixture
def account_ids(new_id: NewId) -> list[str]:
    """One account for each partition, in the partitions' order."""
    return [account_in(partition, PARTITIONS_DEFAULT, new_id) for partition in range(PARTITIONS_DEFAULT)]


@pytest.fixture
async def whole_cluster(redis_cluster: RedisCluster) -> AsyncIterator[RedisCluster]:
    """The cluster, brought back after the test."""
    yield redis_cluster
    for node in redis_cluster.nodes:
        if node.running:
            node.thaw()
        else:
            await asyncio.to_thread(node.start)
    await asyncio.to_thread(wait_until, redis_cluster.whole, "the cluster is not whole again")


async def refused(store: RedisCreditStore, operation: Operation[object]) -> CreditError:
    with pytest.raises(CreditError) as caught:
        await store.run(operation, deadline())
    return caught.value


def another(cluster: RedisCluster, home: Server) -> Server:
    return next(node for node in cluster.primaries() if node is not home)


async def test_a_partition_in_migration_is_unavailable_and_never_wrong(
    cluster_store: RedisCreditStore, redis_cluster: RedisCluster, account_ids: list[str]
) -> None:
    moving = account_ids[3]
    source = redis_cluster.home_of(3)
    target = another(redis_cluster, source)
    others = [account_id for account_id in account_ids if account_id is not moving]
    async with StoreLoad(cluster_store, account_ids) as load:
        await load.wait_for_more(account_ids, 20)
        slot = slot_of(3)
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", redis_cluster.id_of(source))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", redis_cluster.id_of(target))
        for step in ("nothing", "some", "everything"):
            if step == "some":
                batch = source.ask("CLUSTER", "GETKEYSINSLOT", slot, 2)
                assert isinstance(batch, list)
                assert len(batch) == 2
                source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *batch)
            if step == "everything":
                redis_cluster.move_keys(3, source, target)
            for operation in (GetAccount(moving), ReserveCredit(moving, "extra", 1, "USD", 3600)):
                error = await refused(cluster_store, operation)
                assert error.reason is ErrorReason.STORE_UNAVAILABLE, f"{step} moved: {error.message}"
                assert "is being moved" in error.message
            error = await refused_listing(cluster_store, moving)
            assert error.reason is ErrorReason.STORE_UNAVAILABLE
            await load.wait_for_more(others, 5)
        for node in (target, source):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", redis_cluster.id_of(target))
        await load.wait_for_more(account_ids, 20)
    assert load.unanswered
    assert await load.lost() == 0
    assert redis_cluster.home_of(3) is target


async def refused_listing(store: RedisCreditStore, account_id: str) -> CreditError:
    with pytest.raises(CreditError) as caught:
        await store.list_reservations(account_id, frozenset(), 10, "", deadline())
    return caught.value


async def test_partitions_move_to_and_fro_under_load(
    cluster_store: RedisCreditStore, redis_cluster: RedisCluster, account_ids: list[str]
) -> None:
    async with StoreLoad(cluster_store, account_ids) as load:
        for partition in (0, 7, 0, 12):
            await load.wait_for_more(account_ids, 10)
            target = another(redis_cluster, redis_cluster.home_of(partition))
            await asyncio.to_thread(redis_cluster.migrate, partition, target)
        await load.wait_for_more(account_ids, 10)
    assert await load.lost() == 0


async def test_what_the_old_home_refuses_is_sent_to_the_new_one_in_order(
    cluster_store: RedisCreditStore, redis_cluster: RedisCluster, account_ids: list[str]
) -> None:
    account_id = account_ids[5]
    await cluster_store.run(PutAccount(account_id, "USD", base_limit=LimitSetting(200)), deadline())
    redis_cluster.migrate(5, another(redis_cluster, redis_cluster.home_of(5)))
    orders = [ReserveCredit(account_id, f"o{number}", 1, "USD", 3600) for number in range(500)]
    answers = await cluster_store.run_each(orders, deadline())
    outcomes = [answer.decision.outcome if isinstance(answer, Reserved) else answer for answer in answers]
    assert outcomes == [Outcome.APPROVED] * 200 + [Outcome.REJECTED] * 300
    redis_cluster.migrate(5, another(redis_cluster, redis_cluster.home_of(5)))
    page = await cluster_store.list_reservations(account_id, frozenset(), 500, "", deadline())
    assert len(page.items) == 200


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_a_lost_primary_takes_only_its_partitions_away_until_its_replica_takes_over(
    whole_cluster: RedisCluster,
    new_store: Callable[..., RedisCreditStore],
    account_ids: list[str],
    report: Callable[[str], None],
    how: str,
) -> None:
    store = new_store(whole_cluster.url, redis_timeout_s=0.5, queue_max=400)
    await store.start()
    assert await store.wait_ready(PATIENCE_S)
    lost_home = whole_cluster.home_of(0)
    away = whole_cluster.partitions_of(lost_home, PARTITIONS_DEFAULT)
    others = [account_ids[partition] for partition in range(PARTITIONS_DEFAULT) if partition not in away]
    async with StoreLoad(store, account_ids) as load:
        await load.wait_for_more(account_ids, 20)
        lost_home.kill() if how == "killed" else lost_home.freeze()
        await load.wait_for_more(others, 50)
        assert await store.wait_ready(1), "one server that serves is enough; a short time-out may pass again"
        await load.wait_for_more(account_ids, 20)
    assert load.unanswered
    lost = await load.lost()
    report(f"cluster, primary {how}, no replica asked: {lost} of {load.acknowledged} acknowledged orders lost")


async def test_no_acknowledged_order_is_lost_with_its_primary_when_a_replica_has_to_acknowledge(
    whole_cluster: RedisCluster, new_store: Callable[..., RedisCreditStore], account_ids: list[str]
) -> None:
    store = new_store(whole_cluster.url, replica_acks=ReplicaAcks(1, 0.5))
    await store.start()
    assert await store.wait_ready(PATIENCE_S)
    lost_home = whole_cluster.home_of(0)
    async with StoreLoad(store, account_ids) as load:
        await load.wait_for_more(account_ids, 20)
        lost_home.kill()
        await asyncio.to_thread(wait_until, lambda: whole_cluster.home_of(0) is not lost_home)
        await asyncio.to_thread(lost_home.start)
        await load.wait_for_more(account_ids, 20)
    assert load.unanswered
    assert await load.lost() == 0


async def test_the_library_is_asked_for_on_every_primary(
    cluster_store: RedisCreditStore, redis_cluster: RedisCluster, account_ids: list[str]
) -> None:
    bare = redis_cluster.home_of(2)
    bare.ask("FUNCTION", "DELETE", LIBRARY_NAME)
    status = await check_library(redis_cluster.url)
    assert not status.usable
    assert "of 3 primaries" in str(status)
    give_up = deadline()
    while "creditgate library load" not in (error := await refused(cluster_store, GetAccount(account_ids[2]))).message:
        assert time.monotonic() < give_up, error.message
    served = next(p for p in range(PARTITIONS_DEFAULT) if redis_cluster.home_of(p) is not bare)
    assert (await refused(cluster_store, GetAccount(account_ids[served]))).reason is ErrorReason.ACCOUNT_NOT_FOUND
    assert "all of 3 primaries" in str(await load_library(redis_cluster.url))
    await until_answered(cluster_store, PutAccount(account_ids[2], "USD"))


def overdue_holds(redis_cluster: RedisCluster) -> bool:
    """Return whether a hold, of whichever test, has ended a second ago and is not settled."""
    second = str(int(time.time()) - 1)
    return any(
        redis_cluster.home_of(partition).ask("ZCOUNT", keys.sweep_seconds(partition), "-inf", second)
        for partition in range(PARTITIONS_DEFAULT)
    )


async def test_sweeping_goes_to_every_node(
    cluster_store: RedisCreditStore, redis_cluster: RedisCluster, account_ids: list[str]
) -> None:
    observer = QuietObserver()
    for account_id in account_ids:
        await cluster_store.run(PutAccount(account_id, "USD", unlimited=True), deadline())
        await cluster_store.run(ReserveCredit(account_id, "o1", 1, "USD", 1), deadline())
    sweeper = Sweeper(cluster_store, observer, 1.0)
    give_up = deadline()
    while observer.settled < len(account_ids) or overdue_holds(redis_cluster):
        assert time.monotonic() < give_up
        await sweeper.sweep_once()
        await asyncio.sleep(0.05)


async def test_a_store_says_that_the_url_names_the_other_kind(
    redis_cluster: RedisCluster, redis_url: str, own_tcp_server: Server, new_store: Callable[..., RedisCreditStore]
) -> None:
    assert redis_url.startswith("unix:")
    for url, begin in (
        (f"redis://{redis_cluster.nodes[0].address}", "redis+cluster://"),
        (f"redis+cluster://{own_tcp_server.address}", "cluster support disabled"),
    ):
        store = new_store(url)
        await store.start()
        await wait_unready(store, begin)


async def test_another_partition_count_is_refused(
    cluster_store: RedisCreditStore, redis_cluster: RedisCluster, new_store: Callable[..., RedisCreditStore]
) -> None:
    assert cluster_store.ready
    other = new_store(redis_cluster.url, partitions=PARTITIONS_DEFAULT * 2)
    await other.start()
    await wait_unready(other, f"CREDITGATE_PARTITIONS to {PARTITIONS_DEFAULT}")


async def test_a_store_waits_for_a_cluster_that_is_not_there(new_store: Callable[..., RedisCreditStore]) -> None:
    store = new_store("redis+cluster://127.0.0.1:1,127.0.0.1:2")
    await store.start()
    await wait_unready(store, "no node of the cluster tells its slots")
    error = await refused(store, GetAccount("a"))
    assert error.reason is ErrorReason.STORE_UNAVAILABLE
