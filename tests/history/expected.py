"""What each request must do and answer, given the account and the store's clock.

Written from the protos and the design alone, for orders in the account's currency under a policy that rejects whatever
a rule finds. What a request does is returned as the effect that the journal must show, and not carried out: the journal
says what came when.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from creditgate.store.constants import EffectKind, LedgerKind
from creditgate.v1.admin_service_pb2 import PutAccountRequest
from creditgate.v1.credit_service_pb2 import (
    AmendReservationRequest,
    CommitReservationRequest,
    GetAccountRequest,
    GetReservationRequest,
    ReleaseReservationRequest,
    ReserveCreditRequest,
)
from creditgate.v1.decision_pb2 import OUTCOME_APPROVED, OUTCOME_REJECTED
from creditgate.v1.receivables_service_pb2 import (
    OpenItem,
    PostReceivableRequest,
    RecordCreditNoteRequest,
    RecordPaymentRequest,
)
from tests.history.account import (
    COMMITTED,
    EXPIRED,
    HELD,
    REJECTED,
    RELEASED,
    ExpectedAccount,
    end_of_hold,
    etag_of,
    held_for,
    net,
    reservation_reads,
    state_at,
)
from tests.history.calls import Imported, Request
from tests.history.readings import (
    MS_PER_S,
    Amended,
    AmendReading,
    AnswerReading,
    Committed,
    EntryReading,
    Happened,
    OrderReading,
    Put,
    Recorded,
    Refused,
    Released,
    Reserved,
)


class Expected(NamedTuple):
    """What a request must answer, and the effect it must have; None: it changes nothing."""

    answer: AnswerReading
    happened: Happened | None = None


def expect(account: ExpectedAccount, request: Request, now_ms: int) -> Expected:
    """Return what a request must do and answer at an instant of the store's clock."""
    if isinstance(request, PutAccountRequest):
        return _put(account, request, now_ms)
    if not account.exists:
        return Expected(Refused("ACCOUNT_NOT_FOUND"))
    return _EXPECTATIONS[type(request)](account, request, now_ms)


