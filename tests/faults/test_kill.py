"""Nothing acknowledged is lost, and nothing counts twice, when a process is killed under load."""

from collections.abc import Callable

import pytest

from tests.faults.conftest import Site
from tests.faults.load import Load

ORDERS = 100


@pytest.mark.parametrize("victims", [("service",), ("redis",), ("service", "redis")], ids="+".join)
def test_what_was_acknowledged_outlives_a_kill(
    site: Site, new_id: Callable[[str], str], victims: tuple[str, ...]
) -> None:
    with Load(site.service.target, new_id) as load:
        load.wait_for_more(ORDERS)
        if "service" in victims:
            site.service.kill()
        if "redis" in victims:
            site.kill_redis()
            site.bring_back()
        if "service" in victims:
            site.service.start()
        load.wait_for_more(ORDERS)
    load.check(site.service.target)


def test_what_was_acknowledged_is_there_at_once_when_both_were_killed(site: Site, new_id: Callable[[str], str]) -> None:
    for _ in range(2):
        with Load(site.service.target, new_id) as load:
            load.wait_for_more(ORDERS)
        site.service.kill()
        site.kill_redis()
        site.bring_back()
        site.service.start()
        load.check(site.service.target)
