"""Every RPC with its messages and its handler: all that a host needs to serve the contract."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from creditgate.api.admin import AdminHandlers
from creditgate.api.context import CallContext
from creditgate.api.credit import CreditHandlers
from creditgate.api.receivables import ReceivablesHandlers
from creditgate.domain.ports import CreditStore
from creditgate.v1 import admin_service_pb2 as admin
from creditgate.v1 import credit_service_pb2 as credit
from creditgate.v1 import receivables_service_pb2 as receivables

# A handler takes exactly the message class of its endpoint, which the type of a table of different ones can't say.
Handler = Callable[[Any, CallContext], Awaitable[Message]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One unary RPC. `service` is the full name, `creditgate.v1.CreditService`."""

    service: str
    method: str
    request_class: type[Message]
    response_class: type[Message]
    handler: Handler

    @property
    def full_name(self) -> str:
        """The RPC's name within the contract, `creditgate.v1.CreditService/ReserveCredit`."""
        return f"{self.service}/{self.method}"


def build_endpoints(store: CreditStore) -> tuple[Endpoint, ...]:
    """Return the endpoints of all services, served from a store."""
    return (
        *_credit_endpoints(CreditHandlers(store)),
        *_receivables_endpoints(ReceivablesHandlers(store)),
        *_admin_endpoints(AdminHandlers(store)),
    )


def _endpoint(service: str, request_class: type[Message], response_class: type[Message], handler: Handler) -> Endpoint:
    """Return an endpoint; each RPC X has its own XRequest, so that the method's name stands in the class."""
    method = request_class.DESCRIPTOR.name.removesuffix("Request")
    return Endpoint(f"creditgate.v1.{service}", method, request_class, response_class, handler)


def _credit_endpoints(handlers: CreditHandlers) -> tuple[Endpoint, ...]:
    service = "CreditService"
    return (
        _endpoint(service, credit.CheckCreditRequest, credit.CheckCreditResponse, handlers.check_credit),
        _endpoint(service, credit.ReserveCreditRequest, credit.ReserveCreditResponse, handlers.reserve_credit),
        _endpoint(
            service, credit.BatchReserveCreditRequest, credit.BatchReserveCreditResponse, handlers.batch_reserve_credit
        ),
        _endpoint(
            service, credit.CommitReservationRequest, credit.CommitReservationResponse, handlers.commit_reservation
        ),
        _endpoint(
            service, credit.ReleaseReservationRequest, credit.ReleaseReservationResponse, handlers.release_reservation
        ),
        _endpoint(service, credit.GetReservationRequest, credit.GetReservationResponse, handlers.get_reservation),
        _endpoint(service, credit.ListReservationsRequest, credit.ListReservationsResponse, handlers.list_reservations),
        _endpoint(service, credit.GetAccountRequest, credit.GetAccountResponse, handlers.get_account),
    )


def _receivables_endpoints(handlers: ReceivablesHandlers) -> tuple[Endpoint, ...]:
    service = "ReceivablesService"
    return (
        _endpoint(
            service, receivables.RecordPaymentRequest, receivables.RecordPaymentResponse, handlers.record_payment
        ),
    )


def _admin_endpoints(handlers: AdminHandlers) -> tuple[Endpoint, ...]:
    service = "AdminService"
    return (
        _endpoint(service, admin.PutAccountRequest, admin.PutAccountResponse, handlers.put_account),
        _endpoint(service, admin.CloseAccountRequest, admin.CloseAccountResponse, handlers.close_account),
        _endpoint(service, admin.ListAccountsRequest, admin.ListAccountsResponse, handlers.list_accounts),
    )
