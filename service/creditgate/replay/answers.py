"""What the service answered to each step, in plain Python."""

from enum import StrEnum, unique
from typing import Final, NamedTuple, TypeAlias

APPROVED_OUTCOMES: Final = frozenset({"APPROVED", "FLAGGED"})
"""Outcomes that hold an order's exposure, so that its further steps are played."""


@unique
class AccountChange(StrEnum):
    """What playing an account's settings did to it."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class OrderDecided(NamedTuple):
    """An order was decided. `found_minor` is the account's exposure that the decision found, without the order."""

    outcome: str
    reasons: tuple[str, ...]
    found_minor: int
    replayed: bool


class StepDone(NamedTuple):
    """A commit, release or payment was recorded. `exposure_change_minor` is what it did to the account's exposure."""

    exposure_change_minor: int
    replayed: bool


class StepLeftOut(NamedTuple):
    """Not asked, because the order is not approved."""


class RejectedBefore(NamedTuple):
    """Not asked, because an earlier play asked and was refused (see `creditgate.replay.earlier`)."""


class Difference(NamedTuple):
    """A sum of an account that differs from what it sums up, in minor units of the account's currency."""

    account_id: str
    currency_code: str
    sum_name: str
    kept_minor: int
    recomputed_minor: int


class AccountsVerified(NamedTuple):
    """So many accounts were verified, and these of their sums differ."""

    accounts: int
    differences: tuple[Difference, ...]


class BatchPushed(NamedTuple):
    """A limit batch has ended up in a state. `guard_rails`: what those that have tripped say."""

    batch_id: str
    state: str
    applied_rows: int
    raised_accounts: int
    cut_accounts: int
    guard_rails: tuple[str, ...]


class StepFailed(NamedTuple):
    """The call ended with an error. `service_lost`: others would end like it, so the play stops."""

    reason: str
    message: str
    service_lost: bool


Answer: TypeAlias = OrderDecided | StepDone | StepLeftOut | RejectedBefore | StepFailed
