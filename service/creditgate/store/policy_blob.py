"""The policy as the library takes it: one argument of each call, so that one version explains each decision of it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

from creditgate.domain.decision import Action, ReasonCode
from creditgate.domain.policy import DEFAULT_CLASS, ClassPolicy, Policy, RuleSetting
from creditgate.store import layouts

POLICY_SIZE_MAX_BYTES: Final = 64 * 1024
"""Most bytes that a policy may take: they travel with each call."""

_YEAR_FIRST: Final = 2020
_YEAR_LAST: Final = 2060
"""Years for which the time zone's offsets are told; the last one goes on."""

_STEP: Final = timedelta(days=7)
"""No zone changes its offset twice within a week."""

_NO_AMOUNT: Final = -1


def pack_policy(policy: Policy) -> bytes:
    """Return the policy as an argument of a call. The same policy always gives the same bytes."""
    offsets = _offsets(policy.time_zone)
    classes = [
        (f"{name}|{currency_code}", class_policy, currency_code)
        for name, class_policy in sorted(policy.classes.items())
        for currency_code in ("", *_currencies(class_policy))
    ]
    head = layouts.POLICY.packer.pack(
        policy.shadow,
        policy.classes[DEFAULT_CLASS].credit_balance_raises_headroom,
        policy.hold_default_s,
        policy.hold_longest_s,
        len(offsets),
        len(classes),
    )
    parts = [head, policy.version.encode(), b"\0"]
    parts += [layouts.POLICY_OFFSET.packer.pack(*offset) for offset in offsets]
    for name, class_policy, currency_code in classes:
        parts += _class_parts(name, class_policy, currency_code)
    return b"".join(parts)


def _currencies(class_policy: ClassPolicy) -> list[str]:
    return sorted({code for setting in class_policy.rules.values() for code in setting.amounts})


def _class_parts(name: str, class_policy: ClassPolicy, currency_code: str) -> Iterator[bytes]:
    rules = [(code, class_policy.rules[code]) for code in ReasonCode if class_policy.rules[code].action]
    yield layouts.POLICY_CLASS.packer.pack(
        class_policy.credit_balance_raises_headroom, class_policy.limit_rise_releases_reviews, len(rules)
    )
    yield name.encode() + b"\0"
    for code, setting in rules:
        yield _rule(code, setting, currency_code)


def _rule(code: ReasonCode, setting: RuleSetting, currency_code: str) -> bytes:
    amount = setting.amounts.get(currency_code, _NO_AMOUNT)
    return layouts.POLICY_RULE.packer.pack(code, Action(setting.action), setting.number, setting.share_bps, amount)


@cache
def _offsets(time_zone: str) -> tuple[tuple[int, int], ...]:
    """Return when the zone's offset from UTC changes, and what it is from then on, both in seconds."""
    zone = ZoneInfo(time_zone)
    offsets: list[tuple[int, int]] = []
    instant, end = datetime(_YEAR_FIRST, 1, 1, tzinfo=UTC), datetime(_YEAR_LAST, 1, 1, tzinfo=UTC)
    while instant < end:
        offset_s = _offset_s(instant, zone)
        if not offsets or offsets[-1][1] != offset_s:
            offsets.append((int(_change(instant - _STEP, instant, zone).timestamp()), offset_s))
        instant += _STEP
    return tuple(offsets)


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the first second with the offset of `after`, within a second; `before` when it does not change."""
    if _offset_s(before, zone) == _offset_s(after, zone):
        return before
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if _offset_s(middle, zone) == _offset_s(after, zone):
            after = middle
        else:
            before = middle
    return after


def _offset_s(instant: datetime, zone: ZoneInfo) -> int:
    return int((instant.astimezone(zone).utcoffset() or timedelta()).total_seconds())
