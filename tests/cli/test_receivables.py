"""post, credit-note, aging: what people and programs get (pay is in test_orders.py)."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.conftest import Invoke


def test_an_invoice_and_a_credit_note_are_recorded_once(creditgate: Invoke, account: str) -> None:
    posted = creditgate("post", account, "inv-1", "300.00", "USD")
    assert posted.exit_code == 0, posted.output
    assert posted.output.startswith("invoice recorded\n")
    assert "  receivable  300.00 USD" in posted.output
    again = creditgate("post", account, "inv-1", "300.00 USD")
    assert again.output.startswith("invoice recorded  (asked before: nothing was changed now)\n")
    assert "  receivable  300.00 USD" in again.output

    credited = creditgate("credit-note", account, "note-1", "50.00 USD")
    assert credited.exit_code == 0, credited.output
    assert credited.output.startswith("credit note recorded\n")
    assert "  receivable  250.00 USD" in credited.output
    assert json.loads(creditgate("credit-note", account, "note-1", "50 USD", "--json").stdout)["replayed"] is True

    other = creditgate("post", account, "note-1", "50.00 USD")
    assert other.exit_code == 2
    assert "use the amount of the first time, or another document id" in other.stderr


def test_what_is_overdue_is_told_and_shown(creditgate: Invoke, account: str) -> None:
    assert "overdue" not in creditgate("account", "show", account).output
    aged = creditgate(
        "aging",
        account,
        "250.00",
        "USD",
        *("--disputed", "50 USD", "--oldest-due", "2026-04-01", "--as-of", "2026-05-31T18:00+02:00"),
    )
    assert aged.exit_code == 0, aged.output
    assert aged.output.startswith("ageing recorded\n")
    shown = [
        "  overdue     250.00 USD, the oldest of it due on 2026-04-01",
        "  disputed    50.00 USD of what is overdue",
        "  aged as of  2026-05-31 16:00:00 UTC",
    ]
    for output in (aged.output, creditgate("account", "show", account).output):
        lines = output.splitlines()
        assert [line for line in lines if line in shown] == shown
    older = creditgate("aging", account, "0 USD", "--as-of", "2026-05-31")
    assert older.exit_code == 0
    assert older.output.startswith("ageing left as it is  (figures of a later instant are there)\n")
    creditgate("pay", account, "payment-1", "250 USD")
    assert "  overdue     0.00 USD\n" in creditgate("account", "show", account).output


def test_what_is_overdue_is_so_now_unless_another_instant_is_named(creditgate: Invoke, account: str) -> None:
    aged = creditgate("aging", account, "250 USD", "--json")
    assert aged.exit_code == 0, aged.output
    as_of = datetime.fromisoformat(json.loads(aged.stdout)["account"]["aging_as_of"])
    assert abs(as_of - datetime.now(UTC)) < timedelta(minutes=5)


def test_what_is_overdue_is_in_the_currency_of_the_account(creditgate: Invoke, account: str) -> None:
    refused = creditgate("aging", account, "250 EUR")
    assert refused.exit_code == 2
    assert f"OVERDUE: {account} is kept in USD, not in EUR" in refused.stderr
    assert "overdue" not in creditgate("account", "show", account).output


def test_an_oldest_due_date_to_come_is_noted(creditgate: Invoke, account: str) -> None:
    told = creditgate("aging", account, "5 USD", "--oldest-due", "2099-01-01").output
    assert "5.00 USD, the oldest of it due on 2099-01-01, which is still to come" in told
    told = creditgate("aging", account, "5 USD", "--oldest-due", "2020-01-01").output
    assert "5.00 USD, the oldest of it due on 2020-01-01\n" in told


def test_an_instant_far_ahead_is_refused(creditgate: Invoke, account: str) -> None:
    refused = creditgate("aging", account, "250 USD", "--as-of", "9999-12-31T23:00")
    assert refused.exit_code == 2
    assert "--as-of must be at most a day ahead" in refused.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["post", "a", "d", "12"], "AMOUNT: '12' is not an amount with a currency"),
        (["credit-note", "a", "d"], "Missing argument 'AMOUNT'"),
        (["aging", "a", "1.234 USD"], "OVERDUE: '1.234' has more than the 2 decimals of USD"),
        (["aging", "a", "1 USD", "--disputed", "1 EUR"], "--disputed: '1 EUR' is not in USD"),
        (
            ["aging", "a", "1 USD", "--as-of", "soon"],
            "--as-of: 'soon' is not an instant such as 2026-05-31T18:00+02:00",
        ),
        (["aging", "a", "1 USD", "--as-of", "0001-01-01T00:00"], "--as-of: '0001-01-01T00:00' is not an instant"),
        (
            ["aging", "a", "1 USD", "--oldest-due", "1/4/2026"],
            "--oldest-due: '1/4/2026' is not a date such as 2026-04-01",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_cannot_be_understood_is_told_in_one_line(offline: Invoke, words: list[str], told: str) -> None:
    result = offline(*words)
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
