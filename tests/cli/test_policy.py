"""policy: show, check, explain."""

import json
from pathlib import Path

import pytest
import yaml

from creditgate.api.reason_texts import CHINESE
from creditgate.client import CreditClient
from creditgate.domain.decision import ReasonCode
from creditgate.policies import parse_policy, render_policy
from creditgate.v1.admin_service_pb2 import GetPolicyResponse
from creditgate.v1.credit_service_pb2 import CheckCreditResponse, GetAccountResponse
from creditgate.v1.decision_pb2 import OUTCOME_APPROVED, Decision, Exposure, Reason
from tests.cli.conftest import POLICY, Invoke
from tests.cli.served import ServedService
from tests.client.scripted_service import ScriptedService
from tests.patience import PATIENCE_S

VERSION = parse_policy(POLICY).compiled(shadow=False).version


@pytest.fixture
def limited(by_policy: Invoke, account_id: str) -> str:
    """An account with a limit of 1,000.00 USD."""
    assert by_policy("account", "put", account_id, "--limit", "1000.00 USD").exit_code == 0
    return account_id


def rows_of(output: str) -> dict[str, list[str]]:
    """Return what the table says of each rule, in cells."""
    lines = output.splitlines()
    head = next(line for line in lines if line.startswith("rule "))
    starts = [head.index(heading) for heading in ("rule", "action")]
    table = lines[lines.index(head) + 2 : next(n for n, line in enumerate(lines) if line.startswith("off: "))]
    return {
        row[: starts[1]].strip(): [cell.strip() for cell in row[starts[1] :].split("  ") if cell.strip()]
        for row in table
    }


# --- check and show


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


def test_a_usable_file_has_a_version(offline: Invoke, file: Path) -> None:
    result = offline("policy", "check", file)
    assert (result.exit_code, result.stdout) == (0, f"{file} can be used; its policy version is {VERSION}\n")
    result = offline("policy", "check", file, "--json")
    assert json.loads(result.stdout) == {"usable": True, "policy_version": VERSION}


@pytest.mark.parametrize("command", ["check", "show"])
def test_each_mistake_is_told_with_its_line(offline: Invoke, file: Path, command: str) -> None:
    file.write_text(POLICY.replace("flag", "flg").replace("days: 30", "days: 30d"))
    result = offline("policy", command, file)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"creditgate: {file} can't be used as a policy:",
        "line 4: default.rules.near_limit.action must be off, shadow, flag, review or reject, was 'flg'",
        "line 6: default.rules.terms_too_long.days must be a whole number of days from 0 to 3650, was '30d'",
    ]


def test_each_mistake_is_a_violation_for_programs(offline: Invoke, file: Path) -> None:
    file.write_text(POLICY.replace("flag", "flg").replace("days: 30", "days: 30d"))
    result = offline("policy", "check", file, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    error = json.loads(result.stderr)["error"]
    assert error["code"] == "USAGE"
    assert error["violations"] == [
        {
            "line": 4,
            "field": "default.rules.near_limit.action",
            "description": "must be off, shadow, flag, review or reject, was 'flg'",
        },
        {
            "line": 6,
            "field": "default.rules.terms_too_long.days",
            "description": "must be a whole number of days from 0 to 3650, was '30d'",
        },
    ]


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [("a: [", 1, ""), ("hold: {}\nhold: {}\n", 2, "hold"), ("", 1, "the policy"), ("\ufeff", 1, "the policy")],
)
def test_what_is_no_policy_at_all_is_a_violation_too(
    offline: Invoke, file: Path, text: str, line: int, field: str
) -> None:
    file.write_text(text)
    (violation,) = json.loads(offline("policy", "check", file, "--json").stderr)["error"]["violations"]
    assert (violation["line"], violation["field"]) == (line, field)


def test_a_file_that_is_not_there_is_told(offline: Invoke, tmp_path: Path) -> None:
    result = offline("policy", "check", tmp_path / "absent.yaml")
    assert result.exit_code == 2
    assert "absent.yaml" in result.stderr
    assert "No such file or directory" in result.stderr


def test_what_is_shown_is_the_same_policy(offline: Invoke, file: Path, tmp_path: Path) -> None:
    shown = offline("policy", "show", file)
    assert shown.exit_code == 0
    assert parse_policy(shown.stdout) == parse_policy(POLICY)
    again = tmp_path / "again.yaml"
    again.write_text(shown.stdout)
    assert offline("policy", "check", again).stdout.split()[-1] == VERSION


def test_the_default_is_a_policy_file(offline: Invoke, tmp_path: Path) -> None:
    shown = offline("policy", "show")
    assert shown.exit_code == 0
    default = tmp_path / "default.yaml"
    default.write_text(shown.stdout)
    assert offline("policy", "show", default).stdout == shown.stdout


