"""The policy file: every key and every bound, and what is said about a mistake."""

import re
from collections.abc import Iterator

import pytest
import yaml

from creditgate.domain.decision import ReasonCode
from creditgate.policies import PolicyError, parse_policy

RULES = [code.name.lower() for code in ReasonCode]
TOP = ("time_zone", "hold", "default", "risk_classes", "guard_rails")
NEAR = "default.rules.near_limit"
CLASS = ("rules", "credit_balance_raises_headroom", "limit_rise_releases_reviews")


def mistakes_in(text: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text)
    assert str(caught.value).splitlines() == caught.value.sentences
    return caught.value.sentences


def mistake_in(text: str) -> str:
    (sentence,) = mistakes_in(text)
    return sentence


def rule(name: str, **settings: object) -> str:
    """Return a policy whose default has one rule, a key a line from line 4."""
    return yaml.safe_dump({"default": {"rules": {name: settings}}}, sort_keys=False)


# --- what there is

EVERY_KEY = """
time_zone: Europe/Berlin
hold:
  default: 14d
  longest: 90d
default:
  credit_balance_raises_headroom: true
  limit_rise_releases_reviews: true
  rules:
    account_blocked: {action: reject}
    account_closed: {action: reject}
    limit_not_set: {action: review}
    limit_expired: {action: reject, grace_days: 7}
    limit_stale: {action: flag, days: 45}
    limit_exceeded: {action: review}
    within_tolerance: {action: flag, percent: 5, amount: {USD: 500.00}}
    near_limit: {action: flag, percent: 90}
    group_limit_exceeded: {action: reject, tolerance_percent: 2.5}
    order_too_large: {action: review, amount: {USD: 25000.00, JPY: 3000000}}
    overdue_amount: {action: review, amount: {USD: 100.00}, above_percent_used: 50}
    overdue_days: {action: reject, days: 30, amount: {USD: 50.00}}
    velocity_exceeded: {action: shadow, window: 7d, amount: {USD: 100000.00}, percent: 150}
    terms_too_long: {action: review, days: 60}
risk_classes:
  gold:
    credit_balance_raises_headroom: false
    rules:
      near_limit: {action: "off"}
guard_rails:
  accounts_cut: {cut_over: 25, share: 12.5}
  total_change: 40
  single_raise_factor: 5
  row_count_change: 150
  unknown_accounts: 1
  wrong_rows: 1.5
  duplicate_rows: 7
  as_of_backwards: off
  model_version_backwards: off
"""


def test_every_key_can_be_set() -> None:
    document = parse_policy(EVERY_KEY)
    assert document.model_fields_set == set(type(document).model_fields)
    assert document.default.model_fields_set == set(type(document.default).model_fields)
    rules = document.default.rules
    for name in RULES:
        setting = getattr(rules, name)
        assert setting.model_fields_set == set(type(setting).model_fields), name


def test_there_is_a_key_for_each_rule() -> None:
    assert list(type(parse_policy("{}").default.rules).model_fields) == RULES


@pytest.mark.parametrize(
    "text",
    ["{} # all commented out\n", "default:\nrisk_classes:\nhold:\n", "default:\n  rules:\nrisk_classes:\n  gold:"],
)
def test_what_is_left_empty_says_nothing(text: str) -> None:
    policy = parse_policy(text).compiled(shadow=False)
    assert policy == parse_policy("{}").compiled(shadow=False)


@pytest.mark.parametrize("text", ["", " \n\n", "# all commented out\n", "---\n", "~"])
def test_a_file_that_says_nothing_at_all_is_a_mistake(text: str) -> None:
    assert mistake_in(text) == (
        "line 1: the policy says nothing; write what `creditgate policy show` prints, or {} for what decides without a "
        "file"
    )


# --- bounds, each from both sides

