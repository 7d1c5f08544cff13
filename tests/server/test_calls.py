"""Calls over a real channel, from the request's bytes to the trailers."""

from collections.abc import AsyncIterator, Callable

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest
from grpc_reflection.v1alpha import reflection_pb2

from creditgate.bootstrap import RunningService
from creditgate.store import keys
from creditgate.v1 import decision_pb2, reservation_pb2
from creditgate.v1.admin_service_pb2 import ListAccountsRequest, PutAccountRequest, VerifyAccountsRequest
from creditgate.v1.admin_service_pb2_grpc import AdminServiceStub
from creditgate.v1.credit_service_pb2 import (
    AmendReservationRequest,
    BatchReserveCreditRequest,
    CheckCreditRequest,
    CommitReservationRequest,
    GetAccountRequest,
    GetReservationRequest,
    ListReservationsRequest,
    ReleaseReservationRequest,
)
from creditgate.v1.credit_service_pb2_grpc import CreditServiceStub
from creditgate.v1.receivables_service_pb2 import (
    PostReceivableRequest,
    RecordCreditNoteRequest,
    RecordPaymentRequest,
    UpdateAgingRequest,
)
from creditgate.v1.receivables_service_pb2_grpc import ReceivablesServiceStub
from tests.private_redis import PrivateRedis
from tests.server.calls import (
    SERVING,
    call_raw,
    health_of,
    open_channel,
    reason_of,
    reserve_request,
    status_of,
)
from tests.waiting import eventually

MEBIBYTE = 1024 * 1024


@pytest.fixture
async def channel(service: RunningService) -> AsyncIterator[grpc.aio.Channel]:
    async with open_channel(service.address) as channel:
        yield channel


@pytest.fixture
async def funded(channel: grpc.aio.Channel, account_id: str) -> str:
    """An account in USD with a limit of 1,000.00."""
    request = PutAccountRequest()
    request.account.account_id = account_id
    request.account.currency_code = "USD"
    request.account.base_limit_minor = 100_000
    assert (await AdminServiceStub(channel).PutAccount(request)).created
    return account_id


async def test_an_order_from_check_to_payment(channel: grpc.aio.Channel, funded: str) -> None:
    credit, receivables = CreditServiceStub(channel), ReceivablesServiceStub(channel)
    check = CheckCreditRequest(account_id=funded, amount_minor=100_001, currency_code="USD", explain=True)
    decision = (await credit.CheckCredit(check)).decision
    assert decision.outcome == decision_pb2.OUTCOME_REJECTED
    assert [reason.code for reason in decision.reasons] == [decision_pb2.REASON_CODE_LIMIT_EXCEEDED]
    assert [reason.code for reason in decision.passed_rules] == [
        decision_pb2.REASON_CODE_ACCOUNT_BLOCKED,
        decision_pb2.REASON_CODE_ACCOUNT_CLOSED,
        decision_pb2.REASON_CODE_LIMIT_NOT_SET,
        decision_pb2.REASON_CODE_LIMIT_EXPIRED,
        decision_pb2.REASON_CODE_GROUP_LIMIT_EXCEEDED,
    ]

    reserved = await credit.ReserveCredit(reserve_request(funded, "o-1", 60_000))
    assert reserved.decision.outcome == decision_pb2.OUTCOME_APPROVED
    assert reserved.reservation.state == reservation_pb2.RESERVATION_STATE_HELD
    replayed = await credit.ReserveCredit(reserve_request(funded, "o-1", 60_000))
    assert (replayed.replayed, replayed.decision) == (True, reserved.decision)

    commit = CommitReservationRequest(
        account_id=funded, order_id="o-1", amount_minor=50_000, currency_code="USD", document_id="i-1", final=True
    )
    assert (await credit.CommitReservation(commit)).reservation.committed_minor == 50_000
    payment = RecordPaymentRequest(account_id=funded, payment_id="p-1", amount_minor=20_000, currency_code="USD")
    assert (await receivables.RecordPayment(payment)).account.exposure.receivable_minor == 30_000

    await credit.ReserveCredit(reserve_request(funded, "o-2", 10_000))
    release = ReleaseReservationRequest(account_id=funded, order_id="o-2", reason="cancelled")
    released = await credit.ReleaseReservation(release)
    assert released.reservation.state == reservation_pb2.RESERVATION_STATE_RELEASED
    read = await credit.GetReservation(GetReservationRequest(account_id=funded, order_id="o-2"))
    assert read.reservation == released.reservation
    listed = await credit.ListReservations(ListReservationsRequest(account_id=funded))
    assert {reservation.order_id for reservation in listed.reservations} == {"o-1", "o-2"}
    account = (await credit.GetAccount(GetAccountRequest(account_id=funded))).account
    assert account.exposure.available_minor == 70_000


