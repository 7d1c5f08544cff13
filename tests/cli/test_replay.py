"""`creditgate replay` as people and programs call it."""

import csv
import json
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from creditgate.client import CreditClient
from creditgate.store import PARTITIONS_DEFAULT, keys
from tests.cli.conftest import Invoke
from tests.cli.served import ServedService, running
from tests.patience import PATIENCE_S
from tests.replay.invoices import HEADER, csv_text, invoice, random_invoices


@pytest.fixture
def invoice_file(tmp_path: Path, new_id: Callable[[str], str]) -> Path:
    """Sixty invoices of five customers."""
    path = tmp_path / "invoices.csv"
    path.write_text(csv_text(random_invoices(customers=5, invoices=60, prefix=new_id("buyer"))))
    return path


def test_a_file_is_played_summed_up_and_played_again(creditgate: Invoke, invoice_file: Path) -> None:
    with invoice_file.open() as source:
        rows = list(csv.DictReader(source))
    result = creditgate("replay", invoice_file, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    (currency,) = document["currencies"]
    assert currency["invoiced_minor"] == sum(round(float(row["InvoiceAmount"]) * 100) for row in rows)
    assert currency["paid_minor"] == sum(round(float(row["InvoiceAmount"]) * 100) for row in rows if row["SettledDate"])
    assert (document["complete"], document["changed_nothing"], document["orders"]) == (True, False, 60)
    assert "invoices.csv: " in result.stderr

    again = creditgate("replay", invoice_file)
    assert again.exit_code == 0, again.output
    assert "60 read, 0 bad" in again.stdout
    assert "everything had been played before, and nothing has changed" in again.stdout
    assert re.search(r"Verified +5 accounts: every sum is what its orders and entries add up to", again.stdout)


def test_a_sum_that_differs_is_an_error(creditgate: Invoke, redis_url: str, tmp_path: Path, account_id: str) -> None:
    path = tmp_path / "invoices.csv"
    path.write_text(csv_text([invoice(1, 5000, day=1, account_id=account_id)]))
    creditgate("replay", path)
    with Redis.from_url(redis_url) as redis:
        assert redis.hdel(keys.ledger(keys.partition_of(account_id, PARTITIONS_DEFAULT), account_id), "d:0001") == 1
        path.write_text(csv_text([invoice(2, 700, day=2, account_id=account_id)]))
        result = creditgate("replay", path)
    assert result.exit_code == 2
    assert "1 sum differs: `creditgate verify` tells more" in result.stdout
    assert f"{account_id}: receivable is 57.00 USD and should be 7.00 USD\n" in result.stderr
    assert creditgate("verify", account_id, "--repair").exit_code == 1


def test_limits_refuse_some_orders(creditgate: Invoke, invoice_file: Path) -> None:
    result = creditgate("replay", invoice_file, "--limit", "150.00 USD", "--in-flight", "2", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["outcomes"]["REJECTED"] > 0
    assert {reason["reason"] for reason in document["reasons"]} == {"LIMIT_EXCEEDED"}
    assert all(peak["peak_exposure_minor"] <= 15_000 for peak in document["currencies"][0]["largest_accounts"])


def test_bad_rows_are_told_and_the_others_played(
    creditgate: Invoke, served: ServedService, tmp_path: Path, account_id: str
) -> None:
    path, listing = tmp_path / "invoices.csv", tmp_path / "bad.csv"
    good = csv_text([invoice(1, 5000, day=1, account_id=account_id), invoice(2, 700, day=2, account_id=account_id)])
    path.write_text(good + f"{account_id},0003,soon,,5,\n" + ",0004,1/2/2013,,5,\n")
    result = creditgate("replay", path, "--errors-file", listing)
    assert result.exit_code == 0, result.output
    assert "4 read, 2 bad" in result.stdout
    assert "line 4: InvoiceDate 'soon' is not a date as %m/%d/%Y\nline 5: customerID is missing\n" in result.stderr
    with listing.open(newline="") as bad:
        assert [row["line"] for row in csv.DictReader(bad)] == ["4", "5"]
    with CreditClient(served.address, timeout_s=PATIENCE_S) as client:
        assert client.get_account(account_id).account.exposure.receivable_minor == 5700


def test_another_layout_is_read_by_its_options(creditgate: Invoke, tmp_path: Path, account_id: str) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(f"No;Buyer;On;Total;Cur\nA-1;{account_id};2024-02-29;1500;JPY\n")
    columns = ["account=Buyer", "invoice=No", "amount=Total", "invoiced=On", "due=", "settled=", "currency=Cur"]
    words = [word for column in columns for word in ("--column", column)]
    result = creditgate("replay", path, *words, "--date-format", "%Y-%m-%d", "--json")
    assert result.exit_code == 0, result.output
    (currency,) = json.loads(result.stdout)["currencies"]
    assert (currency["currency_code"], currency["invoiced_minor"], currency["paid_minor"]) == ("JPY", 1500, 0)


@pytest.mark.parametrize(
    ("text", "words", "says"),
    [
        (None, [], "can't read"),
        ("", [], "the file is empty"),
        ("a,b\n1,2\n", [], "has no column 'customerID'"),
        (HEADER + "\n", [], "has no row that can be played: 0 read, 0 bad"),
        (HEADER + "\n,,,,,\n", [], "1 read, 1 bad; the first: line 2: customerID is missing"),
        (HEADER + "\n", ["--speed", "fast"], "--speed 'fast'"),
        (HEADER + "\n", ["--currency", "dollars"], "--currency 'dollars'"),
        (HEADER + "\n", ["--limit", "5 USD", "--unlimited"], "exclude each other"),
        (HEADER + "\n", ["--in-flight", "0"], "--in-flight"),
        (HEADER + "\n", ["--errors-file", "/nowhere/bad.csv"], "can't write /nowhere/bad.csv"),
    ],
)
def test_what_can_not_be_played_is_refused(
    offline: Invoke, tmp_path: Path, text: str | None, words: list[str], says: str
) -> None:
    path = tmp_path / "invoices.csv"
    if text is not None:
        path.write_text(text)
    result = offline("replay", path, *words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stdout == ""


def test_the_file_is_never_overwritten(offline: Invoke, invoice_file: Path) -> None:
    text = invoice_file.read_text()
    result = offline("replay", invoice_file, "--errors-file", invoice_file)
    assert result.exit_code == 2
    assert invoice_file.read_text() == text


def test_a_service_that_is_not_there_is_told_at_once(offline: Invoke, invoice_file: Path) -> None:
    result = offline("replay", invoice_file)
    assert result.exit_code == 2
    assert "no creditgate service answers at 127.0.0.1:1" in result.stderr


def test_ctrl_c_prints_the_summary_so_far(served: ServedService, tmp_path: Path, account_id: str) -> None:
    path = tmp_path / "invoices.csv"
    path.write_text(csv_text([invoice(1, 100, day=0, account_id=account_id), invoice(2, 100, 9999, None, account_id)]))
    with running("replay", path, "--speed", "1d/s", "--json", LISTEN=served.address) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "3 of 5 steps" in line:  # the account, its first order and the invoice
                break
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, stderr
    document = json.loads(stdout)
    assert (document["complete"], document["orders"], document["currencies"][0]["invoiced_minor"]) == (False, 1, 100)
    assert stderr == ""
