"""group: create, change, show, list; joining and leaving."""

import json
from collections.abc import Callable

import pytest

from tests.cli.conftest import Invoke


@pytest.fixture
def group(creditgate: Invoke, new_id: Callable[[str], str]) -> str:
    """A credit group with a limit of 1,500.00 USD."""
    group_id = new_id("family")
    result = creditgate("group", "put", group_id, "--limit", "1500.00 USD", "--name", "The Family")
    assert result.exit_code == 0, result.output
    return group_id


def test_a_group_is_created_changed_and_shown(creditgate: Invoke, new_id: Callable[[str], str]) -> None:
    group_id = new_id("family")
    created = creditgate("group", "put", group_id, "--limit", "1500.00 usd", "--name", "The Family")
    assert created.exit_code == 0, created.output
    assert created.output.splitlines()[:5] == [
        "group created",
        f"  group      {group_id}",
        "  name       The Family",
        "  accounts   0",
        "  limit      1,500.00 USD",
    ]
    changed = creditgate("group", "put", group_id, "--limit", "2000.00 USD")
    lines = changed.output.splitlines()
    assert lines[0] == "group changed"
    assert "  name       The Family" in lines, "a name that is not given stays"
    assert "  limit      2,000.00 USD" in lines
    unlimited = creditgate("group", "put", group_id, "--unlimited", "--currency", "usd", "--name", "")
    assert "  limit     unlimited" in unlimited.output.splitlines()
    assert "name" not in unlimited.output


def test_accounts_join_and_leave(creditgate: Invoke, account: str, group: str) -> None:
    creditgate("reserve", account, "order-1", "400.00 USD")
    joined = creditgate("account", "put", account, "--group", group)
    assert joined.exit_code == 0, joined.output
    assert f"  group       {group}" in joined.output.splitlines()
    shown = creditgate("group", "show", group).output.splitlines()
    assert "  exposure   400.00 USD" in shown
    assert "  available  1,100.00 USD" in shown
    assert shown[-1].split() == ["400.00", "0.00", "0.00", "USD"]
    left = creditgate("account", "put", account, "--no-group")
    assert "  group " not in left.output
    assert "  exposure   0.00 USD" in creditgate("group", "show", group).output.splitlines()


def test_the_limit_of_the_group_refuses(creditgate: Invoke, account: str, group: str) -> None:
    creditgate("group", "put", group, "--limit", "300 USD")
    creditgate("account", "put", account, "--group", group)
    refused = creditgate("check", account, "300.01 USD")
    assert refused.exit_code == 1
    assert (
        "GROUP_LIMIT_EXCEEDED: The order would bring the exposure of the credit group to 300.01 USD" in refused.output
    )


def test_an_exposure_that_cannot_be_told(creditgate: Invoke, new_id: Callable[[str], str]) -> None:
    group_id, account_id = new_id("family"), new_id("acc")
    creditgate("group", "put", group_id, "--limit", "300 USD")
    creditgate("account", "put", account_id, "--limit", "100 TJS", "--group", group_id)
    creditgate("account", "put", account_id, "--no-group")
    creditgate("post", account_id, "invoice-1", "5 TJS")
    creditgate("account", "put", account_id, "--group", group_id)
    shown = creditgate("group", "show", group_id).output.splitlines()
    assert "  exposure  unknown: a rate is missing" in shown
    refused = creditgate("check", account_id, "1 TJS")
    assert refused.exit_code == 2
    assert "TJS to USD" in refused.stderr
    assert "put one with `creditgate rates put`" in refused.stderr


def test_groups_are_listed(creditgate: Invoke, group: str) -> None:
    as_json = creditgate("group", "list", "--json")
    listed = {json.loads(line)["group_id"]: json.loads(line) for line in as_json.stdout.splitlines()}
    assert (listed[group]["limit_minor"], listed[group]["display_name"]) == ("150000", "The Family")
    as_table = creditgate("group", "list", "--max", "100000")
    (row,) = [line for line in as_table.output.splitlines() if line.startswith(group)]
    assert row.split()[1:] == ["The", "Family", "0", "1,500.00", "0.00", "1,500.00", "USD"]


def test_a_group_that_is_not_there(creditgate: Invoke, account: str, new_id: Callable[[str], str]) -> None:
    nowhere = new_id("family")
    for words in (("group", "show", nowhere), ("account", "put", account, "--group", nowhere)):
        result = creditgate(*words)
        assert result.exit_code == 2
        assert f"there is no credit group {nowhere}; create it with `creditgate group put`" in result.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "either --limit or --unlimited must be given"),
        (["--limit", "5 USD", "--unlimited"], "either --limit or --unlimited must be given"),
        (["--unlimited"], "--unlimited needs --currency"),
        (["--limit", "5 USD", "--currency", "EUR"], "--limit is in USD and --currency says EUR"),
    ],
    ids=" ".join,
)
def test_settings_that_contradict_each_other_are_refused(offline: Invoke, options: list[str], told: str) -> None:
    result = offline("group", "put", "g", *options)
    assert result.exit_code == 2
    assert told in result.stderr


def test_a_group_and_no_group_exclude_each_other(offline: Invoke) -> None:
    result = offline("account", "put", "a", "--group", "g", "--no-group")
    assert "--group and --no-group exclude each other" in result.stderr
