"""policy: show, check, explain."""

import json
from pathlib import Path

import pytest
import yaml

from creditgate.api.reason_texts import CHINESE
from creditgate.client import CreditClient
from creditgate.domain.decision import ReasonCode
from creditgate.policies import parse_policy
from creditgate.v1.admin_service_pb2 import GetPolicyResponse
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


# --- show


def test_show(by_policy: Invoke) -> None:
    result = by_policy("policy", "show")
    assert result.exit_code == 0, result.output
    first, document = result.output.split("\n", 1)
    assert first == f"policy {VERSION}"
    assert parse_policy(document) == parse_policy(POLICY)


def test_show_as_json(by_policy: Invoke) -> None:
    answer = json.loads(by_policy("policy", "show", "--json").stdout)
    assert (answer["policy_version"], answer["shadow"], answer["problem"]) == (VERSION, False, "")
    assert parse_policy(answer["document"]) == parse_policy(POLICY)


def test_show_says_that_an_earlier_file_still_decides(offline: Invoke, scripted: ScriptedService) -> None:
    problem = "line 3: default.rules.x is not known here\nline 4: hold.y is not known here"
    scripted.script("GetPolicy", GetPolicyResponse(policy_version="v1", document="hold: {}\n", problem=problem))
    result = offline("policy", "show", "--address", scripted.address)
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "policy v1",
        "  The policy file as it is now is not used:",
        "  line 3: default.rules.x is not known here",
        "  line 4: hold.y is not known here",
        "hold: {}",
    ]


def test_show_says_that_the_whole_gate_is_in_shadow_mode(offline: Invoke, scripted: ScriptedService) -> None:
    scripted.script("GetPolicy", GetPolicyResponse(policy_version="v1", document="hold: {}\n", shadow=True))
    result = offline("policy", "show", "--address", scripted.address)
    assert result.exit_code == 0
    assert "  The whole gate is in shadow mode: every order is approved." in result.output.splitlines()


# --- check


def test_check_a_good_file(offline: Invoke, policy_file: Path) -> None:
    result = offline("policy", "check", policy_file)
    assert result.exit_code == 0, result.output
    assert result.output == f"{policy_file} can be used: policy {VERSION}\n"
    document = json.loads(offline("policy", "check", policy_file, "--json").stdout)
    assert document == {"usable": True, "policy_version": VERSION, "mistakes": []}


def test_check_a_wrong_file(offline: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("default:\n  rules:\n    near_limit: {action: flg}\nhold: {longest: 500d}\n")
    result = offline("policy", "check", file)
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "line 3: default.rules.near_limit.action must be off, shadow, flag, review or reject, was 'flg'",
        "line 4: hold.longest must be a time from 1s to 400d, such as 30d, 12h, 90m or 45s, was '500d'",
        f"{file} can't be used",
    ]
    document = json.loads(offline("policy", "check", file, "--json").stdout)
    assert (document["usable"], document["policy_version"], len(document["mistakes"])) == (False, "", 2)


def test_check_a_file_that_is_not_there(offline: Invoke, tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.yaml", tmp_path):
        result = offline("policy", "check", path)
        assert result.exit_code == 2
        assert result.stderr == f"creditgate: there is no file {path}\n"


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
