"""The limit feed over a real channel and a real Redis: files of rows, guard rails, and what people decide."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from creditgate.bootstrap import RunningService, running_service
from creditgate.domain.limit_batch import WINDOW_ROWS, LimitBatchState
from creditgate.limit_feed import resumer
from creditgate.v1.credit_desk_service_pb2 import SetManualLimitRequest
from creditgate.v1.credit_desk_service_pb2_grpc import CreditDeskServiceStub
from creditgate.v1.limit_batch_pb2 import (
    LIMIT_BATCH_MODE_PREVIEW,
    LIMIT_BATCH_MODE_STAGE,
    LIMIT_BATCH_STATE_ACTIVE,
    LIMIT_BATCH_STATE_CANCELLED,
    LIMIT_BATCH_STATE_QUARANTINED,
    LIMIT_BATCH_STATE_RECEIVING,
    LIMIT_BATCH_STATE_ROLLED_BACK,
    LIMIT_BATCH_STATE_STAGED,
    LimitRowError,
    LimitRowErrorReason,
)
from creditgate.v1.limit_feed_service_pb2 import (
    ActivateLimitBatchRequest,
    CancelLimitBatchRequest,
    GetLimitBatchRequest,
    LimitUpdate,
    LimitUpdates,
    ListLimitBatchesRequest,
    PushLimitsRequest,
    PushLimitsResponse,
    RollbackLimitBatchRequest,
)
from tests.complaints import no_complaints
from tests.patience import PATIENCE_S
from tests.private_redis import PrivateRedis
from tests.server.calls import open_channel, reason_of
from tests.server.feed import Scorer, header, requests, tripped, update
from tests.server.test_service import settings_for
from tests.waiting import eventually

WRONG_SHARE = 100
RAILS_OFF = """
guard_rails: {accounts_cut: off, total_change: off, single_raise_factor: off, row_count_change: off,
              unknown_accounts: off, wrong_rows: off, duplicate_rows: off, as_of_backwards: off,
              model_version_backwards: off}
