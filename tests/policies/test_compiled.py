"""What the gate is told of a policy file: units, risk classes over the default, the version, and the way back."""

from dataclasses import replace
from itertools import combinations

import pytest
import yaml

from creditgate.domain.decision import Action, ReasonCode
from creditgate.domain.policy import DEFAULT_POLICY, AccountsCut, GuardRails, Policy, RuleSetting
from creditgate.policies import parse_policy, render_policy
from tests.policies.test_document import EVERY_KEY


def compiled(text: str, *, shadow: bool = False) -> Policy:
    return parse_policy(text).compiled(shadow=shadow)


def rules(text: str, risk_class: str = "") -> dict[str, RuleSetting]:
    return {code.name.lower(): setting for code, setting in compiled(text).classes[risk_class].rules.items()}


def test_a_file_that_sets_nothing_decides_as_no_file() -> None:
    assert replace(compiled("{}"), version="default") == DEFAULT_POLICY


def test_every_key_arrives() -> None:
    policy = compiled(EVERY_KEY)
    assert (policy.time_zone, policy.hold_default_s, policy.hold_longest_s) == ("Europe/Berlin", 1_209_600, 7_776_000)
    assert policy.classes[""].credit_balance_raises_headroom
    assert policy.classes[""].limit_rise_releases_reviews
    assert rules(EVERY_KEY) == {
        "account_blocked": RuleSetting(Action.REJECT),
        "account_closed": RuleSetting(Action.REJECT),
        "limit_not_set": RuleSetting(Action.REVIEW),
        "limit_expired": RuleSetting(Action.REJECT, 7),
        "limit_stale": RuleSetting(Action.FLAG, 45),
        "limit_exceeded": RuleSetting(Action.REVIEW),
        "within_tolerance": RuleSetting(Action.FLAG, share_bps=500, amounts={"USD": 50_000}),
        "near_limit": RuleSetting(Action.FLAG, share_bps=9000),
        "group_limit_exceeded": RuleSetting(Action.REJECT, share_bps=250),
        "order_too_large": RuleSetting(Action.REVIEW, amounts={"USD": 2_500_000, "JPY": 3_000_000}),
        "overdue_amount": RuleSetting(Action.REVIEW, share_bps=5000, amounts={"USD": 10_000}),
        "overdue_days": RuleSetting(Action.REJECT, 30, amounts={"USD": 5_000}),
        "velocity_exceeded": RuleSetting(Action.SHADOW, 604_800, 15_000, {"USD": 10_000_000}),
        "terms_too_long": RuleSetting(Action.REVIEW, 60),
    }


@pytest.mark.parametrize(
    ("written", "basis_points"), [("0.01", 1), ("2.5", 250), ("2.50", 250), ("7", 700), ("33.33", 3333), ("5%", 500)]
)
def test_percentages_are_basis_points(written: str, basis_points: int) -> None:
    text = f"default: {{rules: {{near_limit: {{action: flag, percent: {written}}}}}}}"
    assert rules(text)["near_limit"].share_bps == basis_points


def test_amounts_are_minor_units_of_each_currency() -> None:
    text = "default: {rules: {order_too_large: {action: flag, amount: {USD: 5000, JPY: 5000, KWD: '5,000.5'}}}}"
    assert rules(text)["order_too_large"].amounts == {"USD": 500_000, "JPY": 5_000, "KWD": 5_000_500}


def test_the_largest_amount_is_exact() -> None:
    text = "default: {rules: {order_too_large: {action: flag, amount: {USD: 90071992547409.91}}}}"
    assert rules(text)["order_too_large"].amounts == {"USD": 2**53 - 1}


# --- risk classes over the default

FAMILY = """
default:
  credit_balance_raises_headroom: true
  rules:
    near_limit: {action: flag, percent: 80}
    overdue_days: {action: reject, days: 10, amount: {USD: 5}}
risk_classes:
  gold:
    rules:
      overdue_days: {action: review, days: 60}
  strict:
    credit_balance_raises_headroom: false
"""


def test_a_rule_that_a_class_names_is_its_own_as_a_whole() -> None:
    assert rules(FAMILY, "gold")["overdue_days"] == RuleSetting(Action.REVIEW, 60)


def test_what_a_class_does_not_name_is_as_the_default_says() -> None:
    gold, strict = compiled(FAMILY).classes["gold"], compiled(FAMILY).classes["strict"]
    assert gold.rules[ReasonCode.NEAR_LIMIT] == RuleSetting(Action.FLAG, share_bps=8000)
    assert gold.credit_balance_raises_headroom
    assert strict.rules == compiled(FAMILY).classes[""].rules
    assert not strict.credit_balance_raises_headroom


def test_what_neither_names_is_as_without_a_file() -> None:
    assert rules(FAMILY, "gold")["limit_exceeded"] == RuleSetting(Action.REJECT)
    assert rules(FAMILY, "gold")["terms_too_long"] == RuleSetting(Action.OFF)


def test_a_class_that_judges_as_the_default_is_left_to_it() -> None:
    text = FAMILY + "  same: {}\n  spelled_out: {credit_balance_raises_headroom: true}\n"
    assert compiled(text).classes.keys() == {"", "gold", "strict"}


# --- the version

