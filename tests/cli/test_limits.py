"""limit, block, unblock: what credit analysts decide."""

import asyncio
import json
from typing import Any

import pytest

from creditgate.domain.limit_batch import LimitRow
from tests.cli.conftest import Invoke
from tests.store.batches import Batch
from tests.store.opened import open_store


def account_of(creditgate: Invoke, account: str) -> dict[str, Any]:
    return dict(json.loads(creditgate("account", "show", account, "--json").stdout)["account"])


def test_a_manual_limit_is_set_and_cleared(creditgate: Invoke, account: str) -> None:
    words = ("limit", "set", account, "2500.00", "USD", "--reason", "season", "--until", "2099-12-31T18:00")
    done = creditgate(*words)
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0] == "manual limit set"
    assert "  limit         2,500.00 USD" in lines
    assert "  manual limit  2,500.00 USD, until 2099-12-31 18:00:00 UTC: season (ann)" in lines
    assert "  base limit    1,000.00 USD" in lines
    assert creditgate("check", account, "2500.00 USD").exit_code == 0

    cleared = creditgate("limit", "clear", account, "--reason", "over", "--actor", "bob")
    assert cleared.output.splitlines()[0] == "manual limit cleared"
    again = creditgate("limit", "clear", account, "--reason", "over")
    assert (again.exit_code, again.output.splitlines()[0]) == (0, "there was no manual limit")
    assert "manual_limit" not in account_of(creditgate, account)
    assert creditgate("check", account, "1000.01 USD").exit_code == 1


def test_a_manual_limit_without_a_ceiling_and_without_an_end(creditgate: Invoke, account: str) -> None:
    done = creditgate("limit", "set", account, "--unlimited", "--reason", "the parent pays", "--actor", "bob")
    assert done.exit_code == 0, done.output
    assert "  manual limit  unlimited, without an end: the parent pays (bob)" in done.output.splitlines()
    assert creditgate("check", account, "9999999.00 USD").exit_code == 0


def test_a_limit_of_zero_is_a_limit(creditgate: Invoke, account: str) -> None:
    creditgate("limit", "set", account, "0 USD", "--reason", "insolvent")
    assert creditgate("check", account, "0.01 USD").exit_code == 1


def test_a_temporary_limit_is_set_and_cleared(creditgate: Invoke, account: str) -> None:
    creditgate("limit", "set", account, "1500 USD", "--reason", "season")
    done = creditgate("limit", "temporary", account, "3000 USD", "--until", "2099-12-31", "--reason", "fair")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0] == "temporary limit set"
    assert "  limit            3,000.00 USD" in lines
    (temporary,) = [line for line in lines if line.startswith("  temporary limit")]
    assert temporary.startswith("  temporary limit  3,000.00 USD, from 20")
    assert temporary.endswith(" until 2099-12-31 00:00:00 UTC: fair (ann)")

    cleared = creditgate("limit", "clear", account, "--temporary", "--reason", "over")
    assert cleared.output.splitlines()[0] == "temporary limit cleared"
    left = account_of(creditgate, account)
    assert ("temporary_limit" in left, left["manual_limit"]["limit_minor"]) == (False, "150000")
    again = creditgate("limit", "clear", account, "--temporary", "--reason", "over")
    assert (again.exit_code, again.output.splitlines()[0]) == (0, "there was no temporary limit")


def test_clearing_the_manual_limit_tells_of_a_temporary_one(creditgate: Invoke, account: str) -> None:
    creditgate("limit", "temporary", account, "3000 USD", "--until", "2099-12-31", "--reason", "fair")
    for words in ("there was no manual limit", "manual limit cleared"):
        cleared = creditgate("limit", "clear", account, "--reason", "over")
        hint = "a temporary limit is set, too: clear it with --temporary"
        assert cleared.output.splitlines()[0] == f"{words}  ({hint})"
        creditgate("limit", "set", account, "1500 USD", "--reason", "season")
    assert "account" in json.loads(creditgate("limit", "clear", account, "--reason", "over", "--json").stdout)


def test_a_temporary_limit_that_begins_later(creditgate: Invoke, account: str) -> None:
    between = ("--from", "2099-12-01", "--until", "2099-12-31")
    done = creditgate("limit", "temporary", account, "3000 USD", *between, "--reason", "fair")
    assert "  limit            1,000.00 USD" in done.output.splitlines()
    assert "from 2099-12-01 00:00:00 UTC until 2099-12-31 00:00:00 UTC" in done.output


