"""Receiving a batch: windows, going on, sending again, two senders, and what is not the same batch."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from creditgate.api.parse.limit_feed import SentUpdates
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.limit_batch import WINDOW_ROWS, LimitBatch, LimitBatchMode, LimitBatchState, LimitRowErrorReason
from creditgate.limit_feed.windows import Kept
from creditgate.v1.limit_batch_pb2 import LimitRowError
from creditgate.v1.limit_feed_service_pb2 import LimitUpdate, LimitUpdates
from tests.limit_feed.pushes import FAR, Site, header, messages, update

ROWS = 2 * WINDOW_ROWS + 700


@pytest.fixture
def site() -> Site:
    site = Site()
    site.open(ROWS)
    return site


def all_rows(limit_minor: int = 200, count: int = ROWS) -> list[LimitUpdate]:
    return [update(f"acc-{number}", limit_minor) for number in range(count)]


def sorted_rows() -> list[LimitUpdate]:
    return sorted(all_rows(), key=lambda row: row.account_id)


async def reason_of(site: Site, sent: Sequence[SentUpdates], **fields: object) -> tuple[ErrorReason, str]:
    with pytest.raises(CreditError) as caught:
        await site.send(sent, header(**fields))  # type: ignore[arg-type]  # fields by name
    return caught.value.reason, caught.value.message


@pytest.mark.parametrize("size", [1, 999, 1000])
async def test_whatever_messages_rows_come_in_they_are_stored_by_windows(site: Site, size: int) -> None:
    count = WINDOW_ROWS + 5
    batch = await site.push(all_rows(count=count), size=size)
    assert (batch.state, batch.received_rows, batch.applied_rows) == (LimitBatchState.ACTIVE, count, count)
    assert batch.receive_time_ms
    assert set(list(site.limits().values())[:count]) == {200}


async def test_rows_are_kept_by_whole_windows_until_the_end(site: Site) -> None:
    kept = await site.send(messages(all_rows()), header(), ends=False)
    assert (kept.state, kept.received_rows) == (LimitBatchState.RECEIVING, 2 * WINDOW_ROWS)
    assert set(site.limits().values()) == {100}


@pytest.mark.parametrize("first_row", [1, 2, WINDOW_ROWS + 1, WINDOW_ROWS + 7, 2 * WINDOW_ROWS, 2 * WINDOW_ROWS + 1])
async def test_a_broken_stream_is_gone_on_with_from_any_row_that_is_there(site: Site, first_row: int) -> None:
    await site.send(messages(all_rows()), header(), ends=False)
    another = site.another()
    await another.send(messages(all_rows(), 777, first_row), header())
    batch = await another.feed.carry_on("b1")
    assert (batch.state, batch.received_rows, batch.applied_rows) == (LimitBatchState.ACTIVE, ROWS, ROWS)
    assert batch.row_errors == ()
    assert set(site.limits().values()) == {200}
    digest = batch.rows_digest
    fresh = Site()
    fresh.open(ROWS)
    assert (await fresh.push(all_rows())).rows_digest == digest


async def test_a_gap_is_refused(site: Site) -> None:
    await site.send(messages(all_rows()), header(), ends=False)
    reason, message = await reason_of(site, messages(all_rows(), 100, 2 * WINDOW_ROWS + 2))
    assert reason is ErrorReason.INVALID_FIELD
    expected, was = 2 * WINDOW_ROWS + 1, 2 * WINDOW_ROWS + 2
    assert message == f"updates.first_row must be at most {expected}, the row behind those that are there, was {was}"
    first, _, third, *_ = messages(all_rows())
    reason, message = await reason_of(site, [first, third])
    assert (reason, message) == (
        ErrorReason.INVALID_FIELD,
        "updates.first_row must be 1001, the row behind the last one, was 2001",
    )


async def test_the_same_batch_again_is_answered_with_its_result(site: Site) -> None:
    first = await site.push(all_rows())
    for rows in (all_rows(), []):
        again = await site.another().push(rows, size=321)
        assert again == first
    assert (await site.send(messages(all_rows(), first_row=ROWS - 3), header())).state is LimitBatchState.ACTIVE


@pytest.mark.parametrize("wrong_row", [1, WINDOW_ROWS, WINDOW_ROWS + 1, ROWS])
async def test_other_rows_are_another_batch(site: Site, wrong_row: int) -> None:
    await site.push(all_rows())
    rows = all_rows()
    rows[wrong_row - 1].version += 1
    reason, _ = await reason_of(site, messages(rows))
    assert reason is ErrorReason.LIMIT_BATCH_EXISTS_WITH_DIFFERENT_DETAILS


async def test_other_rows_are_another_batch_while_it_is_being_received(site: Site) -> None:
    await site.send(messages(all_rows()), header(), ends=False)
    rows = all_rows()
    rows[WINDOW_ROWS + 3].version += 1
    reason, _ = await reason_of(site, messages(rows))
    assert reason is ErrorReason.LIMIT_BATCH_EXISTS_WITH_DIFFERENT_DETAILS
    assert site.store.batches["b1"].state is LimitBatchState.RECEIVING
    assert (await site.push(all_rows())).state is LimitBatchState.ACTIVE


@pytest.mark.parametrize("count", [ROWS - 1, WINDOW_ROWS, 5])
async def test_fewer_rows_are_another_batch(site: Site, count: int) -> None:
    await site.push(all_rows())
    reason, message = await reason_of(site, messages(all_rows(count=count)))
    assert reason is ErrorReason.LIMIT_BATCH_EXISTS_WITH_DIFFERENT_DETAILS
    assert f"it ends with row {count}, and {ROWS} were sent before" in message


async def test_more_rows_are_another_batch(site: Site) -> None:
    await site.push(all_rows())
    reason, message = await reason_of(site, messages([*all_rows(), update("more")]))
    assert reason is ErrorReason.LIMIT_BATCH_EXISTS_WITH_DIFFERENT_DETAILS
    assert f"it has {ROWS} rows" in message


AS_OF = "its as_of is 2020-09-13T12:26:40+00:00"


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        ({"source": "x"}, "its source is 'scorer', not 'x'"),
        ({"model_version": ""}, "its model_version is '1', not ''"),
        ({"as_of_ms": 1}, f"{AS_OF}, not 1970-01-01T00:00:00.001000+00:00"),
        ({"mode": LimitBatchMode.STAGE}, "its mode is APPLY, not STAGE"),
        ({"create_accounts": True}, "its create_accounts is false, not true"),
        ({"as_of_ms": 1000, "source": "x"}, f"its source is 'scorer', not 'x'; {AS_OF}, not 1970-01-01T00:00:01+00:00"),
    ],
    ids=str,
)
async def test_another_header_is_another_batch(site: Site, other: dict[str, object], differs: str) -> None:
    await site.send([], header(), ends=False)
    reason, message = await reason_of(site, [], **other)
    assert (reason, message) == (
        ErrorReason.LIMIT_BATCH_EXISTS_WITH_DIFFERENT_DETAILS,
        f"batch b1 exists with other details: {differs}",
    )


async def test_a_batch_that_waits_to_be_activated_is_not_put_in_force_by_pushing_it(site: Site) -> None:
    await site.send([], header(mode=LimitBatchMode.STAGE), ends=False)
    _, message = await reason_of(site, [])
    assert message.endswith(": its mode is STAGE, not APPLY: activate it to put it in force")


async def test_two_senders_of_the_same_rows_at_once(site: Site) -> None:
    rows = all_rows()
    rows[5] = update("acc-4")
    sites = [site, site.another()]
    await asyncio.gather(
        *(each.send(messages(rows, size), header()) for each, size in zip(sites, (1000, 650), strict=True))
    )
    batch = await site.feed.carry_on("b1")
    assert (batch.received_rows, batch.applied_rows, batch.duplicate_rows) == (ROWS, ROWS - 1, 1)


async def test_two_senders_of_other_rows_at_once(site: Site) -> None:
    ends = await asyncio.gather(
        site.send(messages(all_rows(200)), header()),
        site.another().send(messages(all_rows(300)), header()),
        return_exceptions=True,
    )
    faults = [end for end in ends if isinstance(end, CreditError)]
    assert [fault.reason for fault in faults] == [ErrorReason.LIMIT_BATCH_EXISTS_WITH_DIFFERENT_DETAILS]


async def test_wrong_rows_do_not_sink_the_good_ones(site: Site) -> None:
    rows = [update("acc-1", 200), update("", 200), update("acc-3", -1), update("acc-1", 300), update("acc-2", 200)]
    unreadable = LimitRowError(row=4, field="limit", message="'1,2,3' is not an amount")
    batch = await site.send(
        [SentUpdates(LimitUpdates(first_row=1, updates=rows, unreadable_rows=[unreadable]))], header()
    )
    batch = await site.feed.carry_on("b1")
    assert (batch.state, batch.received_rows, batch.applied_rows) == (LimitBatchState.ACTIVE, 6, 2)
    assert (batch.received_errors, batch.rejected_rows, batch.duplicate_rows) == (4, 4, 1)
    assert [(error.row, error.field, error.reason) for error in batch.row_errors] == [
        (2, "account_id", LimitRowErrorReason.INVALID_FIELD),
        (3, "limit_minor", LimitRowErrorReason.INVALID_FIELD),
        (4, "limit", LimitRowErrorReason.UNREADABLE),
        (5, "account_id", LimitRowErrorReason.DUPLICATE_ACCOUNT),
    ]
    assert (site.limits()["acc-1"], site.limits()["acc-2"], site.limits()["acc-3"]) == (200, 200, 100)


async def test_an_empty_batch(site: Site) -> None:
    batch = await site.push([])
    assert (batch.state, batch.received_rows) == (LimitBatchState.ACTIVE, 0)


async def test_a_batch_cancelled_while_its_rows_are_sent_keeps_none(site: Site) -> None:
    receiver = await site.feed.begin_push(header(), FAR)
    for message in messages(all_rows())[:3]:
        await receiver.receive(message)
    await site.feed.cancel("b1", "ann", "a mistake", FAR)

    async def send_the_rest() -> None:
        for message in messages(all_rows())[3:]:
            await receiver.receive(message)
        await receiver.finish()

    with pytest.raises(CreditError) as caught:
        await send_the_rest()
    await receiver.close()
    assert caught.value.reason is ErrorReason.LIMIT_BATCH_STATE
    assert site.store.rows == {}
    assert (await site.push(all_rows())).state is LimitBatchState.CANCELLED


class Falling:
    """Lets the store fail once, at the nth step of a method."""

    def __init__(self, method: str, nth: int) -> None:
        self._method = method
        self._left = nth

    def __call__(self, method: str) -> None:
        if method == self._method:
            self._left -= 1
            if self._left == 0:
                raise CreditError(ErrorReason.STORE_UNAVAILABLE, "gone")


@pytest.mark.parametrize("method", ["stage_window", "put_batch"])
@pytest.mark.parametrize("nth", [1, 2, 3, 4, 5, 6, 7])
async def test_a_store_that_fails_at_any_step_is_told_and_the_batch_gone_on_with(
    site: Site, method: str, nth: int
) -> None:
    failing: Callable[[str], None] = Falling(method, nth)
    site.store.before = failing
    faults = 0
    for _ in range(2):
        try:
            await site.send(messages(all_rows()), header())
        except CreditError as error:
            faults += error.reason is ErrorReason.STORE_UNAVAILABLE
    batch = await site.feed.carry_on("b1")
    assert faults == (0 if method == "stage_window" and nth > 3 else 1)
    assert (batch.state, batch.applied_rows) == (LimitBatchState.ACTIVE, ROWS)


def counting(site: Site) -> Counter[str]:
    """Count the steps of a site's store from now on."""
    steps: Counter[str] = Counter()
    site.store.before = lambda method: steps.update([method])
    return steps


