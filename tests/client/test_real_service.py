"""The clients against a running service: an order's whole life."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta
from typing import Any

import grpc
import pytest
from redis.asyncio import Redis

from creditgate.api.reason_texts import CHINESE
from creditgate.bootstrap import RunningService, running_service
from creditgate.client import (
    AsyncCreditClient,
    CreditCallError,
    CreditClient,
    ImportSummary,
    VerifiedAccounts,
    open_item,
    reserve_credit_request,
)
from creditgate.domain.decision import ReasonCode
from creditgate.ops.listen_address import ListenAddress
from creditgate.settings import Settings
from creditgate.store import keys
from creditgate.v1.account_pb2 import ACCOUNT_STATUS_CLOSED
from creditgate.v1.admin_service_pb2 import SumDifference
from creditgate.v1.credit_service_pb2 import ReserveCreditRequest, ReserveCreditResponse
from creditgate.v1.decision_pb2 import OUTCOME_APPROVED, OUTCOME_REJECTED
from creditgate.v1.receivables_service_pb2 import OpenItem
from creditgate.v1.reservation_pb2 import (
    RESERVATION_STATE_COMMITTED,
    RESERVATION_STATE_HELD,
    RESERVATION_STATE_RELEASED,
)
from tests.patience import PATIENCE_S


async def test_an_order_runs_through_the_blocking_client(service: RunningService, account_id: str) -> None:
    await asyncio.to_thread(run_an_order, str(service.address), account_id)


def run_an_order(address: str, account_id: str) -> None:
    with CreditClient(address, timeout_s=PATIENCE_S) as client:
        created = client.put_account(account_id, currency_code="USD", base_limit_minor=100_000, display_name="Acme")
        assert created.created
        checked = client.check_credit(account_id, amount_minor=100_001, currency_code="USD")
        assert checked.decision.outcome == OUTCOME_REJECTED
        reserved = client.reserve_credit(account_id, "o-1", amount_minor=60_000, currency_code="USD", hold_s=3600)
        assert reserved.decision.outcome == OUTCOME_APPROVED
        again = client.reserve_credit(account_id, "o-1", amount_minor=60_000, currency_code="USD", hold_s=3600)
        assert again.replayed
        assert client.get_reservation(account_id, "o-1").reservation.state == RESERVATION_STATE_HELD
        committed = client.commit_reservation(
            account_id, "o-1", amount_minor=50_000, currency_code="USD", document_id="d-1", final=True
        )
        assert committed.reservation.state == RESERVATION_STATE_COMMITTED
        paid = client.record_payment(account_id, "p-1", amount_minor=20_000, currency_code="USD")
        assert paid.account.exposure.receivable_minor == 30_000
        assert client.get_account(account_id).account.exposure.available_minor == 70_000
        assert client.close_account(account_id).account.status == ACCOUNT_STATUS_CLOSED
        assert account_id in {account.account_id for account in client.list_accounts(page_size=1000)}


async def test_orders_run_through_the_asyncio_client(service: RunningService, account_id: str) -> None:
    async with AsyncCreditClient(str(service.address), timeout_s=PATIENCE_S) as client:
        await client.put_account(account_id, currency_code="USD", unlimited=True)
        orders = [
            reserve_credit_request(account_id, f"o-{number}", amount_minor=number, currency_code="USD")
            for number in range(1100)
        ]
        answers = [answer async for answer in client.batch_reserve_credit(orders)]
        assert len(answers) == 1100
        refused, *held = answers
        assert isinstance(refused, CreditCallError)
        assert refused.reason == "INVALID_FIELD"
        assert [violation.field for violation in refused.violations] == ["requests[0].amount_minor"]
        assert all(isinstance(answer, ReserveCreditResponse) and answer.reservation.order_id for answer in held)
        listed = [each async for each in client.list_reservations(account_id, states=[RESERVATION_STATE_HELD])]
        assert {each.order_id for each in listed} == {f"o-{number}" for number in range(1, 1100)}
        released = await client.release_reservation(account_id, "o-1", reason="cancelled")
        assert released.reservation.state == RESERVATION_STATE_RELEASED


async def test_orders_are_streamed_through_both_clients(service: RunningService, account_id: str) -> None:
    address = str(service.address)
    async with AsyncCreditClient(address, timeout_s=10) as client:
        await client.put_account(account_id, currency_code="USD", base_limit_minor=1_000)
        answers = [answer async for answer in client.stream_reserve_credit(orders_of(account_id, 400))]
    assert_stream_answers(answers, replayed=False)
    assert_stream_answers(await asyncio.to_thread(stream_blocking, address, account_id), replayed=True)


def orders_of(account_id: str, count: int) -> list[ReserveCreditRequest]:
    """The first can't be decided, a hundred take all of the limit, and the others are rejected."""
    return [
        reserve_credit_request(account_id, f"o-{number}", amount_minor=10 if number else 0, currency_code="USD")
        for number in range(count)
    ]


