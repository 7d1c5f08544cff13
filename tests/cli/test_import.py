"""`creditgate import` as people and programs call it."""

import csv
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message

from creditgate.v1.admin_service_pb2 import ListAccountsResponse
from creditgate.v1.receivables_service_pb2 import ImportOpenItemsRequest, ImportOpenItemsResponse, ImportProgress
from tests.cli.conftest import Invoke
from tests.cli.served import CREDITGATE, environment
from tests.client.scripted_service import Failure, ScriptedService, StreamAnswer, Wait

HEADER = "account,document,amount"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "items.csv"


def write(file: Path, *rows: str, header: str = HEADER) -> Path:
    file.write_text("\n".join((header, *rows)) + "\n")
    return file


def test_a_file_is_imported_summed_up_and_imported_again(creditgate: Invoke, account: str, file: Path) -> None:
    write(file, *(f"{account},d-{number},{number}.50" for number in range(1, 1501)), f"{account},credit,-100")
    result = creditgate("import", file)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[:3] == ["  rows      1,501 read, 0 bad", "  imported  1,501", "  open      1,126,400.00 USD"]
    assert "items.csv: 1,501 of 1,501 rows" in result.stderr
    assert "  receivable  1,126,400.00 USD" in creditgate("account", "show", account).output

    again = creditgate("import", file, "--json")
    assert again.exit_code == 0, again.output
    document = json.loads(again.stdout)
    assert document["complete"] is True
    assert (document["imported"], document["replayed"], document["failed"]) == (0, 1501, 0)
    assert document["open"] == [{"currency_code": "USD", "amount_minor": 112_640_000}]


def test_a_row_that_is_there_twice_counts_once_in_the_sum_too(creditgate: Invoke, account: str, file: Path) -> None:
    write(file, f"{account},x1,10.00", f"{account},x1,10.00", f"{account},x1,20.00", f"{account},x2,1.00")
    result = creditgate("import", file)
    assert result.exit_code == 1, result.output
    assert result.stdout.splitlines()[:6] == [
        "  rows      4 read, 0 bad",
        "  imported  2",
        "  replayed  1 had been imported before: nothing was changed for them",
        "  repeated  1 name a document that an earlier row names: it counts once",
        "  failed    1",
        "  open      11.00 USD",
    ]
    assert "  receivable  11.00 USD" in creditgate("account", "show", account).output


def test_faults_are_told_and_listed_in_the_order_of_the_file(
    creditgate: Invoke, account: str, file: Path, tmp_path: Path
) -> None:
    listing = tmp_path / "bad.csv"
    rows = [[f"nobody-{account},d-{n},5", f"{account},g-{n},5", f"{account},b-{n},0"] for n in range(600)]
    write(file, *(row for three in rows for row in three))
    result = creditgate("import", file, "--errors-file", listing)
    assert result.exit_code == 1, result.output
    with listing.open(newline="") as bad:
        lines = [int(row["line"]) for row in csv.DictReader(bad)]
    assert lines == sorted(lines)
    assert len(lines) == 1200
    told = [line for line in result.stderr.splitlines() if line.startswith("line ")]
    assert [line.split(":")[0] for line in told] == [f"line {number}" for number in lines[:20]]


def test_rows_that_are_not_taken_are_told_and_the_others_imported(
    creditgate: Invoke, account: str, file: Path, tmp_path: Path
) -> None:
    listing = tmp_path / "bad.csv"
    creditgate("post", account, "posted", "1 USD")
    write(
        file,
        f"{account},good,10",
        f"{account},zero,0.00",
        f"nobody-{account},d,5",
        f"{account},posted,7",
        f"{account},,5",
        f"{account},short",
        f"{account},also-good,2.50",
    )
    result = creditgate("import", file, "--errors-file", listing)
    assert result.exit_code == 1, result.output
    assert result.stdout.splitlines()[:4] == [
        "  rows      7 read, 3 bad",
        "  imported  2",
        "  failed    2",
        "  open      12.50 USD",
    ]
    told = [line for line in result.stderr.splitlines() if line.startswith("line ")]
    assert told[0] == "line 3: amount is 0: nothing is open"
    assert told[1] == f"line 4: there is no account nobody-{account}"
    assert told[2].startswith("line 5: document posted was recorded with other details")
    assert told[3:] == ["line 6: document is missing", "line 7: has 2 fields where the header has 3"]
    with listing.open(newline="") as bad:
        assert [row["line"] for row in csv.DictReader(bad)] == ["3", "4", "5", "6", "7"]