def test_an_account_is_blocked_and_unblocked(creditgate: Invoke, account: str) -> None:
    done = creditgate("block", account, "--reason", "cheque bounced", "--until", "2099-12-31")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0] == "account blocked"
    assert "  status         BLOCKED" in lines
    assert "  blocked        cheque bounced (ann)" in lines
    assert "  blocked until  2099-12-31 00:00:00 UTC" in lines
    assert creditgate("check", account, "1 USD").exit_code == 1

    undone = creditgate("unblock", account, "--reason", "has paid")
    assert undone.output.splitlines()[0] == "account unblocked"
    assert creditgate("check", account, "1 USD").exit_code == 0
    again = creditgate("unblock", account, "--reason", "has paid")
    assert (again.exit_code, again.output.splitlines()[0]) == (0, "the account was not blocked")


def test_answers_are_json_too(creditgate: Invoke, account: str) -> None:
    done = creditgate("limit", "set", account, "5 USD", "--reason", "season", "--json")
    manual = json.loads(done.stdout)["account"]["manual_limit"]
    assert (manual["limit_minor"], manual["reason"], manual["actor"]) == ("500", "season", "ann")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("limit", "set", "a", "--reason", "r"), "either AMOUNT or --unlimited must be given"),
        (("limit", "set", "a", "5 USD", "--unlimited", "--reason", "r"), "either AMOUNT or --unlimited must be given"),
        (("limit", "set", "a", "5", "--reason", "r"), "AMOUNT: "),
        (
            ("limit", "set", "a", "5 USD", "--reason", "r", "--until", "soon"),
            "--until: 'soon' is not an instant such as ",
        ),
        (("limit", "set", "a", "5 USD"), "Missing option '--reason'"),
        (("limit", "temporary", "a", "5 USD", "--reason", "r"), "Missing option '--until'"),
        (("block", "a"), "Missing option '--reason'"),
        (("block", "a", "--reason", "r", "--actor", " "), "--actor must say who decides"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_is_missing_or_contradicts_is_told(offline: Invoke, words: tuple[str, ...], told: str) -> None:
    result = offline(*words)
    assert result.exit_code == 2
    assert told in result.stderr


def test_who_decides_must_be_told_where_the_system_does_not(offline: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise KeyError

    monkeypatch.setattr("getpass.getuser", unknown)
    result = offline("block", "a", "--reason", "r")
    assert result.exit_code == 2
    assert "--actor must say who decides" in result.stderr


def test_a_limit_in_another_currency_than_the_account(creditgate: Invoke, account: str) -> None:
    result = creditgate("limit", "set", account, "5 EUR", "--reason", "r")
    assert result.exit_code == 2
    assert "must be USD, the currency of the account" in result.stderr


def test_an_end_that_is_past(creditgate: Invoke, account: str) -> None:
    for words in (("block", account), ("limit", "set", account, "5 USD"), ("limit", "temporary", account, "5 USD")):
        result = creditgate(*words, "--reason", "r", "--until", "2020-01-01")
        assert result.exit_code == 2
        assert result.stderr.startswith("creditgate: --until must be later than the store's clock, which says 20"), (
            words
        )
    as_json = creditgate("block", account, "--reason", "r", "--until", "2020-01-01", "--json")
    (violation,) = json.loads(as_json.stderr)["error"]["violations"]
    assert violation["field"] == "--until"


def test_an_end_before_the_begin(creditgate: Invoke, account: str) -> None:
    between = ("--from", "2099-12-31", "--until", "2099-12-01")
    result = creditgate("limit", "temporary", account, "5 USD", "--reason", "r", *between)
    assert (result.exit_code, result.stderr) == (2, "creditgate: --until must be later than --from\n")


@pytest.mark.parametrize(
    "words", [("limit", "set"), ("limit", "temporary"), ("block",), ("rates", "put"), ("account", "put")]
)
def test_help_says_what_a_date_alone_means(offline: Invoke, words: tuple[str, ...]) -> None:
    told = " ".join(offline(*words, "--help").output.replace("│", " ").split())
    assert "the first moment of that day" in told


def test_a_limit_that_ends_is_shown(creditgate: Invoke, account: str) -> None:
    shown = creditgate("account", "put", account, "--limit-until", "2099-12-31T18:00")
    assert "  base limit  1,000.00 USD, until 2099-12-31 18:00:00 UTC" in shown.output.splitlines()


def test_what_the_scorer_says_is_shown(creditgate: Invoke, account: str, redis_url: str) -> None:
    async def push() -> None:
        async with open_store(redis_url) as store:
            now = LimitRow(1, account, 150_000, "USD", 1, "", 0.75, 0, 0, "pays late\ngrows")
            then = LimitRow(1, account, None, "USD", 2, "gold", effective_time_s=4_000_000_000)
            for row in (now, then):
                await Batch(store, f"{account}.{row.version}").put([row])

    asyncio.run(push())
    lines = creditgate("account", "show", account).output.splitlines()
    assert "  limit          1,500.00 USD" in lines
    assert "  next limit     unlimited, from 2096-10-02 07:06:40 UTC (version 2, class gold)" in lines
    assert "  score          0.75" in lines
    assert "  limit reasons  pays late; grows" in lines
