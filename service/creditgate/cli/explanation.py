"""What every rule says about one order, for people and for programs."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import yaml
from google.protobuf.json_format import MessageToDict
from rich import box
from rich.table import Table
from rich.text import Text

from creditgate.cli.tables import OutputConsole, exposure_facts, headline, print_facts, printable, short_name
from creditgate.domain.money import format_money
from creditgate.v1.admin_service_pb2 import GetPolicyResponse
from creditgate.v1.decision_pb2 import (
    ACTION_SHADOW,
    REASON_CODE_ACCOUNT_BLOCKED,
    REASON_CODE_ACCOUNT_CLOSED,
    REASON_CODE_GROUP_LIMIT_EXCEEDED,
    REASON_CODE_LIMIT_EXCEEDED,
    REASON_CODE_LIMIT_NOT_SET,
    REASON_CODE_NEAR_LIMIT,
    REASON_CODE_ORDER_TOO_LARGE,
    REASON_CODE_OVERDUE_AMOUNT,
    REASON_CODE_VELOCITY_EXCEEDED,
    REASON_CODE_WITHIN_TOLERANCE,
    Action,
    Decision,
    Outcome,
    Reason,
    ReasonCode,
)

_NEVER_OF_DAYS: Final = frozenset(
    {
        REASON_CODE_ACCOUNT_BLOCKED,
        REASON_CODE_ACCOUNT_CLOSED,
        REASON_CODE_LIMIT_NOT_SET,
        REASON_CODE_GROUP_LIMIT_EXCEEDED,
    }
)
"""Rules of a state or of amounts: without a currency they had no number to look at, where others tell days."""

_OF_THE_LIMIT: Final = frozenset({REASON_CODE_LIMIT_EXCEEDED, REASON_CODE_WITHIN_TOLERANCE, REASON_CODE_NEAR_LIMIT})
_OF_AN_AMOUNT: Final = frozenset(
    {REASON_CODE_ORDER_TOO_LARGE, REASON_CODE_OVERDUE_AMOUNT, REASON_CODE_VELOCITY_EXCEEDED}
)
_FIRES: Final = "bold yellow"


class _Verdict(NamedTuple):
    """What one rule says: its words, and whether it fires."""

    reason: Reason
    words: str
    fires: bool


class Explanation:
    """A decision with what the policy says of every rule."""

    def __init__(self, decision: Decision, policy: GetPolicyResponse, risk_class: str) -> None:
        self._decision = decision
        self._policy = policy
        self._risk_class = risk_class
        document = yaml.safe_load(policy.document)
        classes = document.get("risk_classes", {})
        self._own_class = risk_class in classes
        rules: Mapping[str, Any] = (classes[risk_class] if self._own_class else document["default"])["rules"]
        self._actions = {name.upper(): str(rule["action"]) for name, rule in rules.items()}
        self._rules = {name.upper(): rule for name, rule in rules.items()}

    @property
    def _off(self) -> Sequence[str]:
        return [name for name, action in self._actions.items() if action == "off"]

    def print_json(self) -> None:
        """Print one document; money is in minor units."""
        decision = MessageToDict(
            self._decision, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        document = {
            "decision": decision,
            "risk_class": self._risk_class,
            "policy_names_class": self._own_class,
            "rules_off": self._off,
            "shadow": self._policy.shadow,
        }
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")

    def print_table(self) -> None:
        """Print a row for each rule that is on, which are off, and where the account stands."""
        console = OutputConsole()
        console.print(headline(short_name(Outcome.DESCRIPTOR, self._decision.outcome)))
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for heading, justify in (("rule", "left"), ("action", "left"), ("threshold", "right"), ("saw", "right")):
            table.add_column(heading, justify=justify)  # type: ignore[arg-type] # a word of rich's Literal
        for heading in ("verdict", "in words"):
            table.add_column(heading, overflow="fold")
        for verdict in sorted(self._verdicts(), key=lambda each: each.reason.code):
            table.add_row(*self._row(verdict))
        console.print(table)
        console.print(f"off: {', '.join(self._off) or 'no rule'}")
        console.print(self._policy_words(), soft_wrap=True)
        print_facts(console, exposure_facts(self._decision.exposure))

    def _verdicts(self) -> Iterator[_Verdict]:
        for reason in self._decision.reasons:
            yield _Verdict(reason, f"fires: {_action(reason)}", fires=True)
        for reason in self._decision.shadow_reasons:
            would = "" if reason.action == ACTION_SHADOW else f" (would be {_action(reason)})"
            yield _Verdict(reason, f"fires without effect{would}", fires=True)
        for reason in self._decision.passed_rules:
            yield _Verdict(reason, "passes", fires=False)

    def _row(self, verdict: _Verdict) -> Sequence[str | Text]:
        reason = verdict.reason
        code = short_name(ReasonCode.DESCRIPTOR, reason.code)
        style = _FIRES if verdict.fires else ""
        return (
            code,
            self._actions.get(code, ""),
            _number(reason, reason.threshold) if verdict.fires else self._kept_threshold(reason, code),
            _number(reason, reason.observed),
            Text(verdict.words, style=style),
            printable(reason.message),
        )

    def _kept_threshold(self, reason: Reason, code: str) -> str:
        """Return the threshold of a rule that did not fire: where there is none, its number is 0."""
        exposure, number = self._decision.exposure, _number(reason, reason.threshold)
        if reason.code in _OF_THE_LIMIT and exposure.unlimited:
            return "unlimited"
        if reason.code in _OF_THE_LIMIT and not exposure.HasField("limit_minor"):
            return "not set"
        if reason.threshold or not reason.currency_code:
            return number
        if reason.code == REASON_CODE_GROUP_LIMIT_EXCEEDED:
            return f"unlimited, or {number}"
        rule = self._rules.get(code, {})
        named = reason.currency_code in rule.get("amount", {}) or (
            rule.get("percent") and exposure.HasField("limit_minor")
        )
        return number if named or reason.code not in _OF_AN_AMOUNT else f"none in {reason.currency_code}"

    def _policy_words(self) -> str:
        named = f"class {self._risk_class}" if self._own_class else "the default class"
        if self._risk_class and not self._own_class:
            named = f"the default class, since it does not name {self._risk_class}"
        words = f"policy {self._decision.policy_version}, {named}"
        if self._policy.policy_version != self._decision.policy_version:
            words += f"; it has just been replaced by {self._policy.policy_version}, whose actions are shown"
        return f"{words}; the whole gate is in shadow mode: every order is approved" if self._policy.shadow else words


def _action(reason: Reason) -> str:
    return short_name(Action.DESCRIPTOR, reason.action)


def _number(reason: Reason, value: int) -> str:
    """Return a number as its rule means it; empty where a rule looks at a state, or had nothing to look at."""
    if reason.currency_code:
        return format_money(value, reason.currency_code)
    if reason.code in _NEVER_OF_DAYS:
        return ""
    return f"{value} day" if value == 1 else f"{value} days"