"""


@pytest.fixture(scope="module")
def feed_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRedis]:
    """A Redis of this file's own: a batch is compared with the one before."""
    server = PrivateRedis(tmp_path_factory.mktemp("feed"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis_url(feed_redis: PrivateRedis) -> str:
    with feed_redis.client() as client:
        client.flushdb()
    return feed_redis.url


@pytest.fixture
async def scorer(service: RunningService) -> AsyncIterator[Scorer]:
    async with no_complaints(), open_channel(service.address) as channel:
        yield Scorer(channel)


def names_of(count: int) -> list[str]:
    return [f"acc-{number}" for number in range(count)]


def rows_of(names: Sequence[str], limit_minor: int, version: int = 1) -> list[LimitUpdate]:
    return [update(name, limit_minor, version) for name in names]


async def test_a_push_puts_limits_in_force_and_is_answered_from_its_first_row_to_its_last(scorer: Scorer) -> None:
    names = names_of(50)
    await scorer.open(names)
    batch = await scorer.push(requests(header("b1"), rows_of(names, 110), size=7))
    assert (batch.state, batch.received_rows, batch.applied_rows) == (LIMIT_BATCH_STATE_ACTIVE, 50, 50)
    assert (batch.source, batch.model_version, batch.as_of.seconds) == ("scorer", "2.1", 1_700_000_000)
    assert (batch.effect.raised_accounts, batch.effect.totals[0].limit_after_minor) == (50, 5500)
    assert batch.activate_time.seconds >= batch.receive_time.seconds >= batch.create_time.seconds > 0
    assert set(await scorer.limits(names)) == {110}
    assert [scorer.progress[0].received_rows, scorer.progress[-1].received_rows] == [0, 50]
    assert await scorer.batch("b1") == batch
    assert await scorer.push(requests(header("b1"), rows_of(names, 110), size=13)) == batch


async def test_every_wrong_row_of_a_file_is_reported_and_every_other_applied(scorer: Scorer) -> None:
    """A file of 10,000 rows, with 100 of each kind of mistake, and 100 that are older than what stands."""
    names = names_of(10_000 - 3 * WRONG_SHARE)
    old, malformed, out_of_range = (names[start : start + WRONG_SHARE] for start in (0, WRONG_SHARE, 2 * WRONG_SHARE))
    good = names[3 * WRONG_SHARE :]
    created = await scorer.push(requests(header("b0", create_accounts=True), rows_of(names, 100, version=5)))
    assert (created.created_accounts, created.applied_rows) == (len(names), len(names))

    rows = rows_of(good, 120, version=6)
    rows += rows_of(old, 1, version=5)
    rows += rows_of(good[:WRONG_SHARE], 1, version=7)
    rows += rows_of([f"unknown-{number}" for number in range(WRONG_SHARE)], 1)
    rows += [update(name, 1, 6, currency_code="??") for name in malformed]
    rows += [update(name, -1, 6) for name in out_of_range]
    unreadable = [LimitRowError(row=row, field="limit", message="no number") for row in range(9901, 10_001)]
    assert len(rows) == 9900
    messages = requests(header("b1", LIMIT_BATCH_MODE_STAGE), rows)
    messages.append(PushLimitsRequest(updates=LimitUpdates(first_row=9901, unreadable_rows=unreadable)))
    staged = await scorer.push(messages)
    assert (staged.state, tripped(staged)) == (LIMIT_BATCH_STATE_QUARANTINED, ["GUARD_RAIL_DUPLICATE_ROWS"])

    batch = await scorer.activate("b1", force=True)
    assert (batch.state, batch.received_rows, batch.applied_rows) == (LIMIT_BATCH_STATE_ACTIVE, 10_000, len(good))
    assert (batch.skipped_rows, batch.rejected_rows) == (WRONG_SHARE, 5 * WRONG_SHARE)
    told = {error.row: (LimitRowErrorReason.Name(error.reason)[23:], error.field) for error in batch.row_errors}
    kinds = [("DUPLICATE_ACCOUNT", "account_id"), ("UNKNOWN_ACCOUNT", "account_id"), ("INVALID_FIELD", "currency_code")]
    kinds += [("INVALID_FIELD", "limit_minor"), ("UNREADABLE", "limit")]
    first_wrong = len(good) + WRONG_SHARE + 1
    assert told == {first_wrong + number: kinds[number // WRONG_SHARE] for number in range(5 * WRONG_SHARE)}
    assert set(await scorer.limits(good)) == {120}
    assert set(await scorer.limits([*old, *malformed, *out_of_range])) == {100}


async def test_a_batch_that_cuts_40_percent_by_half_waits_for_force_and_can_be_taken_back(
    scorer: Scorer, service: RunningService
) -> None:
    names = names_of(500)
    await scorer.open(names)
    batch = await scorer.push(requests(header("b1"), [*rows_of(names[:200], 50), *rows_of(names[200:], 100)]))
    assert (batch.state, tripped(batch)) == (LIMIT_BATCH_STATE_QUARANTINED, ["GUARD_RAIL_ACCOUNTS_CUT"])
    (report,) = batch.guard_rails
    assert (report.observed, report.threshold) == (4000, 2000)
    assert [(each.before_minor, each.after_minor) for each in report.examples] == [(100, 50)] * 10
    assert set(await scorer.limits(names)) == {100}
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await scorer.activate("b1")
    assert reason_of(refused.value) == "LIMIT_BATCH_QUARANTINED"

    active = await scorer.activate("b1", force=True)
    assert (active.state, active.forced, active.actor, active.comment) == (
        LIMIT_BATCH_STATE_ACTIVE,
        True,
        "ann",
        "looked at it",
    )
    assert await scorer.limits(names) == [50] * 200 + [100] * 300

    later = names[:3]
    second = await scorer.push(requests(header("b2"), rows_of([*later, *names[200:]], 100, version=2)))
    assert second.state == LIMIT_BATCH_STATE_ACTIVE
    back = await scorer.roll_back("b1")
    assert (back.state, back.restored_rows, back.kept_count) == (LIMIT_BATCH_STATE_ROLLED_BACK, 197, 303)
    assert set(back.kept_changes) == {*later, *names[200:]}
    assert set(await scorer.limits(names)) == {100}
    metrics = service.metrics.registry
    rows = {
        result: metrics.get_sample_value("creditgate_limit_feed_rows_total", {"result": result})
        for result in ("APPLIED", "RESTORED", "KEPT")
    }
    assert rows == {"APPLIED": 803, "RESTORED": 197, "KEPT": 303}


async def test_batches_are_taken_back_one_behind_the_other(scorer: Scorer) -> None:
    names = names_of(20)
    await scorer.open(names)
    for number in (1, 2, 3):
        batch = await scorer.push(requests(header(f"b{number}"), rows_of(names, 100 + number, version=number)))
        assert batch.state == LIMIT_BATCH_STATE_ACTIVE
    for number in (3, 2, 1):
        back = await scorer.roll_back(f"b{number}")
        assert (back.state, back.restored_rows, back.kept_count) == (LIMIT_BATCH_STATE_ROLLED_BACK, 20, 0)
        assert set(await scorer.limits(names)) == {99 + number}


async def test_preview_tells_the_effect_on_live_accounts_and_changes_nothing(
    scorer: Scorer, service: RunningService
) -> None:
    names = names_of(30)
    await scorer.open(names)
    async with open_channel(service.address) as channel:
        manual = SetManualLimitRequest(
            account_id=names[0], limit_minor=500, currency_code="USD", reason="trusted", actor="ann"
        )
        await CreditDeskServiceStub(channel).SetManualLimit(manual, timeout=PATIENCE_S)
    rows = [*rows_of(names[:12], 90), *rows_of(names[12:20], 105), *rows_of(names[20:], 100)]
    batch = await scorer.push(requests(header("p1", LIMIT_BATCH_MODE_PREVIEW), rows))
    assert (batch.state, batch.comment) == (LIMIT_BATCH_STATE_CANCELLED, "a preview is not kept")
    effect = batch.effect
    assert (effect.cut_accounts, effect.raised_accounts, effect.confirmed_accounts) == (12, 8, 10)
    (totals,) = effect.totals
    assert (totals.limit_before_minor, totals.limit_after_minor) == (3000, 12 * 90 + 8 * 105 + 1000)
    assert totals.headroom_before_minor - totals.headroom_after_minor == 11 * 10 - 8 * 5
    assert (len(effect.largest_cuts), len(effect.largest_raises)) == (10, 8)
    assert set(await scorer.limits(names)) == {100}


async def test_batches_are_listed_read_cancelled_and_refused(scorer: Scorer) -> None:
    await scorer.open(names_of(20))
    staged = [f"s{number}" for number in range(5)]
    for batch_id in staged:
        batch = await scorer.push(requests(header(batch_id, LIMIT_BATCH_MODE_STAGE), rows_of(names_of(20), 110)))
        assert batch.state == LIMIT_BATCH_STATE_STAGED
    cancel = CancelLimitBatchRequest(batch_id="s1", actor="ann", comment="not now")
    cancelled = (await scorer.stub.CancelLimitBatch(cancel, timeout=PATIENCE_S)).batch
    assert (cancelled.state, cancelled.actor, cancelled.comment) == (LIMIT_BATCH_STATE_CANCELLED, "ann", "not now")
    assert (await scorer.activate("s4")).state == LIMIT_BATCH_STATE_ACTIVE

    assert await listed(scorer, page_size=2) == ["s4", "s3", "s2", "s1", "s0"]
    assert await listed(scorer, states=[LIMIT_BATCH_STATE_STAGED], page_size=2) == ["s3", "s2", "s0"]
    assert await refusal(scorer.stub.GetLimitBatch(GetLimitBatchRequest(batch_id="none"))) == "LIMIT_BATCH_NOT_FOUND"
    for batch_id in ("s0", "s1"):
        roll_back = RollbackLimitBatchRequest(batch_id=batch_id, actor="ann", comment="x")
        assert await refusal(scorer.stub.RollbackLimitBatch(roll_back)) == "LIMIT_BATCH_STATE"
    activate = ActivateLimitBatchRequest(batch_id="s1", force=True, actor="ann", comment="x")
    assert await refusal(scorer.stub.ActivateLimitBatch(activate)) == "LIMIT_BATCH_STATE"
    assert await refusal(scorer.stub.CancelLimitBatch(CancelLimitBatchRequest(batch_id="s4", actor="a"))) == (
        "LIMIT_BATCH_STATE"
    )
    bare = ActivateLimitBatchRequest(batch_id="s0", force=True)
    assert await refusal(scorer.stub.ActivateLimitBatch(bare)) == "INVALID_FIELD"
    token = ListLimitBatchesRequest(page_token="nonsense")  # noqa: S106 - no secret
    assert await refusal(scorer.stub.ListLimitBatches(token)) == "INVALID_FIELD"


async def listed(scorer: Scorer, **fields: object) -> list[str]:
    found: list[str] = []
    request = ListLimitBatchesRequest(**fields)  # type: ignore[arg-type]  # fields by name
    while True:
        page = await scorer.stub.ListLimitBatches(request, timeout=PATIENCE_S)
        found += [batch.batch_id for batch in page.batches]
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def refusal(call: Awaitable[object]) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return reason_of(caught.value)


async def test_a_push_under_another_header_or_with_other_rows_is_refused(scorer: Scorer) -> None:
    names = names_of(20)
    await scorer.open(names)
    await scorer.push(requests(header("b1"), rows_of(names, 110)))
    for messages in (
        requests(header("b1", model_version="3"), rows_of(names, 110)),
        requests(header("b1"), rows_of(names, 111)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await scorer.push(messages)
        assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS
        assert reason_of(caught.value) == "LIMIT_BATCH_EXISTS_WITH_DIFFERENT_DETAILS"


async def test_a_server_that_stops_ends_a_push_and_another_one_goes_on(redis_url: str) -> None:
    names = names_of(WINDOW_ROWS + 800)
    of = header("b1", create_accounts=True)
    rows = rows_of(names, 100)
    async with AsyncExitStack() as stack, running_service(settings_for(redis_url)) as second:
        async with running_service(settings_for(redis_url)) as first:
            assert await first.store.wait_ready(PATIENCE_S)
            channel = await stack.enter_async_context(open_channel(first.address))
            call = Scorer(channel).stub.PushLimits(timeout=PATIENCE_S)
            for message in requests(of, rows):
                await call.write(message)
            answer = await call.read()
            while isinstance(answer, PushLimitsResponse) and not answer.progress.received_rows:
                answer = await call.read()
        assert await end_of(call) == "SHUTTING_DOWN"
        assert await second.store.wait_ready(PATIENCE_S)
        scorer = Scorer(await stack.enter_async_context(open_channel(second.address)))
        left = await scorer.batch("b1")
        assert (left.state, left.received_rows) == (LIMIT_BATCH_STATE_RECEIVING, WINDOW_ROWS)
        batch = await scorer.push(requests(of, rows, first_row=WINDOW_ROWS + 1))
        assert (batch.state, batch.applied_rows) == (LIMIT_BATCH_STATE_ACTIVE, len(names))


async def test_servers_tell_each_other_that_they_have_orders(redis_url: str) -> None:
    async with running_service(settings_for(redis_url)) as busy, running_service(settings_for(redis_url)) as other:
        for service in (busy, other):
            assert await service.store.wait_ready(PATIENCE_S)

        async def knows_of_none() -> bool:
            return not other.store.orders_watch.elsewhere()

        async def knows_of_some() -> bool:
            return other.store.orders_watch.elsewhere()

        await eventually(knows_of_none)
        async with open_channel(busy.address) as channel:
            await Scorer(channel).open(["acme"])
        await eventually(knows_of_some)


async def end_of(call: grpc.aio.StreamStreamCall[PushLimitsRequest, PushLimitsResponse]) -> str:
    """Return why a stream has failed, once all its answers are read."""
    try:
        while await call.read() is not grpc.aio.EOF:
            pass
    except grpc.aio.AioRpcError as error:
        return reason_of(error)
    pytest.fail("the stream did not fail")


async def test_guard_rails_are_those_of_the_policy_file_also_when_it_changes(redis_url: str, tmp_path: Path) -> None:
    policy_file = tmp_path / "policy.yaml"
    policy_file.write_text(RAILS_OFF)
    names = names_of(20)
    async with running_service(settings_for(redis_url, policy_file=policy_file)) as service:
        assert await service.store.wait_ready(PATIENCE_S)
        async with open_channel(service.address) as channel:
            scorer = Scorer(channel)
            await scorer.open(names)
            assert (await scorer.push(requests(header("b1"), rows_of(names, 1)))).state == LIMIT_BATCH_STATE_ACTIVE
            policy_file.write_text(RAILS_OFF.replace("single_raise_factor: off", "single_raise_factor: 2"))
            numbers = iter(range(2, 1000))

            async def is_held_back() -> bool:
                number = next(numbers)
                rows = rows_of(names, 3**number, number)
                batch = await scorer.push(requests(header(f"b{number}"), rows))
                return tripped(batch) == ["GUARD_RAIL_SINGLE_RAISE"]

            await eventually(is_held_back)


async def test_what_a_server_has_left_half_way_is_carried_on_without_anybody_asking(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumer, "LOOK_INTERVAL_S", 0.05)
    monkeypatch.setattr(resumer, "STANDSTILL_S", 0.2)
    names = names_of(300)
    async with running_service(settings_for(redis_url)) as service:
        assert await service.store.wait_ready(PATIENCE_S)
        async with open_channel(service.address) as channel:
            scorer = Scorer(channel)
            await scorer.push(requests(header("b1", LIMIT_BATCH_MODE_STAGE, create_accounts=True), rows_of(names, 100)))
            batches, deadline = service.store.limit_batches, time.monotonic() + PATIENCE_S
            staged = await batches.get_batch("b1", deadline)
            left = await batches.put_batch(replace(staged, state=LimitBatchState.ACTIVATING), deadline)
            await anext(batches.apply_rows(left, deadline))
            active = await scorer.ended("b1")
            assert (active.state, active.applied_rows) == (LIMIT_BATCH_STATE_ACTIVE, len(names))

            left = await batches.put_batch(
                replace(await batches.get_batch("b1", deadline), state=LimitBatchState.ROLLING_BACK), deadline
            )
            await anext(batches.restore_rows(left, deadline))
            back = await scorer.ended("b1")
            assert (back.state, back.restored_rows) == (LIMIT_BATCH_STATE_ROLLED_BACK, len(names))


async def test_a_stream_that_breaks_off_is_not_taken_for_one_that_has_come_to_its_end(scorer: Scorer) -> None:
    """gRPC ends the messages of a client that is gone before it cancels the call."""
    names = names_of(5)
    await scorer.open(names)
    batch_ids = [f"broken-{number}" for number in range(40)]
    for number, batch_id in enumerate(batch_ids):
        call = scorer.stub.PushLimits(timeout=PATIENCE_S)
        for request in requests(header(batch_id), rows_of(names, 110)):
            await call.write(request)
        await call.read()
        await asyncio.sleep(number % 4 / 1000)
        call.cancel()
    await asyncio.sleep(0.5)
    found = [await scorer.batch(batch_id) for batch_id in batch_ids]
    assert {(batch.state, batch.HasField("receive_time")) for batch in found} == {(LIMIT_BATCH_STATE_RECEIVING, False)}
    assert set(await scorer.limits(names)) == {100}