def test_what_a_running_service_decides_by_is_shown(by_policy: Invoke) -> None:
    result = by_policy("policy", "show", "--running")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[0] == f"# policy {VERSION}"
    assert parse_policy(result.output) == parse_policy(POLICY)


def test_a_file_that_is_not_used_is_told(offline: Invoke, scripted: ScriptedService) -> None:
    problem = "line 3: default.rules.x is not known here\nline 4: hold.y is not known here"
    answer = GetPolicyResponse(policy_version="v1", document="hold: {}\n", problem=problem, shadow=True)
    scripted.script("GetPolicy", answer)
    result = offline("policy", "show", "--running", "--address", scripted.address)
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "# policy v1",
        "# The whole gate is in shadow mode: every order is approved.",
        "# The policy file as it is now is not used:",
        "# line 3: default.rules.x is not known here",
        "# line 4: hold.y is not known here",
        "hold: {}",
    ]


def test_a_file_and_the_running_service_exclude_each_other(offline: Invoke, file: Path) -> None:
    result = offline("policy", "show", file, "--running")
    assert result.exit_code == 2
    assert "FILE and --running exclude each other" in result.stderr


# --- explain


def test_explain_tells_what_every_rule_says(by_policy: Invoke, limited: str) -> None:
    result = by_policy("policy", "explain", limited, "850.00", "USD", "--terms-days", "31")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == "FLAGGED"
    rows = rows_of(result.output)
    assert rows["LIMIT_EXCEEDED"][:4] == ["reject", "1,000.00 USD", "850.00 USD", "passes"]
    assert rows["NEAR_LIMIT"][:4] == ["flag", "800.00 USD", "850.00 USD", "fires: FLAG"]
    assert rows["NEAR_LIMIT"][4].startswith("The order would bring the exposure to 850.00 USD, near the limit of ")
    assert rows["TERMS_TOO_LONG"][:4] == ["shadow", "30 days", "31 days", "fires without effect"]
    assert rows["ORDER_TOO_LARGE"][:4] == ["review", "none in USD", "850.00 USD", "passes"]
    assert rows["ACCOUNT_BLOCKED"] == ["reject", "passes", "The account is not blocked."]
    assert rows.keys().isdisjoint({"LIMIT_STALE", "VELOCITY_EXCEEDED"})
    assert "off: LIMIT_STALE, WITHIN_TOLERANCE, OVERDUE_AMOUNT, OVERDUE_DAYS, VELOCITY_EXCEEDED" in lines
    assert f"policy {VERSION}, the default class" in lines
    assert "  available   1,000.00 USD" in lines


def test_explain_an_account_without_a_limit(by_policy: Invoke, account_id: str) -> None:
    assert by_policy("account", "put", account_id, "--currency", "USD").exit_code == 0
    rows = rows_of(by_policy("policy", "explain", account_id, "850.00", "USD").output)
    assert rows["LIMIT_EXCEEDED"][:4] == ["reject", "not set", "850.00 USD", "passes"]
    assert rows["NEAR_LIMIT"][:4] == ["flag", "not set", "850.00 USD", "passes"]
    assert rows["GROUP_LIMIT_EXCEEDED"][:2] == ["reject", "passes"]


def test_explain_an_account_without_a_ceiling(by_policy: Invoke, account_id: str) -> None:
    assert by_policy("account", "put", account_id, "--currency", "USD", "--unlimited").exit_code == 0
    rows = rows_of(by_policy("policy", "explain", account_id, "850.00", "USD").output)
    assert rows["LIMIT_EXCEEDED"][:4] == ["reject", "unlimited", "850.00 USD", "passes"]
    assert rows["NEAR_LIMIT"][:4] == ["flag", "unlimited", "850.00 USD", "passes"]


@pytest.mark.parametrize(
    ("rule", "observed", "shown"),
    [
        ("group_limit_exceeded: {action: reject}", 500, "unlimited, or 0.00 GBP"),
        ("overdue_amount: {action: flag, amount: {EUR: 1}}", 500, "none in GBP"),
        ("overdue_amount: {action: flag, amount: {EUR: 1}}", 0, "none in GBP"),
        ("overdue_amount: {action: flag, amount: {GBP: 0}, above_percent_used: 50}", 500, "0.00 GBP"),
        ("order_too_large: {action: flag, amount: {EUR: 1}}", 500, "none in GBP"),
        ("velocity_exceeded: {action: flag, amount: {EUR: 1}}", 500, "none in GBP"),
        ("velocity_exceeded: {action: flag, amount: {GBP: 0}}", 500, "0.00 GBP"),
    ],
)
def test_a_threshold_that_is_not_there_is_not_shown_as_0(
    offline: Invoke, scripted: ScriptedService, rule: str, observed: int, shown: str
) -> None:
    name = rule.partition(":")[0].upper()
    passed = Reason(code=f"REASON_CODE_{name}", observed=observed, currency_code="GBP", message="is kept")  # type: ignore[arg-type] # a name
    decision = Decision(outcome=OUTCOME_APPROVED, passed_rules=[passed], exposure=Exposure(currency_code="GBP"))
    scripted.script("CheckCredit", CheckCreditResponse(decision=decision))
    scripted.script("GetAccount", GetAccountResponse())
    document = parse_policy(f"default: {{rules: {{{rule}}}}}")
    scripted.script("GetPolicy", GetPolicyResponse(document=render_policy(document)))
    result = offline("policy", "explain", "a", "5 GBP", "--address", scripted.address)
    assert rows_of(result.output)[name][1] == shown


