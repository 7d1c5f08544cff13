"""`creditgate limits` against a real service: into force, held back, forced, taken back."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Invoke
from tests.cli.served import ServedService, running
from tests.patience import PATIENCE_S
from tests.private_redis import PrivateRedis

ACCOUNTS = 20


@pytest.fixture
def served(own_redis: Callable[..., PrivateRedis], tmp_path: Path) -> Iterator[ServedService]:
    """A service of the test's own: guard rails compare a batch with the last one in force, whoever sent it."""
    service = ServedService(own_redis().url, tmp_path / "log")
    service.start()
    yield service
    assert service.stop() == 0


@pytest.fixture
def accounts(creditgate: Invoke, account_id: str) -> list[str]:
    """Twenty accounts with a limit of 1,000.00 USD."""
    ids = [f"{account_id}-{number:02d}" for number in range(ACCOUNTS)]
    for each in ids:
        assert creditgate("account", "put", each, "--limit", "1000.00 USD").exit_code == 0
    return ids


def write(file: Path, limits: dict[str, str], version: int) -> Path:
    rows = (f"{account},{limit},{version}\n" for account, limit in limits.items())
    file.write_text("account,limit,version\n" + "".join(rows))
    os.utime(file, (1_700_000_000 + version, 1_700_000_000 + version))
    return file


def batch_of(text: str) -> dict[str, Any]:
    batch: dict[str, Any] = json.loads(text)["batch"]
    return batch


def limits_of(creditgate: Invoke, accounts: list[str]) -> list[int]:
    shown = (json.loads(creditgate("account", "show", each, "--json").stdout) for each in accounts)
    return [int(each["account"]["base_limit_minor"]) for each in shown]


def wait_for(creditgate: Invoke, batch_id: str, state: str) -> dict[str, Any]:
    """Return a batch once it is in a state; each look is a call to the service."""
    deadline = time.monotonic() + PATIENCE_S
    while (batch := batch_of(creditgate("limits", "show", batch_id, "--json").stdout))["state"] != state:
        assert time.monotonic() < deadline, batch["state"]
    return batch


def test_a_file_is_previewed_pushed_and_pushed_again(creditgate: Invoke, accounts: list[str], tmp_path: Path) -> None:
    file = write(tmp_path / "limits.csv", dict.fromkeys(accounts, "1100.00"), 1)
    with file.open("a") as more:
        more.write(f"{accounts[0]}-none,5.00,1\n{accounts[1]}-x,many,1\n")
    preview = creditgate("limits", "preview", file)
    assert preview.exit_code == 0, preview.output
    assert f"{ACCOUNTS} raised, 0 cut" in preview.stdout
    assert limits_of(creditgate, accounts) == [100_000] * ACCOUNTS

    pushed = creditgate("limits", "push", file)
    assert pushed.exit_code == 0, pushed.output
    assert pushed.stdout.startswith("ACTIVE\n")
    assert f"  in force  {ACCOUNTS}\n  wrong     2\n" in pushed.stdout
    assert "line 23: limit 'many' is not an amount such as 1250.00\n" in pushed.stderr
    assert limits_of(creditgate, accounts) == [110_000] * ACCOUNTS

    again = batch_of(creditgate("limits", "push", file, "--json").stdout)
    assert (again["state"], again["applied_rows"]) == ("LIMIT_BATCH_STATE_ACTIVE", str(ACCOUNTS))


def test_a_batch_that_halves_many_limits_waits_for_a_person_and_can_be_taken_back(
    creditgate: Invoke, accounts: list[str], tmp_path: Path
) -> None:
    halved = accounts[: ACCOUNTS * 2 // 5]
    limits = {account: "500.00" if account in halved else "1000.00" for account in accounts}
    file = write(tmp_path / "limits.csv", limits, 2)
    pushed = creditgate("limits", "push", file)
    assert pushed.exit_code == 1, pushed.output
    assert "Guard rail ACCOUNTS_CUT" in pushed.stdout
    batch_id = pushed.stdout.split("  batch     ")[1].splitlines()[0]
    assert limits_of(creditgate, accounts) == [100_000] * ACCOUNTS
    assert batch_id in creditgate("limits", "batches", "--state", "quarantined").stdout

    refused = creditgate("limits", "activate", batch_id)
    assert refused.exit_code == 1
    assert "--force" in refused.stderr
    forced = creditgate("limits", "activate", batch_id, "--force", "--comment", "agreed with sales")
    assert forced.exit_code == 0, forced.output
    active = wait_for(creditgate, batch_id, "LIMIT_BATCH_STATE_ACTIVE")
    assert (active["actor"], active["forced"], active["comment"]) == ("ann", True, "agreed with sales")
    assert limits_of(creditgate, accounts[:1]) == [50_000]

    later = write(tmp_path / "later.csv", {halved[0]: "700.00"}, 3)
    assert "Guard rail ROW_COUNT" in creditgate("limits", "push", later, "--batch", "later").stdout
    assert creditgate("limits", "activate", "later", "--force", "--comment", "one account").exit_code == 0
    wait_for(creditgate, "later", "LIMIT_BATCH_STATE_ACTIVE")
    assert creditgate("limits", "rollback", batch_id, "--comment", "wrong model").exit_code == 0
    rolled_back = wait_for(creditgate, batch_id, "LIMIT_BATCH_STATE_ROLLED_BACK")
    assert rolled_back["kept_changes"] == [halved[0]]
    assert limits_of(creditgate, halved[:2]) == [70_000, 100_000]


def test_rows_with_the_longest_reasons_are_pushed_with_the_others(
    served: ServedService, tmp_path: Path, account_id: str
) -> None:
    rows, reasons = 1_000, "|".join(["\u4fe1" * 100] * 5)
    file = tmp_path / "limits.csv"
    lines = (f"{account_id}-{number},5.00,{reasons}\n" for number in range(rows))
    file.write_text("account,limit,reasons\n" + "".join(lines), encoding="utf-8")
    with running("limits", "push", file, "--create-accounts", "--json", LISTEN=served.address) as pushing:
        stdout, stderr = pushing.communicate(timeout=PATIENCE_S)
    assert pushing.returncode == 0, stderr
    assert batch_of(stdout)["applied_rows"] == str(rows)


def test_a_push_that_is_interrupted_is_carried_on(served: ServedService, tmp_path: Path, account_id: str) -> None:
    rows = 30_000
    file = write(tmp_path / "limits.csv", {f"{account_id}-{number}": "5.00" for number in range(rows)}, 1)
    words = ("limits", "push", file, "--create-accounts", "--json")
    with running(*words, LISTEN=served.address) as pushing:
        assert pushing.stderr is not None
        assert "Sending" in pushing.stderr.readline()
        pushing.kill()
    with running(*words, LISTEN=served.address) as again:
        stdout, stderr = again.communicate(timeout=PATIENCE_S)
    assert again.returncode == 0, stderr
    batch = batch_of(stdout)
    assert (batch["state"], batch["received_rows"]) == ("LIMIT_BATCH_STATE_ACTIVE", str(rows))
    assert (batch["applied_rows"], batch["created_accounts"]) == (str(rows), str(rows))