WITHIN: list[tuple[str, dict[str, object]]] = [
    ("limit_expired", {"grace_days": 0}),
    ("limit_expired", {"grace_days": 3650}),
    ("limit_stale", {"days": 0}),
    ("limit_stale", {"days": 3650}),
    ("within_tolerance", {"percent": 0.01}),
    ("within_tolerance", {"percent": 100}),
    ("within_tolerance", {"percent": "100%"}),
    ("within_tolerance", {"amount": {"USD": 0}}),
    ("near_limit", {"percent": 0}),
    ("near_limit", {"percent": 99.99}),
    ("group_limit_exceeded", {"tolerance_percent": 0}),
    ("group_limit_exceeded", {"tolerance_percent": 100}),
    ("order_too_large", {"amount": {"USD": "90,071,992,547,409.91"}}),
    ("order_too_large", {"amount": {"USD": "5000.00", "JPY": 80000, "KWD": "0.001"}}),
    ("overdue_amount", {"amount": {"USD": 0}, "above_percent_used": 0}),
    ("overdue_amount", {"amount": {"USD": 0}, "above_percent_used": 100}),
    ("overdue_days", {"days": 0}),
    ("overdue_days", {"days": 3650, "amount": {"USD": 1}}),
    ("velocity_exceeded", {"amount": {"USD": 1}, "window": "24s"}),
    ("velocity_exceeded", {"amount": {"USD": 1}, "window": "400d"}),
    ("velocity_exceeded", {"percent": 0.01, "window": "90m"}),
    ("velocity_exceeded", {"percent": 1000, "window": "12h"}),
    ("terms_too_long", {"days": 0}),
    ("terms_too_long", {"days": 3650}),
]


@pytest.mark.parametrize(("name", "thresholds"), WITHIN)
def test_within_bounds(name: str, thresholds: dict[str, object]) -> None:
    parse_policy(rule(name, action="flag", **thresholds))


SHARE = "must be a percentage from 0 to 100 with at most two decimals, such as 2.5"
DAYS = "must be a whole number of days from 0 to 3650"
USD = "must be an amount in USD from 0, such as 1,000.00"

BEYOND: list[tuple[str, dict[str, object], str]] = [
    ("limit_expired", {"grace_days": -1}, f"grace_days {DAYS}, was -1"),
    ("limit_expired", {"grace_days": 3651}, f"grace_days {DAYS}, was 3651"),
    ("limit_stale", {"days": 1.5}, f"days {DAYS}, was 1.5"),
    ("limit_stale", {"days": "30d"}, f"days {DAYS}, was '30d'"),
    ("limit_stale", {"days": True}, f"days {DAYS}, was true"),
    ("limit_stale", {"days": None}, f"days {DAYS}, was left empty"),
    ("within_tolerance", {"percent": 100.01}, f"percent {SHARE}, was 100.01"),
    ("within_tolerance", {"percent": -1}, f"percent {SHARE}, was -1"),
    ("within_tolerance", {"percent": 2.555}, f"percent {SHARE}, was 2.555"),
    ("within_tolerance", {"percent": "much"}, f"percent {SHARE}, was 'much'"),
    ("within_tolerance", {"percent": [1]}, f"percent {SHARE}, was a list"),
    ("near_limit", {"percent": 100}, f"percent {SHARE.replace('100', '99.99')}, was 100"),
    ("group_limit_exceeded", {"tolerance_percent": 101}, f"tolerance_percent {SHARE}, was 101"),
    ("overdue_amount", {"amount": {"USD": 1}, "above_percent_used": 101}, f"above_percent_used {SHARE}, was 101"),
    ("overdue_days", {"days": 3651}, f"days {DAYS}, was 3651"),
    ("velocity_exceeded", {"percent": 1000.01}, f"percent {SHARE.replace('100 ', '1000 ')}, was 1000.01"),
    (
        "velocity_exceeded",
        {"percent": 1, "window": "23s"},
        "window must be a time from 24s to 400d, such as 30d, 12h, 90m or 45s, was '23s'",
    ),
    (
        "velocity_exceeded",
        {"percent": 1, "window": "401d"},
        "window must be a time from 24s to 400d, such as 30d, 12h, 90m or 45s, was '401d'",
    ),
    (
        "velocity_exceeded",
        {"percent": 1, "window": 3600},
        "window must be a time from 24s to 400d, such as 30d, 12h, 90m or 45s, was 3600",
    ),
    ("terms_too_long", {"days": 3651}, f"days {DAYS}, was 3651"),
    ("order_too_large", {"amount": {"USD": -1}}, f"amount.USD {USD}, was -1"),
    ("order_too_large", {"amount": {"USD": None}}, f"amount.USD {USD}, was left empty"),
    ("order_too_large", {"amount": {"USD": True}}, f"amount.USD {USD}, was true"),
    ("order_too_large", {"amount": {"USD": {"a": 1}}}, f"amount.USD {USD}, had keys under it"),
    (
        "order_too_large",
        {"amount": {"USD": "5.001"}},
        f"amount.USD {USD}: '5.001' has more than the 2 decimals of USD",
    ),
    (
        "order_too_large",
        {"amount": {"JPY": "5.5"}},
        "amount.JPY must be an amount in JPY from 0, such as 100,000: '5.5' has more than the 0 decimals of JPY",
    ),
    (
        "order_too_large",
        {"amount": {"USD": "90,071,992,547,409.92"}},
        f"amount.USD {USD}: '90,071,992,547,409.92' is beyond 90,071,992,547,409.91 USD",
    ),
    ("order_too_large", {"amount": {"USD": "5 000"}}, f"amount.USD {USD}: '5 000' is not an amount such as 1250.00"),
    ("order_too_large", {"amount": {"usd": 5}}, "amount.usd is not an ISO 4217 currency code such as USD; write USD"),
    ("order_too_large", {"amount": {"XXX": 5}}, "amount.XXX is not an ISO 4217 currency code such as USD"),
    (
        "order_too_large",
        {"amount": 5},
        "amount must name an amount for each currency, such as {USD: 500.00, JPY: 80000}, was 5",
    ),
]


