"""The service behind the methods that the model test drives, and its messages in the model's words."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, cast

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from redis import Redis

from creditgate.api.etag import parse_etag, render_etag
from creditgate.client import ClearableField, CreditCallError, CreditClient, reserve_credit_request
from creditgate.client.errors import EndedCall, error_of_call, error_of_status
from creditgate.domain.account import AccountStatus
from creditgate.domain.decision import Action, Outcome, ReasonCode
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
from creditgate.domain.reservation import Etag, ReservationState
from creditgate.v1.account_pb2 import Account, Block
from creditgate.v1.admin_service_pb2 import CloseAccountResponse, PutAccountResponse, VerifyAccountsRequest
from creditgate.v1.admin_service_pb2_grpc import AdminServiceStub
from creditgate.v1.credit_desk_service_pb2 import (
    BlockAccountRequest,
    BlockAccountResponse,
    ClearManualLimitRequest,
    ClearManualLimitResponse,
    SetManualLimitRequest,
    SetManualLimitResponse,
    UnblockAccountRequest,
    UnblockAccountResponse,
)
from creditgate.v1.credit_desk_service_pb2_grpc import CreditDeskServiceStub
from creditgate.v1.credit_service_pb2 import (
    AmendReservationResponse,
    CheckCreditResponse,
    CommitReservationResponse,
    GetAccountResponse,
    GetReservationResponse,
    ReleaseReservationResponse,
    ReserveCreditRequest,
    ReserveCreditResponse,
    StreamReserveCreditRequest,
)
from creditgate.v1.credit_service_pb2_grpc import CreditServiceStub
from creditgate.v1.decision_pb2 import ACTION_UNSPECIFIED, Decision, Exposure, Reason
from creditgate.v1.receivables_service_pb2 import (
    ImportOpenItemsRequest,
    OpenItem,
    PostReceivableResponse,
    RecordCreditNoteResponse,
    RecordPaymentResponse,
    UpdateAgingResponse,
)
from creditgate.v1.receivables_service_pb2_grpc import ReceivablesServiceStub
from creditgate.v1.reservation_pb2 import Reservation
from tests.model.account import MS
from tests.model.answers import in_the_models_words
from tests.model.gates import read_clock_ms, wait_until
from tests.model.words import (
    AccountAnswer,
    AgingAnswer,
    AgingUpdateAnswer,
    AmendAnswer,
    Answer,
    Balances,
    CommitAnswer,
    DecisionAnswer,
    Fault,
    ImportAnswer,
    PutAnswer,
    ReasonAnswer,
    RecordedAnswer,
    ReleaseAnswer,
    ReservationAnswer,
    ReserveAnswer,
)
from tests.patience import PATIENCE_S

_NANOS_PER_MS = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@contextmanager
def open_service_gate(target: str, clock: Redis) -> Iterator["ServiceGate"]:
    """Connect to a service."""
    with CreditClient(target, timeout_s=PATIENCE_S) as client, grpc.insecure_channel(target) as channel:
        yield ServiceGate(client, channel, clock)


class ServiceGate:
    """The service through its client, and through its stubs where a stream is wanted. Its sweeper always runs."""

    def __init__(self, client: CreditClient, channel: grpc.Channel, clock: Redis) -> None:
        self._client = client
        self._credit = CreditServiceStub(channel)
        self._receivables = ReceivablesServiceStub(channel)
        self._admin = AdminServiceStub(channel)
        self._desk = CreditDeskServiceStub(channel)
        self._clock = clock

    def run(self, operation: Operation[object]) -> object:
        """Make one call."""
        try:
            return _CALLS[type(operation)](self, operation)
        except CreditCallError as error:
            return error

    def run_each(self, operations: Sequence[Operation[object]]) -> Sequence[object]:
        """Make one call for orders or for open items, in a batch or (an odd number of orders) as a stream.

        No call takes a mixture: that is asked one by one.
        """
        orders = [_order(operation) for operation in operations if isinstance(operation, ReserveCredit)]
        if len(orders) == len(operations):
            return self.stream(orders) if len(orders) % 2 else list(self._client.batch_reserve_credit(orders))
        items = [operation for operation in operations if isinstance(operation, ImportOpenItem)]
        if len(items) == len(operations):
            return self.import_items(items)
        return [self.run(operation) for operation in operations]

    def stream(self, orders: Sequence[ReserveCreditRequest]) -> Sequence[object]:
        """Send orders as a stream."""
        requests = (StreamReserveCreditRequest(request=order) for order in orders)
        return [
            error_of_status(answer.error) if answer.HasField("error") else answer.response
            for answer in self._credit.StreamReserveCredit(requests, timeout=PATIENCE_S)
        ]

    def import_items(self, items: Sequence[ImportOpenItem]) -> Sequence[object]:
        """Send open items as a stream, each in a chunk of its own: the progress then tells what became of it."""
        chunks = (
            ImportOpenItemsRequest(
                items=[
                    OpenItem(
                        account_id=item.account_id,
                        document_id=item.document_id,
                        amount_minor=item.amount_minor,
                        currency_code=item.currency_code,
                    )
                ]
            )
            for item in items
        )
        *steps, summary = self._receivables.ImportOpenItems(chunks, timeout=PATIENCE_S)
        assert len(steps) == len(items)
        assert summary.finished
        assert summary.progress == steps[-1].progress
        answers: list[object] = []
        imported = replayed = 0
        for index, step in enumerate(steps):
            for failure in step.failures:
                assert (failure.index, failure.document_id) == (index, items[index].document_id)
                answers.append(error_of_status(failure.error))
            if not step.failures:
                assert step.progress.imported + step.progress.replayed == imported + replayed + 1
                answers.append(ImportAnswer(replayed=step.progress.replayed > replayed))
            imported, replayed = step.progress.imported, step.progress.replayed
            assert step.progress.received == index + 1
            assert step.progress.failed == index + 1 - imported - replayed
        return answers

    def list_reservations(self, account_id: str, page_size: int) -> Sequence[object]:
        """Read all reservations of an account, in pages."""
        return list(self._client.list_reservations(account_id, page_size=page_size))

    def verify(self, account_id: str) -> Sequence[object]:
        """Return where an account's sums are not what they should add up to."""
        request = VerifyAccountsRequest(account_ids=[account_id])
        return self._admin.VerifyAccounts(request, timeout=PATIENCE_S).differences

    def now_ms(self) -> int:
        """Read the store's clock."""
        return read_clock_ms(self._clock)

    def let_time_pass(self, until_ms: int) -> None:
        """Return once the store's clock has come so far."""
        wait_until(self._clock, until_ms, time.sleep)

    def set_sweeping(self, *, on: bool) -> None:
        """Leave the service's own sweeper alone."""

    def check(self, operation: CheckCredit) -> object:
        """Ask without holding."""
        return self._client.check_credit(
            operation.account_id,
            amount_minor=operation.amount_minor,
            currency_code=operation.currency_code,
            secured_minor=operation.secured_minor,
            explain=operation.explain,
        )

    def reserve(self, operation: ReserveCredit) -> object:
        """Ask for an order."""
        return self._client.reserve_credit(
            operation.account_id,
            operation.order_id,
            amount_minor=operation.amount_minor,
            currency_code=operation.currency_code,
            secured_minor=operation.secured_minor,
            hold_s=operation.hold_s,
            payment_terms_days=operation.payment_terms_days,
        )

    def amend(self, operation: AmendReservation) -> object:
        """Change an order."""
        return self._client.amend_reservation(
            operation.account_id,
            operation.order_id,
            amount_minor=operation.amount_minor,
            currency_code=operation.currency_code,
            hold_s=operation.hold_s,
            request_id=operation.request_id,
            etag=_etag_text(operation.etag),
        )

    def commit(self, operation: CommitReservation) -> object:
        """Invoice an order."""
        return self._client.commit_reservation(
            operation.account_id,
            operation.order_id,
            amount_minor=operation.amount_minor,
            currency_code=operation.currency_code,
            document_id=operation.document_id,
            final=operation.final,
        )

    def release(self, operation: ReleaseReservation) -> object:
        """Give an order back."""
        etag = _etag_text(operation.etag)
        return self._client.release_reservation(operation.account_id, operation.order_id, etag=etag)

    def pay(self, operation: RecordPayment) -> object:
        """Record a payment."""
        return self._client.record_payment(
            operation.account_id,
            operation.payment_id,
            amount_minor=operation.amount_minor,
            currency_code=operation.currency_code,
        )

    def post(self, operation: PostReceivable) -> object:
        """Record an invoice."""
        return self._client.post_receivable(
            operation.account_id,
            operation.document_id,
            amount_minor=operation.amount_minor,
            currency_code=operation.currency_code,
        )

    def credit(self, operation: RecordCreditNote) -> object:
        """Record a credit note."""
        return self._client.record_credit_note(
            operation.account_id,
            operation.document_id,
            amount_minor=operation.amount_minor,
            currency_code=operation.currency_code,
        )

    def import_item(self, operation: ImportOpenItem) -> object:
        """Send one open item."""
        (answer,) = self.import_items([operation])
        return answer

    def age(self, operation: UpdateAging) -> object:
        """Say what is overdue."""
        return self._client.update_aging(
            operation.account_id,
            overdue_minor=operation.overdue_minor,
            as_of=_EPOCH + timedelta(milliseconds=operation.as_of_ms),
            disputed_minor=operation.disputed_minor,
            oldest_due_date=operation.oldest_due_date,
        )

    def put(self, operation: PutAccount) -> object:
        """Create an account, or change it."""
        limit, block = operation.base_limit, operation.block
        clear: list[ClearableField] = []
        if limit is not None and limit.limit_minor is None:
            clear.append("base_limit_minor")
        if block is not None and block.block is None:
            clear.append("block")
        return self._client.put_account(
            operation.account_id,
            currency_code=operation.currency_code,
            status=operation.status.value if operation.status is not None else None,  # type: ignore[arg-type]  # same numbers
            base_limit_minor=limit.limit_minor if limit is not None else None,
            unlimited=operation.unlimited,
            block=Block(reason=block.block.reason, actor=block.block.actor) if block and block.block else None,
            clear=clear,
        )

    def close_account(self, operation: CloseAccount) -> object:
        """Close an account to new orders."""
        return self._client.close_account(operation.account_id)

    def get_account(self, operation: GetAccount) -> object:
        """Read an account."""
        return self._client.get_account(operation.account_id)

    def get_reservation(self, operation: GetReservation) -> object:
        """Read an order."""
        return self._client.get_reservation(operation.account_id, operation.order_id)

    def set_manual_limit(self, operation: SetManualLimit) -> object:
        """Set or clear a manual limit."""
        limit, account_id = operation.manual_limit, operation.account_id
        if limit is None:
            clear = ClearManualLimitRequest(account_id=account_id, reason=operation.reason, actor=operation.actor)
            return self._answer(lambda: self._desk.ClearManualLimit(clear, timeout=PATIENCE_S))
        request = SetManualLimitRequest(
            account_id=account_id,
            limit_minor=limit.limit_minor or 0,
            currency_code=operation.currency_code,
            reason=operation.reason,
            actor=operation.actor,
        )
        return self._answer(lambda: self._desk.SetManualLimit(request, timeout=PATIENCE_S))

    def set_block(self, operation: SetBlock) -> object:
        """Block an account, or end its block."""
        account_id, reason, actor = operation.account_id, operation.reason, operation.actor
        if operation.block is None:
            unblock = UnblockAccountRequest(account_id=account_id, reason=reason, actor=actor)
            return self._answer(lambda: self._desk.UnblockAccount(unblock, timeout=PATIENCE_S))
        block = BlockAccountRequest(account_id=account_id, reason=reason, actor=actor)
        return self._answer(lambda: self._desk.BlockAccount(block, timeout=PATIENCE_S))

    def _answer(self, call: Callable[[], object]) -> object:
        """Make a call over a stub; a fault is what the client makes of it."""
        try:
            return call()
        except grpc.RpcError as error:
            return error_of_call(cast("EndedCall", error))


