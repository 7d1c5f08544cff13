"""Pushing limits: order, bounds, and what happens when the stream breaks."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Protocol

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from creditgate.client import (
    AsyncCreditClient,
    CreditCallError,
    CreditClient,
    PushedRow,
    limit_batch_header,
    limit_update,
    repeats,
    unreadable_row,
)
from creditgate.client.limit_push import AHEAD_ROWS_MAX, ANSWER_TIMEOUT_S, ATTEMPTS_MAX, CHUNK_ROWS
from creditgate.domain.bounds import MESSAGE_SIZE_MAX_BYTES
from creditgate.domain.limit_batch import WINDOW_ROWS
from creditgate.v1.limit_batch_pb2 import (
    LIMIT_BATCH_MODE_STAGE,
    LIMIT_BATCH_STATE_ACTIVATING,
    LIMIT_BATCH_STATE_ACTIVE,
    LimitBatch,
    LimitBatchState,
)
from creditgate.v1.limit_feed_service_pb2 import (
    ActivateLimitBatchRequest,
    ActivateLimitBatchResponse,
    GetLimitBatchResponse,
    LimitPushProgress,
    LimitUpdate,
    LimitUpdates,
    ListLimitBatchesRequest,
    ListLimitBatchesResponse,
    PushLimitsRequest,
    PushLimitsResponse,
    RollbackLimitBatchResponse,
)
from tests.client.scripted_feed import ScriptedFeed
from tests.client.scripted_service import Failure, ScriptedService, Wait

METHOD = "PushLimits"
AS_OF = datetime(2026, 5, 31, 2, 0, tzinfo=UTC)
HEADER = limit_batch_header("b-1", source="scorer", model_version="4.2", as_of=AS_OF, mode=LIMIT_BATCH_MODE_STAGE)
AWAY = Failure(grpc.StatusCode.UNAVAILABLE)


def idle_sender() -> Failure:
    """Return how the service ends a stream on which no row has come for long."""
    status = Status(code=grpc.StatusCode.DEADLINE_EXCEEDED.value[0], message="no message came for 300 s")
    status.details.add().Pack(ErrorInfo(reason="DEADLINE_EXCEEDED", domain="creditgate"))
    return Failure(grpc.StatusCode.DEADLINE_EXCEEDED, status.message, status)


IDLE = idle_sender()


class Push(Protocol):
    """Pushes rows through a client."""

    def __call__(
        self,
        address: str,
        rows: Iterable[PushedRow],
        on_progress: Callable[[LimitPushProgress], object] | None = None,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> LimitBatch: ...


def push_blocking(
    address: str,
    rows: Iterable[PushedRow],
    on_progress: Callable[[LimitPushProgress], object] | None = None,
    answer_timeout_s: float = ANSWER_TIMEOUT_S,
) -> LimitBatch:
    with CreditClient(address) as client:
        return client.push_limits(rows, HEADER, on_progress=on_progress, answer_timeout_s=answer_timeout_s)


def push_asyncio(
    address: str,
    rows: Iterable[PushedRow],
    on_progress: Callable[[LimitPushProgress], object] | None = None,
    answer_timeout_s: float = ANSWER_TIMEOUT_S,
) -> LimitBatch:
    async def run() -> LimitBatch:
        async with AsyncCreditClient(address) as client:
            return await client.push_limits(rows, HEADER, on_progress=on_progress, answer_timeout_s=answer_timeout_s)

    return asyncio.run(run())


@pytest.fixture(params=[push_blocking, push_asyncio], ids=["blocking", "asyncio"])
def push(request: pytest.FixtureRequest) -> Push:
    pushed: Push = request.param
    return pushed


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "_WAIT_FIRST_S", 1e-4)


def rows(count: int, begin: int = 0) -> Iterator[PushedRow]:
    for number in range(begin, count):
        yield limit_update(f"a-{number}", limit_minor=number, currency_code="USD", version=7)


def ids(count: int) -> list[str]:
    return [f"a-{number}" for number in range(count)]


def test_rows_are_sent_in_chunks_behind_the_header(scripted: ScriptedService, push: Push) -> None:
    feed = ScriptedFeed()
    scripted.script_streams(METHOD, feed.answer())
    batch = push(scripted.address, rows(2 * CHUNK_ROWS + 1))
    assert (batch.state, batch.received_rows) == (LIMIT_BATCH_STATE_ACTIVE, 2 * CHUNK_ROWS + 1)
    assert feed.received == ids(2 * CHUNK_ROWS + 1)
    assert feed.first_rows == [[1, CHUNK_ROWS + 1, 2 * CHUNK_ROWS + 1]]
    first = scripted.requests[0]
    assert isinstance(first, PushLimitsRequest)
    assert (first.header.batch_id, first.header.mode) == ("b-1", LIMIT_BATCH_MODE_STAGE)
    assert first.header.as_of.ToDatetime(UTC) == AS_OF


def test_a_batch_without_rows_is_a_batch(scripted: ScriptedService, push: Push) -> None:
    feed = ScriptedFeed()
    scripted.script_streams(METHOD, feed.answer())
    assert push(scripted.address, []).received_rows == 0
    assert feed.first_rows == [[]]


def test_what_can_not_be_read_keeps_its_place(scripted: ScriptedService, push: Push) -> None:
    feed = ScriptedFeed()
    scripted.script_streams(METHOD, feed.answer())
    sent = list(rows(CHUNK_ROWS + 2))
    sent[1] = unreadable_row("version", "is 'x'")
    sent[CHUNK_ROWS] = unreadable_row("limit_minor", "is 'y'")
    push(scripted.address, sent)
    expected = ids(CHUNK_ROWS + 2)
    expected[1], expected[CHUNK_ROWS] = "version is 'x'", "limit_minor is 'y'"
    assert feed.received == expected


@pytest.mark.parametrize("end", [None, AWAY], ids=["whole", "broken"])
def test_rows_that_are_too_long_for_one_message_are_sent_in_several(
    scripted: ScriptedService, push: Push, end: Failure | None
) -> None:
    def long_rows() -> Iterator[PushedRow]:
        for row in rows(2 * WINDOW_ROWS + 1):
            if isinstance(row, LimitUpdate):
                row.reasons.extend(["\U00020000" * 100] * 5)
            yield row

    feed = ScriptedFeed()
    answers = [feed.answer()] if end is None else [feed.answer(break_at=WINDOW_ROWS + CHUNK_ROWS, end=end)]
    scripted.script_streams(METHOD, *answers, feed.answer())
    push(scripted.address, long_rows())
    assert feed.received == ids(2 * WINDOW_ROWS + 1)
    window_begins = {1, WINDOW_ROWS + 1, 2 * WINDOW_ROWS + 1}
    assert window_begins <= {row for stream in feed.first_rows for row in stream}


def test_a_row_that_is_too_long_for_a_message_is_a_wrong_row(scripted: ScriptedService, push: Push) -> None:
    feed = ScriptedFeed()
    scripted.script_streams(METHOD, feed.answer())
    long_row = limit_update("x" * MESSAGE_SIZE_MAX_BYTES, currency_code="USD", version=7)
    push(scripted.address, [*rows(2), long_row, *rows(4, 3)])
    message = PushLimitsRequest(updates=LimitUpdates(first_row=3, updates=[long_row]))
    too_long = f" is {message.ByteSize():,} bytes long, and a message takes 1,048,576"
    assert feed.received == ["a-0", "a-1", too_long, "a-3"]


def test_rows_are_drawn_no_further_ahead_than_a_bounded_number(scripted: ScriptedService, push: Push) -> None:
    drawn = 0
    fullest = threading.Event()

    def counted() -> Iterator[PushedRow]:
        nonlocal drawn
        for row in rows(30 * CHUNK_ROWS):
            drawn += 1
            yield row

    feed = ScriptedFeed(window_rows=AHEAD_ROWS_MAX)
    whole = feed.answer()

    def watch(requests: Iterator[Message]) -> Iterator[Message | Failure | Wait]:
        for answer in whole(requests):
            if feed.most_ahead == AHEAD_ROWS_MAX and not fullest.is_set():
                fullest.set()
                assert drawn <= AHEAD_ROWS_MAX + CHUNK_ROWS
            yield answer

    scripted.script_streams(METHOD, watch)
    push(scripted.address, counted())
    assert feed.received == ids(30 * CHUNK_ROWS)
    assert fullest.is_set()
    assert feed.most_ahead == AHEAD_ROWS_MAX


@pytest.mark.parametrize("end", [AWAY, Failure(grpc.StatusCode.CANCELLED), Failure(grpc.StatusCode.ABORTED), IDLE])
def test_a_broken_stream_is_gone_on_with_behind_the_rows_that_are_kept(
    scripted: ScriptedService, push: Push, end: Failure
) -> None:
    feed = ScriptedFeed()
    broken = feed.answer(break_at=WINDOW_ROWS + 2 * CHUNK_ROWS, end=end)
    scripted.script_streams(METHOD, broken, feed.answer())
    assert push(scripted.address, rows(3 * WINDOW_ROWS + 5)).received_rows == 3 * WINDOW_ROWS + 5
    assert feed.received == ids(3 * WINDOW_ROWS + 5)
    assert (feed.first_rows[0][0], feed.first_rows[1][0]) == (1, WINDOW_ROWS + 1)


def test_a_stream_that_breaks_at_each_window_ends_as_one_that_does_not(scripted: ScriptedService, push: Push) -> None:
    feed = ScriptedFeed()
    windows = 2 * ATTEMPTS_MAX
    breaking = [feed.answer(break_at=window * WINDOW_ROWS + 1, end=AWAY) for window in range(1, windows)]
    scripted.script_streams(METHOD, *breaking, feed.answer())
    push(scripted.address, rows(windows * WINDOW_ROWS))
    assert feed.received == ids(windows * WINDOW_ROWS)
    assert len(scripted.streams) == windows


def test_a_chunk_of_which_the_last_row_is_not_kept_is_sent_again(scripted: ScriptedService, push: Push) -> None:
    feed = ScriptedFeed(window_rows=CHUNK_ROWS - 1)
    scripted.script_streams(METHOD, feed.answer(break_at=2 * CHUNK_ROWS, end=AWAY), feed.answer())
    push(scripted.address, rows(2 * CHUNK_ROWS))
    assert feed.received == ids(2 * CHUNK_ROWS)
    assert feed.first_rows[1] == [1, CHUNK_ROWS + 1]


def test_a_stream_that_ends_in_order_without_the_batch_is_begun_again(scripted: ScriptedService, push: Push) -> None:
    feed = ScriptedFeed()

    def cut_off(requests: Iterator[Message]) -> Iterator[Message]:
        next(requests)
        yield PushLimitsResponse(progress=LimitPushProgress())

    scripted.script_streams(METHOD, cut_off, feed.answer())
    push(scripted.address, rows(3))
    assert feed.received == ids(3)


def test_rows_that_are_all_kept_are_not_sent_again(scripted: ScriptedService, push: Push) -> None:
    feed = ScriptedFeed()
    scripted.script_streams(METHOD, feed.answer(end=AWAY), feed.answer())
    assert push(scripted.address, rows(WINDOW_ROWS)).received_rows == WINDOW_ROWS
    assert feed.first_rows == [[1 + chunk * CHUNK_ROWS for chunk in range(WINDOW_ROWS // CHUNK_ROWS)], []]


def test_a_batch_that_another_process_has_begun_is_sent_from_its_first_row(
    scripted: ScriptedService, push: Push
) -> None:
    feed = ScriptedFeed(received_rows=40 * CHUNK_ROWS)
    scripted.script_streams(METHOD, feed.answer())
    push(scripted.address, rows(41 * CHUNK_ROWS))
    assert feed.first_rows == [[1 + chunk * CHUNK_ROWS for chunk in range(41)]]
    assert feed.received == ids(41 * CHUNK_ROWS)


def test_a_batch_that_has_ended_is_answered_without_its_rows(scripted: ScriptedService, push: Push) -> None:
    feed = ScriptedFeed(received_rows=7)

    def answer_at_once(requests: Iterator[Message]) -> Iterator[Message]:
        next(requests)
        yield PushLimitsResponse(batch=feed.batch())

    scripted.script_streams(METHOD, answer_at_once)
    assert push(scripted.address, rows(10**9)).received_rows == 7


def test_a_service_that_has_lost_kept_rows_ends_the_push(scripted: ScriptedService, push: Push) -> None:
    feed = ScriptedFeed()
    broken = feed.answer(break_at=2 * WINDOW_ROWS + 1, end=AWAY)
    scripted.script_streams(METHOD, broken, ScriptedFeed().answer())
    with pytest.raises(CreditCallError) as raised:
        push(scripted.address, rows(3 * WINDOW_ROWS))
    assert raised.value.code is grpc.StatusCode.DATA_LOSS
    assert f"only the first 0 rows of {len(feed.received):,}" in str(raised.value)


def test_a_service_that_stays_away_ends_the_push(scripted: ScriptedService, push: Push) -> None:
    scripted.script_streams(METHOD, ScriptedFeed().answer(break_at=1, end=AWAY))
    with pytest.raises(CreditCallError) as raised:
        push(scripted.address, rows(3))
    assert raised.value.code is grpc.StatusCode.UNAVAILABLE
    assert len(scripted.streams) == ATTEMPTS_MAX


def test_another_fault_ends_the_push_at_once(scripted: ScriptedService, push: Push) -> None:
    scripted.script_streams(METHOD, ScriptedFeed().answer(break_at=1, end=Failure(grpc.StatusCode.ALREADY_EXISTS)))
    with pytest.raises(CreditCallError) as raised:
        push(scripted.address, rows(3))
    assert raised.value.code is grpc.StatusCode.ALREADY_EXISTS
    assert len(scripted.streams) == 1


def test_a_service_that_does_not_answer_ends_the_push(scripted: ScriptedService, push: Push) -> None:
    scripted.script_streams(METHOD, ScriptedFeed().answer(end=Wait()))
    with pytest.raises(CreditCallError) as raised:
        push(scripted.address, rows(3), answer_timeout_s=0.3)
    assert raised.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert len(scripted.streams) == 1


def test_progress_is_told_until_the_limits_are_in_force(scripted: ScriptedService, push: Push) -> None:
    def activate(requests: Iterator[Message]) -> Iterator[Message]:
        for _ in ScriptedFeed().answer()(requests):
            pass
        for applied in (1, 2):
            progress = LimitPushProgress(received_rows=2, applied_rows=applied, state=LIMIT_BATCH_STATE_ACTIVATING)
            yield PushLimitsResponse(progress=progress)
        yield PushLimitsResponse(batch=LimitBatch(applied_rows=2))

    told: list[tuple[int, int, str]] = []

    def take(progress: LimitPushProgress) -> None:
        told.append((progress.received_rows, progress.applied_rows, LimitBatchState.Name(progress.state)))

    def greeted_first(requests: Iterator[Message]) -> Iterator[Message]:
        yield PushLimitsResponse(progress=LimitPushProgress())
        yield from activate(requests)

    scripted.script_streams(METHOD, greeted_first)
    assert push(scripted.address, rows(2), take).applied_rows == 2
    assert told == [
        (0, 0, "LIMIT_BATCH_STATE_UNSPECIFIED"),
        (2, 1, "LIMIT_BATCH_STATE_ACTIVATING"),
        (2, 2, "LIMIT_BATCH_STATE_ACTIVATING"),
    ]


def test_what_drawing_raises_comes_out_and_leaves_the_batch_open(scripted: ScriptedService, push: Push) -> None:
    feed = ScriptedFeed()
    scripted.script_streams(METHOD, feed.answer())

    def failing() -> Iterator[PushedRow]:
        yield from rows(WINDOW_ROWS + 1)
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        push(scripted.address, failing())
    assert len(feed.received) <= WINDOW_ROWS


def test_what_progress_raises_comes_out(scripted: ScriptedService, push: Push) -> None:
    scripted.script_streams(METHOD, ScriptedFeed().answer())

    def fail(_: LimitPushProgress) -> None:
        raise LookupError("not this far")

    with pytest.raises(LookupError, match="not this far"):
        push(scripted.address, rows(3), fail)


async def test_the_asyncio_client_takes_rows_as_they_come(scripted: ScriptedService) -> None:
    async def coming() -> AsyncIterator[PushedRow]:
        for row in rows(2 * CHUNK_ROWS + 1):
            yield row

    feed = ScriptedFeed()
    scripted.script_streams(METHOD, feed.answer())
    async with AsyncCreditClient(scripted.address) as client:
        batch = await client.push_limits(coming(), HEADER)
    assert batch.received_rows == 2 * CHUNK_ROWS + 1
    assert feed.received == ids(2 * CHUNK_ROWS + 1)
    assert len(feed.first_rows[0]) == 3


def test_instants_need_a_time_zone() -> None:
    with pytest.raises(ValueError, match="as_of must have a time zone"):
        limit_batch_header("b", source="s", model_version="1", as_of=datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake
    with pytest.raises(ValueError, match="effective_time must have a time zone"):
        limit_update("a", currency_code="USD", version=1, effective_time=datetime(2026, 1, 1))  # noqa: DTZ001 - as above


def test_a_limit_of_zero_is_a_limit_and_no_limit_is_none() -> None:
    assert limit_update("a", currency_code="USD", version=1, limit_minor=0).HasField("limit_minor")
    unlimited = limit_update("a", currency_code="USD", version=1, unlimited=True, reasons=["parent pays"])
    assert not unlimited.HasField("limit_minor")
    assert (unlimited.unlimited, list(unlimited.reasons)) == (True, ["parent pays"])
    assert not unlimited.HasField("score")


def test_batches_are_read_listed_and_decided_about(scripted: ScriptedService) -> None:
    scripted.script("GetLimitBatch", GetLimitBatchResponse(batch=LimitBatch(batch_id="b-1")))
    scripted.script(
        "ListLimitBatches",
        ListLimitBatchesResponse(batches=[LimitBatch(batch_id="b-2")], next_page_token="more"),  # noqa: S106 - no password
        ListLimitBatchesResponse(batches=[LimitBatch(batch_id="b-1")]),
    )
    scripted.script("ActivateLimitBatch", ActivateLimitBatchResponse(batch=LimitBatch(forced=True)))
    scripted.script("RollbackLimitBatch", RollbackLimitBatchResponse(batch=LimitBatch(restored_rows=3)))
    with CreditClient(scripted.address) as client:
        assert client.get_limit_batch("b-1").batch.batch_id == "b-1"
        listed = client.list_limit_batches(states=[LIMIT_BATCH_STATE_ACTIVE], page_size=1)
        assert [batch.batch_id for batch in listed] == ["b-2", "b-1"]
        assert client.activate_limit_batch("b-1", force=True, actor="ann", comment="checked").batch.forced
        assert client.rollback_limit_batch("b-1", actor="ann", comment="wrong model").batch.restored_rows == 3
    _, first_page, second_page, activated, _ = scripted.requests
    assert isinstance(first_page, ListLimitBatchesRequest)
    assert (list(first_page.states), first_page.page_size) == ([LIMIT_BATCH_STATE_ACTIVE], 1)
    assert isinstance(second_page, ListLimitBatchesRequest)
    assert second_page.page_token == "more"  # noqa: S105 - no password
    assert activated == ActivateLimitBatchRequest(batch_id="b-1", force=True, actor="ann", comment="checked")
