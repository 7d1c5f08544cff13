"""Handlers of CreditService: order entry."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Final

from creditgate.api.context import CallContext
from creditgate.api.language import language_of
from creditgate.api.ordered import in_order
from creditgate.api.parse.credit import (
    parse_amend_reservation,
    parse_check_credit,
    parse_commit_reservation,
    parse_get_account,
    parse_get_reservation,
    parse_list_reservations,
    parse_release_reservation,
    parse_reserve_credit,
)
from creditgate.api.render import fill_account, fill_decision, fill_reservation, fill_reserved
from creditgate.api.status import render_item_status, render_status
from creditgate.domain.bounds import BATCH_SIZE_MAX
from creditgate.domain.errors import CreditError
from creditgate.domain.operations import ReserveCredit
from creditgate.domain.ports import CreditStore
from creditgate.v1.credit_service_pb2 import (
    AmendReservationRequest,
    AmendReservationResponse,
    BatchReserveCreditRequest,
    BatchReserveCreditResponse,
    CheckCreditRequest,
    CheckCreditResponse,
    CommitReservationRequest,
    CommitReservationResponse,
    GetAccountRequest,
    GetAccountResponse,
    GetReservationRequest,
    GetReservationResponse,
    ListReservationsRequest,
    ListReservationsResponse,
    ReleaseReservationRequest,
    ReleaseReservationResponse,
    ReserveCreditRequest,
    ReserveCreditResponse,
    StreamReserveCreditRequest,
    StreamReserveCreditResponse,
)

_BATCH_FIELD: Final = "requests"
_STREAM_FIELD: Final = "request"

STREAM_ORDERS_MAX: Final = 128
"""Orders of one stream that are being decided at once; no more are read until the first of them is answered."""


class CreditHandlers:
    """The RPCs that order entry calls."""

    def __init__(self, store: CreditStore) -> None:
        self._store = store

    async def check_credit(self, request: CheckCreditRequest, context: CallContext) -> CheckCreditResponse:
        """Say what would be decided."""
        decision = await self._store.run(parse_check_credit(request), context.deadline)
        response = CheckCreditResponse()
        fill_decision(response.decision, decision, partial(language_of, context))
        return response

    async def reserve_credit(self, request: ReserveCreditRequest, context: CallContext) -> ReserveCreditResponse:
        """Decide about one order and hold its exposure."""
        reserved = await self._store.run(parse_reserve_credit(request), context.deadline)
        response = ReserveCreditResponse()
        fill_reserved(response, reserved, partial(language_of, context))
        return response

    async def batch_reserve_credit(
        self, request: BatchReserveCreditRequest, context: CallContext
    ) -> BatchReserveCreditResponse:
        """Decide about many orders, independently of each other; an item that can't be parsed fails alone."""
        items = request.requests
        if not 1 <= len(items) <= BATCH_SIZE_MAX:
            raise CreditError.of_field(_BATCH_FIELD, f"must have 1 to {BATCH_SIZE_MAX} items, had {len(items)}")
        parsed = [_parse_item(item) for item in items]
        operations = [operation for operation in parsed if not isinstance(operation, CreditError)]
        answers = iter(await self._store.run_each(operations, context.deadline) if operations else ())
        response = BatchReserveCreditResponse()
        add_result = response.results.add
        speak = partial(language_of, context)
        for index, operation in enumerate(parsed):
            answer = operation if isinstance(operation, CreditError) else next(answers)
            if isinstance(answer, CreditError):
                add_result().error.CopyFrom(render_item_status(answer, f"{_BATCH_FIELD}[{index}]"))
            else:
                fill_reserved(add_result().response, answer, speak)
        return response

    async def stream_reserve_credit(
        self, requests: AsyncIterator[StreamReserveCreditRequest], context: CallContext
    ) -> AsyncGenerator[StreamReserveCreditResponse, None]:
        """Decide about a stream of orders; several are with the store at once, the answers keep their order."""
        speak = partial(language_of, context)

        async def answer(item: StreamReserveCreditRequest) -> StreamReserveCreditResponse:
            response = StreamReserveCreditResponse()
            if not item.HasField(_STREAM_FIELD):
                response.error.CopyFrom(render_status(CreditError.of_field(_STREAM_FIELD, "must be set")))
                return response
            try:
                operation = parse_reserve_credit(item.request)
                fill_reserved(response.response, await self._store.run(operation, context.item_deadline()), speak)
            except CreditError as error:
                response.error.CopyFrom(render_item_status(error, _STREAM_FIELD))
            return response

        async with aclosing(in_order(requests, answer, STREAM_ORDERS_MAX)) as responses:
            async for response in responses:
                yield response

    async def amend_reservation(
        self, request: AmendReservationRequest, context: CallContext
    ) -> AmendReservationResponse:
        """Change the total of an order that is held, or how long it is held."""
        amended = await self._store.run(parse_amend_reservation(request), context.deadline)
        response = AmendReservationResponse(replayed=amended.replayed)
        fill_decision(response.decision, amended.decision, partial(language_of, context))
        fill_reservation(response.reservation, amended.reservation, partial(language_of, context))
        return response

    async def commit_reservation(
        self, request: CommitReservationRequest, context: CallContext
    ) -> CommitReservationResponse:
        """Turn (part of) a reservation into receivable."""
        committed = await self._store.run(parse_commit_reservation(request), context.deadline)
        response = CommitReservationResponse(
            over_committed_minor=committed.over_committed_minor, late=committed.late, replayed=committed.replayed
        )
        fill_reservation(response.reservation, committed.reservation, partial(language_of, context))
        return response

    async def release_reservation(
        self, request: ReleaseReservationRequest, context: CallContext
    ) -> ReleaseReservationResponse:
        """Give back what is still held for an order."""
        released = await self._store.run(parse_release_reservation(request), context.deadline)
        response = ReleaseReservationResponse(replayed=released.replayed)
        fill_reservation(response.reservation, released.reservation, partial(language_of, context))
        return response

    async def get_reservation(self, request: GetReservationRequest, context: CallContext) -> GetReservationResponse:
        """Read one reservation."""
        reservation = await self._store.run(parse_get_reservation(request), context.deadline)
        response = GetReservationResponse()
        fill_reservation(response.reservation, reservation, partial(language_of, context))
        return response

    async def list_reservations(
        self, request: ListReservationsRequest, context: CallContext
    ) -> ListReservationsResponse:
        """Read a page of an account's reservations."""
        listing = parse_list_reservations(request)
        page = await self._store.list_reservations(*listing, context.deadline)
        response = ListReservationsResponse(next_page_token=page.next_page_token)
        speak = partial(language_of, context)
        for reservation in page.items:
            fill_reservation(response.reservations.add(), reservation, speak)
        return response

    async def get_account(self, request: GetAccountRequest, context: CallContext) -> GetAccountResponse:
        """Read one account with its exposure."""
        account = await self._store.run(parse_get_account(request), context.deadline)
        response = GetAccountResponse()
        fill_account(response.account, account)
        return response


def _parse_item(request: ReserveCreditRequest) -> ReserveCredit | CreditError:
    try:
        return parse_reserve_credit(request)
    except CreditError as error:
        return error