def stream_blocking(address: str, account_id: str) -> list[ReserveCreditResponse | CreditCallError]:
    with CreditClient(address, timeout_s=10) as client:
        return list(client.stream_reserve_credit(orders_of(account_id, 400)))


def assert_stream_answers(answers: list[ReserveCreditResponse | CreditCallError], *, replayed: bool) -> None:
    refused, *decided = answers
    assert isinstance(refused, CreditCallError)
    assert [violation.field for violation in refused.violations] == ["request.amount_minor"]
    assert len(decided) == 399
    for number, answer in enumerate(decided, start=1):
        assert isinstance(answer, ReserveCreditResponse)
        assert answer.decision.outcome == (OUTCOME_APPROVED if number <= 100 else OUTCOME_REJECTED)
        assert answer.reservation.order_id == (f"o-{number}" if number <= 100 else "")
        assert answer.replayed == (replayed and number <= 100)


async def test_a_stream_goes_on_when_its_service_is_replaced(redis_url: str, account_id: str) -> None:
    count, free_port = 2000, ListenAddress("127.0.0.1", 0)
    settings = Settings(redis_url=redis_url, listen=free_port, metrics_listen=free_port, stop_wait_s=0)
    orders = [
        reserve_credit_request(account_id, f"o-{number}", amount_minor=3, currency_code="USD")
        for number in range(count)
    ]
    answers = []
    async with AsyncExitStack() as first, AsyncExitStack() as second:
        service = await first.enter_async_context(running_service(settings))
        assert await service.store.wait_ready(10)
        client = await second.enter_async_context(AsyncCreditClient(str(service.address), timeout_s=20))
        await client.put_account(account_id, currency_code="USD", unlimited=True)
        async for answer in client.stream_reserve_credit(orders):
            answers.append(answer)
            if len(answers) == 100:
                await first.aclose()
                again = settings.model_copy(update={"listen": service.address})
                assert await (await second.enter_async_context(running_service(again))).store.wait_ready(10)
        assert len(answers) == count
        for number, answer in enumerate(answers):
            assert isinstance(answer, ReserveCreditResponse)
            assert (answer.decision.outcome, answer.reservation.order_id) == (OUTCOME_APPROVED, f"o-{number}")
        assert (await client.get_account(account_id)).account.exposure.reserved_minor == 3 * count


