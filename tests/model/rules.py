"""The rules of the gate in plain Python, written from the credit manager's page: one function for each."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from creditgate.domain.decision import Action, Outcome, ReasonCode

BASIS_POINTS: Final = 10_000
BUCKETS: Final = 24


class Rule(NamedTuple):
    """What a rule does; `amount` is in minor units of the accounts' currency, None for none."""

    action: Action
    number: int = 0
    share_bps: int = 0
    amount: int | None = None


Rulebook = Mapping[ReasonCode, Rule]

_REJECT = Rule(Action.REJECT)
DEFAULT_RULEBOOK: Final[Rulebook] = {
    ReasonCode.ACCOUNT_BLOCKED: _REJECT,
    ReasonCode.ACCOUNT_CLOSED: _REJECT,
    ReasonCode.LIMIT_NOT_SET: _REJECT,
    ReasonCode.LIMIT_EXPIRED: _REJECT,
    ReasonCode.LIMIT_EXCEEDED: _REJECT,
    ReasonCode.GROUP_LIMIT_EXCEEDED: _REJECT,
}

FULL_RULEBOOK: Final[Rulebook] = {
    **DEFAULT_RULEBOOK,
    ReasonCode.ACCOUNT_CLOSED: Rule(Action.REVIEW),
    ReasonCode.LIMIT_STALE: Rule(Action.FLAG, number=1),
    ReasonCode.LIMIT_EXCEEDED: Rule(Action.REVIEW),
    ReasonCode.WITHIN_TOLERANCE: Rule(Action.FLAG, share_bps=1000, amount=7),
    ReasonCode.NEAR_LIMIT: Rule(Action.SHADOW, share_bps=9000),
    ReasonCode.ORDER_TOO_LARGE: Rule(Action.FLAG, amount=30),
    ReasonCode.OVERDUE_AMOUNT: Rule(Action.FLAG, share_bps=5000, amount=20),
    ReasonCode.OVERDUE_DAYS: Rule(Action.REVIEW, number=10, amount=40),
    ReasonCode.VELOCITY_EXCEEDED: Rule(Action.FLAG, number=86_400, share_bps=8000, amount=150),
    ReasonCode.TERMS_TOO_LONG: Rule(Action.SHADOW, number=14),
}
"""Every rule is on, with actions of every kind."""


_TOLD_MAX: Final = 2**53 - 1
"""No sum and no threshold that is told is greater."""


class Seen(NamedTuple):
    """What the rules look at; `limit_minor` is None without a limit or without a ceiling."""

    blocked: bool
    closed: bool
    limit_minor: int | None
    unlimited: bool
    exposure_minor: int
    added_minor: int
    amount_minor: int
    terms_days: int
    overdue_minor: int
    days_overdue: int
    approved_minor: int


class Verdict(NamedTuple):
    """Whether a rule fires, and its numbers."""

    fires: bool
    observed: int
    threshold: int


