"""The push's stream as its handler serves it: what it waits for, and what it says meanwhile."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing

import pytest

from creditgate.api.context import CallContext
from creditgate.api.limit_feed import LimitFeedHandlers
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.limit_batch import WINDOW_ROWS
from creditgate.v1.limit_batch_pb2 import LIMIT_BATCH_STATE_ACTIVE, LIMIT_BATCH_STATE_RECEIVING
from creditgate.v1.limit_feed_service_pb2 import LimitUpdates, PushLimitsRequest, PushLimitsResponse
from tests.limit_feed.pushes import Site
from tests.patience import PATIENCE_S
from tests.server.feed import header, requests, update

ROWS = WINDOW_ROWS + 800
IDLE_S = 0.05


class PlainContext(CallContext):
    """A call of nobody's."""

    __slots__ = ()

    @property
    def peer(self) -> str:
        return ""

    def metadata(self, key: str) -> str | None:  # noqa: ARG002 - the context's signature
        return None


CONTEXT = PlainContext("PushLimits", float("inf"), PATIENCE_S)


@pytest.fixture
def site() -> Site:
    site = Site()
    site.open(ROWS)
    return site


def push_of(count: int = ROWS) -> list[PushLimitsRequest]:
    return requests(header("b1"), [update(f"acc-{number}", 200) for number in range(count)])


async def in_turn(messages: Sequence[PushLimitsRequest], *, ends: bool) -> AsyncIterator[PushLimitsRequest]:
    """Yield messages, and then end, or say nothing more."""
    for message in messages:
        yield message
    if not ends:
        await asyncio.Event().wait()


async def until_told(
    answers: AsyncGenerator[PushLimitsResponse, None], holds: Callable[[PushLimitsResponse], bool]
) -> PushLimitsResponse:
    async with asyncio.timeout(PATIENCE_S):
        async for answer in answers:
            if holds(answer):
                return answer
    pytest.fail("the stream ended before")


async def test_the_first_answer_says_where_to_go_on_and_the_last_is_the_batch(site: Site) -> None:
    handlers = LimitFeedHandlers(site.feed)
    answers = [answer async for answer in handlers.push_limits(in_turn(push_of(), ends=True), CONTEXT)]
    told = [answer.progress.received_rows for answer in answers[:-1]]
    assert (told[0], sorted(told), told[-1]) == (0, told, ROWS)
    assert {answer.progress.state for answer in answers[:2]} == {LIMIT_BATCH_STATE_RECEIVING}
    batch = answers[-1].batch
    assert (batch.batch_id, batch.state, batch.applied_rows) == ("b1", LIMIT_BATCH_STATE_ACTIVE, ROWS)
    again = [answer async for answer in handlers.push_limits(in_turn(push_of(0), ends=True), CONTEXT)]
    assert (again[0].progress.received_rows, again[-1].batch) == (ROWS, batch)


async def test_a_sender_that_waits_for_its_rows_to_be_kept_is_told_so(site: Site) -> None:
    handlers = LimitFeedHandlers(site.feed)
    async with aclosing(handlers.push_limits(in_turn(push_of(), ends=False), CONTEXT)) as answers:
        told = await until_told(answers, lambda answer: answer.progress.received_rows > 0)
    assert told.progress.received_rows == WINDOW_ROWS


@pytest.mark.parametrize("count", [0, 5, ROWS])
async def test_a_sender_that_says_nothing_for_too_long_is_ended(site: Site, count: int) -> None:
    handlers = LimitFeedHandlers(site.feed, IDLE_S)
    with pytest.raises(CreditError) as caught:
        await until_told(handlers.push_limits(in_turn(push_of(count), ends=False), CONTEXT), lambda _: False)
    assert caught.value.reason is ErrorReason.DEADLINE_EXCEEDED
    assert caught.value.message.startswith("no message came for 0.05 s")
    answers = [answer async for answer in handlers.push_limits(in_turn(push_of(), ends=True), CONTEXT)]
    assert answers[-1].batch.applied_rows == ROWS


async def test_a_sender_without_even_a_header_is_ended(site: Site) -> None:
    handlers = LimitFeedHandlers(site.feed, IDLE_S)
    with pytest.raises(CreditError) as caught:
        await anext(handlers.push_limits(in_turn([], ends=False), CONTEXT))
    assert caught.value.reason is ErrorReason.DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "header"),
        ([PushLimitsRequest()], "header"),
        ([PushLimitsRequest(updates=LimitUpdates(first_row=1))], "header"),
        ([*push_of(0), *push_of(0)], "updates"),
        ([*push_of(0), PushLimitsRequest()], "updates"),
        ([*push_of(0), PushLimitsRequest(updates=LimitUpdates(first_row=1))], "updates"),
        ([*push_of(0), *push_of(5000)[2:]], "updates.first_row"),
    ],
)
async def test_messages_out_of_place(site: Site, messages: list[PushLimitsRequest], field: str) -> None:
    with pytest.raises(CreditError) as caught:
        await until_told(
            LimitFeedHandlers(site.feed).push_limits(in_turn(messages, ends=True), CONTEXT), lambda _: False
        )
    assert [each.field for each in caught.value.violations] == [field]
    assert site.limits()["acc-0"] == 100


async def test_a_store_that_is_away_ends_the_stream_and_not_the_batch(site: Site) -> None:
    def away(method: str) -> None:
        if method == "stage_window":
            raise CreditError(ErrorReason.STORE_UNAVAILABLE, "gone")

    site.store.before = away
    handlers = LimitFeedHandlers(site.feed)
    with pytest.raises(CreditError) as caught:
        await until_told(handlers.push_limits(in_turn(push_of(), ends=False), CONTEXT), lambda _: False)
    assert caught.value.reason is ErrorReason.STORE_UNAVAILABLE
    site.store.before = lambda _: None
    answers = [answer async for answer in handlers.push_limits(in_turn(push_of(), ends=True), CONTEXT)]
    assert answers[-1].batch.applied_rows == ROWS


@pytest.mark.parametrize("rows", [ROWS, WINDOW_ROWS])
async def test_a_sender_is_told_that_a_store_takes_its_time(
    site: Site, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """Before its last row has come and behind it: else it would give up waiting."""
    monkeypatch.setattr("creditgate.api.limit_feed.PROGRESS_INTERVAL_S", 0.001)
    stage_window, may_store = site.store.stage_window, asyncio.Event()

    async def stage_late(*arguments: object) -> object:
        await may_store.wait()
        return await stage_window(*arguments)  # type: ignore[arg-type]  # passed on as they are

    monkeypatch.setattr(site.store, "stage_window", stage_late)
    handlers = LimitFeedHandlers(site.feed)
    left = handlers.push_limits(in_turn(push_of(rows), ends=False), CONTEXT)
    answers = handlers.push_limits(in_turn(push_of(rows), ends=True), CONTEXT)
    for stream in (left, answers):
        told = [await anext(stream) for _ in range(5)]
        assert {each.progress.received_rows for each in told} == {0}
        await left.aclose()
    may_store.set()
    last = [answer async for answer in answers][-1].batch
    assert last.applied_rows == last.received_rows == rows