def test_explain_by_the_class_of_the_account(by_policy: Invoke, limited: str) -> None:
    by_policy("account", "put", limited, "--risk-class", "gold")
    result = by_policy("policy", "explain", limited, "950.00 USD")
    assert result.exit_code == 1
    assert result.output.splitlines()[0] == "PENDING_REVIEW"
    assert rows_of(result.output)["ORDER_TOO_LARGE"][:4] == ["review", "900.00 USD", "950.00 USD", "fires: REVIEW"]
    off = next(line for line in result.output.splitlines() if line.startswith("off: "))
    assert "NEAR_LIMIT" in off
    assert "TERMS_TOO_LONG" in off
    assert f"policy {VERSION}, class gold" in result.output.splitlines()


def test_explain_says_that_the_policy_does_not_name_the_class(by_policy: Invoke, limited: str) -> None:
    by_policy("account", "put", limited, "--risk-class", "platinum")
    result = by_policy("policy", "explain", limited, "1 USD")
    assert f"policy {VERSION}, the default class, since it does not name platinum" in result.output.splitlines()


def test_explain_as_json(by_policy: Invoke, limited: str) -> None:
    document = json.loads(by_policy("policy", "explain", limited, "850 USD", "--json").stdout)
    assert (document["risk_class"], document["policy_names_class"], document["shadow"]) == ("", False, False)
    assert "LIMIT_STALE" in document["rules_off"]
    (fired,) = document["decision"]["reasons"]
    assert (fired["code"], fired["observed"], fired["threshold"]) == ("REASON_CODE_NEAR_LIMIT", "85000", "80000")
    on = {reason["code"].removeprefix("REASON_CODE_") for reason in document["decision"]["passed_rules"]}
    assert on.isdisjoint(document["rules_off"])
    assert {*on, "NEAR_LIMIT", *document["rules_off"]} == {code.name for code in ReasonCode}


def test_explain_in_chinese(by_policy: Invoke, limited: str) -> None:
    result = by_policy("policy", "explain", limited, "1 USD", "--language", "zh-CN")
    assert CHINESE.passed[ReasonCode.ACCOUNT_BLOCKED] in result.output
    checked = by_policy("check", limited, "1000.01 USD", "--language", "zh")
    assert CHINESE.fired[ReasonCode.LIMIT_EXCEEDED].partition("{")[0] in checked.output


@pytest.mark.parametrize("language", ["fr", "zhuang", "q", "en, zh"])
@pytest.mark.parametrize("words", [("policy", "explain"), ("check",)])
def test_there_are_two_languages(offline: Invoke, words: tuple[str, ...], language: str) -> None:
    result = offline(*words, "a", "1 USD", "--language", language)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"creditgate: --language: {language!r} is none of en, zh; see")


def test_explain_says_that_the_policy_has_just_been_replaced(
    served_with_policy: ServedService, scripted: ScriptedService, limited: str, offline: Invoke
) -> None:
    with CreditClient(served_with_policy.address, timeout_s=PATIENCE_S) as client:
        scripted.script("CheckCredit", client.check_credit(limited, amount_minor=1, currency_code="USD", explain=True))
        scripted.script("GetAccount", client.get_account(limited))
    document = yaml.safe_dump({"default": {"rules": {"near_limit": {"action": "off"}}}})
    scripted.script("GetPolicy", GetPolicyResponse(policy_version="v2", document=document, shadow=True))
    result = offline("policy", "explain", limited, "0.01 USD", "--address", scripted.address)
    assert result.exit_code == 0, result.output
    assert "off: NEAR_LIMIT" in result.output.splitlines()
    assert (
        f"policy {VERSION}, the default class; it has just been replaced by v2, whose actions are shown; "
        "the whole gate is in shadow mode: every order is approved"
    ) in result.output.splitlines()


def test_a_check_says_its_terms(by_policy: Invoke, limited: str) -> None:
    assert "TERMS_TOO_LONG" in by_policy("check", limited, "1 USD", "--terms-days", "31").output
    assert "TERMS_TOO_LONG" not in by_policy("check", limited, "1 USD", "--terms-days", "30").output