def share_of(amount_minor: int, share_bps: int) -> int:
    """A share of an amount, rounded down."""
    return min(_TOLD_MAX, amount_minor * share_bps // BASIS_POINTS)


def _tolerance(rule: Rule, limit_minor: int) -> int:
    return max(share_of(limit_minor, rule.share_bps), rule.amount or 0)


def _over(seen: Seen, ceiling_minor: int) -> bool:
    """Whether an order that takes credit brings the exposure above a ceiling that is derived from the limit."""
    return seen.limit_minor is not None and seen.added_minor > 0 and seen.exposure_minor > ceiling_minor


def _limit_exceeded(rules: Rulebook, seen: Seen, _: Rule) -> Verdict:
    limit = seen.limit_minor or 0
    tolerance = rules.get(ReasonCode.WITHIN_TOLERANCE)
    # A tolerance in shadow has no effect.
    extra = _tolerance(tolerance, limit) if tolerance is not None and tolerance.action > Action.SHADOW else 0
    return Verdict(_over(seen, limit + extra), seen.exposure_minor, limit)


def _within_tolerance(_: Rulebook, seen: Seen, rule: Rule) -> Verdict:
    limit = seen.limit_minor or 0
    over = _over(seen, limit) and seen.exposure_minor <= limit + _tolerance(rule, limit)
    return Verdict(over, seen.exposure_minor, limit)


def _near_limit(_: Rulebook, seen: Seen, rule: Rule) -> Verdict:
    limit = seen.limit_minor or 0
    near = share_of(limit, rule.share_bps)
    return Verdict(_over(seen, near) and seen.exposure_minor <= limit, seen.exposure_minor, near)


def _overdue_amount(_: Rulebook, seen: Seen, rule: Rule) -> Verdict:
    used = seen.limit_minor is not None and seen.exposure_minor > share_of(seen.limit_minor, rule.share_bps)
    looks = used or not rule.share_bps
    allowed = rule.amount or 0
    return Verdict(looks and seen.overdue_minor > allowed, seen.overdue_minor, allowed)


def _velocity(_: Rulebook, seen: Seen, rule: Rule) -> Verdict:
    bounds = [] if rule.amount is None else [rule.amount]
    if rule.share_bps and seen.limit_minor is not None:
        bounds.append(share_of(seen.limit_minor, rule.share_bps))
    total = min(_TOLD_MAX, seen.approved_minor + seen.added_minor)
    return Verdict(bool(bounds) and seen.added_minor > 0 and total > min(bounds), total, min(bounds, default=0))


_RULES: Final[dict[ReasonCode, Callable[[Rulebook, Seen, Rule], Verdict]]] = {
    ReasonCode.ACCOUNT_BLOCKED: lambda _, seen, __: Verdict(seen.blocked, int(seen.blocked), 0),
    ReasonCode.ACCOUNT_CLOSED: lambda _, seen, __: Verdict(seen.closed, int(seen.closed), 0),
    ReasonCode.LIMIT_NOT_SET: lambda _, seen, __: Verdict(
        seen.limit_minor is None and not seen.unlimited and seen.added_minor > 0, 0, 0
    ),
    ReasonCode.LIMIT_EXPIRED: lambda _, __, rule: Verdict(False, 0, rule.number),  # noqa: FBT003 - no limit here ends
    ReasonCode.LIMIT_STALE: lambda _, __, rule: Verdict(False, 0, rule.number),  # noqa: FBT003 - nor grows a day old
    ReasonCode.LIMIT_EXCEEDED: _limit_exceeded,
    ReasonCode.WITHIN_TOLERANCE: _within_tolerance,
    ReasonCode.NEAR_LIMIT: _near_limit,
    ReasonCode.GROUP_LIMIT_EXCEEDED: lambda _, __, ___: Verdict(False, 0, 0),  # noqa: FBT003 - in no group
    ReasonCode.ORDER_TOO_LARGE: lambda _, seen, rule: Verdict(
        seen.amount_minor > (rule.amount or 0), seen.amount_minor, rule.amount or 0
    ),
    ReasonCode.OVERDUE_AMOUNT: _overdue_amount,
    ReasonCode.OVERDUE_DAYS: lambda _, seen, rule: Verdict(
        seen.days_overdue > rule.number and seen.overdue_minor > (rule.amount or 0), seen.days_overdue, rule.number
    ),
    ReasonCode.VELOCITY_EXCEEDED: _velocity,
    ReasonCode.TERMS_TOO_LONG: lambda _, seen, rule: Verdict(
        seen.terms_days > rule.number, seen.terms_days, rule.number
    ),
}


class Judged(NamedTuple):
    """What all rules say: those that fire with an effect and in shadow, severest first, and those that do not."""

    outcome: Outcome
    fired: tuple[tuple[ReasonCode, Action, int, int], ...]
    shadow: tuple[tuple[ReasonCode, Action, int, int], ...]
    passed: frozenset[ReasonCode]


_OUTCOMES: Final = {
    Action.FLAG: Outcome.FLAGGED,
    Action.REVIEW: Outcome.PENDING_REVIEW,
    Action.REJECT: Outcome.REJECTED,
}


def judge(rules: Rulebook, seen: Seen) -> Judged:
    """Return what the rules say."""
    fired, passed = [], set()
    for code in sorted(rules):
        rule = rules[code]
        verdict = _RULES[code](rules, seen, rule)
        if verdict.fires:
            fired.append((code, rule.action, verdict.observed, verdict.threshold))
        else:
            passed.add(code)
    fired.sort(key=lambda reason: -reason[1])
    effective = tuple(reason for reason in fired if reason[1] > Action.SHADOW)
    shadow = tuple(reason for reason in fired if reason[1] is Action.SHADOW)
    severest = max((reason[1] for reason in effective), default=Action.OFF)
    return Judged(_OUTCOMES.get(severest, Outcome.APPROVED), effective, shadow, frozenset(passed))
