"""Handlers of ReceivablesService: ERP and accounts receivable."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from creditgate.api.context import CallContext
from creditgate.api.parse.receivables import (
    parse_open_item,
    parse_post_receivable,
    parse_record_credit_note,
    parse_record_payment,
    parse_update_aging,
)
from creditgate.api.render import fill_account
from creditgate.api.status import render_status
from creditgate.domain.bounds import BATCH_SIZE_MAX, ID_LENGTH_MAX
from creditgate.domain.errors import CreditError
from creditgate.domain.operations import ImportOpenItem, Recorded
from creditgate.domain.ports import CreditStore
from creditgate.v1.receivables_service_pb2 import (
    ImportOpenItemsRequest,
    ImportOpenItemsResponse,
    ImportProgress,
    OpenItem,
    PostReceivableRequest,
    PostReceivableResponse,
    RecordCreditNoteRequest,
    RecordCreditNoteResponse,
    RecordPaymentRequest,
    RecordPaymentResponse,
    UpdateAgingRequest,
    UpdateAgingResponse,
)

_ITEMS_FIELD: Final = "items"


class ReceivablesHandlers:
    """The RPCs that accounts receivable calls."""

    def __init__(self, store: CreditStore) -> None:
        self._store = store

    async def post_receivable(self, request: PostReceivableRequest, context: CallContext) -> PostReceivableResponse:
        """Record an invoice that no reservation stands for."""
        recorded = await self._store.run(parse_post_receivable(request), context.deadline)
        response = PostReceivableResponse(replayed=recorded.replayed)
        fill_account(response.account, recorded.account)
        return response

    async def record_payment(self, request: RecordPaymentRequest, context: CallContext) -> RecordPaymentResponse:
        """Record that a customer has paid."""
        recorded = await self._store.run(parse_record_payment(request), context.deadline)
        response = RecordPaymentResponse(replayed=recorded.replayed)
        fill_account(response.account, recorded.account)
        return response

    async def record_credit_note(
        self, request: RecordCreditNoteRequest, context: CallContext
    ) -> RecordCreditNoteResponse:
        """Record a credit note."""
        recorded = await self._store.run(parse_record_credit_note(request), context.deadline)
        response = RecordCreditNoteResponse(replayed=recorded.replayed)
        fill_account(response.account, recorded.account)
        return response

    async def update_aging(self, request: UpdateAgingRequest, context: CallContext) -> UpdateAgingResponse:
        """Replace what is known of an account's overdue items."""
        updated = await self._store.run(parse_update_aging(request), context.deadline)
        response = UpdateAgingResponse(replayed=updated.replayed, ignored=updated.ignored)
        fill_account(response.account, updated.account)
        return response

    async def import_open_items(
        self, requests: AsyncIterator[ImportOpenItemsRequest], context: CallContext
    ) -> AsyncGenerator[ImportOpenItemsResponse, None]:
        """Take over open items, chunk by chunk: the next one is read when this one is answered."""
        progress = ImportProgress()
        async for request in requests:
            items = request.items
            if not 1 <= len(items) <= BATCH_SIZE_MAX:
                raise CreditError.of_field(_ITEMS_FIELD, f"must have 1 to {BATCH_SIZE_MAX} items, had {len(items)}")
            outcomes = await self._import([_parse_item(item) for item in items], context.item_deadline())
            response = ImportOpenItemsResponse()
            for index, (item, outcome) in enumerate(zip(items, outcomes, strict=True)):
                if isinstance(outcome, CreditError):
                    _add_failure(response, progress.received + index, item, outcome)
            failed = len(response.failures)
            replayed = sum(isinstance(outcome, Recorded) and outcome.replayed for outcome in outcomes)
            progress.received += len(items)
            progress.failed += failed
            progress.replayed += replayed
            progress.imported += len(items) - failed - replayed
            response.progress.CopyFrom(progress)
            yield response
        yield ImportOpenItemsResponse(progress=progress, finished=True)

    async def _import(
        self, parsed: list[ImportOpenItem | CreditError], deadline: float
    ) -> list[Recorded | CreditError]:
        operations = [operation for operation in parsed if not isinstance(operation, CreditError)]
        answers = iter(await self._store.run_each(operations, deadline) if operations else ())
        return [each if isinstance(each, CreditError) else next(answers) for each in parsed]


def _parse_item(item: OpenItem) -> ImportOpenItem | CreditError:
    try:
        return parse_open_item(item)
    except CreditError as error:
        return error


def _add_failure(response: ImportOpenItemsResponse, index: int, item: OpenItem, error: CreditError) -> None:
    failure = response.failures.add(
        index=index, account_id=item.account_id[:ID_LENGTH_MAX], document_id=item.document_id[:ID_LENGTH_MAX]
    )
    failure.error.CopyFrom(render_status(error))
