"""Requests of ReceivablesService."""

from creditgate.api.parse.fields import Violations, check_amount, check_currency, check_id, raise_violations
from creditgate.domain.operations import RecordPayment
from creditgate.v1.receivables_service_pb2 import RecordPaymentRequest


def parse_record_payment(request: RecordPaymentRequest) -> RecordPayment:
    """Return the operation, or raise INVALID_FIELD."""
    found: Violations = []
    check_id(found, "account_id", request.account_id)
    check_id(found, "payment_id", request.payment_id)
    check_amount(found, "amount_minor", request.amount_minor)
    check_currency(found, "currency_code", request.currency_code)
    raise_violations(found)
    return RecordPayment(request.account_id, request.payment_id, request.amount_minor, request.currency_code)
