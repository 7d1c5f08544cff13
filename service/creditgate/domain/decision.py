"""What the gate decides, and on what."""

from enum import IntEnum, unique
from typing import NamedTuple


@unique
class Outcome(IntEnum):
    """The answer to an order, by severity; numbers are those of `creditgate.v1.Outcome`."""

    APPROVED = 1
    FLAGGED = 2
    PENDING_REVIEW = 3
    REJECTED = 4


@unique
class Action(IntEnum):
    """What a rule does when it fires, by severity; numbers are those of `creditgate.v1.Action`."""

    OFF = 0
    SHADOW = 1
    FLAG = 2
    REVIEW = 3
    REJECT = 4


@unique
class ReasonCode(IntEnum):
    """The rules; numbers are those of `creditgate.v1.ReasonCode`."""

    ACCOUNT_BLOCKED = 1
    ACCOUNT_CLOSED = 2
    LIMIT_NOT_SET = 3
    LIMIT_EXPIRED = 4
    LIMIT_STALE = 5
    LIMIT_EXCEEDED = 6
    WITHIN_TOLERANCE = 7
    NEAR_LIMIT = 8
    GROUP_LIMIT_EXCEEDED = 9
    ORDER_TOO_LARGE = 10
    OVERDUE_AMOUNT = 11
    OVERDUE_DAYS = 12
    VELOCITY_EXCEEDED = 13
    TERMS_TOO_LONG = 14


class Reason(NamedTuple):
    """A rule's verdict with the numbers it saw: minor units of `currency_code`, or days when that is empty."""

    code: ReasonCode
    action: Action
    observed: int
    threshold: int
    currency_code: str = ""


class Exposure(NamedTuple):
    """An account's exposure at one instant, in minor units of its currency."""

    currency_code: str
    limit_minor: int | None
    unlimited: bool
    reserved_minor: int
    receivable_minor: int
    pending_review_minor: int
    credit_counts: bool = False

    @property
    def exposure_minor(self) -> int:
        """Reserved plus receivable; a negative receivable counts as 0 unless the policy says that credit counts."""
        return self.reserved_minor + (self.receivable_minor if self.credit_counts else max(0, self.receivable_minor))

    @property
    def available_minor(self) -> int | None:
        """Limit less exposure, which may be negative; None without a limit."""
        if self.unlimited or self.limit_minor is None:
            return None
        return self.limit_minor - self.exposure_minor


class Decision(NamedTuple):
    """What was decided about an order, and everything it was decided on."""

    outcome: Outcome
    reasons: tuple[Reason, ...]
    shadow_reasons: tuple[Reason, ...]
    passed_rules: tuple[Reason, ...]
    exposure: Exposure
    policy_version: str
    limit_version: int
    decide_time_ms: int