_CALLS: Final[dict[type, Callable[[ServiceGate, Any], object]]] = {
    CheckCredit: ServiceGate.check,
    ReserveCredit: ServiceGate.reserve,
    AmendReservation: ServiceGate.amend,
    CommitReservation: ServiceGate.commit,
    ReleaseReservation: ServiceGate.release,
    RecordPayment: ServiceGate.pay,
    PostReceivable: ServiceGate.post,
    RecordCreditNote: ServiceGate.credit,
    ImportOpenItem: ServiceGate.import_item,
    UpdateAging: ServiceGate.age,
    PutAccount: ServiceGate.put,
    CloseAccount: ServiceGate.close_account,
    SetManualLimit: ServiceGate.set_manual_limit,
    SetBlock: ServiceGate.set_block,
    GetAccount: ServiceGate.get_account,
    GetReservation: ServiceGate.get_reservation,
}


def _etag_text(etag: Etag | None) -> str:
    return "" if etag is None else render_etag(etag)


def _order(order: ReserveCredit) -> ReserveCreditRequest:
    return reserve_credit_request(
        order.account_id,
        order.order_id,
        amount_minor=order.amount_minor,
        currency_code=order.currency_code,
        secured_minor=order.secured_minor,
        hold_s=order.hold_s,
        payment_terms_days=order.payment_terms_days,
    )