@pytest.mark.parametrize(("name", "thresholds", "said"), BEYOND)
def test_out_of_bounds(name: str, thresholds: dict[str, object], said: str) -> None:
    for action in ("flag", "off"):
        sentence = mistake_in(rule(name, action=action, **thresholds))
        assert re.sub("^line [0-9]+: ", "", sentence) == f"default.rules.{name}.{said}"


def test_every_wrong_amount_of_a_rule_is_named() -> None:
    amounts = "\n".join(f"        {code}: {amount}" for code, amount in {"usd": 1, "EUR": 5, "JPY": -2}.items())
    assert mistakes_in(f"default:\n  rules:\n    order_too_large:\n      action: flag\n      amount:\n{amounts}") == [
        "line 6: default.rules.order_too_large.amount.usd is not an ISO 4217 currency code such as USD; write USD",
        "line 8: default.rules.order_too_large.amount.JPY must be an amount in JPY from 0, such as 100,000, was -2",
    ]


def test_a_comma_within_a_flow_of_amounts() -> None:
    text = "default:\n  rules:\n    order_too_large: {action: reject, amount: {USD: 5,000.00}}\n"
    assert mistake_in(text) == (
        "line 3: default.rules.order_too_large.amount.000.00 is not an ISO 4217 currency code such as USD; "
        "write amounts without a comma, or in quotes"
    )


@pytest.mark.parametrize("action", ["off", "shadow", "flag", "review", "reject"])
def test_actions(action: str) -> None:
    document = parse_policy(f"default:\n  rules:\n    limit_exceeded:\n      action: {action}\n")
    assert document.default.rules.limit_exceeded.action == action


@pytest.mark.parametrize(
    ("written", "was"), [("rejct", "was 'rejct'"), ("REJECT", "was 'REJECT'"), ("", "was left empty"), ("1", "was 1")]
)
def test_no_actions(written: str, was: str) -> None:
    assert mistake_in(f"default:\n  rules:\n    limit_exceeded:\n      action: {written}\n") == (
        f"line 4: default.rules.limit_exceeded.action must be off, shadow, flag, review or reject, {was}"
    )