async def test_rows_sorted_by_account_need_no_index(site: Site) -> None:
    steps = counting(site)
    rows = sorted_rows()
    rows[10] = rows[9]  # within its window a row may name an account again
    rows[20] = update("", 200)
    batch = await site.push(rows)
    assert (batch.applied_rows, batch.duplicate_rows, batch.received_errors) == (ROWS - 2, 1, 2)
    assert steps["index_accounts"] == 0
    assert (batch.sorted_to, batch.indexed) == (rows[-1].account_id, False)


@pytest.mark.parametrize(
    ("place", "first_place"),
    [
        (0, 4),
        (5, 4),
        (WINDOW_ROWS - 1, WINDOW_ROWS - 2),
        (WINDOW_ROWS, WINDOW_ROWS - 1),
        (WINDOW_ROWS + 7, 4),
        (2 * WINDOW_ROWS, WINDOW_ROWS - 2),
        (2 * WINDOW_ROWS, 2 * WINDOW_ROWS - 1),
        (ROWS - 1, 0),
    ],
)
async def test_an_account_that_is_named_again_is_found_wherever_the_order_ends(
    site: Site, place: int, first_place: int
) -> None:
    """The next row's account, or a far one's: of the same window, at its border, or some windows before."""
    steps = counting(site)
    rows = sorted_rows()
    again = rows[place] = update(rows[first_place].account_id, 300)
    batch = await site.push(rows)
    assert [error.row for error in batch.row_errors] == [max(first_place, place) + 1]
    assert (batch.duplicate_rows, batch.applied_rows) == (1, ROWS - 1)
    assert site.limits()[again.account_id] == (300 if place < first_place else 200)
    assert steps["index_accounts"] <= 2


