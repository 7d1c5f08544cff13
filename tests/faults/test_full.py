"""Redis is full: new orders are refused, what makes room or records facts goes on."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from redis import Redis

from creditgate.client import CreditCallError, CreditClient, reserve_credit_request
from creditgate.store import PARTITIONS_DEFAULT, keys
from creditgate.v1.decision_pb2 import OUTCOME_APPROVED
from tests.faults.conftest import wait_until
from tests.faults.service_process import ServiceProcess
from tests.patience import PATIENCE_S
from tests.private_redis import PrivateRedis

BALLAST = "ballast"
MAXMEMORY_BYTES = 64 * 1024 * 1024
FULL = (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORE_FULL")
HELD = 5


@pytest.fixture
def redis(own_redis: Callable[..., PrivateRedis]) -> PrivateRedis:
    return own_redis(maxmemory=str(MAXMEMORY_BYTES), maxmemory_policy="noeviction")


@pytest.fixture
def client(redis: PrivateRedis, tmp_path: Path) -> Iterator[CreditClient]:
    service = ServiceProcess(tmp_path, redis_url=redis.url, sweep_interval="0.1")
    service.start()
    with CreditClient(service.target, timeout_s=PATIENCE_S) as client:
        yield client
    service.close()


def fill(redis: Redis) -> None:
    """Bring Redis beyond its limit, in one command that begins below it."""
    redis.setrange(BALLAST, MAXMEMORY_BYTES, "x")


def has_swept(redis: Redis, account_id: str, second: int) -> bool:
    """Return whether the sweeper has settled what ended in a second."""
    return not redis.exists(keys.sweep_list(keys.partition_of(account_id, PARTITIONS_DEFAULT), second))


def hold_until_full(client: CreditClient, redis: Redis, account_id: str) -> int:
    """Make a hold that is not settled before Redis is full, and return the second at which it ends."""
    for number in itertools.count():
        short = client.reserve_credit(account_id, f"short{number}", amount_minor=7, currency_code="USD", hold_s=1)
        fill(redis)
        second = short.reservation.expire_time.seconds
        if not has_swept(redis, account_id, second):
            return second
        redis.delete(BALLAST)  # this took longer than the hold lasts: once more
    raise AssertionError


def test_a_full_store_refuses_new_orders_and_nothing_else(
    client: CreditClient, redis: PrivateRedis, account_id: str
) -> None:
    client.put_account(account_id, currency_code="USD", unlimited=True)
    for number in range(HELD):
        client.reserve_credit(account_id, f"o{number}", amount_minor=100, currency_code="USD")
    with redis.client() as own:
        ends_s = hold_until_full(client, own, account_id)

        with pytest.raises(CreditCallError) as refused:
            client.reserve_credit(account_id, "new", amount_minor=1, currency_code="USD")
        assert (refused.value.code, refused.value.reason) == FULL, refused.value
        batch = [
            reserve_credit_request(account_id, order_id, amount_minor=1, currency_code="USD")
            for order_id in ("n1", "n2")
        ]
        for item in client.batch_reserve_credit(batch):
            assert isinstance(item, CreditCallError)
            assert (item.code, item.reason) == FULL
        assert client.check_credit(account_id, amount_minor=1, currency_code="USD").decision.outcome == OUTCOME_APPROVED

        client.commit_reservation(account_id, "o0", amount_minor=60, currency_code="USD", document_id="d0")
        client.commit_reservation(account_id, "o1", amount_minor=100, currency_code="USD", document_id="d1", final=True)
        client.release_reservation(account_id, "o2")
        client.record_payment(account_id, "p1", amount_minor=50, currency_code="USD")
        wait_until(lambda: has_swept(own, account_id, ends_s))
        exposure = client.get_account(account_id).account.exposure
        assert (exposure.reserved_minor, exposure.receivable_minor) == (240, 110)
        with pytest.raises(CreditCallError) as refused:
            client.reserve_credit(account_id, "new", amount_minor=1, currency_code="USD")
        assert (refused.value.code, refused.value.reason) == FULL, refused.value

        own.delete(BALLAST)
        reserved = client.reserve_credit(account_id, "new", amount_minor=1, currency_code="USD")
        assert (reserved.replayed, reserved.decision.outcome) == (False, OUTCOME_APPROVED)
        assert client.get_account(account_id).account.exposure.reserved_minor == 241
