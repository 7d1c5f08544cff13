"""check, reserve, amend, commit, release, pay: what people and programs get."""

import json

import pytest

from tests.cli.conftest import Invoke


def test_an_order_within_the_limit_is_approved(creditgate: Invoke, account: str) -> None:
    result = creditgate("check", account, "1000.00", "USD")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        "APPROVED",
        "  limit       1,000.00 USD",
        "  reserved    0.00 USD",
        "  receivable  0.00 USD",
        "  exposure    0.00 USD",
        "  available   1,000.00 USD",
    ]


def test_a_refusal_tells_the_reason_and_the_numbers(creditgate: Invoke, account: str) -> None:
    result = creditgate("reserve", account, "order-1", "1000.01 USD")
    assert result.exit_code == 1, result.output
    lines = result.output.splitlines()
    assert lines[0] == "REJECTED"
    assert lines[1].startswith("  LIMIT_EXCEEDED: ")
    assert "1,000.01 USD" in lines[1]
    assert "  available   1,000.00 USD" in lines
    assert result.stderr == ""


def test_check_explains_the_rules_that_did_not_fire(creditgate: Invoke, account: str) -> None:
    result = creditgate("check", account, "1 USD", "--explain")
    assert "LIMIT_EXCEEDED" in result.output
    assert "[did not fire]" in result.output


def test_an_order_is_reserved_committed_and_paid(creditgate: Invoke, account: str) -> None:
    reserved = creditgate("reserve", account, "order-1", "600.00", "USD", "--secured", "100 USD", "--hold", "2h")
    assert reserved.exit_code == 0, reserved.output
    assert "  state          HELD" in reserved.output
    assert "  secured        100.00 USD" in reserved.output
    assert "  exposure held  500.00 USD" in reserved.output

    committed = creditgate("commit", account, "order-1", "650.00 USD", "--document", "inv-1", "--final")
    assert committed.exit_code == 0, committed.output
    assert "recorded as receivable  (50.00 USD more than the order: recorded all the same)" in committed.output
    assert "  state          COMMITTED" in committed.output

    paid = creditgate("pay", account, "payment-1", "250.00 USD")
    assert paid.exit_code == 0, paid.output
    assert "  receivable  400.00 USD" in paid.output

    again = creditgate("pay", account, "payment-1", "250.00 USD")
    assert "payment recorded  (asked before: nothing was changed now)" in again.output
    assert "  receivable  400.00 USD" in again.output


def test_a_released_order_is_refused_when_it_is_asked_again(creditgate: Invoke, account: str) -> None:
    creditgate("reserve", account, "order-1", "600.00 USD")
    released = creditgate("release", account, "order-1", "--reason", "cancelled")
    assert released.exit_code == 0, released.output
    assert "  state          RELEASED" in released.output
    again = creditgate("reserve", account, "order-1", "600.00 USD")
    assert again.exit_code == 1
    assert "APPROVED  (asked before: nothing was changed now)" in again.output
    assert "  state          RELEASED" in again.output


def test_only_what_is_held_expires(creditgate: Invoke, account: str) -> None:
    for order in ("held", "invoiced", "given-back"):
        creditgate("reserve", account, order, "10 USD")
    creditgate("commit", account, "invoiced", "10 USD", "--document", "d-1")
    creditgate("release", account, "given-back")
    expires = {
        order: "expires" in creditgate("reservation", "show", account, order).output
        for order in ("held", "invoiced", "given-back")
    }
    assert expires == {"held": True, "invoiced": False, "given-back": False}


def test_an_order_is_amended(creditgate: Invoke, account: str) -> None:
    creditgate("reserve", account, "order-1", "600.00 USD")
    words = ("amend", account, "order-1", "900.00", "USD", "--hold", "2h", "--request-id", "change-1")
    amended = creditgate(*words)
    assert amended.exit_code == 0, amended.output
    lines = amended.output.splitlines()
    assert lines[0] == "APPROVED"
    assert "  amount         900.00 USD" in lines
    assert lines[lines.index("The account before this change:") + 2] == "  reserved    600.00 USD"
    again = creditgate(*words)
    assert again.exit_code == 0
    assert "APPROVED  (asked before: nothing was changed now)" in again.output
    other = creditgate("amend", account, "order-1", "800 USD", "--request-id", "change-1")
    assert other.exit_code == 2
    assert "or another --request-id" in other.stderr


