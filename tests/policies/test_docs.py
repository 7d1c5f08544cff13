"""What docs/policy.md says about the policy file is so."""

import re
from pathlib import Path

from creditgate.domain.decision import ReasonCode
from creditgate.policies import parse_policy

DOCS = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()


def test_the_example_can_be_used() -> None:
    example = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)[0]
    document = parse_policy(example)
    strict = document.risk_classes["new-customer"].rules
    assert (document.time_zone, strict.limit_exceeded.action, strict.near_limit.action) == (
        "Europe/Berlin",
        "reject",
        "flag",
    )


def test_every_rule_is_explained_with_its_thresholds() -> None:
    rows = dict(
        re.findall(r"^\| `([a-z_]+)` \| .* \|(.*) \|$", DOCS.split("## Rules", 1)[1].split("\n## ", 1)[0], re.MULTILINE)
    )
    rules = parse_policy("{}").default.rules
    assert {name: rows.get(name) for name in type(rules).model_fields}.keys() == {c.name.lower() for c in ReasonCode}
    for name in type(rules).model_fields:
        told = set(re.findall(r"`([a-z_]+)`", rows[name]))
        assert told == set(type(getattr(rules, name)).model_fields) - {"action"}, name