ALIKE = [
    "{}",
    "{} # a comment",
    "time_zone: UTC",
    "hold: {default: 720h, longest: 400d}",
    "default: {rules: {limit_exceeded: {action: reject}}}",
    "default: {rules: {near_limit: {action: off, percent: 5}}}",
    "default: {rules: {order_too_large: {action: off, amount: {USD: 5}}}}",
    "default: {rules: {limit_expired: {action: reject, grace_days: 0}}}",
    "risk_classes: {gold: {}}",
    "risk_classes: {gold: {rules: {near_limit: {action: off, percent: 5}}}}",
]

DIFFERENT = [
    "{}",
    "time_zone: Europe/Berlin",
    "hold: {default: 29d}",
    "hold: {longest: 399d}",
    "default: {credit_balance_raises_headroom: true}",
    "default: {limit_rise_releases_reviews: true}",
    "default: {rules: {limit_exceeded: {action: review}}}",
    "default: {rules: {limit_exceeded: {action: shadow}}}",
    "default: {rules: {limit_exceeded: {action: off}}}",
    "default: {rules: {limit_expired: {action: reject, grace_days: 1}}}",
    "default: {rules: {near_limit: {action: flag, percent: 90}}}",
    "default: {rules: {near_limit: {action: flag, percent: 90.01}}}",
    "default: {rules: {order_too_large: {action: flag, amount: {USD: 5}}}}",
    "default: {rules: {order_too_large: {action: flag, amount: {USD: 5.01}}}}",
    "default: {rules: {order_too_large: {action: flag, amount: {EUR: 5}}}}",
    "default: {rules: {order_too_large: {action: flag, amount: {USD: 5, EUR: 5}}}}",
    "default: {rules: {velocity_exceeded: {action: flag, percent: 5}}}",
    "default: {rules: {velocity_exceeded: {action: flag, percent: 5, window: 2d}}}",
    "risk_classes: {gold: {rules: {limit_exceeded: {action: review}}}}",
    "risk_classes: {silver: {rules: {limit_exceeded: {action: review}}}}",
]


def test_the_version_is_the_same_for_what_decides_alike() -> None:
    assert len({compiled(text).version for text in ALIKE}) == 1


def test_the_version_changes_with_all_that_could_change_a_decision() -> None:
    versions = {text: compiled(text).version for text in DIFFERENT}
    assert [pair for pair in combinations(DIFFERENT, 2) if versions[pair[0]] == versions[pair[1]]] == []


def test_the_version_tells_whether_the_whole_gate_is_in_shadow_mode() -> None:
    assert compiled("{}", shadow=True).shadow
    assert compiled("{}", shadow=True).version != compiled("{}", shadow=False).version


def test_the_version_does_not_depend_on_order_or_spelling() -> None:
    first = "default: {rules: {order_too_large: {action: flag, amount: {USD: 5, EUR: 7}}, near_limit: {action: flag}}}"
    second = """
default:
  rules:
    near_limit:
      action: flag
      percent: 90.0
    order_too_large:
      amount: {EUR: "7.00", USD: 5.0}
      action: flag
"""
    assert compiled(first) == compiled(second)


# --- the way back


@pytest.mark.parametrize("text", [*DIFFERENT, EVERY_KEY, FAMILY])
def test_a_policy_that_is_written_out_means_the_same(text: str) -> None:
    document = parse_policy(text)
    written = render_policy(document)
    assert parse_policy(written) == document
    assert render_policy(parse_policy(written)) == written
    assert compiled(written) == compiled(text)


def test_a_policy_is_written_with_every_default_for_readers_of_any_yaml() -> None:
    content = yaml.safe_load(render_policy(parse_policy(FAMILY)))
    assert content["hold"] == {"default": "30d", "longest": "400d"}
    assert content["default"]["rules"]["near_limit"] == {"action": "flag", "percent": 80}
    assert content["default"]["rules"]["order_too_large"] == {"action": "off", "amount": {}}
    assert content["risk_classes"]["gold"]["rules"]["overdue_days"] == {"action": "review", "days": 60, "amount": {}}
    assert content["risk_classes"]["strict"]["rules"].keys() == content["default"]["rules"].keys()


@pytest.mark.parametrize(
    ("written", "shown"), [("86400s", "1d"), ("90m", "90m"), ("3600s", "1h"), ("25h", "25h"), ("61s", "61s")]
)
def test_times_are_written_in_the_largest_unit(written: str, shown: str) -> None:
    assert f"default: {shown}\n" in render_policy(parse_policy(f"hold: {{default: {written}}}"))


def test_guard_rails_arrive_in_basis_points() -> None:
    assert compiled(EVERY_KEY).guard_rails == GuardRails(
        accounts_cut=AccountsCut(2500, 1250),
        total_change_bps=4000,
        single_raise_factor=5,
        row_count_change_bps=15_000,
        unknown_accounts_bps=100,
        wrong_rows_bps=150,
        duplicate_rows=7,
        as_of_backwards=False,
        model_version_backwards=False,
    )
    assert compiled("{}").guard_rails == GuardRails()


def test_guard_rails_leave_the_version_as_it_is_since_they_decide_about_no_order() -> None:
    changed = compiled("guard_rails: {total_change: off}")
    assert changed.guard_rails != compiled("{}").guard_rails
    assert changed.version == compiled("{}").version
