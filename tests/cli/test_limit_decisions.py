"""`creditgate limits batches`, `show`, `activate`, `cancel` and `rollback` as people and programs call them."""

import json

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from creditgate.v1.limit_batch_pb2 import (
    LIMIT_BATCH_STATE_ACTIVATING,
    LIMIT_BATCH_STATE_ACTIVE,
    LIMIT_BATCH_STATE_CANCELLED,
    LIMIT_BATCH_STATE_QUARANTINED,
    LIMIT_BATCH_STATE_ROLLED_BACK,
    LIMIT_BATCH_STATE_ROLLING_BACK,
    LimitBatch,
    LimitRowError,
)
from creditgate.v1.limit_feed_service_pb2 import (
    ActivateLimitBatchRequest,
    ActivateLimitBatchResponse,
    CancelLimitBatchRequest,
    CancelLimitBatchResponse,
    GetLimitBatchResponse,
    ListLimitBatchesRequest,
    ListLimitBatchesResponse,
    RollbackLimitBatchRequest,
    RollbackLimitBatchResponse,
)
from tests.cli.conftest import Invoke
from tests.cli.limit_batches import EFFECT, MAY_31
from tests.client.scripted_service import Failure, ScriptedService


def test_batches_are_listed(limits: Invoke, scripted: ScriptedService) -> None:
    batch = LimitBatch(
        batch_id="b-1",
        state=LIMIT_BATCH_STATE_QUARANTINED,
        source="nightly",
        model_version="4.2",
        received_rows=1200,
        rejected_rows=3,
        create_time=MAY_31,
    )
    scripted.script("ListLimitBatches", ListLimitBatchesResponse(batches=[batch]))
    result = limits("batches", "--state", "quarantined")
    assert result.exit_code == 0, result.output
    expected = "b-1 QUARANTINED nightly 4.2 1,200 3 0 0 2026-05-31 02:00:00 UTC"
    assert expected.split() in [line.split() for line in result.stdout.splitlines()]
    request = scripted.requests[-1]
    assert isinstance(request, ListLimitBatchesRequest)
    assert list(request.states) == [LIMIT_BATCH_STATE_QUARANTINED]
    assert json.loads(limits("batches", "--json").stdout)["batch_id"] == "b-1"
    unknown = limits("batches", "--state", "gone")
    assert unknown.exit_code == 2
    assert "'gone' is none of RECEIVING, STAGED, QUARANTINED" in unknown.stderr


def test_a_batch_is_shown_with_its_wrong_rows(limits: Invoke, scripted: ScriptedService) -> None:
    wrong = LimitRowError(row=5, account_id="acme", field="version", message="must be from 1 to 2^53-1")
    batch = LimitBatch(
        batch_id="b-1",
        state=LIMIT_BATCH_STATE_ACTIVE,
        received_rows=10,
        rejected_rows=3,
        skipped_rows=2,
        applied_rows=5,
        scheduled_rows=1,
        created_accounts=1,
        over_limit_count=2,
        over_limit_accounts=["acme"],
        released_reviews=3,
        row_errors=[wrong],
    )
    scripted.script("GetLimitBatch", GetLimitBatchResponse(batch=batch))
    result = limits("show", "b-1")
    assert result.exit_code == 0, result.output
    for line in (
        "  in force    5, 1 of them from a later time on",
        "  wrong       3",
        "  skipped     2: the accounts have limits of these or later versions",
        "  created     1 account",
        "  over limit  2 accounts: acme and 1 more",
        "  released    3 orders that waited for review",
        "row 5: acme: version: must be from 1 to 2^53-1",
        "… and 2 more wrong rows; --json tells the first 10,000",
    ):
        assert line in result.stdout.splitlines()
    assert json.loads(limits("show", "b-1", "--json").stdout)["batch"]["row_errors"][0]["row"] == "5"