def test_a_rule_that_is_named_has_an_action() -> None:
    assert mistake_in("default:\n  rules:\n    overdue_days:\n      days: 5\n") == (
        "line 3: default.rules.overdue_days must have an action: off, shadow, flag, review or reject"
    )


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("within_tolerance", "a percent above 0, an amount, or both"),
        ("order_too_large", "an amount"),
        ("overdue_amount", "an amount"),
        ("velocity_exceeded", "an amount, a percent above 0, or both"),
    ],
)
def test_a_rule_that_could_never_fire_is_a_mistake(name: str, missing: str) -> None:
    assert mistake_in(rule(name, action="reject")) == (
        f"line 3: default.rules.{name} must have {missing}, or it never fires; to switch it off, write action: off"
    )
    parse_policy(rule(name, action="off"))


@pytest.mark.parametrize(
    "name", sorted(set(RULES) - {"within_tolerance", "order_too_large", "overdue_amount", "velocity_exceeded"})
)
def test_other_rules_need_no_more_than_an_action(name: str) -> None:
    parse_policy(rule(name, action="reject"))


@pytest.mark.parametrize("switch", ["credit_balance_raises_headroom", "limit_rise_releases_reviews"])
def test_switches(switch: str) -> None:
    for written, meant in (("true", True), ("false", False)):
        assert getattr(parse_policy(f"default:\n  {switch}: {written}").default, switch) is meant
    for written, was in (("yes", "was 'yes'"), ("1", "was 1"), ("", "was left empty")):
        assert (
            mistake_in(f"default:\n  {switch}: {written}") == f"line 2: default.{switch} must be true or false, {was}"
        )


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Shanghai", "America/Argentina/Buenos_Aires"])
def test_time_zones(zone: str) -> None:
    assert parse_policy(f"time_zone: {zone}").time_zone == zone


@pytest.mark.parametrize(
    ("written", "was"),
    [
        ("Mars/Phobos", "was 'Mars/Phobos'"),
        ("europe/berlin", "was 'europe/berlin'"),
        ("Europe", "was 'Europe'"),
        ("../etc/passwd", "was '../etc/passwd'"),
        ("/etc/localtime", "was '/etc/localtime'"),
        ("5", "was 5"),
        ("", "was left empty"),
        ("x" * 50, f"was '{'x' * 40}'…"),
    ],
)
def test_no_time_zones(written: str, was: str) -> None:
    sentence = f"line 1: time_zone must be an IANA time zone such as Europe/Berlin, {was}"
    assert mistake_in(f"time_zone: {written}") == sentence


@pytest.mark.parametrize(("written", "seconds"), [("1s", 1), ("90m", 5400), ("12h", 43_200), ("400d", 34_560_000)])
def test_holds(written: str, seconds: int) -> None:
    hold = parse_policy(f"hold: {{default: {written}, longest: 400d}}").hold
    assert (hold.default, hold.longest) == (seconds, 34_560_000)
    hold = parse_policy(f"hold: {{default: 1s, longest: {written}}}").hold
    assert hold.longest == seconds


@pytest.mark.parametrize("written", ["0s", "401d", "34560001s", "30", "d", "1.5h", "-1d", "1w", "30 d", "1d12h"])
@pytest.mark.parametrize("key", ["default", "longest"])
def test_no_holds(key: str, written: str) -> None:
    sentence = mistake_in(f"hold:\n  {key}: {written}")
    assert sentence.startswith(f"line 2: hold.{key} must be a time from 1s to 400d, such as 30d, 12h, 90m or 45s, was ")


@pytest.mark.parametrize(
    ("text", "line", "default", "longest"),
    [
        ("hold:\n  default: 40d\n  longest: 30d", 2, "40d", "30d"),
        ("hold:\n  longest: 30d\n  default: 40d", 3, "40d", "30d"),
        ("hold:\n\n  longest: 90m", 3, "30d", "90m"),
    ],
)
def test_the_default_hold_is_not_longer_than_the_longest(text: str, line: int, default: str, longest: str) -> None:
    assert mistake_in(text) == (
        f"line {line}: hold.default ({default}) must not be longer than hold.longest ({longest})"
    )
    parse_policy("hold: {default: 30d, longest: 30d}")


