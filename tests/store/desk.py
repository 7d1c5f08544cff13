"""One account of a store, and short names for what is done to it."""

import time
from datetime import date
from typing import Final

import pytest

from creditgate.domain.account import Account
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import (
    AgingUpdated,
    Amended,
    AmendReservation,
    CommitReservation,
    GetAccount,
    GetReservation,
    ImportOpenItem,
    LimitSetting,
    Operation,
    PostReceivable,
    PutAccount,
    RecordCreditNote,
    RecordPayment,
    ReleaseReservation,
    ReserveCredit,
    Reserved,
    UpdateAging,
)
from creditgate.domain.reservation import Etag, Reservation, ReservationState
from creditgate.domain.verification import SumDifference
from creditgate.store import RedisCreditStore

HOLD_S: Final = 3600


def deadline() -> float:
    return time.monotonic() + 10


class Desk:
    """One account in USD."""

    def __init__(self, store: RedisCreditStore, account_id: str) -> None:
        self.store = store
        self.account_id = account_id

    async def put(self, limit: int | None = 1000, **settings: object) -> None:
        base_limit = LimitSetting(limit) if limit is not None else None
        operation = PutAccount(self.account_id, "USD", base_limit=base_limit, **settings)  # type: ignore[arg-type]  # settings by name
        await self.store.run(operation, deadline())

    async def set_limit(self, limit: int) -> None:
        await self.store.run(PutAccount(self.account_id, base_limit=LimitSetting(limit)), deadline())

    # --- orders

    async def reserve(self, order_id: str, amount: int, **details: object) -> Reserved:
        operation = ReserveCredit(self.account_id, order_id, amount, "USD", HOLD_S, **details)  # type: ignore[arg-type]  # details by name
        return await self.store.run(operation, deadline())

    async def amend(self, order_id: str, amount: int, **details: object) -> Amended:
        return await self.store.run(self.amend_of(order_id, amount, **details), deadline())

    def amend_of(self, order_id: str, amount: int, **details: object) -> AmendReservation:
        return AmendReservation(self.account_id, order_id, amount, "USD", **details)  # type: ignore[arg-type]  # details by name

    async def commit(
        self, order_id: str, amount: int, document_id: str, *, final: bool = False
    ) -> tuple[int, bool, bool]:
        done = await self.store.run(self.commit_of(order_id, amount, document_id, final=final), deadline())
        return done.over_committed_minor, done.late, done.replayed

    def commit_of(self, order_id: str, amount: int, document_id: str, *, final: bool = False) -> CommitReservation:
        return CommitReservation(self.account_id, order_id, amount, "USD", document_id, final)

    async def release(self, order_id: str, etag: Etag | None = None) -> bool:
        return (await self.store.run(ReleaseReservation(self.account_id, order_id, etag=etag), deadline())).replayed

    async def reservation(self, order_id: str) -> Reservation:
        return await self.store.run(GetReservation(self.account_id, order_id), deadline())

    async def state(self, order_id: str) -> tuple[ReservationState, int, int, int]:
        held = await self.reservation(order_id)
        return held.state, held.committed_minor, held.remaining_minor, held.exposure_minor

    # --- receivables; each returns whether it was a replay

    async def post(self, document_id: str, amount: int) -> bool:
        return (await self.store.run(self.post_of(document_id, amount), deadline())).replayed

    def post_of(self, document_id: str, amount: int) -> PostReceivable:
        return PostReceivable(self.account_id, document_id, amount, "USD")

    async def credit(self, document_id: str, amount: int) -> bool:
        return (await self.store.run(self.credit_of(document_id, amount), deadline())).replayed

    def credit_of(self, document_id: str, amount: int) -> RecordCreditNote:
        return RecordCreditNote(self.account_id, document_id, amount, "USD")

    async def take_over(self, document_id: str, amount: int) -> bool:
        return (await self.store.run(self.take_over_of(document_id, amount), deadline())).replayed

    def take_over_of(self, document_id: str, amount: int) -> ImportOpenItem:
        return ImportOpenItem(self.account_id, document_id, amount, "USD")

    async def pay(self, payment_id: str, amount: int) -> bool:
        return (await self.store.run(self.pay_of(payment_id, amount), deadline())).replayed

    def pay_of(self, payment_id: str, amount: int) -> RecordPayment:
        return RecordPayment(self.account_id, payment_id, amount, "USD")

    async def age(self, as_of_ms: int, overdue: int, due: date | None = None, disputed: int = 0) -> AgingUpdated:
        return await self.store.run(UpdateAging(self.account_id, overdue, disputed, due, as_of_ms), deadline())

    # --- what is there

    async def account(self) -> Account:
        return await self.store.run(GetAccount(self.account_id), deadline())

    async def sums(self) -> tuple[int, int]:
        """Return what is reserved and receivable."""
        exposure = (await self.account()).exposure
        return exposure.reserved_minor, exposure.receivable_minor

    async def all_sums(self) -> tuple[int, int, int]:
        """Return what is reserved, receivable and receivable behind security."""
        account = await self.account()
        exposure = account.exposure
        return exposure.reserved_minor, exposure.receivable_minor, account.secured_receivable_minor

    async def verify(self, *, repair: bool = False) -> tuple[SumDifference, ...]:
        """Return which sums of the account differ from what they sum up."""
        return await self.store.verify_account(self.account_id, repair=repair, deadline=deadline())

    async def adds_up(self) -> None:
        """Fail when a sum of the account differs from what it sums up."""
        try:
            differences = await self.verify()
        except CreditError as error:
            assert error.reason is ErrorReason.ACCOUNT_NOT_FOUND  # noqa: PT017 - the account was never made
        else:
            assert differences == ()

    async def fails(self, operation: Operation[object]) -> CreditError:
        with pytest.raises(CreditError) as caught:
            await self.store.run(operation, deadline())
        return caught.value
