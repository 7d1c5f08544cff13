"""What each rule does when it fires, and with which thresholds; written by a credit manager, compiled for the store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from creditgate.domain.bounds import HOLD_DEFAULT_S, HOLD_MAX_S
from creditgate.domain.decision import Action, ReasonCode

BASIS_POINTS: Final = 10_000
"""One whole, in basis points: 250 are 2.5 %."""

DEFAULT_CLASS: Final = ""
"""Name of the class that judges accounts whose own class the policy does not name."""


@dataclass(frozen=True, slots=True)
class RuleSetting:
    """What one rule does, and its thresholds; which of them a rule reads says `docs/policy.md`.

    Attributes:
        action: what the rule does when it fires.
        number: days, or the seconds of a window.
        share_bps: a share of the limit, in basis points.
        amounts: by ISO 4217 code, in minor units; an account in a currency that is not named has no amount.

    """

    action: Action
    number: int = 0
    share_bps: int = 0
    amounts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class ClassPolicy:
    """The rules of one risk class.

    Attributes:
        rules: a setting for every rule.
        credit_balance_raises_headroom: whether a negative receivable counts against what is reserved, or as 0.
        limit_rise_releases_reviews: whether what waits for a person is judged anew when the account's limit changes, or
            its group's is raised.

    """

    rules: Mapping[ReasonCode, RuleSetting]
    credit_balance_raises_headroom: bool = False
    limit_rise_releases_reviews: bool = False


@dataclass(frozen=True, slots=True)
class AccountsCut:
    """How many accounts of a limit batch may lose how much: shares in basis points."""

    cut_over_bps: int = 2000
    share_bps: int = 2000


@dataclass(frozen=True, slots=True)
class GuardRails:
    """What a limit batch must not do without a person's consent; None or False is off. Shares are in basis points.

    Attributes:
        accounts_cut: the share of its accounts that it may cut by more than a share of their limit.
        total_change_bps: by how much it may change the sum of its accounts' limits in a currency, up or down.
        single_raise_factor: how many times its limit an account may get; one with a limit may not lose its ceiling.
        row_count_change_bps: by how much its rows may be more or fewer than those of the last active batch.
        unknown_accounts_bps: the share of its rows that may name accounts that don't exist.
        wrong_rows_bps: the share of its rows that may be wrong in another way, but for rows that name an account again.
        duplicate_rows: how many rows may name an account that an earlier row has named.
        as_of_backwards: whether its `as_of` must not be before that of the last active batch.
        model_version_backwards: whether its model version must not be before that of the last active batch.

    """

    accounts_cut: AccountsCut | None = AccountsCut()
    total_change_bps: int | None = 3000
    single_raise_factor: int | None = 10
    row_count_change_bps: int | None = 5000
    unknown_accounts_bps: int | None = 500
    wrong_rows_bps: int | None = 500
    duplicate_rows: int | None = 0
    as_of_backwards: bool = True
    model_version_backwards: bool = True


DEFAULT_GUARD_RAILS: Final = GuardRails()
"""What holds a limit batch back that the policy says nothing about."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A compiled policy. Its version explains a decision for as long as the decision is kept.

    Attributes:
        version: changes with everything that could change a decision; guard rails decide about no order.
        classes: by risk class; `DEFAULT_CLASS` is always there.
        hold_default_s: how long an order is held that does not say.
        hold_longest_s: how long an order may be held at most.
        time_zone: where days begin; an IANA name.
        shadow: whether the whole gate only says what it would do.
        guard_rails: what a limit batch must not do without a person's consent.

    """

    version: str
    classes: Mapping[str, ClassPolicy]
    hold_default_s: int = HOLD_DEFAULT_S
    hold_longest_s: int = HOLD_MAX_S
    time_zone: str = "UTC"
    shadow: bool = False
    guard_rails: GuardRails = DEFAULT_GUARD_RAILS


_REJECTING: Final = frozenset(
    {
        ReasonCode.ACCOUNT_BLOCKED,
        ReasonCode.ACCOUNT_CLOSED,
        ReasonCode.LIMIT_NOT_SET,
        ReasonCode.LIMIT_EXPIRED,
        ReasonCode.LIMIT_EXCEEDED,
        ReasonCode.GROUP_LIMIT_EXCEEDED,
    }
)

DEFAULT_RULES: Final[Mapping[ReasonCode, RuleSetting]] = MappingProxyType(
    {code: RuleSetting(Action.REJECT if code in _REJECTING else Action.OFF) for code in ReasonCode}
)
"""What a rule does that the policy says nothing about: over limit is rejected, what needs a threshold is off."""

DEFAULT_POLICY: Final = Policy("default", MappingProxyType({DEFAULT_CLASS: ClassPolicy(DEFAULT_RULES)}))
"""What decides without a policy file."""