async def test_a_batch_answers_each_item_in_its_place(channel: grpc.aio.Channel, funded: str) -> None:
    orders = [reserve_request(funded, f"o-{number}", 30_000) for number in range(5)]
    orders[1].currency_code = "usd"
    orders[2].account_id = "nobody"
    results = (await CreditServiceStub(channel).BatchReserveCredit(BatchReserveCreditRequest(requests=orders))).results
    assert [result.WhichOneof("result") for result in results] == ["response", "error", "error", "response", "response"]
    bad = BadRequest()
    assert results[1].error.details[1].Unpack(bad)
    assert bad.field_violations[0].field == "requests[1].currency_code"
    assert results[2].error.code == grpc.StatusCode.NOT_FOUND.value[0]
    assert results[4].response.decision.outcome == decision_pb2.OUTCOME_APPROVED


async def test_accounts_are_listed(channel: grpc.aio.Channel, funded: str) -> None:
    seen: set[str] = set()
    token = ""
    while True:
        page = await AdminServiceStub(channel).ListAccounts(ListAccountsRequest(page_size=1000, page_token=token))
        seen |= {account.account_id for account in page.accounts}
        token = page.next_page_token
        if not token:
            break
    assert funded in seen


async def test_an_order_that_changes_and_a_receivable_from_all_sides(channel: grpc.aio.Channel, funded: str) -> None:
    credit, receivables = CreditServiceStub(channel), ReceivablesServiceStub(channel)
    reserved = await credit.ReserveCredit(reserve_request(funded, "o-1", 60_000))
    amend = AmendReservationRequest(
        account_id=funded,
        order_id="o-1",
        amount_minor=70_000,
        currency_code="USD",
        request_id="c-1",
        etag=reserved.reservation.etag,
    )
    amend.hold_duration.FromSeconds(60)
    amended = await credit.AmendReservation(amend)
    assert amended.decision.outcome == decision_pb2.OUTCOME_APPROVED
    assert (amended.reservation.amount_minor, amended.reservation.decision) == (70_000, reserved.decision)
    assert amended.reservation.expire_time.seconds < reserved.reservation.expire_time.seconds
    assert amended.reservation.etag != reserved.reservation.etag
    again = await credit.AmendReservation(amend)
    assert (again.replayed, again.decision, again.reservation) == (True, amended.decision, amended.reservation)
    for stale in (
        credit.AmendReservation(
            AmendReservationRequest(
                account_id=funded,
                order_id="o-1",
                amount_minor=1,
                currency_code="USD",
                etag=reserved.reservation.etag,
            )
        ),
        credit.ReleaseReservation(
            ReleaseReservationRequest(account_id=funded, order_id="o-1", etag=reserved.reservation.etag)
        ),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stale
        assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")

    invoice = PostReceivableRequest(account_id=funded, document_id="i-1", amount_minor=20_000, currency_code="USD")
    assert not (await receivables.PostReceivable(invoice)).replayed
    commit = CommitReservationRequest(
        account_id=funded, order_id="o-1", amount_minor=20_000, currency_code="USD", document_id="i-1"
    )
    committed = await credit.CommitReservation(commit)
    assert (committed.replayed, committed.reservation.remaining_minor) == (True, 50_000)
    note = RecordCreditNoteRequest(account_id=funded, document_id="n-1", amount_minor=20_000, currency_code="USD")
    noted = await receivables.RecordCreditNote(note)
    assert (noted.replayed, noted.account.exposure.receivable_minor) == (False, 0)
    assert (await receivables.RecordCreditNote(note)).replayed

    aging = UpdateAgingRequest(account_id=funded, overdue_minor=500, disputed_minor=100, oldest_due_date="2026-02-01")
    aging.as_of.FromSeconds(1_772_000_000)
    aged = await receivables.UpdateAging(aging)
    assert (aged.replayed, aged.ignored, aged.account.oldest_due_date) == (False, False, "2026-02-01")
    assert (await receivables.UpdateAging(aging)).replayed
    aging.as_of.FromSeconds(1_771_999_999)
    assert (await receivables.UpdateAging(aging)).ignored
    account = (await credit.GetAccount(GetAccountRequest(account_id=funded))).account
    assert (account.overdue_minor, account.disputed_minor, account.exposure.reserved_minor) == (500, 100, 50_000)


async def test_sums_that_are_wrong_are_told_and_put_right(
    channel: grpc.aio.Channel, funded: str, service: RunningService, private_redis: PrivateRedis
) -> None:
    admin = AdminServiceStub(channel)
    partition = keys.partition_of(funded, service.store.partitions)
    await CreditServiceStub(channel).ReserveCredit(reserve_request(funded, "o-1", 500))
    with private_redis.client() as client:
        assert client.delete(keys.orders(partition, funded)) == 1
    named = VerifyAccountsRequest(account_ids=[funded])
    verified = await admin.VerifyAccounts(named)
    assert (verified.verified, verified.next_page_token) == (1, "")
    reserved, due = verified.differences
    assert (reserved.account_id, reserved.sum, reserved.repaired) == (funded, "reserved", False)
    assert (reserved.kept_minor, reserved.recomputed_minor) == (500, 0)
    assert due.sum.startswith("due@")
    named.repair = True
    repaired = await admin.VerifyAccounts(named)
    assert [difference.repaired for difference in repaired.differences] == [True, True]
    assert not (await admin.VerifyAccounts(named)).differences
    account = (await CreditServiceStub(channel).GetAccount(GetAccountRequest(account_id=funded))).account
    assert account.exposure.reserved_minor == 0


async def test_accounts_are_verified_page_by_page(channel: grpc.aio.Channel, funded: str) -> None:
    admin, listed, verified, token = AdminServiceStub(channel), 0, 0, ""
    while True:
        page = await admin.ListAccounts(ListAccountsRequest(page_size=1000, page_token=token))
        listed, token = listed + len(page.accounts), page.next_page_token
        if not token:
            break
    while True:
        answer = await admin.VerifyAccounts(VerifyAccountsRequest(page_size=1000, page_token=token), timeout=60)
        verified, token = verified + answer.verified, answer.next_page_token
        assert funded not in {difference.account_id for difference in answer.differences}
        if not token:
            break
    assert verified == listed > 0


async def test_an_unknown_account_is_not_verified(channel: grpc.aio.Channel, new_id: Callable[[str], str]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await AdminServiceStub(channel).VerifyAccounts(VerifyAccountsRequest(account_ids=[new_id("nobody")]))
    assert reason_of(caught.value) == "ACCOUNT_NOT_FOUND"


async def test_an_unknown_account(channel: grpc.aio.Channel, new_id: Callable[[str], str]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await CreditServiceStub(channel).ReserveCredit(reserve_request(new_id("nobody"), "o-1"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert reason_of(caught.value) == "ACCOUNT_NOT_FOUND"


async def test_wrong_fields(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await CreditServiceStub(channel).ReserveCredit(reserve_request("A 1", "", 0))
    assert reason_of(caught.value) == "INVALID_FIELD"
    bad = BadRequest()
    assert status_of(caught.value).details[1].Unpack(bad)
    assert [violation.field for violation in bad.field_violations] == ["account_id", "order_id", "amount_minor"]


async def test_bytes_that_are_no_message(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call_raw(channel, b"\xff\xff\xff")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(caught.value) == "MALFORMED_REQUEST"
    assert caught.value.details() == "the request is not a creditgate.v1.ReserveCreditRequest"


async def test_text_that_is_not_utf_8(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call_raw(channel, b"\x0a\x02\xff\xff")
    assert reason_of(caught.value) == "MALFORMED_REQUEST"


async def test_an_empty_message_is_a_message(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call_raw(channel, b"")
    assert reason_of(caught.value) == "INVALID_FIELD"


async def test_the_largest_message(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call_raw(channel, b"\xff" * MEBIBYTE)
    assert reason_of(caught.value) == "MALFORMED_REQUEST"


async def test_a_message_that_is_too_large(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call_raw(channel, b"\xff" * (MEBIBYTE + 1))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(caught.value) == "MESSAGE_TOO_LARGE"
    assert caught.value.details() == "the message must be at most 1048576 bytes, was 1048577"


async def test_a_message_that_grpc_refuses(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call_raw(channel, b"\xff" * (4 * MEBIBYTE + 1))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_the_largest_batch_is_below_the_largest_message() -> None:
    order = reserve_request("a" * 128, "o" * 128, 2**53 - 1)
    order.secured_minor = 2**53 - 1
    order.hold_duration.FromSeconds(400 * 86_400)
    order.payment_terms_days = 3650
    order.source = "s" * 64
    assert BatchReserveCreditRequest(requests=[order] * 1000).ByteSize() < MEBIBYTE


async def test_reflection_lists_every_service(channel: grpc.aio.Channel) -> None:
    ask = channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    async for answer in ask(iter([reflection_pb2.ServerReflectionRequest(list_services="")])):
        assert {service.name for service in answer.list_services_response.service} == {
            "creditgate.v1.AdminService",
            "creditgate.v1.CreditDeskService",
            "creditgate.v1.CreditService",
            "creditgate.v1.LimitFeedService",
            "creditgate.v1.ReceivablesService",
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
        }


@pytest.mark.parametrize(
    "name",
    [
        "",
        "creditgate.v1.AdminService",
        "creditgate.v1.CreditDeskService",
        "creditgate.v1.CreditService",
        "creditgate.v1.ReceivablesService",
    ],
)
async def test_health_of_every_service(channel: grpc.aio.Channel, name: str) -> None:
    async def serving() -> bool:
        return await health_of(channel, name) == SERVING

    await eventually(serving)


async def test_health_of_an_unknown_service(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health_of(channel, "creditgate.v1.Nothing")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_an_unknown_method(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call_raw(channel, b"", "/creditgate.v1.CreditService/Nothing")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
