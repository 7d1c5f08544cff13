"""An account as it stands at one instant."""

from dataclasses import dataclass
from datetime import date
from enum import IntEnum, unique

from creditgate.domain.decision import Exposure


@unique
class AccountStatus(IntEnum):
    """Whether an account takes new orders; numbers are those of `creditgate.v1.AccountStatus`."""

    OPEN = 1
    CLOSED = 2


@dataclass(frozen=True, slots=True)
class Block:
    """Why, by whom and since when (milliseconds since 1970 by the store's clock) an account is stopped.

    `expire_time_s` 0 does not end by itself.
    """

    reason: str
    actor: str
    create_time_ms: int = 0
    expire_time_s: int = 0


@dataclass(frozen=True, slots=True)
class ManualLimit:
    """A limit that a person has set; `limit_minor` None is no ceiling, `expire_time_s` 0 never ends by itself."""

    limit_minor: int | None
    expire_time_s: int
    reason: str
    actor: str
    create_time_ms: int = 0


@dataclass(frozen=True, slots=True)
class TemporaryLimit:
    """A limit that counts from `start_time_s` until `end_time_s`."""

    limit_minor: int
    start_time_s: int
    end_time_s: int
    reason: str
    actor: str
    create_time_ms: int = 0


@dataclass(frozen=True, slots=True)
class ScheduledLimit:
    """The next base limit, which counts from `effective_time_s` on.

    `limit_minor` None is no ceiling, `expire_time_s` 0 never ends by itself, an empty `risk_class` leaves the
    account's.
    """

    limit_minor: int | None
    version: int
    effective_time_s: int
    expire_time_s: int = 0
    risk_class: str = ""


@dataclass(frozen=True, slots=True)
class Aging:
    """What the ERP's last ageing says, less what was paid since; amounts in minor units of the account's currency.

    `oldest_due_date` is None when nothing is overdue or the ERP did not say, `as_of_ms` the instant that it describes.
    """

    overdue_minor: int
    disputed_minor: int
    oldest_due_date: date | None
    as_of_ms: int


@dataclass(frozen=True, slots=True)
class Account:
    """One customer's credit account.

    `base_limit_minor` is None when no limit is set; `limit_expire_time_s` is 0 for a limit that does not end,
    `limit_confirm_time_s` when it was last set or confirmed. `secured_receivable_minor` is what is invoiced, unpaid and
    covered by security: it takes no credit, and payments are counted against it first. `score` and `limit_reasons` are
    what the scorer said of the base limit; None and none where it did not.
    """

    account_id: str
    display_name: str
    currency_code: str
    group_id: str
    risk_class: str
    status: AccountStatus
    exposure: Exposure
    base_limit_minor: int | None
    unlimited: bool
    secured_receivable_minor: int
    limit_version: int
    limit_expire_time_s: int
    limit_confirm_time_s: int
    manual_limit: ManualLimit | None
    temporary_limit: TemporaryLimit | None
    block: Block | None
    aging: Aging | None
    create_time_ms: int
    scheduled_limit: ScheduledLimit | None = None
    score: float | None = None
    limit_reasons: tuple[str, ...] = ()
