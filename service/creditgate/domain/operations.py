"""What can be asked of the store, each with the type of its answer.

Operations reach the store already validated (`creditgate.api.parse`): ids are well formed and amounts within bounds.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from creditgate.domain.account import Account, AccountStatus, Block
from creditgate.domain.decision import Decision
from creditgate.domain.reservation import Reservation

R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Operation(Generic[R_co]):
    """One thing to do to one account; `R_co` is the type of its answer."""

    account_id: str


@dataclass(frozen=True, slots=True)
class Reserved:
    """Answer to `ReserveCredit`. `reservation` is None when the order was rejected."""

    decision: Decision
    reservation: Reservation | None
    replayed: bool


@dataclass(frozen=True, slots=True)
class Committed:
    """Answer to `CommitReservation`. `over_committed_minor` is in minor units of the order's currency."""

    reservation: Reservation
    over_committed_minor: int
    late: bool
    replayed: bool


@dataclass(frozen=True, slots=True)
class Released:
    """Answer to `ReleaseReservation`."""

    reservation: Reservation
    replayed: bool


@dataclass(frozen=True, slots=True)
class PaymentRecorded:
    """Answer to `RecordPayment`."""

    account: Account
    replayed: bool


@dataclass(frozen=True, slots=True)
class AccountPut:
    """Answer to `PutAccount`."""

    account: Account
    created: bool


@dataclass(frozen=True, slots=True)
class CheckCredit(Operation[Decision]):
    """Decide about an order without holding anything."""

    amount_minor: int
    currency_code: str
    secured_minor: int = 0
    explain: bool = False


@dataclass(frozen=True, slots=True)
class ReserveCredit(Operation[Reserved]):
    """Decide about an order and hold its exposure if it is approved."""

    order_id: str
    amount_minor: int
    currency_code: str
    hold_s: int
    secured_minor: int = 0
    payment_terms_days: int = 0
    source: str = ""


@dataclass(frozen=True, slots=True)
class CommitReservation(Operation[Committed]):
    """Turn (part of) a reservation into receivable."""

    order_id: str
    amount_minor: int
    currency_code: str
    document_id: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class ReleaseReservation(Operation[Released]):
    """Give back what is still held for an order."""

    order_id: str
    request_id: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RecordPayment(Operation[PaymentRecorded]):
    """Reduce what an account owes."""

    payment_id: str
    amount_minor: int
    currency_code: str


@dataclass(frozen=True, slots=True)
class LimitSetting:
    """A base limit to write; `limit_minor` None clears it."""

    limit_minor: int | None


@dataclass(frozen=True, slots=True)
class BlockSetting:
    """A block to write; `block` None ends it."""

    block: Block | None


@dataclass(frozen=True, slots=True)
class PutAccount(Operation[AccountPut]):
    """Create an account, or change the settings that are not None.

    An empty currency is that of the existing account.
    """

    currency_code: str = ""
    display_name: str | None = None
    risk_class: str | None = None
    status: AccountStatus | None = None
    base_limit: LimitSetting | None = None
    unlimited: bool | None = None
    block: BlockSetting | None = None


@dataclass(frozen=True, slots=True)
class CloseAccount(Operation[Account]):
    """Close an account to new orders."""


@dataclass(frozen=True, slots=True)
class GetAccount(Operation[Account]):
    """Read an account."""


@dataclass(frozen=True, slots=True)
class GetReservation(Operation[Reservation]):
    """Read a reservation."""

    order_id: str
