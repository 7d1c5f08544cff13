"""The service behind the methods that the model test drives, and its messages in the model's words."""

import time
from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp
from redis import Redis

from creditgate.client import ClearableField, CreditCallError, CreditClient, reserve_credit_request
from creditgate.domain.account import AccountStatus
from creditgate.domain.decision import Outcome, ReasonCode
from creditgate.domain.errors import ErrorReason
from creditgate.domain.operations import (
    CheckCredit,
    CloseAccount,
    CommitReservation,
    GetAccount,
    GetReservation,
    Operation,
    PutAccount,
    RecordPayment,
    ReleaseReservation,
    ReserveCredit,
)
from creditgate.domain.reservation import ReservationState
from creditgate.v1.account_pb2 import Account, Block
from creditgate.v1.admin_service_pb2 import CloseAccountResponse, PutAccountResponse
from creditgate.v1.credit_service_pb2 import (
    CheckCreditResponse,
    CommitReservationResponse,
    GetAccountResponse,
    GetReservationResponse,
    ReleaseReservationResponse,
    ReserveCreditRequest,
    ReserveCreditResponse,
)
from creditgate.v1.decision_pb2 import ACTION_REJECT, ACTION_UNSPECIFIED, Decision, Exposure
from creditgate.v1.receivables_service_pb2 import RecordPaymentResponse
from creditgate.v1.reservation_pb2 import Reservation
from tests.model.answers import in_the_models_words
from tests.model.gates import read_clock_ms, wait_until
from tests.model.reference import (
    MS,
    AccountAnswer,
    Answer,
    Balances,
    CommitAnswer,
    DecisionAnswer,
    Fault,
    PaymentAnswer,
    PutAnswer,
    ReasonAnswer,
    ReleaseAnswer,
    ReservationAnswer,
    ReserveAnswer,
)

_NANOS_PER_MS = 1_000_000


class ServiceGate:
    """The service through its client. Its sweeper always runs."""

    def __init__(self, client: CreditClient, clock: Redis) -> None:
        self._client = client
        self._clock = clock

    def run(self, operation: Operation[object]) -> object:
        """Make one call."""
        try:
            return self._call(operation)
        except CreditCallError as error:
            return error

    def run_each(self, operations: Sequence[Operation[object]]) -> Sequence[object]:
        """Make one call for a batch of orders."""
        orders = [_order(operation) for operation in operations if isinstance(operation, ReserveCredit)]
        assert len(orders) == len(operations)
        return list(self._client.batch_reserve_credit(orders))

    def list_reservations(self, account_id: str, page_size: int) -> Sequence[object]:
        """Read all reservations of an account, in pages."""
        return list(self._client.list_reservations(account_id, page_size=page_size))

    def now_ms(self) -> int:
        """Read the store's clock."""
        return read_clock_ms(self._clock)

    def let_time_pass(self, until_ms: int) -> None:
        """Return once the store's clock has come so far."""
        wait_until(self._clock, until_ms, time.sleep)

    def set_sweeping(self, *, on: bool) -> None:
        """Leave the service's own sweeper alone."""

    def _call(self, operation: Operation[object]) -> object:  # noqa: PLR0911 - one return for each kind of call
        account_id = operation.account_id
        match operation:
            case CheckCredit():
                return self._client.check_credit(
                    account_id,
                    amount_minor=operation.amount_minor,
                    currency_code=operation.currency_code,
                    secured_minor=operation.secured_minor,
                    explain=operation.explain,
                )
            case ReserveCredit():
                return self._client.reserve_credit(
                    account_id,
                    operation.order_id,
                    amount_minor=operation.amount_minor,
                    currency_code=operation.currency_code,
                    secured_minor=operation.secured_minor,
                    hold_s=operation.hold_s,
                    payment_terms_days=operation.payment_terms_days,
                )
            case CommitReservation():
                return self._client.commit_reservation(
                    account_id,
                    operation.order_id,
                    amount_minor=operation.amount_minor,
                    currency_code=operation.currency_code,
                    document_id=operation.document_id,
                    final=operation.final,
                )
            case ReleaseReservation():
                return self._client.release_reservation(account_id, operation.order_id)
            case RecordPayment():
                return self._client.record_payment(
                    account_id,
                    operation.payment_id,
                    amount_minor=operation.amount_minor,
                    currency_code=operation.currency_code,
                )
            case PutAccount():
                return self._put(operation)
            case CloseAccount():
                return self._client.close_account(account_id)
            case GetAccount():
                return self._client.get_account(account_id)
            case GetReservation():
                return self._client.get_reservation(account_id, operation.order_id)
            case _:
                raise AssertionError(operation)

    def _put(self, operation: PutAccount) -> PutAccountResponse:
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
def _(response: CommitReservationResponse) -> Answer:
    reservation = _reservation(response.reservation)
    return CommitAnswer(reservation, response.over_committed_minor, response.late, response.replayed)


@in_the_models_words.register
def _(response: ReleaseReservationResponse) -> Answer:
    return ReleaseAnswer(_reservation(response.reservation), response.replayed)


@in_the_models_words.register
def _(response: RecordPaymentResponse) -> Answer:
    return PaymentAnswer(_account(response.account), response.replayed)


@in_the_models_words.register
def _(response: PutAccountResponse) -> Answer:
    return PutAnswer(_account(response.account), response.created)


@in_the_models_words.register(CloseAccountResponse)
@in_the_models_words.register(GetAccountResponse)
def _(response: CloseAccountResponse | GetAccountResponse) -> Answer:
    return _account(response.account)


@in_the_models_words.register
def _(response: GetReservationResponse) -> Answer:
    return _reservation(response.reservation)


@in_the_models_words.register
def _reservation(reservation: Reservation) -> ReservationAnswer:
    return ReservationAnswer(
        reservation.order_id,
        ReservationState(reservation.state),
        reservation.currency_code,
        reservation.amount_minor,
        reservation.secured_minor,
        reservation.committed_minor,
        reservation.remaining_minor,
        reservation.exposure_minor,
        _ms(reservation.create_time),
        reservation.expire_time.seconds,
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
        _ms(account.create_time),
    )


def _decision(decision: Decision) -> DecisionAnswer:
    assert not decision.shadow_reasons
    assert decision.policy_version
    assert all(reason.action == ACTION_REJECT and reason.message for reason in decision.reasons)
    assert all(reason.action == ACTION_UNSPECIFIED for reason in decision.passed_rules)
    return DecisionAnswer(
        Outcome(decision.outcome),
        tuple(ReasonAnswer(ReasonCode(reason.code), reason.observed, reason.threshold) for reason in decision.reasons),
        frozenset(ReasonCode(reason.code) for reason in decision.passed_rules),
        _balances(decision.exposure),
        decision.limit_version,
        _ms(decision.decide_time),
    )


def _balances(exposure: Exposure) -> Balances:
    return Balances(
        exposure.limit_minor if exposure.HasField("limit_minor") else None,
        exposure.unlimited,
        exposure.reserved_minor,
        exposure.receivable_minor,
        exposure.available_minor if exposure.HasField("available_minor") else None,
    )


def _ms(time_stamp: Timestamp) -> int:
    return time_stamp.seconds * MS + time_stamp.nanos // _NANOS_PER_MS
