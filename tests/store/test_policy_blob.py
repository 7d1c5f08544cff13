"""The policy as it travels with each call: read back as the library does, and days where the policy's days begin."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from creditgate.domain.decision import Action, ReasonCode
from creditgate.domain.policy import DEFAULT_CLASS, DEFAULT_POLICY, DEFAULT_RULES, ClassPolicy, Policy, RuleSetting
from creditgate.store import layouts
from creditgate.store.policy_blob import pack_policy

EPOCH = date(1970, 1, 1)


class Unpacked:
    """A packed policy, field after field."""

    def __init__(self, blob: bytes) -> None:
        self._blob = blob
        self._at = 0
        self.head = self._numbers(layouts.POLICY)
        self.version = self._text()
        self.offsets = [self._numbers(layouts.POLICY_OFFSET) for _ in range(self.head[4])]
        self.classes: dict[str, tuple[tuple[Any, ...], list[tuple[Any, ...]]]] = {}
        for _ in range(self.head[5]):
            head = self._numbers(layouts.POLICY_CLASS)
            name = self._text()
            self.classes[name] = (head[:-1], [self._numbers(layouts.POLICY_RULE) for _ in range(head[-1])])
        assert self._at == len(blob), "something is left over"

    def day_of(self, instant: datetime) -> date:
        """Return the day of an instant, as lua/policy.lua counts it."""
        second = int(instant.timestamp())
        begun = [offset_s for from_s, offset_s in self.offsets if from_s <= second]
        return EPOCH + timedelta(days=(second + (begun[-1] if begun else self.offsets[0][1])) // 86_400)

    def _numbers(self, layout: layouts.Layout) -> tuple[Any, ...]:
        values = layout.packer.unpack_from(self._blob, self._at)
        self._at += layout.size
        return values

    def _text(self) -> str:
        end = self._blob.index(b"\0", self._at)
        text = self._blob[self._at : end].decode()
        self._at = end + 1
        return text


def policy(time_zone: str = "UTC", **classes: ClassPolicy) -> Policy:
    told = {DEFAULT_CLASS: ClassPolicy(DEFAULT_RULES), **classes}
    return replace(DEFAULT_POLICY, time_zone=time_zone, classes=MappingProxyType(told))


def test_the_head() -> None:
    unpacked = Unpacked(pack_policy(Policy("v1", DEFAULT_POLICY.classes, 60, 3600, shadow=True)))
    assert (unpacked.head, unpacked.version) == ((1, 0, 60, 3600, 1, 1), "v1")
    (default,) = unpacked.classes.values()
    assert default == (
        (0, 0),
        [
            (code, Action.REJECT, 0, 0, -1)
            for code in (
                ReasonCode.ACCOUNT_BLOCKED,
                ReasonCode.ACCOUNT_CLOSED,
                ReasonCode.LIMIT_NOT_SET,
                ReasonCode.LIMIT_EXPIRED,
                ReasonCode.LIMIT_EXCEEDED,
                ReasonCode.GROUP_LIMIT_EXCEEDED,
            )
        ],
    )


def test_the_same_policy_gives_the_same_bytes() -> None:
    rules = {**DEFAULT_RULES, ReasonCode.NEAR_LIMIT: RuleSetting(Action.FLAG, share_bps=9000)}
    classes = {"gold": ClassPolicy(rules), "silver": ClassPolicy(rules)}
    there, back = policy("UTC", **classes), policy("UTC", **dict(reversed(classes.items())))
    assert pack_policy(there) == pack_policy(back)


def test_a_class_stands_for_itself_and_for_each_currency_with_an_amount() -> None:
    rules = {
        **DEFAULT_RULES,
        ReasonCode.ORDER_TOO_LARGE: RuleSetting(Action.REVIEW, amounts={"USD": 500, "JPY": 7}),
        ReasonCode.VELOCITY_EXCEEDED: RuleSetting(Action.FLAG, 86_400, 5_000, {"USD": 900}),
    }
    gold = ClassPolicy(rules, credit_balance_raises_headroom=True, limit_rise_releases_reviews=True)
    unpacked = Unpacked(pack_policy(policy(gold=gold)))
    assert list(unpacked.classes) == ["|", "gold|", "gold|JPY", "gold|USD"]
    amounts = {
        name: {
            rule[0]: rule[4] for rule in told if rule[0] in (ReasonCode.ORDER_TOO_LARGE, ReasonCode.VELOCITY_EXCEEDED)
        }
        for name, (_, told) in unpacked.classes.items()
    }
    too_large, velocity = ReasonCode.ORDER_TOO_LARGE, ReasonCode.VELOCITY_EXCEEDED
    assert amounts == {
        "|": {},
        "gold|": {too_large: -1, velocity: -1},
        "gold|JPY": {too_large: 7, velocity: -1},
        "gold|USD": {too_large: 500, velocity: 900},
    }
    assert unpacked.classes["gold|USD"][0] == (1, 1)
    assert (velocity, Action.FLAG, 86_400, 5_000, 900) in unpacked.classes["gold|USD"][1]


def test_rules_that_are_off_do_not_travel_and_the_others_keep_their_order() -> None:
    rules = {code: RuleSetting(Action.SHADOW) for code in reversed(ReasonCode)}
    rules[ReasonCode.LIMIT_STALE] = RuleSetting(Action.OFF, 30)
    _, told = Unpacked(pack_policy(policy(gold=ClassPolicy(rules)))).classes["gold|"]
    assert [rule[0] for rule in told] == [code for code in ReasonCode if code is not ReasonCode.LIMIT_STALE]


# --- days


def test_a_zone_that_never_changes_has_one_offset() -> None:
    assert [offset_s for _, offset_s in Unpacked(pack_policy(policy("UTC"))).offsets] == [0]
    assert [offset_s for _, offset_s in Unpacked(pack_policy(policy("Asia/Shanghai"))).offsets] == [8 * 3600]


@pytest.mark.parametrize(
    ("zone", "change", "before_s", "after_s"),
    [
        ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC), 3600, 7200),
        ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC), 7200, 3600),
        ("America/New_York", datetime(2027, 3, 14, 7, tzinfo=UTC), -18_000, -14_400),
        ("Australia/Lord_Howe", datetime(2027, 4, 3, 15, tzinfo=UTC), 39_600, 37_800),
    ],
)
def test_an_offset_changes_at_its_second(zone: str, change: datetime, before_s: int, after_s: int) -> None:
    offsets = Unpacked(pack_policy(policy(zone))).offsets
    index = next(index for index, (from_s, _) in enumerate(offsets) if from_s == change.timestamp())
    assert (offsets[index - 1][1], offsets[index][1]) == (before_s, after_s)


def around_midnights(zone: ZoneInfo) -> list[datetime]:
    """Seconds just before and at the first midnights after each change of clocks, and at the turn of each year."""
    days = [
        date(year, month, 1) + timedelta(days=day)
        for year in (2020, 2026, 2059)
        for month in (1, 3, 4, 9, 10, 11)
        for day in range(30)
    ]
    midnights = [datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC) for day in days]
    return [midnight + timedelta(seconds=seconds) for midnight in midnights for seconds in (-1, 0)]


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Shanghai", "Australia/Lord_Howe", "Africa/Casablanca"]
)
def test_days_begin_where_the_zone_says(zone: str) -> None:
    unpacked, there = Unpacked(pack_policy(policy(zone))), ZoneInfo(zone)
    wrong = [each for each in around_midnights(there) if unpacked.day_of(each) != each.astimezone(there).date()]
    assert wrong == []


@pytest.mark.parametrize(
    ("instant", "zone_of"),
    [(datetime(2019, 6, 1, 23, 30, tzinfo=UTC), min), (datetime(2075, 7, 1, 23, 30, tzinfo=UTC), max)],
)
def test_before_and_after_the_years_that_are_told_the_nearest_offset_goes_on(
    instant: datetime, zone_of: Callable[..., Any]
) -> None:
    unpacked = Unpacked(pack_policy(policy("Europe/Berlin")))
    _, offset_s = zone_of(unpacked.offsets)
    assert unpacked.day_of(instant) == (instant + timedelta(seconds=offset_s)).date()