# --- a smaller order is never stopped where a larger one is not


def exposure_rules(**actions: str) -> str:
    thresholds = {"near_limit": {"percent": 90}, "within_tolerance": {"percent": 5}, "limit_exceeded": {}}
    rules = {name: {"action": action, **thresholds[name]} for name, action in actions.items()}
    return yaml.safe_dump({"default": {"rules": rules}}, sort_keys=False)


@pytest.mark.parametrize(
    ("actions", "severer", "milder"),
    [
        ({"near_limit": "reject", "limit_exceeded": "review"}, "near_limit (reject)", "limit_exceeded (review)"),
        ({"near_limit": "review", "limit_exceeded": "flag"}, "near_limit (review)", "limit_exceeded (flag)"),
        ({"near_limit": "review", "limit_exceeded": "off"}, "near_limit (review)", "limit_exceeded (off)"),
        (
            {"within_tolerance": "reject", "limit_exceeded": "review"},
            "within_tolerance (reject)",
            "limit_exceeded (review)",
        ),
        ({"near_limit": "reject", "within_tolerance": "flag"}, "near_limit (reject)", "within_tolerance (flag)"),
    ],
)
def test_a_smaller_order_is_not_stopped_where_a_larger_one_is_not(
    actions: dict[str, str], severer: str, milder: str
) -> None:
    sentence = mistake_in(exposure_rules(**actions))
    assert re.sub("^line [0-9]+: ", "", sentence) == (
        f"default.rules.{severer} must not be severer than {milder}, "
        "or an order would be stopped that may be sold when it is larger"
    )


@pytest.mark.parametrize(
    "actions",
    [
        {"near_limit": "flag", "limit_exceeded": "off"},
        {"near_limit": "shadow", "limit_exceeded": "off"},
        {"near_limit": "review", "within_tolerance": "review", "limit_exceeded": "review"},
        {"near_limit": "reject", "within_tolerance": "shadow", "limit_exceeded": "reject"},
        {"near_limit": "flag", "within_tolerance": "review", "limit_exceeded": "reject"},
    ],
)
def test_what_grows_severer_is_fine(actions: dict[str, str]) -> None:
    parse_policy(exposure_rules(**actions))


def test_a_class_is_looked_at_with_what_it_takes_over() -> None:
    text = exposure_rules(near_limit="review", limit_exceeded="reject")
    assert mistake_in(f"{text}risk_classes:\n  gold:\n    rules:\n      limit_exceeded: {{action: flag}}\n") == (
        "line 11: risk_classes.gold.rules.near_limit (review) must not be severer than limit_exceeded (flag), "
        "or an order would be stopped that may be sold when it is larger"
    )


def test_what_is_wrong_in_the_default_is_not_told_again_for_a_class() -> None:
    text = exposure_rules(near_limit="reject", limit_exceeded="flag")
    assert mistake_in(f"{text}risk_classes:\n  gold: {{}}\n").startswith("line 4: default.rules.near_limit ")


# --- risk classes


@pytest.mark.parametrize("name", ["a", "x" * 32, "gold-2_b", "0"])
def test_class_names(name: str) -> None:
    assert name in parse_policy(f"risk_classes: {{'{name}': {{}}}}").risk_classes


@pytest.mark.parametrize("name", ["Gold", "x" * 33, "a b", "ä", "a.b"])
def test_no_class_names(name: str) -> None:
    assert mistake_in(f"\nrisk_classes:\n  {name}: {{}}") == (
        f"line 3: risk_classes.{name} must be named by 1 to 32 characters of [a-z0-9_-]"
    )


def test_no_class_is_named_as_what_judges_all_others() -> None:
    assert mistake_in("risk_classes:\n  default: {}") == (
        "line 2: risk_classes.default must have another name: default at the top level is what judges accounts whose "
        "class is not named"
    )


def test_a_class_has_a_name() -> None:
    assert mistake_in("risk_classes:\n  '': {}").startswith("line 2: risk_classes.'' must be named by 1 to 32")


