"""Every RPC with its messages and its handler: all that a host needs to serve the contract."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from google.protobuf.message import Message

from creditgate.api.admin import AdminHandlers
from creditgate.api.context import CallContext
from creditgate.api.credit import CreditHandlers
from creditgate.api.desk import DeskHandlers
from creditgate.api.limit_feed import LimitFeedHandlers
from creditgate.api.receivables import ReceivablesHandlers
from creditgate.domain.ports import CreditStore, PolicySource
from creditgate.limit_feed import LimitFeed
from creditgate.v1 import admin_service_pb2 as admin
from creditgate.v1 import credit_desk_service_pb2 as desk
from creditgate.v1 import credit_service_pb2 as credit
from creditgate.v1 import limit_feed_service_pb2 as limit_feed
from creditgate.v1 import receivables_service_pb2 as receivables

HandlerT = TypeVar("HandlerT")

_CREDIT: Final = "CreditService"
_RECEIVABLES: Final = "ReceivablesService"
_LIMIT_FEED: Final = "LimitFeedService"
_DESK: Final = "CreditDeskService"
_ADMIN: Final = "AdminService"

_READING_VERBS: Final = ("Check", "Get", "List")

# A handler takes exactly the message class of its endpoint, which the type of a table of different ones can't say.
Handler = Callable[[Any, CallContext], Awaitable[Message]]
StreamHandler = Callable[[Any, CallContext], AsyncGenerator[Message, None]]


@dataclass(frozen=True)
class Endpoint(Generic[HandlerT]):
    """One RPC. `service` is the full name, `creditgate.v1.CreditService`."""

    service: str
    method: str
    request_class: type[Message]
    response_class: type[Message]
    handler: HandlerT

    @property
    def full_name(self) -> str:
        """The RPC's name within the contract, `creditgate.v1.CreditService/ReserveCredit`."""
        return f"{self.service}/{self.method}"

    @property
    def only_reads(self) -> bool:
        """Whether it can change nothing, as the contract's names say."""
        return self.method.startswith(_READING_VERBS)


UnaryEndpoint = Endpoint[Handler]
"""A request, a response."""

StreamEndpoint = Endpoint[StreamHandler]
"""A stream of requests, a stream of responses."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Every RPC of the contract."""

    unary: tuple[UnaryEndpoint, ...]
    streams: tuple[StreamEndpoint, ...] = ()

    @property
    def services(self) -> tuple[str, ...]:
        """The full names of all services."""
        of_unary = [endpoint.service for endpoint in self.unary]
        return tuple(dict.fromkeys([*of_unary, *(endpoint.service for endpoint in self.streams)]))


def build_endpoints(store: CreditStore, policy: PolicySource, feed: LimitFeed) -> Endpoints:
    """Return the endpoints of all services, served from a store that decides by a policy, and from the limit feed."""
    order_entry, accounts_receivable, scoring, set_up = (
        CreditHandlers(store),
        ReceivablesHandlers(store),
        LimitFeedHandlers(feed),
        AdminHandlers(store, policy),
    )
    return Endpoints(
        (
            *_credit_endpoints(order_entry),
            *_receivables_endpoints(accounts_receivable),
            *_limit_feed_endpoints(scoring),
            *_desk_endpoints(DeskHandlers(store)),
            *_admin_endpoints(set_up),
        ),
        (
            _endpoint(
                _CREDIT,
                credit.StreamReserveCreditRequest,
                credit.StreamReserveCreditResponse,
                order_entry.stream_reserve_credit,
            ),
            _endpoint(
                _RECEIVABLES,
                receivables.ImportOpenItemsRequest,
                receivables.ImportOpenItemsResponse,
                accounts_receivable.import_open_items,
            ),
            _endpoint(_LIMIT_FEED, limit_feed.PushLimitsRequest, limit_feed.PushLimitsResponse, scoring.push_limits),
        ),
    )


def _endpoint(
    service: str, request_class: type[Message], response_class: type[Message], handler: HandlerT
) -> Endpoint[HandlerT]:
    """Return an endpoint; each RPC X has its own XRequest, so that the method's name stands in the class."""
    method = request_class.DESCRIPTOR.name.removesuffix("Request")
    return Endpoint(f"creditgate.v1.{service}", method, request_class, response_class, handler)


