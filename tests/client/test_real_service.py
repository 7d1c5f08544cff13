"""The clients against a running service: an order's whole life."""

import asyncio

import grpc
import pytest

from creditgate.bootstrap import RunningService
from creditgate.client import AsyncCreditClient, CreditCallError, CreditClient, reserve_credit_request
from creditgate.v1.account_pb2 import ACCOUNT_STATUS_CLOSED
from creditgate.v1.credit_service_pb2 import ReserveCreditResponse
from creditgate.v1.decision_pb2 import OUTCOME_APPROVED, OUTCOME_REJECTED
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
