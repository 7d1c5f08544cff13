"""Handlers of ReceivablesService: ERP and accounts receivable."""

from creditgate.api.context import CallContext
from creditgate.api.parse.receivables import parse_record_payment
from creditgate.api.render import fill_account
from creditgate.domain.ports import CreditStore
from creditgate.v1.receivables_service_pb2 import RecordPaymentRequest, RecordPaymentResponse


class ReceivablesHandlers:
    """The RPCs that accounts receivable calls."""

    def __init__(self, store: CreditStore) -> None:
        self._store = store

    async def record_payment(self, request: RecordPaymentRequest, context: CallContext) -> RecordPaymentResponse:
        """Record that a customer has paid."""
        recorded = await self._store.run(parse_record_payment(request), context.deadline)
        response = RecordPaymentResponse(replayed=recorded.replayed)
        fill_account(response.account, recorded.account)
        return response
