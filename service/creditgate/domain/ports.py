"""What the gate needs of a store; the Redis adapter is `creditgate.store`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from creditgate.domain.account import Account
from creditgate.domain.errors import CreditError
from creditgate.domain.operations import Operation
from creditgate.domain.reservation import Reservation, ReservationState
from creditgate.domain.verification import SumDifference, Verified

R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Page(Generic[T_co]):
    """A page of a listing. An empty `next_page_token` is the only end."""

    items: tuple[T_co, ...]
    next_page_token: str


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
