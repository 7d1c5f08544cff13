"""What the gate needs of a store; the Redis adapter is `creditgate.store`."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from creditgate.domain.account import Account
from creditgate.domain.errors import CreditError
from creditgate.domain.group import CreditGroup
from creditgate.domain.limit_batch import (
    LimitBatch,
    LimitBatchState,
    Noteworthy,
    RowsApplied,
    RowsEffect,
    RowsRestored,
    WindowRows,
    WindowStaged,
)
from creditgate.domain.operations import Operation
from creditgate.domain.policy import Policy
from creditgate.domain.rates import ExchangeRate
from creditgate.domain.reservation import Reservation, ReservationState
from creditgate.domain.verification import SumDifference, Verified

R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Page(Generic[T_co]):
    """A page of a listing. An empty `next_page_token` is the only end."""

    items: tuple[T_co, ...]
    next_page_token: str


class PolicySource(Protocol):
    """Where the policy comes from that decides now."""

    @property
    def policy(self) -> Policy:
        """The policy."""
        ...

    @property
    def document(self) -> str:
        """The policy as its author writes it, with every default written out."""
        ...

    @property
    def problem(self) -> str:
        """Why what its author has written last is not used; empty when it is."""
        ...


class CreditStore(Protocol):
    """Keeps accounts and reservations, and decides atomically.

    `deadline` is a value of `time.monotonic()`, in seconds. Every method raises `CreditError`: STORE_UNAVAILABLE when
    the store does not answer, DEADLINE_EXCEEDED when the deadline passes first, OVERLOADED when too many operations
    wait.
    """

    async def run(self, operation: Operation[R], deadline: float) -> R:
        """Carry out one operation and return its answer, or raise the `CreditError` it ends with."""
        ...

    async def run_each(self, operations: Sequence[Operation[R]], deadline: float) -> list[R | CreditError]:
        """Carry out operations independently of each other; operations of one account keep their order.

        Returns an answer or an error for each, in their order.
        """
        ...

    async def list_reservations(
        self, account_id: str, states: frozenset[ReservationState], page_size: int, page_token: str, deadline: float
    ) -> Page[Reservation]:
        """Return a page of the account's reservations in the given states (empty: all), in no particular order.

        Raises INVALID_FIELD for a token that this listing did not give out.
        """
        ...

    async def list_accounts(self, page_size: int, page_token: str, deadline: float) -> Page[Account]:
        """Return a page of all accounts, in no particular order.

        Raises INVALID_FIELD for a token that this listing did not give out.
        """
        ...

    async def list_groups(self, page_size: int, page_token: str, deadline: float) -> Page[CreditGroup]:
        """Return a page of all credit groups, in no particular order.

        Raises INVALID_FIELD for a token that this listing did not give out.
        """
        ...

    async def put_rates(self, rates: Sequence[ExchangeRate], version: int, expire_time_s: int, deadline: float) -> int:
        """Replace exchange rates, except by an older version; return how many are in force by this call.

        They may be in force for some accounts earlier than for others; asking again after an error is safe. Raises
        INVALID_FIELD for an end that is past by the store's clock.
        """
        ...

    async def verify_account(self, account_id: str, *, repair: bool, deadline: float) -> tuple[SumDifference, ...]:
        """Recompute an account's sums from what they sum up, while orders run; with `repair`, put them right.

        Returns the sums that differ (that differed, when they were put right). Raises ACCOUNT_NOT_FOUND.
        """
        ...

    async def verify_accounts(self, *, page_size: int, page_token: str, repair: bool, deadline: float) -> Verified:
        """Verify a page of all accounts.

        Raises INVALID_FIELD for a token that was not given out by this method or by `list_accounts`.
        """
        ...


class LimitBatchStore(Protocol):
    """Keeps limit batches: a record each, and their rows in the partitions of the rows' accounts.

    Every method raises `CreditError` as those of `CreditStore` do. A batch's rows are stored in chunks; carrying out a
    chunk, keeping what undoes it, and marking it as done are one atomic step, so that each method that goes through the
    chunks may be ended anywhere and begun again, by several servers at once.
    """

    async def read_clock(self, deadline: float) -> int:
        """Return the time by which records are created and changed, in milliseconds since 1970."""
        ...

    async def put_batch(self, batch: LimitBatch, deadline: float) -> LimitBatch:
        """Write a batch's record, if its revision is still `batch.revision` (0: there is none yet).

        `row_errors` are added to those that are kept, up to `ROW_ERRORS_MAX`, one for each row. Returns the batch with
        its new revision, and its `update_time_ms` (a new one's `create_time_ms` too) by the store's clock. A change of
        state is journaled. A new batch may take the place of one that is over: first of one that was never in force,
        never of the last `UNDO_BATCHES_MAX` active ones. Raises LIMIT_BATCH_CHANGED, also for a new batch under the id
        of one whose rows `drop_gone` has still to drop; STORE_FULL when too many batches have to be kept.
        """
        ...

    async def put_measured(self, batch: LimitBatch, deadline: float) -> LimitBatch:
        """Write a batch's record as `put_batch` does, with all `row_errors` that its measuring or activating has found.

        They take the place of those of an earlier call; those that `put_batch` has written stay.
        """
        ...

    async def get_batch(self, batch_id: str, deadline: float) -> LimitBatch:
        """Return a batch with its `row_errors`. Raises LIMIT_BATCH_NOT_FOUND."""
        ...

    async def list_batches(
        self, states: frozenset[LimitBatchState], page_size: int, page_token: str, deadline: float
    ) -> Page[LimitBatch]:
        """Return a page of the batches in the given states (empty: all), newest first, without `row_errors`.

        Raises INVALID_FIELD for a token that this listing did not give out.
        """
        ...

    async def stage_window(
        self, batch: LimitBatch, rows: WindowRows, noteworthy: Noteworthy | None, deadline: float
    ) -> WindowStaged:
        """Store the rows of a window; which accounts those name that are sorted is not remembered.

        Returns those that are left out because an earlier row of the batch is for the same account, and, with
        `noteworthy`, what the others would do to their accounts as they are now. The same window again changes nothing;
        behind `drop_received` it is late.
        """
        ...

    def index_accounts(self, batch_id: str, deadline: float) -> AsyncIterator[int]:
        """Remember, chunk by chunk, which accounts the rows name that are there, and tell how many rows those are.

        This comes before the first window that is not sorted. It may be begun again; what is remembered is passed over.
        """
        ...

    def measure_rows(
        self, batch: LimitBatch, noteworthy: Callable[[], Noteworthy], deadline: float
    ) -> AsyncIterator[RowsEffect]:
        """Tell, chunk by chunk, what the rows that are not applied yet would do to their accounts as they are now."""
        ...

    def apply_rows(self, batch: LimitBatch, deadline: float) -> AsyncIterator[RowsApplied]:
        """Put the rows in force that are not, chunk by chunk, and tell what became of each chunk."""
        ...

    async def count_applied(self, batch_id: str, deadline: float) -> RowsApplied:
        """Return what became of all chunks that are done, whoever did them; lists are cut off at their bounds."""
        ...

    def restore_rows(self, batch: LimitBatch, deadline: float, in_force_s: int = 0) -> AsyncIterator[RowsRestored]:
        """Restore the limits before the rows that still count, chunk by chunk, and tell what became of each chunk.

        `in_force_s` is a second by which this batch's limits were in force, and those of no other that has come behind
        it and still counts: a limit that is as its row has made it, and was confirmed by then, is the row's, though a
        batch that was rolled back has left a later version there.
        """
        ...

    async def count_restored(self, batch_id: str, deadline: float) -> RowsRestored:
        """Return what a rollback has made of all chunks that it has done; the list is cut off at its bound."""
        ...

    async def drop_received(self, batch_id: str, deadline: float) -> None:
        """Drop what was only needed to receive a batch's rows; windows that are stored from now on are late."""
        ...

    async def drop_rows(self, batch_id: str, deadline: float) -> None:
        """Drop a batch's rows and what would undo them; its record stays."""
        ...

    async def drop_gone(self, deadline: float) -> int:
        """Drop the rows of the batches whose records have made room for others; return how many batches those were."""
        ...
