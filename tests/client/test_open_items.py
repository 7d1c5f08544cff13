"""The import of open items: chunks, counts, and what is sent again."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from creditgate.client import (
    AsyncCreditClient,
    CreditCallError,
    CreditClient,
    ImportSummary,
    OpenItemFailure,
    open_item,
    repeats,
)
from creditgate.client.open_items import ATTEMPTS_MAX, FAILURES_KEPT_MAX
from creditgate.v1.receivables_service_pb2 import (
    ImportFailure,
    ImportOpenItemsRequest,
    ImportOpenItemsResponse,
    ImportProgress,
    OpenItem,
)
from tests.client.scripted_service import Failure, ScriptedService, StreamAnswer, Wait

METHOD = "ImportOpenItems"
GONE = grpc.StatusCode.NOT_FOUND
AWAY = grpc.StatusCode.UNAVAILABLE
LATE = grpc.StatusCode.DEADLINE_EXCEEDED


class Import(Protocol):
    """Imports through a client."""

    def __call__(
        self,
        address: str,
        items: Iterable[OpenItem],
        *,
        on_progress: Callable[[ImportSummary], object] | None = None,
        on_failure: Callable[[OpenItemFailure], object] | None = None,
        timeout_s: float = 20,
    ) -> ImportSummary: ...


def import_blocking(
    address: str,
    items: Iterable[OpenItem],
    *,
    on_progress: Callable[[ImportSummary], object] | None = None,
    on_failure: Callable[[OpenItemFailure], object] | None = None,
    timeout_s: float = 20,
) -> ImportSummary:
    with CreditClient(address, timeout_s=timeout_s) as client:
        return client.import_open_items(items, on_progress=on_progress, on_failure=on_failure)


def import_asyncio(
    address: str,
    items: Iterable[OpenItem],
    *,
    on_progress: Callable[[ImportSummary], object] | None = None,
    on_failure: Callable[[OpenItemFailure], object] | None = None,
    timeout_s: float = 20,
) -> ImportSummary:
    async def run() -> ImportSummary:
        async with AsyncCreditClient(address, timeout_s=timeout_s) as client:
            return await client.import_open_items(items, on_progress=on_progress, on_failure=on_failure)

    return asyncio.run(run())


@pytest.fixture(params=[import_blocking, import_asyncio], ids=["blocking", "asyncio"])
def import_items(request: pytest.FixtureRequest) -> Import:
    imported: Import = request.param
    return imported


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "_WAIT_FIRST_S", 1e-4)


def items(count: int) -> Iterator[OpenItem]:
    for number in range(count):
        yield open_item("a", f"d-{number}", amount_minor=number + 1, currency_code="USD")


def failing(**codes: grpc.StatusCode) -> StreamAnswer:
    """Answer a chunk: the documents named fail with their code, every other one is imported."""

    def answer(requests: Iterator[Message]) -> Iterator[Message]:
        (request,) = requests
        assert isinstance(request, ImportOpenItemsRequest)
        failures = [
            ImportFailure(index=index, error=Status(code=codes[document].value[0], message=document))
            for index, document in enumerate(item.document_id.replace("-", "") for item in request.items)
            if document in codes
        ]
        received, failed = len(request.items), len(failures)
        progress = ImportProgress(received=received, imported=received - failed, failed=failed)
        yield ImportOpenItemsResponse(progress=progress, failures=failures)
        yield ImportOpenItemsResponse(progress=progress, finished=True)

    return answer


def broken(end: Failure | Wait) -> StreamAnswer:
    def answer(requests: Iterator[Message]) -> Iterator[Failure | Wait]:
        for _ in requests:
            pass
        yield end

    return answer


def sent(scripted: ScriptedService) -> list[list[str]]:
    return [
        [item.document_id for item in request.items]
        for request in scripted.requests
        if isinstance(request, ImportOpenItemsRequest)
    ]


def counts(summary: ImportSummary) -> tuple[int, int, int, int]:
    return (summary.received, summary.imported, summary.replayed, summary.failed)


def test_items_are_sent_in_chunks_and_counted(scripted: ScriptedService, import_items: Import) -> None:
    scripted.script_streams(METHOD, failing())
    progress: list[int] = []
    summary = import_items(scripted.address, items(2001), on_progress=lambda so_far: progress.append(so_far.received))
    assert [len(chunk) for chunk in sent(scripted)] == [1000, 1000, 1]
    assert counts(summary) == (2001, 2001, 0, 0)
    assert progress == [1000, 2000, 2001]


def test_nothing_to_import_is_imported(scripted: ScriptedService, import_items: Import) -> None:
    assert counts(import_items(scripted.address, [])) == (0, 0, 0, 0)
    assert scripted.requests == []


def test_an_item_that_fails_is_told_with_its_place(scripted: ScriptedService, import_items: Import) -> None:
    scripted.script_streams(METHOD, failing(d1=GONE, d1001=GONE))
    told: list[OpenItemFailure] = []
    summary = import_items(scripted.address, items(1003), on_failure=told.append)
    assert counts(summary) == (1003, 1001, 0, 2)
    assert summary.failures == told
    assert [(failure.position, failure.item.document_id, failure.error.code) for failure in told] == [
        (1, "d-1", GONE),
        (1001, "d-1001", GONE),
    ]


def test_a_replay_is_counted_as_one(scripted: ScriptedService, import_items: Import) -> None:
    def replay(requests: Iterator[Message]) -> Iterator[Message]:
        progress = ImportProgress(received=2, imported=1, replayed=sum(1 for _ in requests))
        yield ImportOpenItemsResponse(progress=progress)
        yield ImportOpenItemsResponse(progress=progress, finished=True)

    scripted.script_streams(METHOD, replay)
    assert counts(import_items(scripted.address, items(2))) == (2, 1, 1, 0)


def test_the_first_failures_are_kept_and_all_are_told(scripted: ScriptedService, import_items: Import) -> None:
    codes = {f"d{number}": GONE for number in range(2 * FAILURES_KEPT_MAX)}
    scripted.script_streams(METHOD, failing(**codes))
    told: list[OpenItemFailure] = []
    summary = import_items(scripted.address, items(1000), on_failure=told.append)
    assert (summary.failed, len(told), len(summary.failures)) == (200, 200, FAILURES_KEPT_MAX)
    assert summary.failures == told[:FAILURES_KEPT_MAX]


@pytest.mark.parametrize("code", [AWAY, LATE])
def test_items_that_met_an_absent_store_are_sent_again(
    scripted: ScriptedService, import_items: Import, code: grpc.StatusCode
) -> None:
    scripted.script_streams(METHOD, failing(d1=code, d2=GONE, d4=code), failing(d4=code), failing())
    summary = import_items(scripted.address, items(6))
    assert sent(scripted) == [[f"d-{number}" for number in range(6)], ["d-1", "d-4"], ["d-4"]]
    assert counts(summary) == (6, 5, 0, 1)
    assert [failure.position for failure in summary.failures] == [2]


def test_an_item_is_sent_eight_times_at_most(scripted: ScriptedService, import_items: Import) -> None:
    scripted.script_streams(METHOD, failing(d1=AWAY))
    summary = import_items(scripted.address, items(2))
    assert len(sent(scripted)) == ATTEMPTS_MAX
    assert counts(summary) == (2, 1, 0, 1)
    assert [(failure.position, failure.error.code) for failure in summary.failures] == [(1, AWAY)]


def test_a_store_that_stays_away_ends_the_import(scripted: ScriptedService, import_items: Import) -> None:
    scripted.script_streams(METHOD, failing(), failing(**{f"d{number}": AWAY for number in range(1000, 3000)}))
    progress: list[int] = []
    with pytest.raises(CreditCallError) as raised:
        import_items(scripted.address, items(3000), on_progress=lambda so_far: progress.append(so_far.received))
    assert raised.value.code is AWAY
    assert progress[-1] == 1000
    assert len(sent(scripted)) == 1 + ATTEMPTS_MAX


@pytest.mark.parametrize("end", [Failure(AWAY), Failure(grpc.StatusCode.CANCELLED), Failure(LATE)])
def test_a_chunk_that_is_not_answered_is_sent_again(
    scripted: ScriptedService, import_items: Import, end: Failure
) -> None:
    scripted.script_streams(METHOD, broken(end), failing())
    assert counts(import_items(scripted.address, items(3))) == (3, 3, 0, 0)
    assert len(scripted.streams) == 2


def test_a_service_that_never_answers_ends_the_import(scripted: ScriptedService, import_items: Import) -> None:
    scripted.script_streams(METHOD, broken(Failure(AWAY)))
    with pytest.raises(CreditCallError) as raised:
        import_items(scripted.address, items(3))
    assert raised.value.code is AWAY
    assert len(scripted.streams) == ATTEMPTS_MAX


def test_a_chunk_has_a_deadline(scripted: ScriptedService, import_items: Import) -> None:
    scripted.script_streams(METHOD, broken(Wait()), failing())
    assert counts(import_items(scripted.address, items(3), timeout_s=1)) == (3, 3, 0, 0)


def test_another_fault_ends_the_import_at_once(scripted: ScriptedService, import_items: Import) -> None:
    scripted.script_streams(METHOD, broken(Failure(grpc.StatusCode.INVALID_ARGUMENT)))
    with pytest.raises(CreditCallError) as raised:
        import_items(scripted.address, items(3))
    assert raised.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert len(scripted.streams) == 1