async def test_rows_that_never_were_sorted_are_indexed_as_they_come(site: Site) -> None:
    steps = counting(site)
    rows = sorted_rows()
    rows[0], rows[1] = rows[1], rows[0]
    rows[-1] = update(rows[2].account_id, 300)
    batch = await site.push(rows)
    assert (batch.duplicate_rows, steps["index_accounts"]) == (1, 0)
    assert (batch.sorted_to, batch.indexed) == ("", True)


@pytest.mark.parametrize("method", ["stage_window", "put_batch", "index_accounts"])
@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_a_store_that_fails_where_the_order_ends_loses_no_account_named_again(
    site: Site, method: str, nth: int
) -> None:
    rows = sorted_rows()
    rows[-1] = update(rows[3].account_id, 300)
    site.store.before = Falling(method, nth)
    for _ in range(2):
        with contextlib.suppress(CreditError):
            await site.send(messages(rows), header())
    batch = await site.feed.carry_on("b1")
    assert (batch.state, batch.duplicate_rows, batch.applied_rows) == (LimitBatchState.ACTIVE, 1, ROWS - 1)


async def test_a_slower_sender_of_the_same_rows_stores_none_again(site: Site) -> None:
    rows = sorted_rows()
    rows[-1] = update(rows[3].account_id, 300)
    slower = await site.another().feed.begin_push(header(), FAR)
    sent = messages(rows)
    await slower.receive(sent[0])
    faster = await site.send(sent, header())
    steps = counting(site)
    for message in sent[1:]:
        await slower.receive(message)
    await slower.finish()
    await slower.close()
    assert (slower.batch.received_rows, slower.batch.duplicate_rows) == (ROWS, 1)
    assert slower.batch.rows_digest == faster.rows_digest
    assert slower.gathered is None
    assert not steps["stage_window"]
    assert not steps["index_accounts"]


