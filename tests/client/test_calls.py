"""What the clients send, and how they page and batch."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import islice
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.client import (
    AsyncCreditClient,
    CreditCallError,
    CreditClient,
    VerifiedAccounts,
    requests,
    reserve_credit_request,
)
from creditgate.v1.account_pb2 import ACCOUNT_STATUS_CLOSED, Account, Block
from creditgate.v1.admin_service_pb2 import (
    CloseAccountRequest,
    ExchangeRate,
    GetGroupRequest,
    GetPolicyRequest,
    ListAccountsRequest,
    ListAccountsResponse,
    ListGroupsRequest,
    PutAccountRequest,
    PutExchangeRatesRequest,
    PutGroupRequest,
    SumDifference,
    VerifyAccountsRequest,
    VerifyAccountsResponse,
)
from creditgate.v1.credit_desk_service_pb2 import (
    BlockAccountRequest,
    ClearManualLimitRequest,
    ClearTemporaryLimitRequest,
    SetManualLimitRequest,
    SetTemporaryLimitRequest,
    UnblockAccountRequest,
)
from creditgate.v1.credit_service_pb2 import (
    AmendReservationRequest,
    BatchReserveCreditRequest,
    BatchReserveCreditResponse,
    BatchReserveCreditResult,
    CheckCreditRequest,
    CommitReservationRequest,
    GetAccountRequest,
    GetAccountResponse,
    GetReservationRequest,
    ListReservationsRequest,
    ListReservationsResponse,
    ReleaseReservationRequest,
    ReserveCreditRequest,
    ReserveCreditResponse,
    StreamReserveCreditResponse,
)
from creditgate.v1.group_pb2 import CreditGroup
from creditgate.v1.receivables_service_pb2 import (
    OpenItem,
    PostReceivableRequest,
    RecordCreditNoteRequest,
    RecordPaymentRequest,
    UpdateAgingRequest,
)
from creditgate.v1.reservation_pb2 import RESERVATION_STATE_HELD, Reservation
from tests.client.scripted_service import METHODS, Failure, ScriptedService
from tests.patience import PATIENCE_S

MAY_31 = datetime(2026, 5, 31, 20, tzinfo=timezone(timedelta(hours=2)))
MAY_31_TIMESTAMP = Timestamp(seconds=1780250400)
WITHOUT_ZONE = datetime(2026, 5, 31)  # noqa: DTZ001 - what is refused

REQUESTS = {
    "check_credit": (
        requests.check_credit(
            "a", amount_minor=1500, currency_code="USD", secured_minor=5, explain=True, payment_terms_days=14
        ),
        CheckCreditRequest(
            account_id="a", amount_minor=1500, currency_code="USD", secured_minor=5, explain=True, payment_terms_days=14
        ),
    ),
    "reserve_credit": (
        requests.reserve_credit(
            "a",
            "o",
            amount_minor=1500,
            currency_code="USD",
            secured_minor=5,
            hold_s=60,
            payment_terms_days=14,
            source="web",
        ),
        ReserveCreditRequest(
            account_id="a",
            order_id="o",
            amount_minor=1500,
            currency_code="USD",
            secured_minor=5,
            hold_duration=Duration(seconds=60),
            payment_terms_days=14,
            source="web",
        ),
    ),
    "reserve_credit with the default hold": (
        requests.reserve_credit("a", "o", amount_minor=1500, currency_code="USD"),
        ReserveCreditRequest(account_id="a", order_id="o", amount_minor=1500, currency_code="USD"),
    ),
    "commit_reservation": (
        requests.commit_reservation("a", "o", amount_minor=1500, currency_code="USD", document_id="d", final=True),
        CommitReservationRequest(
            account_id="a", order_id="o", amount_minor=1500, currency_code="USD", document_id="d", final=True
        ),
    ),
    "amend_reservation": (
        requests.amend_reservation(
            "a", "o", amount_minor=1500, currency_code="USD", hold_s=60, request_id="r", etag="7-1"
        ),
        AmendReservationRequest(
            account_id="a",
            order_id="o",
            amount_minor=1500,
            currency_code="USD",
            hold_duration=Duration(seconds=60),
            request_id="r",
            etag="7-1",
        ),
    ),
    "amend_reservation that leaves the hold": (
        requests.amend_reservation("a", "o", amount_minor=1500, currency_code="USD"),
        AmendReservationRequest(account_id="a", order_id="o", amount_minor=1500, currency_code="USD"),
    ),
    "release_reservation": (
        requests.release_reservation("a", "o", request_id="r", reason="cancelled", etag="7-1"),
        ReleaseReservationRequest(account_id="a", order_id="o", request_id="r", reason="cancelled", etag="7-1"),
    ),
    "get_reservation": (requests.get_reservation("a", "o"), GetReservationRequest(account_id="a", order_id="o")),
    "list_reservations": (
        requests.list_reservations("a", states=[RESERVATION_STATE_HELD], page_size=7),
        ListReservationsRequest(account_id="a", states=[RESERVATION_STATE_HELD], page_size=7),
    ),
    "get_account": (requests.get_account("a"), GetAccountRequest(account_id="a")),
    "record_payment": (
        requests.record_payment("a", "p", amount_minor=1500, currency_code="USD"),
        RecordPaymentRequest(account_id="a", payment_id="p", amount_minor=1500, currency_code="USD"),
    ),
    "post_receivable": (
        requests.post_receivable("a", "d", amount_minor=1500, currency_code="USD"),
        PostReceivableRequest(account_id="a", document_id="d", amount_minor=1500, currency_code="USD"),
    ),
    "record_credit_note": (
        requests.record_credit_note("a", "d", amount_minor=1500, currency_code="USD"),
        RecordCreditNoteRequest(account_id="a", document_id="d", amount_minor=1500, currency_code="USD"),
    ),
    "open_item": (
        requests.open_item("a", "d", amount_minor=-1500, currency_code="USD"),
        OpenItem(account_id="a", document_id="d", amount_minor=-1500, currency_code="USD"),
    ),
    "update_aging": (
        requests.update_aging(
            "a",
            overdue_minor=1500,
            as_of=MAY_31,
            disputed_minor=500,
            oldest_due_date=date(2026, 4, 1),
        ),
        UpdateAgingRequest(
            account_id="a",
            overdue_minor=1500,
            disputed_minor=500,
            oldest_due_date="2026-04-01",
            as_of=MAY_31_TIMESTAMP,
        ),
    ),
    "close_account": (requests.close_account("a"), CloseAccountRequest(account_id="a")),
    "list_accounts": (requests.list_accounts(page_size=7), ListAccountsRequest(page_size=7)),
    "put_account of a currency alone": (
        requests.put_account("a", currency_code="USD"),
        PutAccountRequest(account=Account(account_id="a", currency_code="USD")),
    ),
    "put_account of every setting": (
        requests.put_account(
            "a",
            currency_code="USD",
            display_name="Acme",
            risk_class="b",
            status=ACCOUNT_STATUS_CLOSED,
            base_limit_minor=0,
            unlimited=False,
            limit_expire_time=MAY_31,
            group_id="family",
            block=Block(reason="late"),
        ),
        PutAccountRequest(
            account=Account(
                account_id="a",
                currency_code="USD",
                display_name="Acme",
                risk_class="b",
                status=ACCOUNT_STATUS_CLOSED,
                base_limit_minor=0,
                limit_expire_time=MAY_31_TIMESTAMP,
                group_id="family",
                block=Block(reason="late"),
            ),
            update_mask=FieldMask(
                paths=[
                    "base_limit_minor",
                    "block",
                    "display_name",
                    "group_id",
                    "limit_expire_time",
                    "risk_class",
                    "status",
                    "unlimited",
                ]
            ),
        ),
    ),
    "put_account that clears": (
        requests.put_account("a", clear=["block", "base_limit_minor", "group_id", "limit_expire_time"]),
        PutAccountRequest(
            account=Account(account_id="a"),
            update_mask=FieldMask(paths=["base_limit_minor", "block", "group_id", "limit_expire_time"]),
        ),
    ),
    "put_group": (
        requests.put_group("g", currency_code="USD", limit_minor=0, display_name="Family"),
        PutGroupRequest(
            group=CreditGroup(group_id="g", currency_code="USD", limit_minor=0, display_name="Family"),
        ),
    ),
    "put_group without a ceiling": (
        requests.put_group("g", currency_code="USD", unlimited=True),
        PutGroupRequest(group=CreditGroup(group_id="g", currency_code="USD", unlimited=True)),
    ),
    "get_group": (requests.get_group("g"), GetGroupRequest(group_id="g")),
    "list_groups": (requests.list_groups(page_size=7), ListGroupsRequest(page_size=7)),
    "put_exchange_rates": (
        requests.put_exchange_rates(
            {("EUR", "USD"): "1.0842", ("JPY", "USD"): Decimal("0.0000001")}, version=3, expire_time=MAY_31
        ),
        PutExchangeRatesRequest(
            rates=[
                ExchangeRate(from_currency_code="EUR", to_currency_code="USD", rate="1.0842"),
                ExchangeRate(from_currency_code="JPY", to_currency_code="USD", rate="0.0000001"),
            ],
            version=3,
            expire_time=MAY_31_TIMESTAMP,
        ),
    ),
    "get_policy": (requests.get_policy(), GetPolicyRequest()),
    "block_account": (
        requests.block_account("a", reason="fraud", actor="ann", expire_time=MAY_31),
        BlockAccountRequest(account_id="a", reason="fraud", actor="ann", expire_time=MAY_31_TIMESTAMP),
    ),
    "block_account without an end": (
        requests.block_account("a", reason="fraud", actor="ann"),
        BlockAccountRequest(account_id="a", reason="fraud", actor="ann"),
    ),
    "unblock_account": (
        requests.unblock_account("a", reason="paid", actor="ann"),
        UnblockAccountRequest(account_id="a", reason="paid", actor="ann"),
    ),
    "set_manual_limit": (
        requests.set_manual_limit(
            "a", limit_minor=0, currency_code="USD", reason="fair", actor="ann", expire_time=MAY_31
        ),
        SetManualLimitRequest(
            account_id="a",
            limit_minor=0,
            currency_code="USD",
            reason="fair",
            actor="ann",
            expire_time=MAY_31_TIMESTAMP,
        ),
    ),
    "set_manual_limit without a ceiling and an end": (
        requests.set_manual_limit("a", unlimited=True, currency_code="USD", reason="parent pays", actor="ann"),
        SetManualLimitRequest(account_id="a", unlimited=True, currency_code="USD", reason="parent pays", actor="ann"),
    ),
    "clear_manual_limit": (
        requests.clear_manual_limit("a", reason="over", actor="ann"),
        ClearManualLimitRequest(account_id="a", reason="over", actor="ann"),
    ),
    "set_temporary_limit": (
        requests.set_temporary_limit(
            "a",
            limit_minor=1500,
            currency_code="USD",
            start_time=MAY_31 - timedelta(hours=1),
            end_time=MAY_31,
            reason="fair",
            actor="ann",
        ),
        SetTemporaryLimitRequest(
            account_id="a",
            limit_minor=1500,
            currency_code="USD",
            start_time=Timestamp(seconds=MAY_31_TIMESTAMP.seconds - 3600),
            end_time=MAY_31_TIMESTAMP,
            reason="fair",
            actor="ann",
        ),
    ),
    "set_temporary_limit from now on": (
        requests.set_temporary_limit(
            "a", limit_minor=1500, currency_code="USD", end_time=MAY_31, reason="fair", actor="ann"
        ),
        SetTemporaryLimitRequest(
            account_id="a",
            limit_minor=1500,
            currency_code="USD",
            end_time=MAY_31_TIMESTAMP,
            reason="fair",
            actor="ann",
        ),
    ),
    "clear_temporary_limit": (
        requests.clear_temporary_limit("a", reason="over", actor="ann"),
        ClearTemporaryLimitRequest(account_id="a", reason="over", actor="ann"),
    ),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_a_request_holds_what_was_asked(case: str) -> None:
    built, expected = REQUESTS[case]
    assert built == expected


OF_MANY_ITEMS = {"batch_reserve_credit", "stream_reserve_credit", "import_open_items", "push_limits", "verify_accounts"}
"""Calls whose methods are no mere copy of a request builder."""


@pytest.mark.parametrize(
    "build",
    [
        lambda: requests.update_aging("a", overdue_minor=0, as_of=WITHOUT_ZONE),
        lambda: requests.put_account("a", limit_expire_time=WITHOUT_ZONE),
        lambda: requests.put_exchange_rates({}, version=1, expire_time=WITHOUT_ZONE),
        lambda: requests.block_account("a", reason="r", actor="a", expire_time=WITHOUT_ZONE),
        lambda: requests.set_manual_limit(
            "a", limit_minor=1, currency_code="USD", reason="r", actor="a", expire_time=WITHOUT_ZONE
        ),
        lambda: requests.set_temporary_limit(
            "a", limit_minor=1, currency_code="USD", reason="r", actor="a", end_time=WITHOUT_ZONE
        ),
        lambda: requests.set_temporary_limit(
            "a", limit_minor=1, currency_code="USD", reason="r", actor="a", end_time=MAY_31, start_time=WITHOUT_ZONE
        ),
    ],
)
def test_an_instant_without_a_time_zone_is_refused(build: Callable[[], Message]) -> None:
    with pytest.raises(
        ValueError, match=r"^(as_of|expire_time|limit_expire_time|start_time|end_time) must have a time zone"
    ):
        build()


@pytest.mark.parametrize("ceiling", [{}, {"limit_minor": 0, "unlimited": True}])
def test_a_manual_limit_is_an_amount_or_no_ceiling(ceiling: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="either limit_minor or unlimited must be given"):
        requests.set_manual_limit("a", currency_code="USD", reason="r", actor="a", **ceiling)


def calls_of(client_class: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(method)
        for name, method in inspect.getmembers(client_class, inspect.isroutine)
        if not name.startswith("_") and name not in {"close", "with_timeout"}
    }


def test_both_clients_have_the_same_calls() -> None:
    blocking, asynchronous = calls_of(CreditClient), calls_of(AsyncCreditClient)
    assert blocking.keys() == asynchronous.keys()
    assert len(blocking) == 36
    for name in blocking.keys() - OF_MANY_ITEMS:
        assert blocking[name] == asynchronous[name]
        assert inspect.getdoc(getattr(CreditClient, name)) == inspect.getdoc(getattr(requests, name))
    for name in OF_MANY_ITEMS:
        assert blocking[name].parameters.keys() == asynchronous[name].parameters.keys()


def test_every_call_of_the_contract_has_a_method() -> None:
    named = {f"{''.join(word.title() for word in name.split('_'))}" for name in calls_of(CreditClient)}
    assert named == {method.name for method in METHODS.values()}


def test_a_bound_call_tells_its_parameters() -> None:
    with CreditClient() as client:
        assert str(inspect.signature(client.get_reservation)) == "(account_id: str, order_id: str)"


async def test_a_call_reaches_the_service(scripted: ScriptedService) -> None:
    answer = GetAccountResponse(account=Account(account_id="a", display_name="Acme"))
    scripted.script("GetAccount", answer)
    with CreditClient(scripted.address, timeout_s=PATIENCE_S) as client:
        assert client.get_account("a") == answer
    async with AsyncCreditClient(scripted.address, timeout_s=PATIENCE_S) as async_client:
        assert await async_client.get_account(account_id="a") == answer
    assert scripted.requests == [GetAccountRequest(account_id="a")] * 2


@pytest.mark.parametrize(("language", "said"), [("zh-CN, en;q=0.5", "zh-CN, en;q=0.5"), ("", None)])
async def test_every_kind_of_call_says_what_its_caller_reads(
    scripted: ScriptedService, language: str, said: str | None
) -> None:
    order = reserve_credit_request("a", "o", amount_minor=1, currency_code="USD")
    scripted.script("ReserveCredit", ReserveCreditResponse())
    scripted.script("BatchReserveCredit", BatchReserveCreditResponse(results=[BatchReserveCreditResult()]))
    scripted.script("ListReservations", ListReservationsResponse())
    scripted.script_streams("StreamReserveCredit", lambda arrived: (StreamReserveCreditResponse() for _ in arrived))
    with CreditClient(scripted.address, timeout_s=PATIENCE_S, language=language) as client:
        client.with_timeout(PATIENCE_S).reserve_credit("a", "o", amount_minor=1, currency_code="USD")
        list(client.batch_reserve_credit([order]))
        list(client.list_reservations("a"))
        list(client.stream_reserve_credit([order]))
    async with AsyncCreditClient(scripted.address, timeout_s=PATIENCE_S, language=language) as async_client:
        await async_client.reserve_credit("a", "o", amount_minor=1, currency_code="USD")
        await collect(async_client.batch_reserve_credit([order]))
        await collect(async_client.list_reservations("a"))
        await collect(async_client.stream_reserve_credit([order]))
    assert scripted.languages == [said] * 8


async def collect(items: AsyncIterator[object]) -> list[object]:
    return [item async for item in items]


def accounts_page(*account_ids: str, more: str) -> ListAccountsResponse:
    return ListAccountsResponse(
        accounts=[Account(account_id=account_id) for account_id in account_ids], next_page_token=more
    )


ACCOUNT_PAGES = (
    accounts_page("a", "b", more="1"),
    accounts_page(more="2"),
    accounts_page("c", more=""),
)


async def test_a_listing_runs_over_all_pages_also_empty_ones(scripted: ScriptedService) -> None:
    with CreditClient(scripted.address, timeout_s=PATIENCE_S) as client:
        scripted.script("ListAccounts", *ACCOUNT_PAGES)
        assert [account.account_id for account in client.list_accounts(page_size=2)] == ["a", "b", "c"]
    assert [request.page_token for request in as_account_pages(scripted)] == ["", "1", "2"]
    assert {request.page_size for request in as_account_pages(scripted)} == {2}
    async with AsyncCreditClient(scripted.address, timeout_s=PATIENCE_S) as async_client:
        scripted.script("ListAccounts", *ACCOUNT_PAGES)
        assert len(await collect(async_client.list_accounts())) == 3


def as_account_pages(scripted: ScriptedService) -> list[ListAccountsRequest]:
    return [request for request in scripted.requests if isinstance(request, ListAccountsRequest)]


def test_a_page_is_fetched_when_it_is_needed(scripted: ScriptedService) -> None:
    scripted.script("ListAccounts", *ACCOUNT_PAGES)
    with CreditClient(scripted.address, timeout_s=PATIENCE_S) as client:
        listing = client.list_accounts()
        assert scripted.requests == []
        next(listing)
        assert len(scripted.requests) == 1


def test_reservations_are_listed_page_by_page(scripted: ScriptedService) -> None:
    more = "more"
    scripted.script(
        "ListReservations",
        ListReservationsResponse(reservations=[Reservation(order_id="1")], next_page_token=more),
        ListReservationsResponse(reservations=[Reservation(order_id="2")]),
    )
    with CreditClient(scripted.address, timeout_s=PATIENCE_S) as client:
        listed = client.list_reservations("a", states=[RESERVATION_STATE_HELD])
        assert [reservation.order_id for reservation in listed] == ["1", "2"]
    assert scripted.requests == [
        ListReservationsRequest(account_id="a", states=[RESERVATION_STATE_HELD], page_token=token)
        for token in ("", more)
    ]


def orders(count: int) -> Iterator[ReserveCreditRequest]:
    for number in range(count):
        yield reserve_credit_request("a", f"order-{number}", amount_minor=1500, currency_code="USD")


def echo(request: Message) -> BatchReserveCreditResponse:
    """Answer each order with a reservation of its id."""
    assert isinstance(request, BatchReserveCreditRequest)
    return BatchReserveCreditResponse(
        results=[
            BatchReserveCreditResult(response=ReserveCreditResponse(reservation=Reservation(order_id=order.order_id)))
            for order in request.requests
        ]
    )


def order_ids(answers: list[object]) -> list[str]:
    return [answer.reservation.order_id for answer in answers if isinstance(answer, ReserveCreditResponse)]


def batch_sizes(scripted: ScriptedService) -> list[int]:
    return [len(request.requests) for request in scripted.requests if isinstance(request, BatchReserveCreditRequest)]


async def test_a_long_batch_is_split_and_answered_in_order(scripted: ScriptedService) -> None:
    scripted.script("BatchReserveCredit", echo)
    expected = [f"order-{number}" for number in range(2001)]
    with CreditClient(scripted.address, timeout_s=PATIENCE_S) as client:
        assert order_ids(list(client.batch_reserve_credit(orders(2001)))) == expected
    assert batch_sizes(scripted) == [1000, 1000, 1]
    async with AsyncCreditClient(scripted.address, timeout_s=PATIENCE_S) as async_client:
        assert order_ids(await collect(async_client.batch_reserve_credit(orders(2001)))) == expected


def test_no_orders_make_no_call(scripted: ScriptedService) -> None:
    with CreditClient(scripted.address, timeout_s=PATIENCE_S) as client:
        assert list(client.batch_reserve_credit([])) == []
    assert scripted.requests == []


def test_a_batch_that_fails_as_a_whole_raises_after_what_was_answered(scripted: ScriptedService) -> None:
    scripted.script("BatchReserveCredit", echo, Failure(grpc.StatusCode.RESOURCE_EXHAUSTED))
    with CreditClient(scripted.address, timeout_s=PATIENCE_S) as client:
        answers = client.batch_reserve_credit(orders(1001))
        assert len(list(islice(answers, 1000))) == 1000
        with pytest.raises(CreditCallError):
            next(answers)


def ids(numbers: range) -> list[str]:
    return [f"a-{number}" for number in numbers]


def verified(request: Message) -> VerifyAccountsResponse:
    """Find a difference in the first account of each call."""
    assert isinstance(request, VerifyAccountsRequest)
    difference = SumDifference(account_id=request.account_ids[0], sum="reserved", kept_minor=1, repaired=request.repair)
    return VerifyAccountsResponse(verified=len(request.account_ids), differences=[difference])


async def test_accounts_are_verified_a_hundred_in_a_call(scripted: ScriptedService) -> None:
    scripted.script("VerifyAccounts", verified)
    with CreditClient(scripted.address) as client:
        found = list(client.verify_accounts(iter(ids(range(201))), repair=True))
    assert [each.verified for each in found] == [100, 100, 1]
    assert [each.account_id for page in found for each in page.differences] == ["a-0", "a-100", "a-200"]
    assert all(each.repaired for page in found for each in page.differences)
    async with AsyncCreditClient(scripted.address) as async_client:
        assert [page.verified async for page in async_client.verify_accounts(ids(range(101)), page_size=60)] == [60, 41]


async def test_without_ids_all_accounts_are_verified_page_by_page(scripted: ScriptedService) -> None:
    more = "more"
    pages = (VerifyAccountsResponse(verified=100, next_page_token=more), VerifyAccountsResponse(verified=7))
    scripted.script("VerifyAccounts", *pages)
    with CreditClient(scripted.address) as client:
        assert list(client.verify_accounts()) == [VerifiedAccounts(100, ()), VerifiedAccounts(7, ())]
    assert scripted.requests == [
        VerifyAccountsRequest(page_size=100, page_token=page_token) for page_token in ("", more)
    ]
    async with AsyncCreditClient(scripted.address) as async_client:
        scripted.script("VerifyAccounts", *pages)
        assert [page.verified async for page in async_client.verify_accounts(page_size=10)] == [100, 7]
    assert scripted.requests[-1] == VerifyAccountsRequest(page_size=10, page_token=more)


def test_credentials_are_those_of_the_channel(start_scripted: Callable[..., ScriptedService]) -> None:
    scripted = start_scripted(credentials=grpc.local_server_credentials())
    scripted.script("GetAccount", GetAccountResponse())
    with CreditClient(scripted.address, timeout_s=PATIENCE_S, credentials=grpc.local_channel_credentials()) as client:
        assert client.get_account("a") == GetAccountResponse()
