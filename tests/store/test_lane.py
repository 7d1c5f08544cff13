"""A lane that loses its server: what is under way ends as a broken lane, on the event loop that the service uses."""

import asyncio
import os
import signal
from collections.abc import Callable

import pytest
import uvloop

from creditgate.store.lane import Lane, LaneBrokenError
from tests.private_redis import PrivateRedis

TIMEOUT_S = 2.0
SENT_S = 0.05


async def end_of_call(lane: Lane) -> object:
    try:
        return await lane.call("PING")
    except LaneBrokenError as error:
        return error


async def ends_of_calls(redis: PrivateRedis, turns: int) -> list[object]:
    """Return the ends of a call that the server had not read, and of one made so many turns of the loop later."""
    lane = await Lane.open(redis.url, TIMEOUT_S)
    redis.freeze()
    unread = asyncio.create_task(end_of_call(lane))
    await asyncio.wait({unread}, timeout=SENT_S)
    os.kill(redis.pid, signal.SIGKILL)
    redis.kill()
    for _ in range(turns):
        await asyncio.sleep(0)
    ends = [await end_of_call(lane), await unread]
    await lane.close()
    return ends


@pytest.mark.parametrize("turns", range(5))
def test_a_call_ends_as_a_broken_lane_in_whichever_turn_the_connection_goes(
    own_redis: Callable[..., PrivateRedis], turns: int
) -> None:
    ends = uvloop.run(ends_of_calls(own_redis(), turns))
    assert [type(end) for end in ends] == [LaneBrokenError] * 2, ends
