"""Which call asked for an effect: what the two have in common, and what an answer says about it."""

from typing import TypeAlias

from creditgate.store.constants import EffectKind
from creditgate.v1.admin_service_pb2 import PutAccountRequest
from creditgate.v1.credit_service_pb2 import (
    AmendReservationRequest,
    CommitReservationRequest,
    ReleaseReservationRequest,
    ReserveCreditRequest,
)
from creditgate.v1.receivables_service_pb2 import (
    OpenItem,
    PostReceivableRequest,
    RecordCreditNoteRequest,
    RecordPaymentRequest,
)
from tests.history.calls import Imported, Request
from tests.history.readings import (
    Amended,
    AnswerReading,
    Committed,
    JournaledEffect,
    Put,
    Recorded,
    Released,
    Reserved,
)

Cause: TypeAlias = tuple[str, ...]
"""Names an effect. Several calls may name the same one: attempts at one change, or clients with the same document.

Attempts at a reservation, a release and a setting are told apart by what the journal keeps beside the change and no
decision looks at: source, reason and display name.
"""


def account_of(request: Request) -> str:
    """Return the account that a request is about."""
    return request.account.account_id if isinstance(request, PutAccountRequest) else request.account_id


def cause_of_effect(effect: JournaledEffect) -> Cause:
    """Return what an effect is known by."""
    kind, texts, happened = effect.effect.kind, effect.effect.texts, effect.happened
    if kind in {EffectKind.RESERVED, EffectKind.REJECTED}:
        return ("reserve", texts[0])
    if kind is EffectKind.RELEASED:
        return ("release", texts[1])
    if kind in {EffectKind.AMENDED, EffectKind.AMEND_REJECTED}:
        return ("amend", happened.name, happened.of)
    if kind is EffectKind.COMMITTED:
        return ("commit", happened.of)
    if happened.account is not None:
        return ("put", happened.account.display_name)
    return ("record", happened.name)


def cause_of_call(request: Request) -> Cause:
    """Return what the effect of a request will be known by; empty for one that only reads."""
    cause: Cause = ()
    match request:
        case ReserveCreditRequest():
            cause = ("reserve", request.source)
        case ReleaseReservationRequest():
            cause = ("release", request.reason)
        case AmendReservationRequest():
            cause = ("amend", request.order_id, request.request_id)
        case CommitReservationRequest():
            cause = ("commit", request.document_id)
        case PutAccountRequest():
            cause = ("put", request.account.display_name)
        case PostReceivableRequest() | RecordCreditNoteRequest() | OpenItem():
            cause = ("record", f"d:{request.document_id}")
        case RecordPaymentRequest():
            cause = ("record", f"p:{request.payment_id}")
    return cause


def subjects_of_call(request: Request) -> frozenset[str]:
    """Return the order, document and payment that a request names."""
    names = (getattr(request, name, "") for name in ("order_id", "document_id", "payment_id"))
    return frozenset(name for name in names if name)


def subjects_of_effect(effect: JournaledEffect) -> frozenset[str]:
    """Return the order, document and payment that an effect is about."""
    happened = effect.happened
    name = happened.name.partition(":")[2] if happened.order is None else happened.name
    document = happened.of if happened.entry is not None else ""
    return frozenset(each for each in (name, document) if each)


def must_have_effect(answer: AnswerReading) -> bool:
    """Return whether an answer says that its own call made a change, or a decision."""
    if isinstance(answer, Reserved | Amended | Committed | Released | Recorded):
        return not answer.replayed
    return isinstance(answer, Put)


def may_have_effect(answer: AnswerReading) -> bool:
    """Return whether an answer leaves open that its own call made a change.

    An import tells how many items it recorded, not which; a commit of a document that the ERP has posted says replayed,
    and takes it off the hold all the same.
    """
    return must_have_effect(answer) or isinstance(answer, Imported | Committed)