def test_more_than_the_limit_allows_leaves_the_order_as_it_is(creditgate: Invoke, account: str) -> None:
    creditgate("reserve", account, "order-1", "600.00 USD")
    refused = creditgate("amend", account, "order-1", "1000.01 USD")
    assert refused.exit_code == 1
    lines = refused.output.splitlines()
    assert lines[0] == "REJECTED  (the order stays as it is)"
    assert lines[1].startswith("  LIMIT_EXCEEDED: ")
    assert "  amount         600.00 USD" in lines
    as_json = creditgate("amend", account, "order-1", "1000.01 USD", "--json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["decision"]["outcome"] == "OUTCOME_REJECTED"


def test_an_etag_that_is_old_changes_nothing(creditgate: Invoke, account: str) -> None:
    reserved = creditgate("reserve", account, "order-1", "600.00 USD", "--json")
    etag = json.loads(reserved.stdout)["reservation"]["etag"]
    assert f"  etag           {etag}" in creditgate("reservation", "show", account, "order-1").output
    assert creditgate("amend", account, "order-1", "500 USD", "--etag", etag).exit_code == 0
    for words in (("amend", account, "order-1", "400 USD"), ("release", account, "order-1")):
        changed = creditgate(*words, "--etag", etag)
        assert changed.exit_code == 2
        assert "has changed since this etag was read" in changed.stderr
        assert "`creditgate reservation show`" in changed.stderr
    assert "  state          HELD" in creditgate("reservation", "show", account, "order-1").output


def test_json_is_the_response_message_with_every_field(creditgate: Invoke, account: str) -> None:
    result = creditgate("reserve", account, "order-1", "600.00 USD", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["replayed"] is False
    assert answer["decision"]["outcome"] == "OUTCOME_APPROVED"
    assert answer["reservation"]["amount_minor"] == "60000"
    assert answer["reservation"]["state"] == "RESERVATION_STATE_HELD"
    assert answer["reservation"]["expire_time"].endswith("Z")
    assert result.stderr == ""


def test_a_refusal_is_json_too(creditgate: Invoke, account: str) -> None:
    result = creditgate("check", account, "1000.01 USD", "--json")
    assert result.exit_code == 1
    decision = json.loads(result.stdout)["decision"]
    assert [reason["code"] for reason in decision["reasons"]] == ["REASON_CODE_LIMIT_EXCEEDED"]


def test_an_unknown_account_is_told_with_what_to_do(creditgate: Invoke, account_id: str) -> None:
    result = creditgate("check", account_id, "1 USD")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("creditgate: ")
    assert account_id in result.stderr
    assert "`creditgate account put`" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_fault_is_json_on_standard_error(creditgate: Invoke, account: str) -> None:
    result = creditgate("reserve", account, "no spaces", "1 USD", "--terms-days", "9999", "--json")
    assert result.exit_code == 2
    assert result.stdout == ""
    error = json.loads(result.stderr)["error"]
    assert error["code"] == "INVALID_ARGUMENT"
    assert error["reason"] == "INVALID_FIELD"
    assert [violation["field"] for violation in error["violations"]] == ["ORDER", "--terms-days"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["check", "a", "12.345 USD"], "AMOUNT: '12.345' has more than the 2 decimals of USD"),
        (["check", "a", "12.5"], "AMOUNT: '12.5' is not an amount with a currency"),
        (["check", "a", "12", "XXX"], "AMOUNT: 'XXX' is not an ISO 4217 currency code"),
        (["check", "a", "90071992547409.92 USD"], "AMOUNT: '90071992547409.92' is beyond 90,071,992,547,409.91 USD"),
        (["check", "a", "12 USD", "--secured", "1 EUR"], "--secured: '1 EUR' is not in USD"),
        (["reserve", "a", "o", "12 USD", "--hold", "soon"], "--hold: 'soon' is not a duration such as 90s"),
        (["reserve", "a", "o", "12 USD", "--hold", "401d"], "--hold: '401d' is not from 1s to 400d"),
        (["reserve", "a", "o", "12 USD", "--hold", "0s"], "--hold: '0s' is not from 1s to 400d"),
        (["amend", "a", "o", "12 USD", "--hold", "soon"], "--hold: 'soon' is not a duration such as 90s"),
        (["commit", "a", "o", "12 USD"], "Missing option '--document'"),
        (["check", "a"], "Missing argument 'AMOUNT'"),
        (["check", "a", "1 USD", "--timeout", "0"], "'--timeout'"),
        (["chek"], "No such command 'chek'. Did you mean 'check'?"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_cannot_be_understood_is_told_in_one_line(offline: Invoke, words: list[str], told: str) -> None:
    result = offline(*words)
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stderr.startswith("creditgate: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_a_wrong_command_line_is_json_when_asked(offline: Invoke) -> None:
    result = offline("check", "a", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stderr)["error"]["code"] == "USAGE"


def test_a_service_that_is_not_there_is_told_with_what_to_do(offline: Invoke) -> None:
    result = offline("check", "a", "1 USD")
    assert result.exit_code == 2
    assert result.stderr == (
        "creditgate: no creditgate service answers at 127.0.0.1:1;"
        " start one with `creditgate serve`, or say where it is with --address\n"
    )
