"""`creditgate limits push` and `preview` as people and programs call them."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pyarrow as pa
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from pyarrow import parquet

from creditgate.v1.limit_batch_pb2 import (
    LIMIT_BATCH_MODE_APPLY,
    LIMIT_BATCH_MODE_PREVIEW,
    LIMIT_BATCH_MODE_STAGE,
    LIMIT_BATCH_STATE_ACTIVATING,
    LIMIT_BATCH_STATE_ACTIVE,
    LIMIT_BATCH_STATE_CANCELLED,
    LIMIT_BATCH_STATE_FAILED,
    LIMIT_BATCH_STATE_QUARANTINED,
    LIMIT_BATCH_STATE_RECEIVING,
    LIMIT_BATCH_STATE_ROLLED_BACK,
    LIMIT_BATCH_STATE_STAGED,
    GuardRailReport,
    LimitBatch,
    LimitBatchState,
    LimitEffect,
    LimitRowError,
)
from creditgate.v1.limit_feed_service_pb2 import (
    GetLimitBatchResponse,
    LimitBatchHeader,
    LimitPushProgress,
    LimitUpdate,
    ListLimitBatchesResponse,
    PushLimitsRequest,
    PushLimitsResponse,
)
from tests.cli.conftest import Invoke
from tests.cli.limit_batches import CUT, EFFECT, MAY_31, refused
from tests.cli.served import CREDITGATE, environment
from tests.client.scripted_service import Failure, ScriptedService, StreamAnswer, Wait


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "limits.csv"
    path.write_text("account,limit,version\nacme,500.00,7\n\nbolt,x,7\ncoal,20,7\n")
    os.utime(path, (1_780_000_000, 1_780_000_000))
    return path


def keep_and_answer(*answers: PushLimitsResponse, **batch: object) -> StreamAnswer:
    """Keep every row, send the answers and then the batch, which is what the header says and the fields given."""

    def answer(requests: Iterator[Message]) -> Iterator[Message]:
        first = next(requests)
        assert isinstance(first, PushLimitsRequest)
        yield PushLimitsResponse(progress=LimitPushProgress())
        header, received = first.header, 0
        for request in requests:
            assert isinstance(request, PushLimitsRequest)
            received += len(request.updates.updates) + len(request.updates.unreadable_rows)
        yield from answers
        answered = LimitBatch(
            batch_id=header.batch_id,
            source=header.source,
            model_version=header.model_version,
            as_of=header.as_of,
            mode=header.mode,
            received_rows=received,
            create_time=MAY_31,
        )
        answered.MergeFrom(LimitBatch(**batch))  # type: ignore[arg-type] # fields by name
        yield PushLimitsResponse(batch=answered)

    return answer


def header_of(scripted: ScriptedService) -> LimitBatchHeader:
    headers = [each.header for each in scripted.requests if isinstance(each, PushLimitsRequest)]
    return headers[0]


def updates_of(scripted: ScriptedService) -> list[LimitUpdate]:
    pushed = [each for each in scripted.requests if isinstance(each, PushLimitsRequest)]
    return [update for each in pushed for update in each.updates.updates]


def test_a_file_is_pushed_and_its_wrong_rows_are_told_by_line(
    limits: Invoke, scripted: ScriptedService, file: Path
) -> None:
    wrong = LimitRowError(row=2, field="limit_minor", message="'x' is not an amount such as 1250.00")
    answer = keep_and_answer(
        state=LIMIT_BATCH_STATE_ACTIVE, rejected_rows=1, applied_rows=2, effect=EFFECT, row_errors=[wrong]
    )
    scripted.script_streams("PushLimits", answer)
    result = limits("push", file, "--model-version", "4.2", "--source", "nightly")
    assert result.exit_code == 0, result.output
    header = header_of(scripted)
    assert (header.source, header.model_version, header.mode) == ("nightly", "4.2", LIMIT_BATCH_MODE_APPLY)
    assert header.as_of.seconds == 1_780_000_000
    assert [(each.account_id, each.limit_minor) for each in updates_of(scripted)] == [("acme", 50_000), ("coal", 2_000)]
    assert result.stdout.splitlines()[:6] == [
        "ACTIVE",
        f"  batch     {header.batch_id}",
        "  source    nightly, model 4.2",
        "  as of     2026-05-28 20:26:40 UTC",
        "  mode      APPLY",
        "  rows      3 received",
    ]
    assert "  in force  2\n  wrong     1\n" in result.stdout
    assert "What it does to the accounts:\n  accounts    3 raised, 2 cut, 1 confirmed, 0 new\n" in result.stdout
    assert "  limits      1,000.00 → 1,500.00 USD (+50.0%)\n" in result.stdout
    assert "  headroom    500.00 → 900.00 USD (+80.0%)\n" in result.stdout
    assert "line 4: limit 'x' is not an amount such as 1250.00" in result.stderr.splitlines()


def test_the_same_file_is_the_same_batch(limits: Invoke, scripted: ScriptedService, file: Path) -> None:
    scripted.script_streams("PushLimits", keep_and_answer(state=LIMIT_BATCH_STATE_ACTIVE))
    batches = [json.loads(limits("push", file, "--json").stdout)["batch"] for _ in range(2)]
    assert batches[0]["batch_id"] == batches[1]["batch_id"]
    assert batches[0]["batch_id"].startswith("limits.csv-")
    named = json.loads(limits("push", file, "--batch", "mine", "--json").stdout)
    assert named["batch"]["batch_id"] == "mine"


@pytest.mark.parametrize(
    ("state", "exit_code", "says"),
    [
        (LIMIT_BATCH_STATE_STAGED, 0, "no limit is in force yet: activate it with `creditgate limits activate`"),
        (LIMIT_BATCH_STATE_QUARANTINED, 1, "no limit is in force; if it is right, activate it with `creditgate limits"),
        (LIMIT_BATCH_STATE_CANCELLED, 1, "no limit is in force; the same rows can be pushed under another --batch"),
        (LIMIT_BATCH_STATE_ROLLED_BACK, 1, "the limits before it are in force again"),
        (LIMIT_BATCH_STATE_FAILED, 1, "a row is wrong, and the batch is all or nothing"),
    ],
)
def test_what_is_not_in_force_is_told(
    limits: Invoke, scripted: ScriptedService, file: Path, state: LimitBatchState.ValueType, exit_code: int, says: str
) -> None:
    scripted.script_streams("PushLimits", keep_and_answer(state=state, guard_rails=[CUT]))
    result = limits("push", file, "--stage", "--all-or-nothing", "--create-accounts")
    assert result.exit_code == exit_code
    assert says in result.stdout
    assert f"Guard rail ACCOUNTS_CUT: {CUT.message}" in result.stdout
    header = header_of(scripted)
    assert (header.mode, header.all_or_nothing, header.create_accounts) == (LIMIT_BATCH_MODE_STAGE, True, True)
    assert limits("push", file, "--json").exit_code == exit_code


@pytest.mark.parametrize(
    ("wrong", "skipped", "exit_code", "says"),
    [
        (3, 0, 1, "nothing is in force: 3 rows wrong, 0 skipped"),
        (1, 2, 0, "nothing is in force: 1 row wrong, 2 skipped"),
        (
            0,
            3,
            0,
            "nothing is in force: 3 rows skipped, none above the version that its account has; if",
        ),
    ],
)
def test_a_batch_that_is_active_with_nothing_in_force_says_so(
    limits: Invoke, scripted: ScriptedService, file: Path, wrong: int, skipped: int, exit_code: int, says: str
) -> None:
    answer = keep_and_answer(
        state=LIMIT_BATCH_STATE_ACTIVE, rejected_rows=wrong, skipped_rows=skipped, effect=LimitEffect()
    )
    scripted.script_streams("PushLimits", answer)
    result = limits("push", file)
    assert result.exit_code == exit_code, result.output
    assert result.stdout.startswith(f"ACTIVE  ({says}")
    assert "What it does to the accounts:" in result.stdout


@pytest.mark.parametrize(
    ("counts", "exit_code", "says"),
    [
        ({"rejected_rows": 1, "all_or_nothing": True}, 1, "it would fail: all or nothing, and 1 row wrong"),
        ({"rejected_rows": 1}, 0, "no guard rail would hold it back"),
        ({"rejected_rows": 3}, 1, "nothing would be: 3 rows wrong, 0 skipped"),
        ({"skipped_rows": 3}, 0, "nothing would be: 3 rows skipped, none above the version"),
    ],
)
def test_a_preview_tells_that_a_push_would_be_in_vain(
    limits: Invoke, scripted: ScriptedService, file: Path, counts: dict[str, object], exit_code: int, says: str
) -> None:
    scripted.script_streams("PushLimits", keep_and_answer(state=LIMIT_BATCH_STATE_CANCELLED, effect=EFFECT, **counts))
    words = ["--all-or-nothing"] if "all_or_nothing" in counts else []
    result = limits("preview", file, *words)
    assert result.exit_code == exit_code, result.output
    assert header_of(scripted).all_or_nothing == bool(words)
    assert result.stdout.startswith(f"PREVIEW  (nothing is in force; {says}")


def test_options_say_how_the_file_is_read(limits: Invoke, scripted: ScriptedService, tmp_path: Path) -> None:
    file = tmp_path / "scores.txt"
    file.write_text("customer;approved\nacme;500,000\n")
    scripted.script_streams("PushLimits", keep_and_answer(state=LIMIT_BATCH_STATE_ACTIVE))
    columns = ("--column", "account=customer", "--column", "limit=approved")
    words = (*columns, "--currency", "jpy", "--version", "9", "--as-of", "2026-05-31T02:00Z")
    assert limits("push", file, *words).exit_code == 0
    expected = LimitUpdate(account_id="acme", limit_minor=500_000, currency_code="JPY", version=9)
    assert updates_of(scripted) == [expected]
    assert header_of(scripted).as_of == MAY_31


@pytest.mark.parametrize("command", ["push", "preview"])
def test_columns_that_are_not_read_are_told_before_the_file_is_sent(
    limits: Invoke, scripted: ScriptedService, file: Path, command: str
) -> None:
    file.write_text("account,limit,expires,note\nacme,500.00,2026-12-31,x\n")
    scripted.script_streams("PushLimits", keep_and_answer(state=LIMIT_BATCH_STATE_ACTIVE))
    told = limits(command, file).stderr.splitlines()
    assert (
        told[0] == "columns not read: 'expires', 'note' (--column FIELD=HEADER says which column a field is read from)"
    )
    assert sum("not read" in line for line in told) == 1
    json.loads(limits(command, file, "--json").stdout)
    file.write_text("account,limit\nacme,500.00\n")
    assert "not read" not in limits(command, file).stderr


def test_rows_without_a_version_have_that_of_the_instant(
    limits: Invoke, scripted: ScriptedService, tmp_path: Path
) -> None:
    file = tmp_path / "limits.parquet"
    parquet.write_table(pa.table({"account": ["acme"], "limit_minor": [500]}), file)
    scripted.script_streams("PushLimits", keep_and_answer(state=LIMIT_BATCH_STATE_ACTIVE))
    assert limits("push", file, "--as-of", "2026-05-31T02:00Z").exit_code == 0
    (update,) = updates_of(scripted)
    assert (update.account_id, update.limit_minor, update.version) == ("acme", 500, MAY_31.seconds)


@pytest.mark.parametrize(("guard_rails", "exit_code"), [([], 0), ([CUT], 1)])
def test_a_preview_tells_what_would_happen_and_whether_it_would_be_held_back(
    limits: Invoke, scripted: ScriptedService, file: Path, guard_rails: list[GuardRailReport], exit_code: int
) -> None:
    answer = keep_and_answer(state=LIMIT_BATCH_STATE_CANCELLED, effect=EFFECT, guard_rails=guard_rails)
    scripted.script_streams("PushLimits", answer)
    result = limits("preview", file)
    assert result.exit_code == exit_code, result.output
    assert header_of(scripted).mode == LIMIT_BATCH_MODE_PREVIEW
    held_back = "a guard rail would hold it back" if guard_rails else "no guard rail would hold it back"
    assert result.stdout.splitlines()[0] == f"PREVIEW  (nothing is in force; {held_back})"
    assert "What it would do to the accounts:" in result.stdout
    assert "  over limit  1 account goes over its limit\n" in result.stdout
    assert "  reviews     4 orders that wait for review fit\n" in result.stdout
    raises, cuts = result.stdout.split("Largest raises:")[1].split("Largest cuts:")
    assert raises.split()[-5:] == ["acme", "none", "500.00", "0.00", "USD"]
    assert cuts.split()[-5:] == ["bolt", "90.00", "10.00", "20.00", "USD"]


def test_each_preview_is_a_batch_of_its_own(limits: Invoke, scripted: ScriptedService, file: Path) -> None:
    scripted.script_streams("PushLimits", keep_and_answer(state=LIMIT_BATCH_STATE_CANCELLED))
    ids = {json.loads(limits("preview", file, "--json").stdout)["batch"]["batch_id"] for _ in range(2)}
    assert len(ids) == 2


def test_progress_is_told_while_rows_are_sent_and_limits_are_put_in_force(
    limits: Invoke, scripted: ScriptedService, file: Path
) -> None:
    received = LimitPushProgress(received_rows=3)
    activating = LimitPushProgress(received_rows=3, applied_rows=3, state=LIMIT_BATCH_STATE_ACTIVATING)
    answers = (PushLimitsResponse(progress=received), PushLimitsResponse(progress=activating))
    scripted.script_streams("PushLimits", keep_and_answer(*answers, state=LIMIT_BATCH_STATE_ACTIVE))
    told = limits("push", file).stderr.splitlines()
    assert told[0].startswith("Sending limits.csv: 3 of 4 rows, ")
    assert told[0].endswith(" left")
    assert told[1].startswith("Putting in force: 3 of 3 rows")


@pytest.mark.parametrize(
    ("text", "words", "says"),
    [
        (None, [], "can't read"),
        ("", [], "the file is empty"),
        ("account,limit\n", [], "has no rows"),
        ("customer,limit\na,1\n", [], "has no column 'account'"),
        ("account,amount\na,1\n", [], "no column 'limit', in units of the currency, nor 'limit_minor'"),
        ("account,limit\na,1\n", ["--column", "score=x"], "has no column 'x'"),
        ("account,limit\na,1\n", ["--column", "buyer=x"], "the fields are account, limit, limit_minor"),
        ("account,limit\na,1\n", ["--as-of", "yesterday"], "--as-of: 'yesterday'"),
    ],
)
def test_a_file_that_can_not_be_used_begins_no_batch(
    limits: Invoke, scripted: ScriptedService, file: Path, text: str | None, words: list[str], says: str
) -> None:
    file.unlink()
    if text is not None:
        file.write_text(text)
    result = limits("push", file, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
    assert scripted.streams == []


def test_a_service_that_is_not_there_is_told_at_once(offline: Invoke, file: Path) -> None:
    result = offline("limits", "push", file)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no creditgate service answers at 127.0.0.1:1" in result.stderr


def test_a_push_that_is_cut_off_tells_how_far_it_came(limits: Invoke, scripted: ScriptedService, file: Path) -> None:
    def cut_off(requests: Iterator[Message]) -> Iterator[Message | Failure]:
        next(requests)
        yield PushLimitsResponse(progress=LimitPushProgress(received_rows=2))
        yield Failure(grpc.StatusCode.RESOURCE_EXHAUSTED)

    scripted.script_streams("PushLimits", cut_off)
    result = limits("push", file)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "2 rows are received: push the file again to carry on from here\n" in result.stderr
    assert "RESOURCE_EXHAUSTED" in result.stderr


OTHER_DETAILS = refused(
    grpc.StatusCode.ALREADY_EXISTS, "LIMIT_BATCH_EXISTS_WITH_DIFFERENT_DETAILS", "b-1 exists with other details"
)


def test_a_push_that_is_refused_is_not_to_be_carried_on(limits: Invoke, scripted: ScriptedService, file: Path) -> None:
    def refuse(requests: Iterator[Message]) -> Iterator[Message | Failure]:
        next(requests)
        yield PushLimitsResponse(progress=LimitPushProgress(received_rows=2))
        yield OTHER_DETAILS

    scripted.script_streams("PushLimits", refuse)
    result = limits("push", file)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "carry on" not in result.stderr
    assert "b-1 exists with other details; look with `creditgate limits show`, or push it under" in result.stderr


@pytest.mark.parametrize(
    ("there", "words", "says"),
    [
        (
            LimitBatch(mode=LIMIT_BATCH_MODE_STAGE, state=LIMIT_BATCH_STATE_STAGED),
            [],
            "`creditgate limits activate b-1`",
        ),
        (
            LimitBatch(mode=LIMIT_BATCH_MODE_STAGE, state=LIMIT_BATCH_STATE_QUARANTINED),
            [],
            "`creditgate limits activate b-1 --force --comment …`",
        ),
        (
            LimitBatch(mode=LIMIT_BATCH_MODE_STAGE, state=LIMIT_BATCH_STATE_RECEIVING),
            [],
            "push it with --stage, as before",
        ),
        (
            LimitBatch(mode=LIMIT_BATCH_MODE_APPLY, state=LIMIT_BATCH_STATE_RECEIVING),
            ["--stage"],
            "push it without --stage, as before",
        ),
        (
            LimitBatch(mode=LIMIT_BATCH_MODE_APPLY, state=LIMIT_BATCH_STATE_ACTIVE),
            ["--stage"],
            "push it without --stage, as before",
        ),
        (
            LimitBatch(mode=LIMIT_BATCH_MODE_STAGE, state=LIMIT_BATCH_STATE_STAGED, all_or_nothing=True),
            [],
            "or push it under another --batch",
        ),
    ],
)
def test_a_file_that_was_pushed_in_another_mode_is_told_with_the_way_on(
    limits: Invoke, scripted: ScriptedService, file: Path, there: LimitBatch, words: list[str], says: str
) -> None:
    def refuse(requests: Iterator[Message]) -> Iterator[Message | Failure]:
        next(requests)
        yield OTHER_DETAILS

    there.MergeFrom(LimitBatch(batch_id="b-1", source="cli", as_of=Timestamp(seconds=1_780_000_000)))
    scripted.script("GetLimitBatch", GetLimitBatchResponse(batch=there))
    scripted.script_streams("PushLimits", refuse)
    result = limits("push", file, "--batch", "b-1", *words)
    assert result.exit_code == 2
    assert "b-1 exists with other details; " in result.stderr
    assert says in result.stderr


def test_a_push_that_gets_no_answer_tells_how_long_it_has_waited(
    limits: Invoke, scripted: ScriptedService, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(requests: Iterator[Message]) -> Iterator[Message | Wait]:
        next(requests)
        yield PushLimitsResponse(progress=LimitPushProgress(received_rows=1))
        yield Wait()

    monkeypatch.setattr("creditgate.cli.limit_push.ANSWER_TIMEOUT_S", 0.25)
    scripted.script_streams("PushLimits", stuck)
    result = limits("push", file)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-2:] == [
        "1 row is received: push the file again to carry on from here",
        "creditgate: no answer within 0.25 s; it is safe to push the file again",
    ]


def test_ctrl_c_tells_how_far_it_came(scripted: ScriptedService, file: Path) -> None:
    def stuck(requests: Iterator[Message]) -> Iterator[Message | Wait]:
        next(requests)
        yield PushLimitsResponse(progress=LimitPushProgress(received_rows=1))
        for _ in requests:
            pass
        yield Wait()

    scripted.script("ListLimitBatches", ListLimitBatchesResponse())
    scripted.script_streams("PushLimits", stuck)
    process = subprocess.Popen(
        [CREDITGATE, "limits", "push", file],
        env={**os.environ, **environment(LISTEN=scripted.address)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    scripted.wait_for_requests(3)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (130, ""), stderr
    assert "1 row is received: push the file again" in stderr
    assert "Traceback" not in stderr