async def test_rows_are_indexed_when_nobody_says_what_they_are(site: Site) -> None:
    """As behind a server of an earlier version, which does not keep what the record says of their order."""
    rows = sorted_rows()
    rows[-1] = update(rows[3].account_id, 300)
    await site.send(messages(rows), header(), ends=False)
    found = site.store.batches["b1"]
    assert found.sorted_to
    site.store.batches["b1"] = replace(found, sorted_to="")
    steps = counting(site)
    batch = await site.another().push(rows)
    assert (batch.duplicate_rows, batch.applied_rows) == (1, ROWS - 1)
    assert steps["index_accounts"] > 0


async def test_a_sender_that_is_late_brings_no_row_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has seen the record before the last window, and stores that when another one has ended the batch."""
    rows = sorted_rows()
    rows[-1] = update(rows[3].account_id, 300)
    late, stage_window, may_store = site.another(), site.store.stage_window, asyncio.Event()
    receiver = await late.feed.begin_push(header(), FAR)
    for message in messages(rows):
        await receiver.receive(message)
    while receiver.storing is not None:
        await receiver.stored()

    async def stage_late(*arguments: object) -> object:
        await may_store.wait()
        return await stage_window(*arguments)  # type: ignore[arg-type]  # passed on as they are

    monkeypatch.setattr(site.store, "stage_window", stage_late)
    finishing = asyncio.create_task(receiver.finish())
    for _ in range(1000):
        await asyncio.sleep(0)
    monkeypatch.setattr(site.store, "stage_window", stage_window)
    batch = await site.push(rows)
    may_store.set()
    await finishing
    await receiver.close()
    assert receiver.gathered is None
    assert (batch.duplicate_rows, batch.applied_rows) == (1, ROWS - 1)
    assert set(site.limits().values()) == {100, 200}


async def test_rows_that_the_store_has_lost_are_not_passed_over(site: Site) -> None:
    """The record was further when this sender last saw it."""
    slower = await site.another().feed.begin_push(header(), FAR)
    sent = messages(all_rows())
    for message in sent:
        await slower.receive(message)
    while slower.storing is not None:
        await slower.stored()
    kept = site.store.batches["b1"]
    await site.send(sent, header())
    slower.batch = site.store.batches["b1"]
    site.store.batches["b1"] = replace(kept, revision=kept.revision + 9)
    await slower.finish()
    await slower.close()
    assert site.store.batches["b1"].received_rows == ROWS
    assert (await site.feed.carry_on("b1")).applied_rows == ROWS
    passed_over = Kept(kept.received_rows + 1, ROWS, kept.rows_digest, slower.batch.rows_digest)
    with pytest.raises(CreditError) as caught:
        passed_over.pass_over(kept)
    assert caught.value.reason is ErrorReason.LIMIT_BATCH_CHANGED


async def test_a_slower_sender_of_other_rows_is_refused(site: Site) -> None:
    slower = await site.another().feed.begin_push(header(), FAR)
    sent = messages(all_rows(300, count=WINDOW_ROWS - 1))
    for message in sent:
        await slower.receive(message)
    await site.send(messages(all_rows()), header())
    with pytest.raises(CreditError) as caught:
        await slower.finish()
    await slower.close()
    assert caught.value.reason is ErrorReason.LIMIT_BATCH_EXISTS_WITH_DIFFERENT_DETAILS


async def test_a_window_that_was_stored_and_not_recorded_must_come_again_as_it_was(site: Site) -> None:
    site.store.before = Falling("put_batch", 3)
    reason, _ = await reason_of(site, messages(all_rows()))
    assert reason is ErrorReason.STORE_UNAVAILABLE
    assert (site.store.batches["b1"].received_rows, len(site.store.rows["b1"].windows)) == (0, 1)
    in_another_order = all_rows()
    in_another_order[:2] = reversed(in_another_order[:2])
    reason, message = await reason_of(site, messages(in_another_order))
    assert reason is ErrorReason.LIMIT_BATCH_EXISTS_WITH_DIFFERENT_DETAILS
    assert "its rows from 1 on are not those that were sent before" in message
    assert (await site.push(all_rows())).applied_rows == ROWS


async def test_a_window_that_is_full_is_announced_with_the_one_before(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is stored before; so it needs no write of its own."""
    stage_window, put_batch = site.store.stage_window, site.store.put_batch
    next_is_full = asyncio.Event()
    written: list[LimitBatch] = []

    async def stage_late(*arguments: object) -> object:
        await next_is_full.wait()
        assert written[-1].next_digest
        return await stage_window(*arguments)  # type: ignore[arg-type]  # passed on as they are

    async def put_noted(batch: LimitBatch, deadline: float) -> LimitBatch:
        written.append(batch)
        return await put_batch(batch, deadline)

    monkeypatch.setattr(site.store, "stage_window", stage_late)
    monkeypatch.setattr(site.store, "put_batch", put_noted)
    receiver = await site.feed.begin_push(header(), FAR)
    sent = messages(all_rows(), size=WINDOW_ROWS // 8)
    for message in sent[:15]:
        await receiver.receive(message)
    receiving = asyncio.create_task(receiver.receive(sent[15]))
    for _ in range(1000):  # until it waits for the first window
        await asyncio.sleep(0)
    next_is_full.set()
    await receiving
    for message in sent[16:]:
        await receiver.receive(message)
    await receiver.finish()
    behind_first = [batch for batch in written if batch.received_rows == WINDOW_ROWS]
    assert len(behind_first) == 1
    assert behind_first[0].next_digest == next(b.rows_digest for b in written if b.received_rows == 2 * WINDOW_ROWS)
    assert not written[-1].next_digest


async def test_rows_wait_when_two_full_windows_are_not_stored(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    stage_window, may_store = site.store.stage_window, asyncio.Event()

    async def stage_late(*arguments: object) -> object:
        await may_store.wait()
        return await stage_window(*arguments)  # type: ignore[arg-type]  # passed on as they are

    monkeypatch.setattr(site.store, "stage_window", stage_late)
    receiver = await site.feed.begin_push(header(), FAR)
    *first, last = messages(all_rows(count=3 * WINDOW_ROWS), size=WINDOW_ROWS // 8)
    for message in first:
        await receiver.receive(message)
    receiving = asyncio.create_task(receiver.receive(last))
    for _ in range(1000):
        await asyncio.sleep(0)
    assert not receiving.done()
    may_store.set()
    await receiving
    await receiver.finish()
    assert (receiver.batch.received_rows, receiver.batch.received_errors) == (3 * WINDOW_ROWS, 0)


async def test_what_ends_before_its_batch_began_is_wrong(site: Site) -> None:
    begin_s = (await site.send([], header(), ends=False)).create_time_ms // 1000
    rows = [update(f"acc-{number}", 200) for number in range(2)]
    rows[0].expire_time.seconds = begin_s
    rows[1].expire_time.seconds = begin_s + 1
    batch = await site.push(rows)
    assert [error.field for error in batch.row_errors] == ["expire_time"]
    assert batch.applied_rows == 1


async def test_a_record_without_rows_is_the_same_as_before(site: Site) -> None:
    before = await site.send([], header(), ends=False)
    assert await site.send([], header(), ends=False) == replace(before, row_errors=())


async def test_a_batch_cancelled_while_a_window_is_stored_keeps_none(site: Site) -> None:
    def cancel(method: str) -> None:
        if method == "stage_window":
            found = site.store.batches["b1"]
            cancelled = replace(found, state=LimitBatchState.CANCELLED, revision=found.revision + 1)
            site.store.batches["b1"] = cancelled

    site.store.before = cancel
    reason, message = await reason_of(site, messages(all_rows()))
    assert (reason, message) == (ErrorReason.LIMIT_BATCH_STATE, "batch b1 is CANCELLED since rows were being sent")
    assert site.store.rows == {}