def test_a_field_that_the_service_refuses_is_told_by_its_column(creditgate: Invoke, account: str, file: Path) -> None:
    write(file, f"{account};d-1;5;EUR", f"{account};d-2;5;", header="Buyer;No;Open;Cur")
    columns = ("account=Buyer", "document=No", "amount=Open", "currency=Cur")
    words = [word for column in columns for word in ("--column", column)]
    result = creditgate("import", file, *words, "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert (document["imported"], document["failed"]) == (1, 1)
    assert document["faults"] == [{"line": 2, "column": "Cur", "reason": "must be USD, the currency of the account"}]


def test_the_first_faults_are_told_and_the_rest_counted(creditgate: Invoke, account: str, file: Path) -> None:
    write(file, *(f"{account},d-{number},0" for number in range(30)))
    result = creditgate("import", file)
    assert result.exit_code == 1
    assert sum(line.startswith("line ") for line in result.stderr.splitlines()) == 20
    assert "… and 10 more rows; --errors-file lists them all" in result.stderr


@pytest.mark.parametrize(
    ("text", "words", "says"),
    [
        (None, [], "can't read"),
        ("", [], "the file is empty"),
        ("a,b\n1,2\n", [], "has no column 'account'"),
        (HEADER + "\n", [], "has no rows"),
        (HEADER + "\n", ["--currency", "dollars"], "--currency 'dollars'"),
        (HEADER + "\n", ["--column", "buyer=x"], "the fields are account, document, amount, currency"),
        (HEADER + "\n", ["--delimiter", "::"], "--delimiter '::'"),
        (HEADER + "\n", ["--errors-file", "/nowhere/bad.csv"], "can't write /nowhere/bad.csv"),
    ],
)
def test_what_can_not_be_imported_is_refused(
    creditgate: Invoke, file: Path, text: str | None, words: list[str], says: str
) -> None:
    if text is not None:
        file.write_text(text)
    result = creditgate("import", file, *words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stdout == ""


def test_the_file_is_never_overwritten(creditgate: Invoke, account: str, file: Path) -> None:
    write(file, f"{account},d-1,5")
    text = file.read_text()
    assert creditgate("import", file, "--errors-file", file).exit_code == 2
    assert file.read_text() == text


def test_a_service_that_is_not_there_is_told_at_once(offline: Invoke, file: Path) -> None:
    result = offline("import", write(file, "a,d,5"))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "no creditgate service answers at 127.0.0.1:1" in result.stderr


def answer_first_chunk(end: Failure | Wait) -> tuple[StreamAnswer, StreamAnswer]:
    """Take the first chunk, and end every stream after it."""

    def imported(requests: Iterator[Message]) -> Iterator[Message]:
        received = sum(len(each.items) for each in requests if isinstance(each, ImportOpenItemsRequest))
        yield ImportOpenItemsResponse(progress=ImportProgress(received=received, imported=received))

    def ended(requests: Iterator[Message]) -> Iterator[Failure | Wait]:
        for _ in requests:
            pass
        yield end

    return imported, ended


def test_an_import_that_is_cut_off_tells_how_far_it_came(
    offline: Invoke, scripted: ScriptedService, file: Path
) -> None:
    scripted.script("ListAccounts", ListAccountsResponse())
    scripted.script_streams("ImportOpenItems", *answer_first_chunk(Failure(grpc.StatusCode.RESOURCE_EXHAUSTED)))
    write(file, *(f"a,d-{number},5" for number in range(1500)))
    result = offline("import", file, "--address", scripted.address)
    assert result.exit_code == 2
    assert "  imported     1,000\n" in result.stdout
    assert "  ended early  import the file again to carry on from here\n" in result.stdout
    assert "RESOURCE_EXHAUSTED" in result.stderr


def test_ctrl_c_prints_the_summary_so_far(scripted: ScriptedService, file: Path) -> None:
    scripted.script("ListAccounts", ListAccountsResponse())
    scripted.script_streams("ImportOpenItems", *answer_first_chunk(Wait()))
    write(file, *(f"a,d-{number},5" for number in range(1500)))
    process = subprocess.Popen(
        [CREDITGATE, "import", file, "--json", "--timeout", "60"],
        env={**os.environ, **environment(LISTEN=scripted.address)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    scripted.wait_for_requests(3)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    document = json.loads(stdout)
    assert (document["complete"], document["imported"]) == (False, 1000)
    assert "Traceback" not in stderr