def test_classes_are_bounded() -> None:
    def classes(count: int) -> str:
        return "\nrisk_classes:\n" + "".join(f"  c{number}:\n" for number in range(count))

    parse_policy(classes(100))
    assert mistake_in(classes(101)) == "line 2: risk_classes must be at most 100, had 101"


def test_the_size_of_all_that_travels_with_a_call_is_bounded() -> None:
    currencies = ["EUR", "USD", "JPY", "GBP", "CHF", "CNY", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "CAD", "AUD"]
    amounts = ", ".join(f"{code}: {number}" for number, code in enumerate(currencies, 1))
    shared = f"default: {{rules: {{order_too_large: {{action: reject, amount: {{{amounts}}}}}}}}}\nrisk_classes:\n"
    own = "".join(f"  c{days}: {{rules: {{terms_too_long: {{action: flag, days: {days}}}}}}}\n" for days in range(25))
    sentence = mistake_in(shared + own)
    assert re.match("line 2: the policy takes [0-9]+ bytes of each call, at most 65536 are allowed: ", sentence)
    parse_policy(shared + "".join(own.splitlines(keepends=True)[:15]))


# --- keys that are not known, and shapes


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "timezone: UTC",
            f"line 1: timezone is not known here; did you mean time_zone? Known are {', '.join(TOP)}",
        ),
        ("rules: {}", "line 1: rules is not known here; write it under default"),
        ("near_limit: {}", "line 1: near_limit is not known here; write it under default.rules"),
        ("longest: 5d", "line 1: longest is not known here; write it under hold"),
        ("total_change: 5", "line 1: total_change is not known here; write it under guard_rails"),
        ("default:\n  near_limit: {}", "line 2: default.near_limit is not known here; write it under default.rules"),
        ("default:\n  hold: {}", "line 2: default.hold is not known here; write it at the top level"),
        (
            "risk_classes:\n  gold:\n    near_limit: {action: flag}",
            "line 3: risk_classes.gold.near_limit is not known here; write it under risk_classes.gold.rules",
        ),
        (
            "risk_classes:\n  gold:\n    rules:\n      limit_rise_releases_reviews: true",
            (
                "line 4: risk_classes.gold.rules.limit_rise_releases_reviews is not known here; "
                "write it under risk_classes.gold"
            ),
        ),
        ("hold:\n  max: 5d", "line 2: hold.max is not known here; known are default, longest"),
        (
            "default:\n  rules:\n    near_limit:\n      action: flag\n      precent: 5",
            f"line 5: {NEAR}.precent is not known here; did you mean percent? Known are action, percent",
        ),
        (
            "risk_classes:\n  gold:\n    rules:\n      near_limit:\n        days: 5\n        action: flag",
            "line 5: risk_classes.gold.rules.near_limit.days is not known here; known are action, percent",
        ),
        (
            "risk_classes:\n  gold:\n    rule: {}",
            f"line 3: risk_classes.gold.rule is not known here; did you mean rules? Known are {', '.join(CLASS)}",
        ),
    ],
)
def test_keys_that_are_not_known(text: str, sentence: str) -> None:
    assert mistake_in(text) == sentence


def test_a_rule_that_is_not_known() -> None:
    sentence = mistake_in("default:\n  rules:\n    NEAR_LIMIT: {action: flag}")
    assert sentence.startswith(
        "line 3: default.rules.NEAR_LIMIT is not known here; did you mean near_limit? Known are "
    )
    assert all(name in sentence for name in RULES)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", f"the policy must have keys under it ({', '.join(TOP)}), was a list"),
        ("text", f"the policy must have keys under it ({', '.join(TOP)}), was 'text'"),
        ("hold: 5d", "hold must have keys under it (default, longest), was '5d'"),
        ("risk_classes: [gold]", "risk_classes must have keys under it, was a list"),
        (
            "default: {rules: {near_limit: flag}}",
            "default.rules.near_limit must have keys under it (action, percent), was 'flag'",
        ),
        (
            "default: {rules: {near_limit: }}",
            "default.rules.near_limit must have keys under it (action, percent), was left empty",
        ),
        (
            "risk_classes: {gold: 5}",
            f"risk_classes.gold must have keys under it ({', '.join(CLASS)}), was 5",
        ),
    ],
)
def test_what_must_have_keys(text: str, sentence: str) -> None:
    assert mistake_in(text) == f"line 1: {sentence}"


