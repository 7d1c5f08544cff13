"""Asks the service, and turns its messages into answers to add up: only this part of a replay knows them."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

import grpc

from creditgate.client import AsyncCreditClient, CreditCallError, limit_batch_header, limit_update
from creditgate.client.requests import ClearableField
from creditgate.domain.bounds import PAGE_SIZE_MAX
from creditgate.domain.limit_batch import LimitBatchHeader, LimitRow
from creditgate.domain.operations import (
    CommitReservation,
    PutAccount,
    RecordPayment,
    ReleaseReservation,
    ReserveCredit,
)
from creditgate.replay.answers import (
    AccountChange,
    AccountsVerified,
    Answer,
    BatchPushed,
    Difference,
    OrderDecided,
    StepDone,
    StepFailed,
)
from creditgate.replay.earlier import Standing
from creditgate.replay.schedule import Event, TimedBatch
from creditgate.v1.account_pb2 import Account, AccountStatus, Block
from creditgate.v1.admin_service_pb2 import PutAccountResponse
from creditgate.v1.decision_pb2 import Exposure, Outcome, ReasonCode
from creditgate.v1.limit_batch_pb2 import LimitBatchMode, LimitBatchState
from creditgate.v1.limit_feed_service_pb2 import LimitBatchHeader as LimitBatchHeaderMessage
from creditgate.v1.limit_feed_service_pb2 import LimitUpdate

_STEP_REFUSED: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
)
"""Codes that say something about one step. Any other is about the service, and the next step would meet it too."""

_MS_PER_S: Final = 1000

VERIFY_TIMEOUT_S: Final = 60.0
"""Deadline of verifying a hundred accounts, however many orders they have; as long as a service grants."""

T = TypeVar("T")


class ServiceCalls:
    """The calls of a play (see `player.Calls`). `time_call` is told the name and the duration, in seconds, of each."""

    def __init__(self, client: AsyncCreditClient, time_call: Callable[[str, float], None]) -> None:
        self._client = client
        self._time_call = time_call

    async def put_account(self, settings: PutAccount) -> AccountChange | StepFailed:
        """Give an account its settings, unless it has them already."""
        try:
            return await self._put_account(settings)
        except CreditCallError as error:
            return _failed(error)

    async def standing(self, account_id: str, amounts_minor: Mapping[str, int]) -> Standing | StepFailed:
        """Return what the service knows of an account's orders, given the amounts of those of the play by order id.

        An order of another amount is not the play's: somebody else has made it.
        """
        known: set[str] = set()
        committed_minor = 0
        try:
            account = await self._timed("GetAccount", self._client.get_account(account_id))
            async for reservation in self._client.list_reservations(account_id, page_size=PAGE_SIZE_MAX):
                committed_minor += reservation.committed_minor
                if amounts_minor.get(reservation.order_id) == reservation.amount_minor:
                    known.add(reservation.order_id)
        except CreditCallError as error:
            return _failed(error)
        return Standing(frozenset(known), committed_minor, account.account.exposure.receivable_minor)

    async def play(self, event: Event) -> Answer:
        """Ask for one step."""
        try:
            match event.operation:
                case ReserveCredit() as order:
                    return await self._reserve(order)
                case CommitReservation() as commit:
                    return await self._commit(commit)
                case ReleaseReservation() as release:
                    return await self._release(release)
                case RecordPayment() as payment:
                    return await self._pay(payment)
        except CreditCallError as error:
            return _failed(error)

    async def push_limits(self, batch: TimedBatch) -> BatchPushed | StepFailed:
        """Push a limit batch; one that was pushed before is answered with its result."""
        try:
            pushed = await self._client.push_limits(map(_update, batch.rows), _header(batch.header))
        except CreditCallError as error:
            return _failed(error)
        return BatchPushed(
            pushed.batch_id,
            LimitBatchState.Name(pushed.state).removeprefix("LIMIT_BATCH_STATE_"),
            pushed.applied_rows,
            pushed.effect.raised_accounts,
            pushed.effect.cut_accounts,
            tuple(report.message for report in pushed.guard_rails),
        )

    async def verify(self, accounts: Sequence[PutAccount]) -> AccountsVerified | StepFailed:
        """Recompute the sums of some accounts, as many as one call takes."""
        client = self._client.with_timeout(VERIFY_TIMEOUT_S)
        currency_codes = {account.account_id: account.currency_code for account in accounts}
        verified = 0
        differences: list[Difference] = []
        try:
            async for page in client.verify_accounts(currency_codes):
                verified += page.verified
                differences += [
                    Difference(
                        each.account_id,
                        currency_codes[each.account_id],
                        each.sum,
                        each.kept_minor,
                        each.recomputed_minor,
                    )
                    for each in page.differences
                ]
        except CreditCallError as error:
            return _failed(error)
        return AccountsVerified(verified, tuple(differences))

    async def _put_account(self, settings: PutAccount) -> AccountChange:
        try:
            found = await self._timed("GetAccount", self._client.get_account(settings.account_id))
        except CreditCallError as error:
            if error.code is not grpc.StatusCode.NOT_FOUND:
                raise
        else:
            if _has_settings(found.account, settings):
                return AccountChange.UNCHANGED
        put = await self._timed("PutAccount", _put(self._client, settings))
        return AccountChange.CREATED if put.created else AccountChange.CHANGED

    async def _reserve(self, order: ReserveCredit) -> OrderDecided:
        answer = await self._timed(
            "ReserveCredit",
            self._client.reserve_credit(
                order.account_id,
                order.order_id,
                amount_minor=order.amount_minor,
                currency_code=order.currency_code,
                secured_minor=order.secured_minor,
                hold_s=order.hold_s,
                payment_terms_days=order.payment_terms_days,
                source=order.source,
            ),
        )
        return OrderDecided(
            Outcome.Name(answer.decision.outcome).removeprefix("OUTCOME_"),
            tuple(ReasonCode.Name(reason.code).removeprefix("REASON_CODE_") for reason in answer.decision.reasons),
            _exposure_minor(answer.decision.exposure),
            answer.replayed,
        )

    async def _commit(self, commit: CommitReservation) -> StepDone:
        answer = await self._timed(
            "CommitReservation",
            self._client.commit_reservation(
                commit.account_id,
                commit.order_id,
                amount_minor=commit.amount_minor,
                currency_code=commit.currency_code,
                document_id=commit.document_id,
                final=commit.final,
            ),
        )
        reservation = answer.reservation
        given_back_minor = max(0, reservation.amount_minor - reservation.committed_minor) if commit.final else 0
        return StepDone(answer.over_committed_minor - given_back_minor, answer.replayed)

    async def _release(self, release: ReleaseReservation) -> StepDone:
        answer = await self._timed(
            "ReleaseReservation",
            self._client.release_reservation(
                release.account_id, release.order_id, request_id=release.request_id, reason=release.reason
            ),
        )
        reservation = answer.reservation
        return StepDone(min(0, reservation.committed_minor - reservation.amount_minor), answer.replayed)

    async def _pay(self, payment: RecordPayment) -> StepDone:
        answer = await self._timed(
            "RecordPayment",
            self._client.record_payment(
                payment.account_id,
                payment.payment_id,
                amount_minor=payment.amount_minor,
                currency_code=payment.currency_code,
            ),
        )
        return StepDone(-payment.amount_minor, answer.replayed)

    async def _timed(self, call: str, answer: Awaitable[T]) -> T:
        begin = time.perf_counter()
        try:
            return await answer
        finally:
            self._time_call(call, time.perf_counter() - begin)


def _failed(error: CreditCallError) -> StepFailed:
    return StepFailed(error.reason or error.code.name, error.message, error.code not in _STEP_REFUSED)


def _exposure_minor(exposure: Exposure) -> int:
    return exposure.reserved_minor + max(0, exposure.receivable_minor)


def _header(header: LimitBatchHeader) -> LimitBatchHeaderMessage:
    return limit_batch_header(
        header.batch_id,
        source=header.source,
        model_version=header.model_version,
        as_of=datetime.fromtimestamp(header.as_of_ms / _MS_PER_S, UTC),
        mode=LimitBatchMode.ValueType(header.mode),
        all_or_nothing=header.all_or_nothing,
        create_accounts=header.create_accounts,
    )


def _update(row: LimitRow) -> LimitUpdate:
    return limit_update(
        row.account_id,
        currency_code=row.currency_code,
        version=row.version,
        limit_minor=row.limit_minor,
        unlimited=row.limit_minor is None,
        risk_class=row.risk_class,
        score=row.score,
    )


def _put(client: AsyncCreditClient, settings: PutAccount) -> Awaitable[PutAccountResponse]:
    block = None if settings.block is None else settings.block.block
    limit_minor = None if settings.base_limit is None else settings.base_limit.limit_minor
    clear: list[ClearableField] = []
    if settings.block is not None and block is None:
        clear.append("block")
    if settings.base_limit is not None and limit_minor is None:
        clear.append("base_limit_minor")
    return client.put_account(
        settings.account_id,
        currency_code=settings.currency_code,
        display_name=settings.display_name,
        risk_class=settings.risk_class,
        status=None if settings.status is None else AccountStatus.ValueType(settings.status),
        base_limit_minor=limit_minor,
        unlimited=settings.unlimited,
        block=None if block is None else Block(reason=block.reason, actor=block.actor),
        clear=clear,
    )


def _has_settings(account: Account, settings: PutAccount) -> bool:
    """Return whether writing the settings would change nothing."""
    limit_minor = account.base_limit_minor if account.HasField("base_limit_minor") else None
    block = (account.block.reason, account.block.actor) if account.HasField("block") else None
    wanted_block = None if settings.block is None else settings.block.block
    return (
        account.currency_code == settings.currency_code
        and settings.display_name in {None, account.display_name}
        and settings.risk_class in {None, account.risk_class}
        and (settings.status is None or int(settings.status) == account.status)
        and settings.unlimited in {None, account.unlimited}
        and (settings.base_limit is None or settings.base_limit.limit_minor == limit_minor)
        and (settings.block is None or (wanted_block and (wanted_block.reason, wanted_block.actor)) == block)
    )
