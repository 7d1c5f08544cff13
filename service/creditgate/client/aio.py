"""The client for asyncio."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable
from contextlib import aclosing
from copy import copy
from types import TracebackType
from typing import Any, Concatenate, Self

import grpc
from grpc.aio import UnaryUnaryMultiCallable

from creditgate.client import requests
from creditgate.client.aio_push import push_limits
from creditgate.client.aio_stream import stream_orders
from creditgate.client.calls import (
    AnswerT,
    ItemT,
    P,
    PageRequestT,
    PageT,
    RequestT,
    VerifiedAccounts,
    batch_requests,
    signed_as,
    verification_requests,
    verified_accounts,
)
from creditgate.client.channel import CHANNEL_OPTIONS, DEFAULT_TARGET, DEFAULT_TIMEOUT_S, Metadata, metadata_of
from creditgate.client.errors import CreditCallError, error_of_call
from creditgate.client.limit_push import ANSWER_TIMEOUT_S, LimitPush, PushedRow
from creditgate.client.open_items import ImportRun, ImportSummary, OpenItemFailure
from creditgate.client.window import answer_of
from creditgate.domain.bounds import VERIFIED_ACCOUNTS_MAX
from creditgate.v1.admin_service_pb2_grpc import AdminServiceStub
from creditgate.v1.credit_desk_service_pb2_grpc import CreditDeskServiceStub
from creditgate.v1.credit_service_pb2 import ReserveCreditRequest, ReserveCreditResponse
from creditgate.v1.credit_service_pb2_grpc import CreditServiceStub
from creditgate.v1.limit_batch_pb2 import LimitBatch
from creditgate.v1.limit_feed_service_pb2 import LimitBatchHeader, LimitPushProgress
from creditgate.v1.limit_feed_service_pb2_grpc import LimitFeedServiceStub
from creditgate.v1.receivables_service_pb2 import OpenItem
from creditgate.v1.receivables_service_pb2_grpc import ReceivablesServiceStub


class _Stubs:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.credit = CreditServiceStub(channel)
        self.receivables = ReceivablesServiceStub(channel)
        self.desk = CreditDeskServiceStub(channel)
        self.admin = AdminServiceStub(channel)
        self.limit_feed = LimitFeedServiceStub(channel)


def _call(
    build: Callable[P, RequestT], rpc: Callable[[_Stubs], UnaryUnaryMultiCallable[RequestT, AnswerT]]
) -> "Callable[Concatenate[AsyncCreditClient, P], Coroutine[Any, Any, AnswerT]]":
    @signed_as(build)
    async def call(self: "AsyncCreditClient", /, *args: P.args, **kwargs: P.kwargs) -> AnswerT:
        return await _answer(rpc(self._stubs), build(*args, **kwargs), self.timeout_s, self._metadata)

    return call


def _listing(
    build: Callable[P, PageRequestT],
    rpc: Callable[[_Stubs], UnaryUnaryMultiCallable[PageRequestT, PageT]],
    items: Callable[[PageT], Iterable[ItemT]],
) -> "Callable[Concatenate[AsyncCreditClient, P], AsyncIterator[ItemT]]":
    @signed_as(build)
    async def listing(self: "AsyncCreditClient", /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[ItemT]:
        request = build(*args, **kwargs)
        while True:
            page = await _answer(rpc(self._stubs), request, self.timeout_s, self._metadata)
            for item in items(page):
                yield item
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    return listing


async def _answer(
    rpc: UnaryUnaryMultiCallable[RequestT, AnswerT], request: RequestT, timeout_s: float, metadata: Metadata
) -> AnswerT:
    try:
        return await rpc(request, timeout=timeout_s, metadata=metadata)
    except grpc.aio.AioRpcError as error:
        raise error_of_call(error) from error


class AsyncCreditClient:
    """Asks a creditgate service from asyncio code; `CreditClient` has the same methods for blocking code.

    Every call returns the response message of its RPC and raises `CreditCallError` for a fault. A call that ends with
    UNAVAILABLE is made again within its deadline, up to five times in all: every call is safe to repeat.

    Args:
        target: where the service listens.
        timeout_s: deadline of each call, repeats included.
        credentials: for TLS; None: plain text, for a service on the same machine or behind a proxy that ends TLS.
        language: what the sentences of decisions are to be in, as `Accept-Language` has it: `zh-CN, en;q=0.5`; empty:
            English.

    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        credentials: grpc.ChannelCredentials | None = None,
        language: str = "",
    ) -> None:
        self.timeout_s = timeout_s
        self._metadata = metadata_of(language)
        self._channel = (
            grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)
            if credentials is None
            else grpc.aio.secure_channel(target, credentials, options=CHANNEL_OPTIONS)
        )
        self._stubs = _Stubs(self._channel)

    def with_timeout(self, timeout_s: float) -> Self:
        """Return a client of the same connection whose calls have another deadline."""
        client = copy(self)
        client.timeout_s = timeout_s
        return client

    async def close(self) -> None:
        """Close the connection; calls under way are cancelled."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    check_credit = _call(requests.check_credit, lambda stubs: stubs.credit.CheckCredit)
    reserve_credit = _call(requests.reserve_credit, lambda stubs: stubs.credit.ReserveCredit)
    amend_reservation = _call(requests.amend_reservation, lambda stubs: stubs.credit.AmendReservation)
    commit_reservation = _call(requests.commit_reservation, lambda stubs: stubs.credit.CommitReservation)
    release_reservation = _call(requests.release_reservation, lambda stubs: stubs.credit.ReleaseReservation)
    get_reservation = _call(requests.get_reservation, lambda stubs: stubs.credit.GetReservation)
    list_reservations = _listing(
        requests.list_reservations, lambda stubs: stubs.credit.ListReservations, lambda page: page.reservations
    )
    get_account = _call(requests.get_account, lambda stubs: stubs.credit.GetAccount)
    record_payment = _call(requests.record_payment, lambda stubs: stubs.receivables.RecordPayment)
    post_receivable = _call(requests.post_receivable, lambda stubs: stubs.receivables.PostReceivable)
    record_credit_note = _call(requests.record_credit_note, lambda stubs: stubs.receivables.RecordCreditNote)
    update_aging = _call(requests.update_aging, lambda stubs: stubs.receivables.UpdateAging)
    put_account = _call(requests.put_account, lambda stubs: stubs.admin.PutAccount)
    close_account = _call(requests.close_account, lambda stubs: stubs.admin.CloseAccount)
    list_accounts = _listing(requests.list_accounts, lambda stubs: stubs.admin.ListAccounts, lambda page: page.accounts)
    put_group = _call(requests.put_group, lambda stubs: stubs.admin.PutGroup)
    get_group = _call(requests.get_group, lambda stubs: stubs.admin.GetGroup)
    list_groups = _listing(requests.list_groups, lambda stubs: stubs.admin.ListGroups, lambda page: page.groups)
    put_exchange_rates = _call(requests.put_exchange_rates, lambda stubs: stubs.admin.PutExchangeRates)
    get_policy = _call(requests.get_policy, lambda stubs: stubs.admin.GetPolicy)
    block_account = _call(requests.block_account, lambda stubs: stubs.desk.BlockAccount)
    unblock_account = _call(requests.unblock_account, lambda stubs: stubs.desk.UnblockAccount)
    set_manual_limit = _call(requests.set_manual_limit, lambda stubs: stubs.desk.SetManualLimit)
    clear_manual_limit = _call(requests.clear_manual_limit, lambda stubs: stubs.desk.ClearManualLimit)
    set_temporary_limit = _call(requests.set_temporary_limit, lambda stubs: stubs.desk.SetTemporaryLimit)
    clear_temporary_limit = _call(requests.clear_temporary_limit, lambda stubs: stubs.desk.ClearTemporaryLimit)
    get_limit_batch = _call(requests.get_limit_batch, lambda stubs: stubs.limit_feed.GetLimitBatch)
    list_limit_batches = _listing(
        requests.list_limit_batches, lambda stubs: stubs.limit_feed.ListLimitBatches, lambda page: page.batches
    )
    activate_limit_batch = _call(requests.activate_limit_batch, lambda stubs: stubs.limit_feed.ActivateLimitBatch)
    cancel_limit_batch = _call(requests.cancel_limit_batch, lambda stubs: stubs.limit_feed.CancelLimitBatch)
    rollback_limit_batch = _call(requests.rollback_limit_batch, lambda stubs: stubs.limit_feed.RollbackLimitBatch)

    async def batch_reserve_credit(
        self, orders: Iterable[ReserveCreditRequest]
    ) -> AsyncIterator[ReserveCreditResponse | CreditCallError]:
        """Decide about any number of orders, in calls of up to 1000, each with the client's deadline.

        Yields an answer or an error for each order, in their order. Raises `CreditCallError` when a whole call fails:
        what was yielded until then stands, and the rest may be asked again. An error names its fields as
        `requests[i].field`, where i counts within its call.

        Args:
            orders: built by `creditgate.client.reserve_credit_request`; drawn as they are sent.

        """
        for request in batch_requests(orders):
            response = await _answer(self._stubs.credit.BatchReserveCredit, request, self.timeout_s, self._metadata)
            for result in response.results:
                yield answer_of(result)

    async def stream_reserve_credit(
        self, orders: Iterable[ReserveCreditRequest] | AsyncIterable[ReserveCreditRequest]
    ) -> AsyncIterator[ReserveCreditResponse | CreditCallError]:
        """Decide about orders as they come, over one stream; an order is answered without waiting for the next one.

        Yields an answer or an error for each order, in their order. When the stream breaks, another one is opened and
        what is not answered is sent again: up to five times in a row, and no longer than the client's deadline. Raises
        `CreditCallError` when that is in vain, or an answer takes longer than the client's deadline: what was yielded
        until then stands, and the rest may be asked again.

        Args:
            orders: built by `creditgate.client.reserve_credit_request`; drawn in the event loop, where an iterable that
                is not asynchronous must not block. At most 128 are drawn and not answered. What drawing raises comes
                out once the orders before are answered.

        """
        rpc = self._stubs.credit.StreamReserveCredit
        async with aclosing(stream_orders(rpc, orders, self.timeout_s, self._metadata)) as answers:
            async for answer in answers:
                yield answer

    async def import_open_items(
        self,
        items: Iterable[OpenItem],
        *,
        on_progress: Callable[[ImportSummary], object] | None = None,
        on_failure: Callable[[OpenItemFailure], object] | None = None,
    ) -> ImportSummary:
        """Take over open items, as the first load from an ERP does, in chunks of up to 1000.

        Items are independent, and may be sent again: an item that is there already is a replay. A chunk whose service
        is away, or that is not answered within the client's deadline, is sent again, up to eight times within some
        seconds; so are the items that could not be carried out because the store, or a part of it, was away. Raises
        `CreditCallError` when no item of a chunk could be carried out in all that time: what was imported until then
        stands, and everything may be sent again.

        Args:
            items: built by `creditgate.client.open_item`; drawn as they are sent.
            on_progress: is called after each answer with the summary so far, which goes on changing.
            on_failure: is called with each item that could not be taken over.

        """
        run = ImportRun(items, on_progress, on_failure)
        while (request := run.next_chunk()) is not None:
            try:
                call = self._stubs.receivables.ImportOpenItems(iter((request,)), timeout=self.timeout_s)
                responses = [response async for response in call]
            except grpc.aio.AioRpcError as error:
                wait_s = run.not_answered(error_of_call(error))
            else:
                wait_s = run.answered(responses)
            await asyncio.sleep(wait_s)
        return run.summary

    async def push_limits(
        self,
        rows: Iterable[PushedRow] | AsyncIterable[PushedRow],
        header: LimitBatchHeader,
        *,
        on_progress: Callable[[LimitPushProgress], object] | None = None,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> LimitBatch:
        """Send a batch of limits, and return it as it has ended up, with its report and its rows' errors.

        Rows are sent no further ahead of what the service keeps than twenty thousand. When the stream breaks, another
        one goes on behind the rows that are kept: up to eight times in a row. A batch that an earlier process has begun
        is sent again from its first row on, and the service passes over what it has. A quarantined or failed batch is
        an answer, too: look at its `state`. Raises `CreditCallError` when another stream is in vain, the service takes
        longer than `answer_timeout_s`, or the batch is refused. Whatever happens, pushing the same batch again is safe.

        Args:
            rows: built by `creditgate.client.limit_update`, or `unreadable_row` for what could not be read; drawn as
                they are sent, in the event loop, where an iterable that is not
                asynchronous must not block.
            header: built by `creditgate.client.limit_batch_header`.
            on_progress: is called with each answer about how far the batch is.
            answer_timeout_s: how long the service may take for its next answer, in seconds.

        """
        rpc, push = self._stubs.limit_feed.PushLimits, LimitPush(header, on_progress)
        return await push_limits(rpc, rows, push, answer_timeout_s, self._metadata)

    async def verify_accounts(
        self, account_ids: Iterable[str] = (), *, repair: bool = False, page_size: int = VERIFIED_ACCOUNTS_MAX
    ) -> AsyncIterator[VerifiedAccounts]:
        """Recompute the sums of accounts while orders run, and yield what was found, call by call.

        Args:
            account_ids: the accounts; empty: all accounts.
            repair: put sums right that differ.
            page_size: most accounts in one call, up to 100; fewer where accounts are so large that a call takes long.

        """
        for request in verification_requests(account_ids, repair=repair, page_size=page_size):
            while True:
                page = await _answer(self._stubs.admin.VerifyAccounts, request, self.timeout_s, self._metadata)
                yield verified_accounts(page)
                if not page.next_page_token:
                    break
                request.page_token = page.next_page_token