def test_a_key_that_is_there_twice() -> None:
    assert mistake_in("default:\n  rules:\n    near_limit: {action: flag}\n    near_limit: {action: 'off'}\n") == (
        "line 4: default.rules.near_limit is there twice; remove one of them"
    )


def test_every_mistake_is_named_in_the_order_of_lines() -> None:
    text = """time_zone: nowhere
default:
  rules:
    near_limit: {action: flg, percent: 150}
    unknown: {}
risk_classes:
  Gold: {}
  silver:
    rules:
      overdue_days: {days: x}
"""
    found = mistakes_in(text)
    assert [int(sentence.removeprefix("line ").partition(":")[0]) for sentence in found] == [1, 4, 4, 5, 7, 10, 10]


def test_a_mistake_of_the_default_is_not_told_again_for_each_class() -> None:
    text = "default:\n  rules:\n    near_limit: {action: flag, percent: 150}\nrisk_classes: {gold: {}, silver: {}}\n"
    assert mistake_in(text).startswith("line 3: default.rules.near_limit.percent ")


def test_the_number_of_sentences_is_bounded() -> None:
    found = mistakes_in("default:\n" + "".join(f"  wrong{number}: 1\n" for number in range(50)))
    assert len(found) == 21
    assert found[0].startswith("line 2: default.wrong0 is not known here")
    assert found[-1] == "and 30 more"


def every_sentence() -> Iterator[str]:
    for name, thresholds, _ in BEYOND:
        yield from mistakes_in(rule(name, action="flag", **thresholds))


def test_no_sentence_speaks_of_the_program() -> None:
    for sentence in every_sentence():
        assert not re.search("[Ii]nput|pydantic|dict|instance|valid |Decimal|None", sentence), sentence


# --- guard rails

OFF = "with at most two decimals, such as 2.5, or off"
GUARD_RAILS = tuple(type(parse_policy("{}").guard_rails).model_fields)


@pytest.mark.parametrize("name", GUARD_RAILS)
def test_every_guard_rail_can_be_off(name: str) -> None:
    assert getattr(parse_policy(f"guard_rails: {{{name}: off}}").guard_rails, name) in (None, False)


@pytest.mark.parametrize(
    ("rail", "what"),
    [
        ("accounts_cut: 20", "accounts_cut must have keys under it (cut_over, share), was 20"),
        ("accounts_cut: {cut: 20}", "accounts_cut.cut is not known here; known are cut_over, share"),
        (
            "accounts_cut: {share: 100.01}",
            "accounts_cut.share must be a percentage from 0 to 100 with at most two decimals, such as 2.5, was 100.01",
        ),
        (
            "total_change: 1001",
            f"total_change must be a percentage from 0 to 1000 {OFF}, was 1001",
        ),
        ("single_raise_factor: 1", "single_raise_factor must be a whole number from 2 to 1000000, or off, was 1"),
        (
            "row_count_change: -1",
            f"row_count_change must be a percentage from 0 to 1000 {OFF}, was -1",
        ),
        (
            "unknown_accounts: -1",
            f"unknown_accounts must be a percentage from 0 to 100 {OFF}, was -1",
        ),
        ("duplicate_rows: -1", "duplicate_rows must be a whole number from 0 to 1000000000, or off, was -1"),
        ("duplicate_rows: true", "duplicate_rows must be a whole number from 0 to 1000000000, or off, was true"),
        ("as_of_backwards: 1", "as_of_backwards must be true or off, was 1"),
        ("model_version_backwards:", "model_version_backwards must be true or off, was left empty"),
    ],
)
def test_a_wrong_guard_rail(rail: str, what: str) -> None:
    assert mistake_in(f"guard_rails: {{{rail}}}") == f"line 1: guard_rails.{what}"
