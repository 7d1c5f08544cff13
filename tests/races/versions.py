"""Numbered policies whose every threshold says their number, and what each of them must say of an order.

So a decision shows of each of its thresholds which policy it came from: one that mixes two is told from both.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final, NamedTuple

from creditgate.domain.decision import Action, Outcome, ReasonCode
from creditgate.policies import parse_policy
from creditgate.v1.account_pb2 import Account
from creditgate.v1.decision_pb2 import Decision

LIMIT_MINOR: Final = 10**12
OWED_MINOR: Final = 6 * 10**11
"""Above every version's share of the limit, and so far below the limit that no order of the test reaches it."""

APPROVED_MINOR: Final = 10**6
"""Approved before: more than any version lets approve within its window."""

OVERDUE_MINOR: Final = 10**6
DAYS_OVERDUE: Final = 1000
VERSIONS_MAX: Final = 200
BROKEN: Final = "default:\n  rules:\n    near_limit: {action: flg}\n"

_FLAG_TO_REJECT: Final = (Action.FLAG, Action.REVIEW, Action.REJECT)


class Order(NamedTuple):
    """What of an order the rules look at."""

    amount_minor: int
    terms_days: int


class Told(NamedTuple):
    """What a rule says: its action, none where it does not fire, and its threshold."""

    action: Action
    threshold: int


def order_of(number: int) -> Order:
    """Return an order that some versions let pass and others do not, by each of two rules."""
    return Order(100 * (1 + number % VERSIONS_MAX), 1 + number * 7 % VERSIONS_MAX)


def text_of(version: int) -> str:
    """Return the file of a version; the lowest is 1."""
    too_large, too_long, near = _actions(version)
    return f"""
default:
  rules:
    order_too_large: {{action: {too_large.name.lower()}, amount: {{USD: {version}.00}}}}
    terms_too_long: {{action: {too_long.name.lower()}, days: {version}}}
    near_limit: {{action: {near.name.lower()}, percent: {_near_bps(version) / 100:.2f}}}
    overdue_amount: {{action: flag, amount: {{USD: {version}.01}}}}
    overdue_days: {{action: shadow, days: {version}}}
    velocity_exceeded: {{action: shadow, window: 1d, amount: {{USD: {version}.02}}}}
    limit_stale: {{action: review, days: {version}}}
    limit_expired: {{action: review, grace_days: {version}}}
"""


@cache
def name_of(version: int) -> str:
    """Return what decisions call a version."""
    return parse_policy(text_of(version)).compiled(shadow=False).version


@cache
def numbers() -> dict[str, int]:
    """Return the version that a name stands for."""
    return {name_of(version): version for version in range(1, VERSIONS_MAX + 1)}


def expected(version: int, order: Order) -> dict[ReasonCode, Told]:
    """Return what each of a version's rules with a threshold of its own says of an order."""
    too_large, too_long, near = _actions(version)
    fires = {
        ReasonCode.ORDER_TOO_LARGE: (order.amount_minor > 100 * version, too_large, 100 * version),
        ReasonCode.TERMS_TOO_LONG: (order.terms_days > version, too_long, version),
        ReasonCode.NEAR_LIMIT: (True, near, LIMIT_MINOR * _near_bps(version) // 10_000),
        ReasonCode.OVERDUE_AMOUNT: (True, Action.FLAG, 100 * version + 1),
        ReasonCode.OVERDUE_DAYS: (True, Action.SHADOW, version),
        ReasonCode.VELOCITY_EXCEEDED: (True, Action.SHADOW, 100 * version + 2),
        ReasonCode.LIMIT_STALE: (False, Action.REVIEW, version),
        ReasonCode.LIMIT_EXPIRED: (False, Action.REVIEW, version),
    }
    return {
        code: Told(action if fired else Action.OFF, threshold) for code, (fired, action, threshold) in fires.items()
    }


def check_decision(decision: Decision, order: Order, *, explained: bool) -> int:
    """Make sure that a decision is what one version gives for the order, in all of it; return that version."""
    version = numbers()[decision.policy_version]
    wanted = expected(version, order)
    fired = [*decision.reasons, *decision.shadow_reasons]
    told = {ReasonCode(each.code): Told(Action(each.action), each.threshold) for each in fired}
    assert len(told) == len(fired)
    assert told == {code: each for code, each in wanted.items() if each.action}, (version, order, decision)
    assert all(Action(each.action) is Action.SHADOW for each in decision.shadow_reasons)
    assert all(each.action > Action.SHADOW for each in decision.reasons)
    severest = max(each.action for each in wanted.values())
    assert Outcome(decision.outcome) is Outcome(max(severest, Action.SHADOW)), (version, order, decision)
    passed = {ReasonCode(each.code): Told(Action.OFF, each.threshold) for each in decision.passed_rules}
    assert {code: each for code, each in passed.items() if code in wanted} == (
        {code: each for code, each in wanted.items() if not each.action} if explained else {}
    ), (version, order, decision)
    return version


def account_of(account_id: str) -> Account:
    """Return an account on which every version's thresholds are told."""
    return Account(account_id=account_id, currency_code="USD", base_limit_minor=LIMIT_MINOR)


def due_date() -> str:
    """Return the date that is `DAYS_OVERDUE` ago."""
    return (datetime.now(UTC).date() - timedelta(days=DAYS_OVERDUE)).isoformat()


def _actions(version: int) -> tuple[Action, Action, Action]:
    """Return what the rules do that judge an order by its size, its terms and the limit."""
    near = Action.FLAG if version % 2 else Action.SHADOW
    return _FLAG_TO_REJECT[version % 3], _FLAG_TO_REJECT[version // 3 % 3], near


def _near_bps(version: int) -> int:
    return 1000 + 7 * version
