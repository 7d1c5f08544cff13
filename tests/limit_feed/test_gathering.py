"""What is measured on receipt: when it counts, and when a batch is measured anew."""

import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from creditgate.domain.limit_batch import WINDOW_ROWS, LimitBatch, LimitBatchMode, LimitBatchState
from creditgate.domain.policy import GuardRails
from creditgate.limit_feed import Activation
from creditgate.limit_feed.gathering import GATHERED_S_MAX
from creditgate.v1.limit_feed_service_pb2 import LimitUpdate
from tests.limit_feed.pushes import NO_RAILS, Site, header, messages, update

ROWS = WINDOW_ROWS + 300
STAGE = header(mode=LimitBatchMode.STAGE)


def rows() -> list[LimitUpdate]:
    """Return raises, cuts, an account named twice and one that does not exist."""
    named = [f"acc-{number}" for number in range(ROWS - 2)]
    return [*(update(name, 50 + place % 100) for place, name in enumerate(named)), update("acc-7", 9), update("nobody")]


class Counted(Site):
    """A site that counts the calls which measure anew."""

    def __init__(self) -> None:
        super().__init__()
        self.open(ROWS)
        self.measured = 0
        self.store.before = self.count

    def count(self, method: str) -> None:
        self.measured += method == "measure_rows"


@pytest.fixture
def site() -> Counted:
    return Counted()


async def measured_anew(sent: Sequence[LimitUpdate]) -> LimitBatch:
    """Return a batch as it is when it is measured after its receipt."""
    site = Counted()
    await site.send(messages(sent), STAGE)
    batch = await site.feed.carry_on("b1")
    assert site.measured
    return batch


async def test_what_one_stream_has_brought_is_measured_on_receipt(site: Counted) -> None:
    batch = await site.push(rows(), STAGE)
    assert (batch.state, site.measured) == (LimitBatchState.STAGED, 0)
    anew = await measured_anew(rows())
    assert (batch.effect, batch.rejected_rows, batch.duplicate_rows) == (anew.effect, 2, 1)
    assert batch.row_errors == anew.row_errors


async def test_a_batch_without_rows_is_not_measured(site: Counted) -> None:
    batch = await site.push([], STAGE)
    assert (batch.state, batch.received_rows, site.measured) == (LimitBatchState.STAGED, 0, 0)


async def test_a_batch_that_two_streams_have_brought_is_measured_anew(site: Counted) -> None:
    await site.send(messages(rows()), STAGE, ends=False)
    batch = await site.push(rows(), STAGE)
    assert site.measured
    assert batch.effect == (await measured_anew(rows())).effect


async def test_who_has_brought_nothing_has_measured_nothing_of_another_ones_rows(site: Counted) -> None:
    idle = await site.feed.begin_push(STAGE, time.monotonic() + 10)
    await site.send(messages(rows()[:WINDOW_ROWS]), STAGE, ends=False)
    await idle.finish()
    batch = await site.feed.carry_on("b1", idle.gathered)
    assert (batch.received_rows, batch.rejected_rows) == (WINDOW_ROWS, 0)
    assert site.measured
    assert batch.effect is not None
    assert batch.effect.raised_accounts


async def test_what_was_measured_long_ago_does_not_count(site: Counted) -> None:
    await site.send(messages(rows()), STAGE)
    assert site.gathered is not None
    long_ago = replace(site.gathered, begun=time.monotonic() - GATHERED_S_MAX - 1)
    await site.feed.carry_on("b1", long_ago)
    assert site.measured


async def test_other_guard_rails_measure_anew(site: Counted) -> None:
    await site.send(messages(rows()), STAGE)
    site.rails.rails = replace(NO_RAILS, single_raise_factor=2)
    await site.feed.carry_on("b1", site.gathered)
    assert site.measured


async def test_a_batch_that_comes_into_force_meanwhile_measures_anew(site: Counted) -> None:
    await site.send(messages(rows()), STAGE)
    await Site(GuardRails(), site.store).push([update("acc-1", 120, 2)], header("b2"))
    site.measured = 0
    batch = await site.feed.carry_on("b1", site.gathered)
    assert site.measured
    assert batch.skipped_rows == 1


async def test_activation_measures_anew(site: Counted) -> None:
    await site.push(rows(), STAGE)
    site.store.accounts["acc-3"].version = 9
    await site.feed.activate("b1", Activation("ann", "fine"), time.monotonic() + 10)
    batch = await site.feed.carry_on("b1")
    assert site.measured
    assert (batch.state, batch.skipped_rows) == (LimitBatchState.ACTIVE, 1)
