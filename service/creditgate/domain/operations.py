"""What can be asked of the store, each with the type of its answer.

Operations reach the store already validated (`creditgate.api.parse`): ids are well formed and amounts within bounds.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Generic, NamedTuple, TypeVar

from creditgate.domain.account import Account, AccountStatus, Block, ManualLimit, TemporaryLimit
from creditgate.domain.decision import Decision
from creditgate.domain.group import CreditGroup
from creditgate.domain.reservation import Etag, Reservation

R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Operation(Generic[R_co]):
    """One thing to do to one account; `R_co` is the type of its answer."""

    account_id: str


@dataclass(frozen=True, slots=True)
class GroupOperation(Operation[R_co]):
    """One thing to do to one credit group: its id stands in the place of an account's, and leads to its partition."""

    @property
    def group_id(self) -> str:
        """The group."""
        return self.account_id


class Reserved(NamedTuple):
    """Answer to `ReserveCredit`. `reservation` is None when the order was rejected."""

    decision: Decision
    reservation: Reservation | None
    replayed: bool


@dataclass(frozen=True, slots=True)
class Amended:
    """Answer to `AmendReservation`. A rejected increase leaves the reservation as it was."""

    decision: Decision
    reservation: Reservation
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
class Recorded:
    """Answer to whatever changes an account's receivable without an order."""

    account: Account
    replayed: bool


@dataclass(frozen=True, slots=True)
class AgingUpdated:
    """Answer to `UpdateAging`. `ignored`: figures of a later instant are there."""

    account: Account
    replayed: bool
    ignored: bool


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
    payment_terms_days: int = 0


@dataclass(frozen=True, slots=True)
class ReserveCredit(Operation[Reserved]):
    """Decide about an order and hold its exposure if it is approved; `hold_s` None: as long as the policy says."""

    order_id: str
    amount_minor: int
    currency_code: str
    hold_s: int | None = None
    secured_minor: int = 0
    payment_terms_days: int = 0
    source: str = ""


@dataclass(frozen=True, slots=True)
class AmendReservation(Operation[Amended]):
    """Change the total of what is held, and until when.

    `hold_s` None: the hold ends when it would have ended. An empty `request_id` is not remembered, a `etag` of None not
    compared.
    """

    order_id: str
    amount_minor: int
    currency_code: str
    hold_s: int | None = None
    request_id: str = ""
    etag: Etag | None = None


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
    etag: Etag | None = None


@dataclass(frozen=True, slots=True)
class RecordPayment(Operation[Recorded]):
    """Reduce what an account owes."""

    payment_id: str
    amount_minor: int
    currency_code: str


@dataclass(frozen=True, slots=True)
class PostReceivable(Operation[Recorded]):
    """Record an invoice that no reservation stands for."""

    document_id: str
    amount_minor: int
    currency_code: str


@dataclass(frozen=True, slots=True)
class RecordCreditNote(Operation[Recorded]):
    """Record a credit note."""

    document_id: str
    amount_minor: int
    currency_code: str


@dataclass(frozen=True, slots=True)
class ImportOpenItem(Operation[Recorded]):
    """Take over an open item; an amount below 0 is a credit that is not used yet."""

    document_id: str
    amount_minor: int
    currency_code: str


@dataclass(frozen=True, slots=True)
class UpdateAging(Operation[AgingUpdated]):
    """Replace what is known of an account's overdue items, as of an instant in milliseconds since 1970."""

    overdue_minor: int
    disputed_minor: int
    oldest_due_date: date | None
    as_of_ms: int


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

    An empty currency is that of the existing account, an empty group is none, a `limit_expire_time_s` of 0 never.
    """

    currency_code: str = ""
    display_name: str | None = None
    risk_class: str | None = None
    status: AccountStatus | None = None
    group_id: str | None = None
    base_limit: LimitSetting | None = None
    limit_expire_time_s: int | None = None
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


@dataclass(frozen=True, slots=True)
class SetManualLimit(Operation[Account]):
    """Set a limit that counts instead of the base limit; `manual_limit` None takes it away, for this reason."""

    currency_code: str
    manual_limit: ManualLimit | None
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class SetTemporaryLimit(Operation[Account]):
    """Set a limit that counts between two instants; `temporary_limit` None takes it away, for this reason."""

    currency_code: str
    temporary_limit: TemporaryLimit | None
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class SetBlock(Operation[Account]):
    """Block an account; `block` None ends the block, for this reason."""

    block: Block | None
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class GroupPut:
    """Answer to `PutGroup`."""

    group: CreditGroup
    created: bool


@dataclass(frozen=True, slots=True)
class PutGroup(GroupOperation[GroupPut]):
    """Create a group, or change its limit and name; `limit_minor` None is no ceiling."""

    currency_code: str
    limit_minor: int | None
    display_name: str


@dataclass(frozen=True, slots=True)
class GetGroup(GroupOperation[CreditGroup]):
    """Read a group."""


OPERATIONS: Final[tuple[type[Operation[Any]], ...]] = (
    CheckCredit,
    ReserveCredit,
    AmendReservation,
    CommitReservation,
    ReleaseReservation,
    RecordPayment,
    PostReceivable,
    RecordCreditNote,
    ImportOpenItem,
    UpdateAging,
    PutAccount,
    CloseAccount,
    GetAccount,
    GetReservation,
    SetManualLimit,
    SetTemporaryLimit,
    SetBlock,
    PutGroup,
    GetGroup,
)
"""All that can be asked."""