@in_the_models_words.register
def _(error: CreditCallError) -> Answer:
    return Fault(ErrorReason[error.reason])


@in_the_models_words.register
def _(response: CheckCreditResponse) -> Answer:
    return _decision(response.decision)


@in_the_models_words.register
def _(response: ReserveCreditResponse) -> Answer:
    reservation = _reservation(response.reservation) if response.HasField("reservation") else None
    return ReserveAnswer(_decision(response.decision), reservation, response.replayed)


@in_the_models_words.register
def _(response: AmendReservationResponse) -> Answer:
    return AmendAnswer(_decision(response.decision), _reservation(response.reservation), response.replayed)


@in_the_models_words.register
def _(response: CommitReservationResponse) -> Answer:
    reservation = _reservation(response.reservation)
    return CommitAnswer(reservation, response.over_committed_minor, response.late, response.replayed)


@in_the_models_words.register
def _(response: ReleaseReservationResponse) -> Answer:
    return ReleaseAnswer(_reservation(response.reservation), response.replayed)


@in_the_models_words.register(RecordPaymentResponse)
@in_the_models_words.register(PostReceivableResponse)
@in_the_models_words.register(RecordCreditNoteResponse)
def _(response: RecordPaymentResponse | PostReceivableResponse | RecordCreditNoteResponse) -> Answer:
    return RecordedAnswer(_account(response.account), response.replayed)


