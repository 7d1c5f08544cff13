"""Requests of ReceivablesService."""

from creditgate.api.parse.fields import (
    Violations,
    check_amount,
    check_currency,
    check_disputed,
    check_id,
    check_open_amount,
    raise_violations,
    read_due_date,
    read_time_ms,
)
from creditgate.domain.errors import FieldViolation
from creditgate.domain.operations import ImportOpenItem, PostReceivable, RecordCreditNote, RecordPayment, UpdateAging
from creditgate.v1.receivables_service_pb2 import (
    OpenItem,
    PostReceivableRequest,
    RecordCreditNoteRequest,
    RecordPaymentRequest,
    UpdateAgingRequest,
)


def parse_post_receivable(request: PostReceivableRequest) -> PostReceivable:
    """Return the operation, or raise INVALID_FIELD."""
    _check_document(request)
    return PostReceivable(request.account_id, request.document_id, request.amount_minor, request.currency_code)


def parse_record_payment(request: RecordPaymentRequest) -> RecordPayment:
    """Return the operation, or raise INVALID_FIELD."""
    found: Violations = []
    check_id(found, "account_id", request.account_id)
    check_id(found, "payment_id", request.payment_id)
    check_amount(found, "amount_minor", request.amount_minor)
    check_currency(found, "currency_code", request.currency_code)
    raise_violations(found)
    return RecordPayment(request.account_id, request.payment_id, request.amount_minor, request.currency_code)


def parse_record_credit_note(request: RecordCreditNoteRequest) -> RecordCreditNote:
    """Return the operation, or raise INVALID_FIELD."""
    _check_document(request)
    return RecordCreditNote(request.account_id, request.document_id, request.amount_minor, request.currency_code)


def parse_open_item(item: OpenItem) -> ImportOpenItem:
    """Return the operation, or raise INVALID_FIELD."""
    found: Violations = []
    check_id(found, "account_id", item.account_id)
    check_id(found, "document_id", item.document_id)
    check_open_amount(found, "amount_minor", item.amount_minor)
    check_currency(found, "currency_code", item.currency_code)
    raise_violations(found)
    return ImportOpenItem(item.account_id, item.document_id, item.amount_minor, item.currency_code)


def parse_update_aging(request: UpdateAgingRequest) -> UpdateAging:
    """Return the operation, or raise INVALID_FIELD."""
    found: Violations = []
    overdue_minor, disputed_minor = request.overdue_minor, request.disputed_minor
    check_id(found, "account_id", request.account_id)
    check_amount(found, "overdue_minor", overdue_minor, least_minor=0)
    check_disputed(found, "disputed_minor", disputed_minor, overdue_minor)
    due_date = read_due_date(found, "oldest_due_date", request.oldest_due_date)
    if due_date is not None and overdue_minor == 0:
        found.append(FieldViolation("oldest_due_date", "must be empty when overdue_minor is 0"))
    as_of_ms = read_time_ms(found, "as_of", request.as_of if request.HasField("as_of") else None)
    raise_violations(found)
    return UpdateAging(request.account_id, overdue_minor, disputed_minor, due_date, as_of_ms)


def _check_document(request: PostReceivableRequest | RecordCreditNoteRequest) -> None:
    found: Violations = []
    check_id(found, "account_id", request.account_id)
    check_id(found, "document_id", request.document_id)
    check_amount(found, "amount_minor", request.amount_minor)
    check_currency(found, "currency_code", request.currency_code)
    raise_violations(found)