def _credit_endpoints(handlers: CreditHandlers) -> tuple[UnaryEndpoint, ...]:
    return (
        _endpoint(_CREDIT, credit.CheckCreditRequest, credit.CheckCreditResponse, handlers.check_credit),
        _endpoint(_CREDIT, credit.ReserveCreditRequest, credit.ReserveCreditResponse, handlers.reserve_credit),
        _endpoint(
            _CREDIT, credit.BatchReserveCreditRequest, credit.BatchReserveCreditResponse, handlers.batch_reserve_credit
        ),
        _endpoint(_CREDIT, credit.AmendReservationRequest, credit.AmendReservationResponse, handlers.amend_reservation),
        _endpoint(
            _CREDIT, credit.CommitReservationRequest, credit.CommitReservationResponse, handlers.commit_reservation
        ),
        _endpoint(
            _CREDIT, credit.ReleaseReservationRequest, credit.ReleaseReservationResponse, handlers.release_reservation
        ),
        _endpoint(_CREDIT, credit.GetReservationRequest, credit.GetReservationResponse, handlers.get_reservation),
        _endpoint(_CREDIT, credit.ListReservationsRequest, credit.ListReservationsResponse, handlers.list_reservations),
        _endpoint(_CREDIT, credit.GetAccountRequest, credit.GetAccountResponse, handlers.get_account),
    )


def _receivables_endpoints(handlers: ReceivablesHandlers) -> tuple[UnaryEndpoint, ...]:
    return (
        _endpoint(
            _RECEIVABLES,
            receivables.PostReceivableRequest,
            receivables.PostReceivableResponse,
            handlers.post_receivable,
        ),
        _endpoint(
            _RECEIVABLES, receivables.RecordPaymentRequest, receivables.RecordPaymentResponse, handlers.record_payment
        ),
        _endpoint(
            _RECEIVABLES,
            receivables.RecordCreditNoteRequest,
            receivables.RecordCreditNoteResponse,
            handlers.record_credit_note,
        ),
        _endpoint(_RECEIVABLES, receivables.UpdateAgingRequest, receivables.UpdateAgingResponse, handlers.update_aging),
    )


def _limit_feed_endpoints(handlers: LimitFeedHandlers) -> tuple[UnaryEndpoint, ...]:
    return (
        _endpoint(
            _LIMIT_FEED, limit_feed.GetLimitBatchRequest, limit_feed.GetLimitBatchResponse, handlers.get_limit_batch
        ),
        _endpoint(
            _LIMIT_FEED,
            limit_feed.ListLimitBatchesRequest,
            limit_feed.ListLimitBatchesResponse,
            handlers.list_limit_batches,
        ),
        _endpoint(
            _LIMIT_FEED,
            limit_feed.ActivateLimitBatchRequest,
            limit_feed.ActivateLimitBatchResponse,
            handlers.activate_limit_batch,
        ),
        _endpoint(
            _LIMIT_FEED,
            limit_feed.CancelLimitBatchRequest,
            limit_feed.CancelLimitBatchResponse,
            handlers.cancel_limit_batch,
        ),
        _endpoint(
            _LIMIT_FEED,
            limit_feed.RollbackLimitBatchRequest,
            limit_feed.RollbackLimitBatchResponse,
            handlers.rollback_limit_batch,
        ),
    )


def _desk_endpoints(handlers: DeskHandlers) -> tuple[UnaryEndpoint, ...]:
    return (
        _endpoint(_DESK, desk.BlockAccountRequest, desk.BlockAccountResponse, handlers.block_account),
        _endpoint(_DESK, desk.UnblockAccountRequest, desk.UnblockAccountResponse, handlers.unblock_account),
        _endpoint(_DESK, desk.SetManualLimitRequest, desk.SetManualLimitResponse, handlers.set_manual_limit),
        _endpoint(_DESK, desk.ClearManualLimitRequest, desk.ClearManualLimitResponse, handlers.clear_manual_limit),
        _endpoint(_DESK, desk.SetTemporaryLimitRequest, desk.SetTemporaryLimitResponse, handlers.set_temporary_limit),
        _endpoint(
            _DESK, desk.ClearTemporaryLimitRequest, desk.ClearTemporaryLimitResponse, handlers.clear_temporary_limit
        ),
    )


def _admin_endpoints(handlers: AdminHandlers) -> tuple[UnaryEndpoint, ...]:
    return (
        _endpoint(_ADMIN, admin.PutAccountRequest, admin.PutAccountResponse, handlers.put_account),
        _endpoint(_ADMIN, admin.CloseAccountRequest, admin.CloseAccountResponse, handlers.close_account),
        _endpoint(_ADMIN, admin.ListAccountsRequest, admin.ListAccountsResponse, handlers.list_accounts),
        _endpoint(_ADMIN, admin.PutGroupRequest, admin.PutGroupResponse, handlers.put_group),
        _endpoint(_ADMIN, admin.GetGroupRequest, admin.GetGroupResponse, handlers.get_group),
        _endpoint(_ADMIN, admin.ListGroupsRequest, admin.ListGroupsResponse, handlers.list_groups),
        _endpoint(_ADMIN, admin.PutExchangeRatesRequest, admin.PutExchangeRatesResponse, handlers.put_exchange_rates),
        _endpoint(_ADMIN, admin.GetPolicyRequest, admin.GetPolicyResponse, handlers.get_policy),
        _endpoint(_ADMIN, admin.VerifyAccountsRequest, admin.VerifyAccountsResponse, handlers.verify_accounts),
    )