@in_the_models_words.register
def _(response: UpdateAgingResponse) -> Answer:
    return AgingUpdateAnswer(_account(response.account), response.replayed, response.ignored)


@in_the_models_words.register
def _(response: PutAccountResponse) -> Answer:
    return PutAnswer(_account(response.account), response.created)


@in_the_models_words.register(SetManualLimitResponse)
@in_the_models_words.register(ClearManualLimitResponse)
@in_the_models_words.register(BlockAccountResponse)
@in_the_models_words.register(UnblockAccountResponse)
@in_the_models_words.register(CloseAccountResponse)
@in_the_models_words.register(GetAccountResponse)
def _(response: CloseAccountResponse | GetAccountResponse) -> Answer:
    return _account(response.account)


@in_the_models_words.register
def _(response: GetReservationResponse) -> Answer:
    return _reservation(response.reservation)


@in_the_models_words.register
def _reservation(reservation: Reservation) -> ReservationAnswer:
    etag = parse_etag(reservation.etag)
    assert etag is not None
    assert reservation.HasField("expire_time") == (reservation.expire_time.seconds > 0)
    return ReservationAnswer(
        reservation.order_id,
        ReservationState(reservation.state),
        reservation.currency_code,
        reservation.amount_minor,
        reservation.secured_minor,
        reservation.committed_minor,
        reservation.remaining_minor,
        reservation.exposure_minor,
        reservation.pending_amount_minor,
        _ms(reservation.create_time),
        reservation.expire_time.seconds,
        etag,
        _decision(reservation.decision),
    )


def _account(account: Account) -> AccountAnswer:
    return AccountAnswer(
        account.currency_code,
        AccountStatus(account.status),
        account.base_limit_minor if account.HasField("base_limit_minor") else None,
        account.block.reason if account.HasField("block") else None,
        _balances(account.exposure),
        account.secured_receivable_minor,
        _aging(account),
        _ms(account.create_time),
    )


def _aging(account: Account) -> AgingAnswer | None:
    if not account.HasField("aging_as_of"):
        assert (account.overdue_minor, account.disputed_minor, account.oldest_due_date) == (0, 0, "")
        return None
    due_date = date.fromisoformat(account.oldest_due_date) if account.oldest_due_date else None
    return AgingAnswer(account.overdue_minor, account.disputed_minor, due_date, _ms(account.aging_as_of))


def _decision(decision: Decision) -> DecisionAnswer:
    assert decision.policy_version
    assert all(reason.message for reason in decision.reasons)
    assert all(reason.action == ACTION_UNSPECIFIED for reason in decision.passed_rules)
    return DecisionAnswer(
        Outcome(decision.outcome),
        tuple(map(_reason, decision.reasons)),
        tuple(map(_reason, decision.shadow_reasons)),
        frozenset(ReasonCode(reason.code) for reason in decision.passed_rules),
        _balances(decision.exposure),
        decision.limit_version,
        _ms(decision.decide_time),
    )


def _reason(reason: Reason) -> ReasonAnswer:
    return ReasonAnswer(ReasonCode(reason.code), Action(reason.action), reason.observed, reason.threshold)


def _balances(exposure: Exposure) -> Balances:
    return Balances(
        exposure.limit_minor if exposure.HasField("limit_minor") else None,
        exposure.unlimited,
        exposure.reserved_minor,
        exposure.receivable_minor,
        exposure.pending_review_minor,
        exposure.available_minor if exposure.HasField("available_minor") else None,
    )


def _ms(time_stamp: Timestamp) -> int:
    return time_stamp.seconds * MS + time_stamp.nanos // _NANOS_PER_MS