async def test_an_order_is_amended_and_its_receivable_kept(service: RunningService, account_id: str) -> None:
    async with AsyncCreditClient(str(service.address), timeout_s=10) as client:
        await client.put_account(account_id, currency_code="USD", base_limit_minor=100_000)
        reserved = await client.reserve_credit(account_id, "o-1", amount_minor=60_000, currency_code="USD")
        rejected = await client.amend_reservation(account_id, "o-1", amount_minor=100_001, currency_code="USD")
        assert rejected.decision.outcome == OUTCOME_REJECTED
        amended = await client.amend_reservation(
            account_id, "o-1", amount_minor=80_000, currency_code="USD", etag=reserved.reservation.etag
        )
        assert (amended.decision.outcome, amended.reservation.amount_minor) == (OUTCOME_APPROVED, 80_000)
        with pytest.raises(CreditCallError) as changed:
            await client.release_reservation(account_id, "o-1", etag=reserved.reservation.etag)
        assert (changed.value.code, changed.value.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
        await client.post_receivable(account_id, "inv-1", amount_minor=30_000, currency_code="USD")
        credited = await client.record_credit_note(account_id, "note-1", amount_minor=10_000, currency_code="USD")
        assert credited.account.exposure.receivable_minor == 20_000
        aged = await client.update_aging(
            account_id, overdue_minor=5_000, as_of=datetime(2026, 5, 31, tzinfo=UTC), oldest_due_date=date(2026, 4, 1)
        )
        assert (aged.account.overdue_minor, aged.account.oldest_due_date) == (5_000, "2026-04-01")


async def test_open_items_are_imported_through_both_clients(service: RunningService, account_id: str) -> None:
    address = str(service.address)
    items = [
        open_item(account_id, f"d-{number}", amount_minor=number - 5, currency_code="USD") for number in range(2500)
    ]
    async with AsyncCreditClient(address, timeout_s=10) as client:
        await client.put_account(account_id, currency_code="USD", unlimited=True)
        first = await client.import_open_items(items)
        exposure = (await client.get_account(account_id)).account.exposure
    assert (first.imported, first.replayed, first.failed) == (2499, 0, 1)
    (failure,) = first.failures
    assert (failure.position, failure.error.violations[0].field) == (5, "amount_minor")
    assert exposure.receivable_minor == sum(range(-5, 2495))
    again = await asyncio.to_thread(import_blocking, address, items)
    assert (again.imported, again.replayed, again.failed) == (0, 2499, 1)


def import_blocking(address: str, items: list[OpenItem]) -> ImportSummary:
    with CreditClient(address, timeout_s=10) as client:
        return client.import_open_items(items)


async def test_a_sum_that_differs_is_found_and_put_right(
    service: RunningService, redis_url: str, new_id: Callable[[str], str]
) -> None:
    sound, damaged = new_id("acc"), new_id("acc")
    async with AsyncCreditClient(str(service.address), timeout_s=10) as client:
        for account_id in (sound, damaged):
            await client.put_account(account_id, currency_code="USD", unlimited=True)
            await client.post_receivable(account_id, "inv-1", amount_minor=700, currency_code="USD")
        async with Redis.from_url(redis_url) as redis:
            partition = keys.partition_of(damaged, service.store.partitions)
            await redis.hdel(keys.ledger(partition, damaged), "d:inv-1")
        assert [page async for page in client.verify_accounts([sound])] == [VerifiedAccounts(1, ())]
        (found,) = [page async for page in client.verify_accounts((sound, damaged))]
        assert found == VerifiedAccounts(
            2, (SumDifference(account_id=damaged, sum="receivable", kept_minor=700, recomputed_minor=0),)
        )
        (repaired,) = [page async for page in client.verify_accounts([damaged], repair=True)]
        assert [difference.repaired for difference in repaired.differences] == [True]
        assert [page async for page in client.verify_accounts([damaged])] == [VerifiedAccounts(1, ())]
        assert (await client.get_account(damaged)).account.exposure.receivable_minor == 0
        assert sum([page.verified async for page in client.verify_accounts()]) >= 2


async def test_limits_groups_and_rates_through_both_clients(
    service: RunningService, account_id: str, new_id: Callable[[str], str]
) -> None:
    address, group_id = str(service.address), new_id("family")
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    who: Mapping[str, Any] = {"reason": "fair", "actor": "ann"}
    async with AsyncCreditClient(address, timeout_s=PATIENCE_S, language="zh") as client:
        await client.put_group(group_id, currency_code="USD", limit_minor=50_000)
        put = await client.put_account(account_id, currency_code="USD", base_limit_minor=1_000, group_id=group_id)
        assert put.account.group_id == group_id
        manual = await client.set_manual_limit(
            account_id, limit_minor=2_000, currency_code="USD", expire_time=end, **who
        )
        assert manual.account.manual_limit.expire_time.ToDatetime(UTC) == end
        temporary = await client.set_temporary_limit(
            account_id, limit_minor=3_000, currency_code="USD", end_time=end, **who
        )
        assert temporary.account.exposure.limit_minor == 3_000
        checked = await client.check_credit(account_id, amount_minor=3_001, currency_code="USD")
        assert checked.decision.reasons[0].message == (
            CHINESE.fired[ReasonCode.LIMIT_EXCEEDED].format(observed="30.01 USD", threshold="30.00 USD")
        )
    await asyncio.to_thread(take_away, address, account_id, group_id)


def take_away(address: str, account_id: str, group_id: str) -> None:
    who: Mapping[str, Any] = {"reason": "over", "actor": "ann"}
    with CreditClient(address, timeout_s=PATIENCE_S) as client:
        assert client.clear_temporary_limit(account_id, **who).account.exposure.limit_minor == 2_000
        assert client.clear_manual_limit(account_id, **who).account.exposure.limit_minor == 1_000
        assert client.block_account(account_id, **who).account.block.actor == "ann"
        assert not client.unblock_account(account_id, **who).account.HasField("block")
        assert client.get_group(group_id).group.account_count == 1
        assert not client.put_account(account_id, clear=["group_id"]).account.group_id
        assert [group.account_count for group in client.list_groups() if group.group_id == group_id] == [0]
        assert client.put_exchange_rates({("DKK", "USD"): "0.15"}, version=1).applied == 1
        assert (
            client.check_credit(account_id, amount_minor=6_666, currency_code="DKK").decision.outcome
            == OUTCOME_APPROVED
        )
        assert (
            client.check_credit(account_id, amount_minor=6_667, currency_code="DKK").decision.outcome
            == OUTCOME_REJECTED
        )
        assert client.get_policy().policy_version == "default"


async def test_a_fault_of_the_service_is_decoded(service: RunningService, account_id: str) -> None:
    async with AsyncCreditClient(str(service.address), timeout_s=PATIENCE_S) as client:
        with pytest.raises(CreditCallError) as missing:
            await client.get_account(account_id)
        assert (missing.value.code, missing.value.reason) == (grpc.StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND")
        with pytest.raises(CreditCallError) as invalid:
            await client.reserve_credit(account_id, "no spaces", amount_minor=-1, currency_code="XXX")
        assert [violation.field for violation in invalid.value.violations] == [
            "order_id",
            "amount_minor",
            "currency_code",
        ]
