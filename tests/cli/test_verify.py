"""`creditgate verify` as people and programs call it."""

import json
from collections.abc import Callable

import pytest
from redis import Redis

from creditgate.store import PARTITIONS_DEFAULT, keys
from creditgate.v1.account_pb2 import Account
from creditgate.v1.admin_service_pb2 import SumDifference, VerifyAccountsResponse
from creditgate.v1.credit_service_pb2 import GetAccountResponse
from tests.cli.conftest import Invoke
from tests.client.scripted_service import ScriptedService


@pytest.fixture
def damaged(creditgate: Invoke, account: str, redis_url: str) -> str:
    """An account with an order and an invoice whose records are gone, and with them what explains its sums."""
    creditgate("reserve", account, "order-1", "600 USD")
    creditgate("post", account, "inv-1", "300 USD")
    partition = keys.partition_of(account, PARTITIONS_DEFAULT)
    with Redis.from_url(redis_url) as redis:
        assert redis.hdel(keys.orders(partition, account), "order-1") == 1
        assert redis.hdel(keys.ledger(partition, account), "d:inv-1") == 1
    return account


def test_sound_accounts_are_told_so(creditgate: Invoke, account: str, new_id: Callable[[str], str]) -> None:
    other = new_id("acc")
    creditgate("account", "put", other, "--currency", "EUR")
    creditgate("reserve", account, "order-1", "600 USD")
    result = creditgate("verify", account, other)
    assert result.exit_code == 0, result.output
    assert result.stdout == "2 accounts verified: every sum is what its orders and entries add up to\n"
    assert "Verifying: 2 of 2 accounts" in result.stderr


def test_differences_are_told_and_put_right(creditgate: Invoke, damaged: str) -> None:
    found = creditgate("verify", damaged)
    assert found.exit_code == 1, found.output
    lines = [line.split() for line in found.stdout.splitlines()]
    assert lines[0] == ["account", "or", "group", "sum", "kept", "should", "be", "too", "much", "currency"]
    assert [damaged, "reserved", "600.00", "0.00", "600.00", "USD"] in lines
    assert [damaged, "receivable", "300.00", "0.00", "300.00", "USD"] in lines
    assert any(line[:2] == [damaged, "due"] and line[-4:] == ["600.00", "0.00", "600.00", "USD"] for line in lines)
    assert "1 account verified: 3 sums of 1 account differed, 0 put right" in found.stdout

    repaired = creditgate("verify", damaged, "--repair")
    assert repaired.exit_code == 1
    assert repaired.stdout.count("put right\n") == 4
    assert "3 sums of 1 account differed, 3 put right" in repaired.stdout
    assert creditgate("verify", damaged).exit_code == 0
    assert "  exposure    0.00 USD" in creditgate("account", "show", damaged).output


def test_differences_are_json_too(creditgate: Invoke, damaged: str) -> None:
    result = creditgate("verify", damaged, "--repair", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    counts = ("verified", "differing_accounts", "differing_sums", "repaired_sums")
    assert [document[count] for count in counts] == [1, 1, 3, 3]
    assert document["differences"][0] == {
        "account_id": damaged,
        "group_id": "",
        "sum": "reserved",
        "kept_minor": 60_000,
        "recomputed_minor": 0,
        "repaired": True,
    }


def test_sums_of_groups_are_told_with_their_currency(offline: Invoke, scripted: ScriptedService) -> None:
    differences = [
        SumDifference(account_id="a", sum="pending_due@1795650082", kept_minor=5, repaired=True),
        SumDifference(group_id="g", sum="reserved:JPY", kept_minor=700, recomputed_minor=200, repaired=True),
        SumDifference(group_id="g", sum="due@1795650082:JPY", kept_minor=700, recomputed_minor=200, repaired=True),
    ]
    scripted.script("VerifyAccounts", VerifyAccountsResponse(verified=7, differences=differences))
    scripted.script("GetAccount", GetAccountResponse(account=Account(account_id="a", currency_code="USD")))
    result = offline("verify", "--repair", "--address", scripted.address)
    assert result.exit_code == 1
    rows = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "a pending due 2026-11-25 23:41:22 UTC 0.05 0.00 0.05 USD put right" in rows
    assert "group g reserved 700 200 500 JPY put right" in rows
    assert "group g due 2026-11-25 23:41:22 UTC 700 200 500 JPY put right" in rows
    assert "7 accounts verified: 3 sums of 1 account and 1 group differed, 3 put right" in result.stdout
    document = json.loads(offline("verify", "--json", "--address", scripted.address).stdout)
    assert (document["differing_accounts"], document["differing_groups"]) == (1, 1)
    assert [difference["group_id"] for difference in document["differences"]] == ["", "g", "g"]


def test_an_account_that_is_not_there_is_an_error(creditgate: Invoke, account_id: str) -> None:
    result = creditgate("verify", account_id)
    assert result.exit_code == 2
    assert f"there is no account {account_id}" in result.stderr


def test_all_accounts_are_verified_page_by_page(offline: Invoke, scripted: ScriptedService) -> None:
    more = "more"
    difference = SumDifference(account_id="a", sum="next_due", kept_minor=0, recomputed_minor=1_795_650_082)
    scripted.script(
        "VerifyAccounts",
        VerifyAccountsResponse(verified=20, next_page_token=more),
        VerifyAccountsResponse(verified=3, differences=[difference]),
    )
    result = offline("verify", "--address", scripted.address)
    assert result.exit_code == 1
    assert "23 accounts verified: 1 sum of 1 account differed, 0 put right" in result.stdout
    row = result.stdout.splitlines()[2].split()
    assert row == ["a", "next", "due", "second", "none", "2026-11-25", "23:41:22", "UTC"]


def test_more_differences_than_a_table_holds_are_counted(offline: Invoke, scripted: ScriptedService) -> None:
    differences = [
        SumDifference(account_id=f"a-{number}", sum="receivable", kept_minor=500, recomputed_minor=100)
        for number in range(1001)
    ]
    scripted.script("VerifyAccounts", VerifyAccountsResponse(verified=1001, differences=differences))
    scripted.script("GetAccount", GetAccountResponse(account=Account(currency_code="JPY")))
    result = offline("verify", "--address", scripted.address)
    assert result.exit_code == 1
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["a-999", "receivable", "500", "100", "400", "JPY"] in lines
    assert "… and 1 more" in result.stdout
    as_json = json.loads(offline("verify", "--address", scripted.address, "--json").stdout)
    assert (as_json["differing_sums"], len(as_json["differences"])) == (1001, 1000)