def test_a_batch_that_was_rolled_back_is_told_as_what_was(limits: Invoke, scripted: ScriptedService) -> None:
    batch = LimitBatch(
        batch_id="b-1",
        state=LIMIT_BATCH_STATE_ROLLED_BACK,
        applied_rows=5,
        restored_rows=5,
        scheduled_rows=1,
        effect=EFFECT,
        forced=True,
        actor="bea",
    )
    scripted.script("GetLimitBatch", GetLimitBatchResponse(batch=batch))
    shown = limits("show", "b-1").stdout
    for line in (
        "  in force     none; 5 until the rollback",
        "  rolled back  by bea",
        "  forced       it was activated in spite of its guard rails",
        "What it did to the accounts:",
    ):
        assert line in shown.splitlines()
    assert "decided by" not in shown
    scripted.script("ListLimitBatches", ListLimitBatchesResponse(batches=[batch]))
    assert "ROLLED_BACK 0 0 0 0" in " ".join(limits("batches").stdout.split())
    batch.state = LIMIT_BATCH_STATE_ROLLING_BACK
    scripted.script("GetLimitBatch", GetLimitBatchResponse(batch=batch))
    assert "  in force     5 until the rollback" in limits("show", "b-1").stdout.splitlines()


def test_people_decide_about_a_batch(limits: Invoke, scripted: ScriptedService) -> None:
    active = LimitBatch(
        batch_id="b-1", state=LIMIT_BATCH_STATE_ACTIVATING, forced=True, actor="ann", comment="checked with sales"
    )
    rolled_back = LimitBatch(
        state=LIMIT_BATCH_STATE_ROLLED_BACK, restored_rows=4, kept_count=1, kept_changes=["coal"], actor="bea"
    )
    scripted.script("ActivateLimitBatch", ActivateLimitBatchResponse(batch=active))
    scripted.script("CancelLimitBatch", CancelLimitBatchResponse(batch=LimitBatch(state=LIMIT_BATCH_STATE_CANCELLED)))
    scripted.script("RollbackLimitBatch", RollbackLimitBatchResponse(batch=rolled_back))
    activated = limits("activate", "b-1", "--force", "--comment", "checked with sales")
    assert activated.exit_code == 0, activated.output
    assert activated.stdout.startswith(
        "ACTIVATING  (limits are being put in force; the service finishes this by itself)"
    )
    assert "  decided by  ann, in spite of its guard rails\n  comment     checked with sales\n" in activated.stdout
    assert limits("cancel", "b-1").stdout.startswith("CANCELLED  (given up: no limit is in force; ")
    restored = limits("rollback", "b-1", "--comment", "wrong model", "--actor", "bea").stdout
    assert "  restored     4\n  left alone   1, changed since: coal\n  rolled back  by bea\n" in restored
    requests = scripted.requests[-3:]
    assert requests == [
        ActivateLimitBatchRequest(batch_id="b-1", force=True, actor="ann", comment="checked with sales"),
        CancelLimitBatchRequest(batch_id="b-1", actor="ann"),
        RollbackLimitBatchRequest(batch_id="b-1", actor="bea", comment="wrong model"),
    ]


def test_a_batch_that_may_not_be_activated_is_told_with_what_to_do(limits: Invoke, scripted: ScriptedService) -> None:
    details = Status(code=grpc.StatusCode.FAILED_PRECONDITION.value[0], message="a guard rail holds b-1 back")
    details.details.add().Pack(ErrorInfo(reason="LIMIT_BATCH_QUARANTINED", domain="creditgate"))
    scripted.script(
        "ActivateLimitBatch", Failure(grpc.StatusCode.FAILED_PRECONDITION, "a guard rail holds b-1 back", details)
    )
    result = limits("activate", "b-1")
    assert result.exit_code == 1
    assert json.loads(limits("activate", "b-1", "--json").stderr)["error"]["reason"] == "LIMIT_BATCH_QUARANTINED"
    assert "a guard rail holds b-1 back; look with `creditgate limits show`, and if it is right" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["rollback", "b-1"],
        ["rollback", "b-1", "--comment", " "],
        ["activate", "b-1", "--force"],
        ["activate", "b-1", "--force", "--comment", " "],
    ],
)
def test_who_takes_a_batch_back_or_forces_it_says_why(
    limits: Invoke, scripted: ScriptedService, words: list[str]
) -> None:
    result = limits(*words)
    assert result.exit_code == 2
    assert "--comment" in result.stderr
    assert scripted.requests == []