def _put(account: ExpectedAccount, request: PutAccountRequest, now_ms: int) -> Expected:
    written = request.account
    paths = request.update_mask.paths
    put = account.reads(now_ms // MS_PER_S)
    if "display_name" in paths:
        put = put._replace(display_name=written.display_name)
    if "base_limit_minor" in paths:
        put = put._replace(limit_minor=written.base_limit_minor)
    if "unlimited" in paths:
        put = put._replace(unlimited=written.unlimited)
    return Expected(Put(put, not account.exists), Happened(EffectKind.ACCOUNT_CHANGED, account=put))


def _reserve(account: ExpectedAccount, request: ReserveCreditRequest, now_ms: int) -> Expected:
    now_s = now_ms // MS_PER_S
    amount_minor, secured_minor = request.amount_minor, request.secured_minor
    known = account.orders.get(request.order_id)
    if known is not None and state_at(known, now_s) != EXPIRED:
        first = (known.first_amount_minor, known.secured_minor, known.terms_days)
        if first != (amount_minor, secured_minor, request.payment_terms_days):
            return Expected(Refused("ORDER_EXISTS_WITH_DIFFERENT_DETAILS"))
        kept = reservation_reads(request.order_id, known, now_s)
        return Expected(Reserved(known.decision, kept, replayed=True))
    committed_minor = known.committed_minor if known is not None else 0
    if known is not None and committed_minor and secured_minor != known.secured_minor:
        return Expected(Refused("ORDER_EXISTS_WITH_DIFFERENT_DETAILS"))
    added_minor = held_for(max(amount_minor, committed_minor), committed_minor, secured_minor)
    decision = account.judge(added_minor, now_ms)
    held = decision.outcome == OUTCOME_APPROVED and amount_minor > committed_minor
    state = HELD if held else COMMITTED if decision.outcome == OUTCOME_APPROVED else REJECTED
    order = OrderReading(
        state,
        request.payment_terms_days,
        known.revision + 1 if known is not None else 1,
        amount_minor,
        amount_minor,
        secured_minor,
        committed_minor,
        added_minor if held else 0,
        end_of_hold(now_ms, request.hold_duration.seconds) if held else 0,
        decision,
    )
    if state == REJECTED:
        rejected = Happened(EffectKind.REJECTED, request.order_id, sums=account.sums(now_s), order=order)
        return Expected(Reserved(decision, None, replayed=False), rejected)
    happened = Happened(EffectKind.RESERVED, request.order_id, sums=account.sums(now_s, order.held_minor), order=order)
    kept = reservation_reads(request.order_id, order, now_s)
    return Expected(Reserved(decision, kept, replayed=False), happened)


def _etag_fault(etag: str, order: OrderReading) -> Refused | None:
    return Refused("ETAG_MISMATCH") if etag and etag != etag_of(order) else None


def _amend(account: ExpectedAccount, request: AmendReservationRequest, now_ms: int) -> Expected:
    now_s = now_ms // MS_PER_S
    order_id, order = request.order_id, account.orders.get(request.order_id)
    if order is None:
        return Expected(Refused("RESERVATION_NOT_FOUND"))
    hold_s = request.hold_duration.seconds
    done = account.amends.get((order_id, request.request_id))
    if done is not None:
        if (done.amount_minor, done.hold_s) != (request.amount_minor, hold_s):
            return Expected(Refused("REQUEST_EXISTS_WITH_DIFFERENT_DETAILS"))
        return Expected(Amended(done.decision, reservation_reads(order_id, order, now_s), replayed=True))
    fault = _etag_fault(request.etag, order) or (
        Refused("RESERVATION_NOT_HELD") if state_at(order, now_s) != HELD else None
    )
    if fault is not None:
        return Expected(fault)
    total_minor = max(request.amount_minor, order.committed_minor)
    held_minor = held_for(total_minor, order.committed_minor, order.secured_minor)
    more_minor = held_minor - order.held_minor
    decision = account.judge(more_minor, now_ms, judged=more_minor > 0)
    amend = AmendReading(request.amount_minor, hold_s, decision)
    if decision.outcome == OUTCOME_REJECTED:
        rejected = Happened(
            EffectKind.AMEND_REJECTED, order_id, request.request_id, account.sums(now_s), order, amend=amend
        )
        return Expected(Amended(decision, reservation_reads(order_id, order, now_s), replayed=False), rejected)
    invoiced = order.committed_minor >= request.amount_minor
    amended = order._replace(
        state=COMMITTED if invoiced else HELD,
        revision=order.revision + 1,
        amount_minor=request.amount_minor,
        held_minor=held_minor,
        expire_s=end_of_hold(now_ms, hold_s) if hold_s and not invoiced else order.expire_s,
    )
    sums = account.sums(now_s, more_minor)
    happened = Happened(EffectKind.AMENDED, order_id, request.request_id, sums, amended, amend=amend)
    return Expected(Amended(decision, reservation_reads(order_id, amended, now_s), replayed=False), happened)


def _commit(account: ExpectedAccount, request: CommitReservationRequest, now_ms: int) -> Expected:
    now_s = now_ms // MS_PER_S
    order_id, order = request.order_id, account.orders.get(request.order_id)
    if order is None:
        return Expected(Refused("RESERVATION_NOT_FOUND"))
    amount_minor = request.amount_minor
    posted = account.entries.get(f"d:{request.document_id}")
    if posted is not None and posted.kind == LedgerKind.COMMIT:
        if (posted.order_id, posted.amount_minor, posted.final) != (order_id, amount_minor, request.final):
            return Expected(Refused("DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS"))
        kept = reservation_reads(order_id, order, now_s)
        return Expected(Committed(kept, posted.over_committed_minor, posted.late, replayed=True))
    if posted is not None and posted.amount_minor != amount_minor:
        return Expected(Refused("DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS"))
    late = state_at(order, now_s) != HELD
    committed_minor = order.committed_minor + amount_minor
    ends = late or request.final or committed_minor >= order.amount_minor
    held_minor = 0 if ends else held_for(order.amount_minor, committed_minor, order.secured_minor)
    over_minor = max(0, committed_minor - order.amount_minor) - max(0, order.committed_minor - order.amount_minor)
    change_minor = net(committed_minor, order.secured_minor) - net(order.committed_minor, order.secured_minor)
    committed = order._replace(
        state=COMMITTED if ends else HELD,
        revision=order.revision + 1,
        committed_minor=committed_minor,
        held_minor=held_minor,
    )
    entry = EntryReading(
        LedgerKind.COMMIT,
        late,
        request.final,
        posted is not None,
        amount_minor,
        change_minor,
        over_minor,
        order_id,
    )
    # What the ERP has posted already is owed as that document; the commit's own split replaces it.
    posted_change, posted_amount = (posted.change_minor, posted.amount_minor) if posted is not None else (0, 0)
    sums = account.sums(
        now_s,
        0 if late else held_minor - order.held_minor,
        change_minor - posted_change,
        (amount_minor - change_minor) - (posted_amount - posted_change),
    )
    happened = Happened(EffectKind.COMMITTED, order_id, request.document_id, sums, committed, entry)
    kept = reservation_reads(order_id, committed, now_s)
    return Expected(Committed(kept, over_minor, late, replayed=posted is not None), happened)


def _release(account: ExpectedAccount, request: ReleaseReservationRequest, now_ms: int) -> Expected:
    now_s = now_ms // MS_PER_S
    order_id, order = request.order_id, account.orders.get(request.order_id)
    if order is None:
        return Expected(Refused("RESERVATION_NOT_FOUND"))
    state = state_at(order, now_s)
    if state == RELEASED:
        return Expected(Released(reservation_reads(order_id, order, now_s), replayed=True))
    fault = _etag_fault(request.etag, order) or (Refused("RESERVATION_NOT_HELD") if state == COMMITTED else None)
    if fault is not None:
        return Expected(fault)
    released = order._replace(state=RELEASED, revision=order.revision + 1, held_minor=0)
    sums = account.sums(now_s, -order.held_minor if state == HELD else 0)
    happened = Happened(EffectKind.RELEASED, order_id, sums=sums, order=released)
    return Expected(Released(reservation_reads(order_id, released, now_s), replayed=False), happened)


def _post(account: ExpectedAccount, request: PostReceivableRequest, now_ms: int) -> Expected:
    return _record(account, request.document_id, LedgerKind.POSTING, request.amount_minor, now_ms)


def _credit(account: ExpectedAccount, request: RecordCreditNoteRequest, now_ms: int) -> Expected:
    return _record(account, request.document_id, LedgerKind.CREDIT_NOTE, -request.amount_minor, now_ms)


def _pay(account: ExpectedAccount, request: RecordPaymentRequest, now_ms: int) -> Expected:
    return _record(account, request.payment_id, LedgerKind.PAYMENT, -request.amount_minor, now_ms)


def _import(account: ExpectedAccount, item: OpenItem, now_ms: int) -> Expected:
    expected = _record(account, item.document_id, LedgerKind.OPEN_ITEM, item.amount_minor, now_ms)
    return expected if isinstance(expected.answer, Refused) else Expected(Imported(), expected.happened)


def _record(account: ExpectedAccount, entry_id: str, kind: LedgerKind, amount_minor: int, now_ms: int) -> Expected:
    now_s = now_ms // MS_PER_S
    space, noun = ("p", "PAYMENT") if kind is LedgerKind.PAYMENT else ("d", "DOCUMENT")
    known = account.entries.get(f"{space}:{entry_id}")
    if known is not None and known.amount_minor != amount_minor:
        return Expected(Refused(f"{noun}_EXISTS_WITH_DIFFERENT_DETAILS"))
    if known is not None:
        return Expected(Recorded(account.reads(now_s), replayed=True))
    # What settles is counted against secured invoices first, so that it never raises headroom before its time.
    secured_minor = max(-account.secured_receivable_minor, amount_minor) if amount_minor < 0 else 0
    change_minor = amount_minor - secured_minor
    sums = account.sums(now_s, 0, change_minor, secured_minor)
    entry = EntryReading(
        kind,
        late=False,
        final=False,
        posted=False,
        amount_minor=amount_minor,
        change_minor=change_minor,
        over_committed_minor=0,
        order_id="",
    )
    recorded = account.reads(now_s)._replace(
        receivable_minor=sums.receivable_minor, secured_receivable_minor=sums.secured_receivable_minor
    )
    happened = Happened(EffectKind.RECORDED, f"{space}:{entry_id}", sums=sums, entry=entry)
    return Expected(Recorded(recorded, replayed=False), happened)


def _get_reservation(account: ExpectedAccount, request: GetReservationRequest, now_ms: int) -> Expected:
    order = account.orders.get(request.order_id)
    if order is None:
        return Expected(Refused("RESERVATION_NOT_FOUND"))
    return Expected(reservation_reads(request.order_id, order, now_ms // MS_PER_S))


def _get_account(account: ExpectedAccount, _: GetAccountRequest, now_ms: int) -> Expected:
    return Expected(account.reads(now_ms // MS_PER_S))


# Each takes exactly the request it stands for, which the type of a table of different ones can't say.
_Expectation = Callable[[ExpectedAccount, Any, int], Expected]
_EXPECTATIONS: Final[dict[type, _Expectation]] = {
    ReserveCreditRequest: _reserve,
    AmendReservationRequest: _amend,
    CommitReservationRequest: _commit,
    ReleaseReservationRequest: _release,
    PostReceivableRequest: _post,
    RecordCreditNoteRequest: _credit,
    RecordPaymentRequest: _pay,
    OpenItem: _import,
    GetReservationRequest: _get_reservation,
    GetAccountRequest: _get_account,
}
