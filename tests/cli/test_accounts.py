"""account and reservation: settings, listings."""

import json
from collections.abc import Callable

import pytest

from tests.cli.conftest import Invoke


def account_of(creditgate: Invoke, account: str) -> dict[str, object]:
    return dict(json.loads(creditgate("account", "show", account, "--json").stdout)["account"])


def test_an_account_is_created_and_changed(creditgate: Invoke, account_id: str) -> None:
    created = creditgate("account", "put", account_id, "--limit", "50000.00 usd", "--name", "Acme [bold]Inc.[/]")
    assert created.exit_code == 0, created.output
    assert "account created" in created.output
    assert "  name        Acme [bold]Inc.[/]" in created.output
    assert "  limit       50,000.00 USD" in created.output

    changed = creditgate("account", "put", account_id, "--risk-class", "new-customer")
    assert "account changed" in changed.output
    assert "  risk class  new-customer" in changed.output
    assert "  limit       50,000.00 USD" in changed.output


def test_a_limit_is_set_lifted_and_taken_away(creditgate: Invoke, account: str) -> None:
    unlimited = creditgate("account", "put", account, "--unlimited")
    assert "  limit       unlimited" in unlimited.output
    assert "  available   unlimited" in unlimited.output
    assert "  limit       0.00 USD" in creditgate("account", "put", account, "--limit", "0 USD").output
    absent = creditgate("account", "put", account, "--no-limit")
    assert "  limit       not set" in absent.output
    assert "base_limit_minor" not in account_of(creditgate, account)
    refused = creditgate("check", account, "1 USD")
    assert refused.exit_code == 1
    assert "LIMIT_NOT_SET" in refused.output


def test_a_limit_that_has_ended_is_shown_as_one(creditgate: Invoke, account: str) -> None:
    put = creditgate("account", "put", account, "--limit", "1000 USD", "--limit-until", "2020-01-01")
    assert put.exit_code == 0, put.output
    assert "account changed  (its limit has ended already)" in put.output
    shown = creditgate("account", "show", account).output
    assert "  limit       1,000.00 USD  (ended 2020-01-01 00:00:00 UTC)\n" in shown
    assert "  available   1,000.00 USD  (of a limit that has ended)\n" in shown
    assert "  base limit  1,000.00 USD, ended 2020-01-01 00:00:00 UTC\n" in shown
    assert "LIMIT_EXPIRED" in creditgate("check", account, "1 USD").output

    creditgate("limit", "set", account, "500 USD", "--reason", "meanwhile")
    outranked = creditgate("account", "show", account).output
    assert "  limit         500.00 USD\n" in outranked
    assert "  base limit    1,000.00 USD, ended 2020-01-01 00:00:00 UTC\n" in outranked

    creditgate("limit", "clear", account, "--reason", "over")
    creditgate("account", "put", account, "--limit-until", "2100-01-01")
    assert (
        "  base limit  1,000.00 USD, until 2100-01-01 00:00:00 UTC\n" in creditgate("account", "show", account).output
    )


def test_a_currency_alone_makes_an_account(creditgate: Invoke, account_id: str) -> None:
    result = creditgate("account", "put", account_id, "--currency", "jpy")
    assert result.exit_code == 0, result.output
    assert account_of(creditgate, account_id)["currency_code"] == "JPY"


def test_an_account_is_blocked_and_unblocked(creditgate: Invoke, account: str) -> None:
    blocked = creditgate("account", "put", account, "--block", "cheque bounced")
    assert "  status         BLOCKED" in blocked.output
    assert "  blocked        cheque bounced (ann)" in blocked.output
    assert "ACCOUNT_BLOCKED" in creditgate("check", account, "1 USD").output
    assert "  status      OPEN" in creditgate("account", "put", account, "--unblock").output


def test_an_account_is_closed_and_opened(creditgate: Invoke, account: str) -> None:
    closed = creditgate("account", "close", account)
    assert closed.exit_code == 0, closed.output
    assert "  status      CLOSED" in closed.output
    assert creditgate("check", account, "1 USD").exit_code == 1
    assert "  status      OPEN" in creditgate("account", "put", account, "--open").output


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--unlimited", "--no-limit"], "--unlimited and --no-limit exclude each other"),
        (["--limit", "1 USD", "--unlimited"], "--limit and --unlimited exclude each other"),
        (["--block", "late", "--unblock"], "--block and --unblock exclude each other"),
        (["--limit", "1 USD", "--currency", "EUR"], "--limit is in USD and --currency says EUR"),
        (["--limit", "1"], "--limit: "),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_settings_that_contradict_each_other_are_refused(offline: Invoke, options: list[str], told: str) -> None:
    result = offline("account", "put", "a", *options)
    assert result.exit_code == 2
    assert told in result.stderr


def test_text_from_outside_cannot_steer_the_terminal(creditgate: Invoke, account: str) -> None:
    creditgate("account", "put", account, "--name", "Acme\x1b[31m")
    result = creditgate("account", "show", account)
    assert "\x1b" not in result.output


def test_reservations_are_listed_by_state(creditgate: Invoke, account: str) -> None:
    for order in ("order-1", "order-2"):
        creditgate("reserve", account, order, "10 USD")
    creditgate("release", account, "order-2")
    everything = creditgate("reservation", "list", account)
    assert "order-1" in everything.output
    assert "order-2" in everything.output
    assert everything.output.endswith("2 in all\n")
    held = creditgate("reservation", "list", account, "--state", "held", "--json")
    assert [json.loads(line)["order_id"] for line in held.stdout.splitlines()] == ["order-1"]


def test_a_listing_says_that_there_are_more(creditgate: Invoke, account: str) -> None:
    for order in ("order-1", "order-2"):
        creditgate("reserve", account, order, "10 USD")
    result = creditgate("reservation", "list", account, "--max", "1")
    assert result.output.endswith("1 shown; there are more: raise --max\n")
    as_json = creditgate("reservation", "list", account, "--max", "1", "--json")
    assert len(as_json.stdout.splitlines()) == 1


def test_an_unknown_state_is_told_with_the_known_ones(offline: Invoke) -> None:
    result = offline("reservation", "list", "a", "--state", "SOLD")
    assert result.exit_code == 2
    assert "--state: 'SOLD' is none of HELD, PENDING_REVIEW, COMMITTED, RELEASED, EXPIRED, REFUSED;" in result.stderr


def test_a_reservation_is_shown_with_its_decision(creditgate: Invoke, account: str) -> None:
    creditgate("reserve", account, "order-1", "10 USD")
    result = creditgate("reservation", "show", account, "order-1")
    assert result.exit_code == 0, result.output
    assert "  amount         10.00 USD" in result.output
    assert "decided APPROVED" in result.output
    missing = creditgate("reservation", "show", account, "order-9")
    assert missing.exit_code == 2
    assert "`creditgate reservation list`" in missing.stderr


def test_accounts_are_listed(creditgate: Invoke, account: str, new_id: Callable[[str], str]) -> None:
    other = new_id("acc")
    creditgate("account", "put", other, "--currency", "EUR")
    as_json = creditgate("account", "list", "--json")
    listed = {json.loads(line)["account_id"]: json.loads(line) for line in as_json.stdout.splitlines()}
    assert listed[account]["exposure"]["available_minor"] == "100000"
    assert other in listed
    as_table = creditgate("account", "list", "--max", "100000")
    assert account in as_table.output
    assert "1,000.00" in as_table.output
