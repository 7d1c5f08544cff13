"""The credit gate in plain Python: what every operation must answer, given the store's clock.

Written from the contract (the protos and the design), one account at a time and by summing over all orders; nothing
here is shared with the store, so that a mistake has to be made twice to go unseen. Where several faults apply at once,
the checks stand in the order in which the gate reports them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from creditgate.domain.account import AccountStatus
from creditgate.domain.decision import Outcome
from creditgate.domain.errors import ErrorReason
from creditgate.domain.operations import (
    AmendReservation,
    CheckCredit,
    CloseAccount,
    CommitReservation,
    GetAccount,
    GetReservation,
    ImportOpenItem,
    Operation,
    PostReceivable,
    PutAccount,
    RecordCreditNote,
    RecordPayment,
    ReleaseReservation,
    ReserveCredit,
    SetBlock,
    SetManualLimit,
    UpdateAging,
)
from creditgate.domain.reservation import ReservationState
from tests.model.account import (
    AMOUNT_MAX_MINOR,
    DAY_MS,
    HOLD_DEFAULT_S,
    MS,
    AccountModel,
    Amend,
    Commit,
    Document,
    Order,
    net,
    reads,
    unsecured,
)
from tests.model.rules import DEFAULT_RULEBOOK, Rulebook
from tests.model.words import (
    AgingAnswer,
    AgingUpdateAnswer,
    AmendAnswer,
    Answer,
    CommitAnswer,
    DecisionAnswer,
    Fault,
    ImportAnswer,
    PutAnswer,
    RecordedAnswer,
    ReleaseAnswer,
    ReserveAnswer,
)


class ReferenceGate:
    """All accounts. `answer` carries an operation out at an instant of the store's clock, in milliseconds."""

    def __init__(self, rules: Rulebook = DEFAULT_RULEBOOK, *, releases_reviews: bool = False) -> None:
        self.accounts: dict[str, AccountModel] = {}
        self.rules = rules
        self.releases_reviews = releases_reviews

    def copy(self) -> "ReferenceGate":
        """Return an independent gate with all accounts."""
        gate = self._empty()
        gate.accounts = {account_id: account.copy() for account_id, account in self.accounts.items()}
        return gate

    def copy_of(self, account_id: str) -> "ReferenceGate":
        """Return a gate with that account alone, to see what an operation would answer."""
        gate = self._empty()
        if account_id in self.accounts:
            gate.accounts[account_id] = self.accounts[account_id].copy()
        return gate

    def _empty(self) -> "ReferenceGate":
        return ReferenceGate(self.rules, releases_reviews=self.releases_reviews)

    def answer(self, operation: Operation[object], now_ms: int) -> Answer:
        """Return what the gate must answer, and remember what it must have done."""
        if isinstance(operation, PutAccount):
            return self._put(operation, now_ms)
        account = self.accounts.get(operation.account_id)
        if account is None:
            return Fault(ErrorReason.ACCOUNT_NOT_FOUND)
        return _ANSWERS[type(operation)](account, operation, now_ms)

    def _put(self, operation: PutAccount, now_ms: int) -> Answer:
        account = self.accounts.get(operation.account_id)
        created = account is None
        if account is None:
            if not operation.currency_code:
                return Fault(ErrorReason.INVALID_FIELD)
            account = AccountModel(
                operation.currency_code, now_ms, rules=self.rules, releases_reviews=self.releases_reviews
            )
        elif operation.currency_code not in {"", account.currency_code}:
            return Fault(ErrorReason.ACCOUNT_EXISTS_WITH_DIFFERENT_CURRENCY)
        self.accounts[operation.account_id] = account
        if operation.status is not None:
            account.status = operation.status
        if operation.base_limit is not None:
            account.base_limit_minor = operation.base_limit.limit_minor
        if operation.unlimited is not None:
            account.unlimited = operation.unlimited
        if operation.block is not None:
            account.block_reason = operation.block.block.reason if operation.block.block else None
        account.limit_changed(now_ms)
        return PutAnswer(account.reads(now_ms // MS), created)


def hold_end_s(now_ms: int, hold_s: int) -> int:
    """The second at which a hold ends: never less time than was asked for."""
    return -(-now_ms // MS) + hold_s


def _check(account: AccountModel, operation: CheckCredit, now_ms: int) -> Answer:
    added_minor = net(operation.amount_minor, operation.secured_minor)
    judged = account.judge(
        operation.currency_code, added_minor, operation.amount_minor, operation.payment_terms_days, now_ms
    )
    return judged if isinstance(judged, Fault) or operation.explain else judged._replace(passed=frozenset())


def _reserve(account: AccountModel, operation: ReserveCredit, now_ms: int) -> Answer:
    now_s = now_ms // MS
    known = account.orders.get(operation.order_id)
    if known is not None and known.state_at(now_s) is not ReservationState.EXPIRED:
        asked = (
            operation.amount_minor,
            operation.currency_code,
            operation.secured_minor,
            operation.payment_terms_days,
        )
        if asked != (known.first_amount_minor, known.currency_code, known.secured_minor, known.terms_days):
            return Fault(ErrorReason.ORDER_EXISTS_WITH_DIFFERENT_DETAILS)
        return ReserveAnswer(known.decision, reads(known, now_s), replayed=True)
    committed_minor = known.committed_minor if known is not None else 0
    if known is not None and committed_minor:
        # Invoices are covered as the order said when they were posted.
        invoiced_as = (known.secured_minor, known.currency_code)
        if (operation.secured_minor, operation.currency_code) != invoiced_as:
            return Fault(ErrorReason.ORDER_EXISTS_WITH_DIFFERENT_DETAILS)
    added_minor = unsecured(operation.amount_minor, committed_minor, operation.secured_minor)
    judged = account.judge(
        operation.currency_code, added_minor, operation.amount_minor, operation.payment_terms_days, now_ms
    )
    if isinstance(judged, Fault):
        return judged
    judged = judged._replace(passed=frozenset())
    if judged.outcome is Outcome.REJECTED:
        return ReserveAnswer(judged, None, replayed=False)
    # What is fully invoiced already has nothing left to hold.
    waits = judged.outcome is Outcome.PENDING_REVIEW
    held = operation.amount_minor > committed_minor or waits
    state = ReservationState.PENDING_REVIEW if waits else ReservationState.HELD
    if not waits:
        account.approve(added_minor, now_ms)
    order = Order(
        order_id=operation.order_id,
        currency_code=operation.currency_code,
        first_amount_minor=operation.amount_minor,
        amount_minor=operation.amount_minor,
        secured_minor=operation.secured_minor,
        terms_days=operation.payment_terms_days,
        state=state if held else ReservationState.COMMITTED,
        committed_minor=committed_minor,
        create_time_ms=now_ms,
        expire_time_s=hold_end_s(now_ms, operation.hold_s or HOLD_DEFAULT_S) if held else 0,
        decision=judged,
        revision=known.revision + 1 if known is not None else 1,
        waits_since_ms=now_ms,
    )
    account.orders[order.order_id] = order
    return ReserveAnswer(judged, reads(order, now_s), replayed=False)


def _order_of(account: AccountModel, operation: AmendReservation | CommitReservation) -> Order | Fault:
    order = account.orders.get(operation.order_id)
    if order is None:
        return Fault(ErrorReason.RESERVATION_NOT_FOUND)
    return order if operation.currency_code == order.currency_code else Fault(ErrorReason.CURRENCY_MISMATCH)


def _amend(account: AccountModel, operation: AmendReservation, now_ms: int) -> Answer:
    order = _order_of(account, operation)
    if isinstance(order, Fault):
        return order
    known = account.amends.get((operation.order_id, operation.request_id))
    if known is not None:
        if (operation.amount_minor, operation.hold_s) != (known.amount_minor, known.hold_s):
            return Fault(ErrorReason.REQUEST_EXISTS_WITH_DIFFERENT_DETAILS)
        return AmendAnswer(known.decision, reads(order, now_ms // MS), replayed=True)
    if operation.etag not in {None, order.etag}:
        return Fault(ErrorReason.ETAG_MISMATCH)
    if order.state_at(now_ms // MS) is not ReservationState.HELD:
        return Fault(ErrorReason.RESERVATION_NOT_HELD)
    return _change(account, order, operation, now_ms)


def _change(account: AccountModel, order: Order, operation: AmendReservation, now_ms: int) -> Answer:
    """Judge a total that rises, be it that security covers what comes on top; and change the order."""
    now_s = now_ms // MS
    unsecured_minor = unsecured(operation.amount_minor, order.committed_minor, order.secured_minor)
    added_minor = max(0, unsecured_minor - order.held_minor(now_s))
    decision = DecisionAnswer(Outcome.APPROVED, (), (), frozenset(), account.balances(now_s), 0, now_ms)
    if operation.amount_minor > order.amount_minor:
        judged = account.judge(order.currency_code, added_minor, operation.amount_minor, order.terms_days, now_ms)
        if isinstance(judged, Fault):
            return judged
        decision = judged._replace(passed=frozenset())
    if decision.outcome is Outcome.REJECTED:
        return AmendAnswer(decision, reads(order, now_s), replayed=False)
    if decision.outcome is Outcome.PENDING_REVIEW:
        # It stays held at its old total.
        amended = replace(
            order,
            waiting_minor=operation.amount_minor,
            waiting_more_minor=added_minor,
            waits_since_ms=now_ms,
            revision=order.revision + 1,
        )
    else:
        account.approve(added_minor, now_ms)
        amended = _amended(order, operation, now_ms)
    account.orders[order.order_id] = amended
    if operation.request_id:
        account.amends[operation.order_id, operation.request_id] = Amend(
            operation.amount_minor, operation.hold_s, decision
        )
    return AmendAnswer(decision, reads(amended, now_s), replayed=False)


def _amended(order: Order, operation: AmendReservation, now_ms: int) -> Order:
    amended = replace(
        order,
        amount_minor=operation.amount_minor,
        waiting_minor=0,
        waiting_more_minor=0,
        revision=order.revision + 1,
    )
    if operation.amount_minor <= order.committed_minor:
        # All of it is invoiced already: nothing remains to be held.
        amended = replace(amended, state=ReservationState.COMMITTED)
    elif operation.hold_s is not None:
        amended = replace(amended, expire_time_s=hold_end_s(now_ms, operation.hold_s))
    return amended


def _commit(account: AccountModel, operation: CommitReservation, now_ms: int) -> Answer:
    now_s = now_ms // MS
    order = _order_of(account, operation)
    if isinstance(order, Fault):
        return order
    known_document = account.documents.get(operation.document_id)
    waits = order.state_at(now_s) is ReservationState.PENDING_REVIEW
    if waits and (known_document is None or known_document.commit is None):
        differs = known_document is not None and known_document.amount_minor != operation.amount_minor
        return Fault(
            ErrorReason.DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS if differs else ErrorReason.RESERVATION_NOT_HELD
        )
    return _commit_held(account, order, operation, now_s)


def _commit_held(account: AccountModel, order: Order, operation: CommitReservation, now_s: int) -> Answer:
    """Invoice an order that is held, or was."""
    document = account.documents.get(operation.document_id)
    if document is not None and document.amount_minor != operation.amount_minor:
        return Fault(ErrorReason.DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS)
    if document is not None and document.commit is not None:
        known = document.commit
        if (operation.order_id, operation.final) != (known.order_id, known.final):
            return Fault(ErrorReason.DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS)
        return CommitAnswer(reads(order, now_s), known.over_committed_minor, known.late, replayed=True)
    late = order.state_at(now_s) is not ReservationState.HELD
    committed_minor = order.committed_minor + operation.amount_minor
    over_minor = max(0, committed_minor - order.amount_minor) - max(0, order.committed_minor - order.amount_minor)
    owed_minor = net(committed_minor, order.secured_minor) - net(order.committed_minor, order.secured_minor)
    ends = late or operation.final or committed_minor >= order.amount_minor
    committed = replace(
        order,
        committed_minor=committed_minor,
        state=ReservationState.COMMITTED if ends else ReservationState.HELD,
        waiting_minor=0 if ends else order.waiting_minor,
        waiting_more_minor=0 if ends else order.waiting_more_minor,
        revision=order.revision + 1,
    )
    # What the ERP has recorded already is owed already: only what security covers of it moves over.
    recorded_minor = operation.amount_minor if document is not None else 0
    receivable_minor = account.receivable_minor + owed_minor - recorded_minor
    secured_minor = account.secured_receivable_minor + operation.amount_minor - owed_minor
    reserved_minor = account.reserved_minor(now_s) - order.held_minor(now_s) + committed.held_minor(now_s)
    pending_minor = account.balances(now_s).pending_minor - order.pending_minor(now_s) + committed.pending_minor(now_s)
    exposure_minor = reserved_minor + max(0, receivable_minor) + pending_minor
    sums = (committed_minor, -receivable_minor, secured_minor, exposure_minor)
    if max(sums) > AMOUNT_MAX_MINOR:
        return Fault(ErrorReason.SUM_OUT_OF_RANGE)
    account.orders[order.order_id] = committed
    account.receivable_minor = receivable_minor
    account.secured_receivable_minor = secured_minor
    account.documents[operation.document_id] = Document(
        operation.amount_minor, Commit(operation.order_id, operation.final, over_minor, late)
    )
    return CommitAnswer(reads(committed, now_s), over_minor, late, replayed=document is not None)


def _release(account: AccountModel, operation: ReleaseReservation, now_ms: int) -> Answer:
    now_s = now_ms // MS
    order = account.orders.get(operation.order_id)
    if order is None:
        return Fault(ErrorReason.RESERVATION_NOT_FOUND)
    if order.state is ReservationState.RELEASED:
        return ReleaseAnswer(reads(order, now_s), replayed=True)
    if operation.etag not in {None, order.etag}:
        return Fault(ErrorReason.ETAG_MISMATCH)
    if order.state is ReservationState.COMMITTED:
        return Fault(ErrorReason.RESERVATION_NOT_HELD)
    released = replace(order, state=ReservationState.RELEASED, revision=order.revision + 1)
    account.orders[order.order_id] = released
    return ReleaseAnswer(reads(released, now_s), replayed=False)


def _pay(account: AccountModel, operation: RecordPayment, now_ms: int) -> Answer:
    now_s = now_ms // MS
    if operation.currency_code != account.currency_code:
        return Fault(ErrorReason.CURRENCY_MISMATCH)
    paid_minor = account.payments.get(operation.payment_id)
    if paid_minor is not None:
        if paid_minor != operation.amount_minor:
            return Fault(ErrorReason.PAYMENT_EXISTS_WITH_DIFFERENT_DETAILS)
        return RecordedAnswer(account.reads(now_s), replayed=True)
    if not account.owe(-operation.amount_minor, now_s):
        return Fault(ErrorReason.SUM_OUT_OF_RANGE)
    account.payments[operation.payment_id] = operation.amount_minor
    if account.aging is not None:
        overdue_minor = max(0, account.aging.overdue_minor - operation.amount_minor)
        due_date = account.aging.oldest_due_date if overdue_minor else None
        account.aging = account.aging._replace(overdue_minor=overdue_minor, oldest_due_date=due_date)
    return RecordedAnswer(account.reads(now_s), replayed=False)


def _post(account: AccountModel, operation: PostReceivable, now_ms: int) -> Answer:
    return _record_document(account, operation, operation.amount_minor, now_ms)


def _credit(account: AccountModel, operation: RecordCreditNote, now_ms: int) -> Answer:
    return _record_document(account, operation, -operation.amount_minor, now_ms)


def _import(account: AccountModel, operation: ImportOpenItem, now_ms: int) -> Answer:
    answer = _record_document(account, operation, operation.amount_minor, now_ms)
    return answer if isinstance(answer, Fault) else ImportAnswer(answer.replayed)


def _record_document(
    account: AccountModel, operation: PostReceivable | RecordCreditNote | ImportOpenItem, amount_minor: int, now_ms: int
) -> RecordedAnswer | Fault:
    now_s = now_ms // MS
    if operation.currency_code != account.currency_code:
        return Fault(ErrorReason.CURRENCY_MISMATCH)
    document = account.documents.get(operation.document_id)
    if document is not None:
        if document.amount_minor != amount_minor:
            return Fault(ErrorReason.DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS)
        return RecordedAnswer(account.reads(now_s), replayed=True)
    if not account.owe(amount_minor, now_s):
        return Fault(ErrorReason.SUM_OUT_OF_RANGE)
    account.documents[operation.document_id] = Document(amount_minor, None)
    return RecordedAnswer(account.reads(now_s), replayed=False)


def _age(account: AccountModel, operation: UpdateAging, now_ms: int) -> Answer:
    now_s = now_ms // MS
    if operation.as_of_ms > now_ms + DAY_MS:
        return Fault(ErrorReason.INVALID_FIELD)
    reported = AgingAnswer(
        operation.overdue_minor, operation.disputed_minor, operation.oldest_due_date, operation.as_of_ms
    )
    known = account.reported_aging
    ignored = known is not None and reported.as_of_ms < known.as_of_ms
    replayed = reported == known
    if not ignored and not replayed:
        account.aging = account.reported_aging = reported
    return AgingUpdateAnswer(account.reads(now_s), replayed, ignored)


def _close(account: AccountModel, _: CloseAccount, now_ms: int) -> Answer:
    account.status = AccountStatus.CLOSED
    return account.reads(now_ms // MS)


def _set_manual_limit(account: AccountModel, operation: SetManualLimit, now_ms: int) -> Answer:
    if operation.manual_limit is not None and operation.currency_code != account.currency_code:
        return Fault(ErrorReason.CURRENCY_MISMATCH)
    account.manual_limit_minor = operation.manual_limit.limit_minor if operation.manual_limit is not None else None
    account.limit_changed(now_ms)
    return account.reads(now_ms // MS)


def _set_block(account: AccountModel, operation: SetBlock, now_ms: int) -> Answer:
    account.block_reason = operation.reason if operation.block is not None else None
    return account.reads(now_ms // MS)


def _get_account(account: AccountModel, _: GetAccount, now_ms: int) -> Answer:
    return account.reads(now_ms // MS)


def _get_reservation(account: AccountModel, operation: GetReservation, now_ms: int) -> Answer:
    order = account.orders.get(operation.order_id)
    return reads(order, now_ms // MS) if order is not None else Fault(ErrorReason.RESERVATION_NOT_FOUND)


_ANSWERS: Final[dict[type, Callable[[AccountModel, Any, int], Answer]]] = {
    CheckCredit: _check,
    ReserveCredit: _reserve,
    AmendReservation: _amend,
    CommitReservation: _commit,
    ReleaseReservation: _release,
    RecordPayment: _pay,
    PostReceivable: _post,
    RecordCreditNote: _credit,
    ImportOpenItem: _import,
    UpdateAging: _age,
    CloseAccount: _close,
    SetManualLimit: _set_manual_limit,
    SetBlock: _set_block,
    GetAccount: _get_account,
    GetReservation: _get_reservation,
}
