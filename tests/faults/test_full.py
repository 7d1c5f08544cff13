"""Redis is full: new orders are refused, what makes room or records facts goes on."""

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from redis import Redis

from creditgate.client import CreditCallError, CreditClient, reserve_credit_request
from creditgate.store import PARTITIONS_DEFAULT, keys
from creditgate.v1.admin_service_pb2 import VerifyAccountsRequest
from creditgate.v1.admin_service_pb2_grpc import AdminServiceStub
from creditgate.v1.credit_service_pb2 import StreamReserveCreditRequest
from creditgate.v1.credit_service_pb2_grpc import CreditServiceStub
from creditgate.v1.decision_pb2 import OUTCOME_APPROVED
from creditgate.v1.receivables_service_pb2 import ImportOpenItemsRequest, OpenItem
from creditgate.v1.receivables_service_pb2_grpc import ReceivablesServiceStub
from tests.faults.service_process import ServiceProcess
from tests.patience import PATIENCE_S
from tests.private_redis import PrivateRedis
from tests.waiting import wait_until

BALLAST = "ballast"
MAXMEMORY_BYTES = 64 * 1024 * 1024
FULL = (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORE_FULL")
REFUSED = 'creditgate_store_operations_total{operation="ReserveCredit",result="STORE_FULL"}'
HELD = 5


@pytest.fixture
def redis(own_redis: Callable[..., PrivateRedis]) -> PrivateRedis:
    return own_redis(maxmemory=str(MAXMEMORY_BYTES), maxmemory_policy="noeviction")


@pytest.fixture
def service(redis: PrivateRedis, tmp_path: Path) -> Iterator[ServiceProcess]:
    service = ServiceProcess(tmp_path, redis_url=redis.url, sweep_interval="0.1")
    service.start()
    yield service
    service.close()


@pytest.fixture
def client(service: ServiceProcess) -> Iterator[CreditClient]:
    with CreditClient(service.target, timeout_s=PATIENCE_S) as client:
        yield client


@pytest.fixture
def channel(service: ServiceProcess) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(service.target) as channel:
        yield channel


def fill(redis: Redis) -> None:
    """Bring Redis beyond its limit, in one command that begins below it."""
    redis.setrange(BALLAST, MAXMEMORY_BYTES, "x")


def reason_in(status: Status) -> str:
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    return info.reason


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
    service: ServiceProcess, client: CreditClient, redis: PrivateRedis, account_id: str
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
        assert service.metric(REFUSED) == 3, "CreditgateStoreFull alerts on it"
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


def test_a_full_store_takes_no_growing_order_and_no_first_load(
    client: CreditClient, channel: grpc.Channel, redis: PrivateRedis, account_id: str
) -> None:
    client.put_account(account_id, currency_code="USD", unlimited=True)
    client.reserve_credit(account_id, "o1", amount_minor=100, currency_code="USD")
    item = OpenItem(account_id=account_id, document_id="d1", amount_minor=5, currency_code="USD")
    import_open_items = ReceivablesServiceStub(channel).ImportOpenItems
    with redis.client() as own:
        fill(own)
        for amount_minor in (200, 50):
            with pytest.raises(CreditCallError) as refused:
                client.amend_reservation(account_id, "o1", amount_minor=amount_minor, currency_code="USD")
            assert (refused.value.code, refused.value.reason) == FULL, refused.value
        orders = [
            StreamReserveCreditRequest(
                request=reserve_credit_request(account_id, order_id, amount_minor=1, currency_code="USD")
            )
            for order_id in ("n1", "n2")
        ]
        answers = list(CreditServiceStub(channel).StreamReserveCredit(iter(orders), timeout=20))
        assert [reason_in(answer.error) for answer in answers] == ["STORE_FULL"] * 2
        told, summary = import_open_items(iter([ImportOpenItemsRequest(items=[item])]), timeout=20)
        assert [reason_in(failure.error) for failure in told.failures] == ["STORE_FULL"]
        assert (summary.finished, summary.progress.failed) == (True, 1)
        exposure = client.get_account(account_id).account.exposure
        assert (exposure.reserved_minor, exposure.receivable_minor) == (100, 0)

        own.delete(BALLAST)
        client.amend_reservation(account_id, "o1", amount_minor=200, currency_code="USD")
        _, summary = import_open_items(iter([ImportOpenItemsRequest(items=[item])]), timeout=20)
        assert summary.progress.imported == 1
        exposure = client.get_account(account_id).account.exposure
        assert (exposure.reserved_minor, exposure.receivable_minor) == (200, 5)


def test_a_full_store_records_what_has_happened_and_can_be_put_right(
    client: CreditClient, channel: grpc.Channel, redis: PrivateRedis, account_id: str
) -> None:
    client.put_account(account_id, currency_code="USD", unlimited=True)
    client.reserve_credit(account_id, "o1", amount_minor=100, currency_code="USD")
    with redis.client() as own:
        fill(own)
        for replayed in (False, True):
            posted = client.post_receivable(account_id, "d1", amount_minor=60, currency_code="USD")
            noted = client.record_credit_note(account_id, "c1", amount_minor=20, currency_code="USD")
            aged = client.update_aging(account_id, overdue_minor=40, as_of=datetime(2026, 1, 1, tzinfo=UTC))
            assert [answer.replayed for answer in (posted, noted, aged)] == [replayed] * 3
        committed = client.commit_reservation(
            account_id, "o1", amount_minor=60, currency_code="USD", document_id="d1", final=True
        )
        assert committed.replayed
        client.record_payment(account_id, "p1", amount_minor=30, currency_code="USD")
        account = client.get_account(account_id).account
        assert (account.exposure.reserved_minor, account.exposure.receivable_minor) == (0, 10)
        assert account.overdue_minor == 10
        client.close_account(account_id)

        partition = keys.partition_of(account_id, PARTITIONS_DEFAULT)
        own.hdel(keys.ledger(partition, account_id), "d:d1")
        verify = AdminServiceStub(channel).VerifyAccounts
        (difference,) = verify(VerifyAccountsRequest(account_ids=[account_id], repair=True), timeout=20).differences
        assert (difference.sum, difference.repaired) == ("receivable", True)
        assert not verify(VerifyAccountsRequest(account_ids=[account_id]), timeout=20).differences
