"""Sweeping, cleaning up and verifying on a Redis Cluster: each step stays on the node of its partition."""

from collections.abc import Callable

from creditgate.domain.operations import (
    CommitReservation,
    PostReceivable,
    PutAccount,
    ReleaseReservation,
    ReserveCredit,
)
from creditgate.store import RedisCreditStore, Sweeper
from creditgate.store.constants import RETENTION_STEP_S
from tests.quiet_observer import QuietObserver
from tests.store.desk import Desk, deadline

AT_ONCE_S = -2 * RETENTION_STEP_S
"""A retention after which what has just ended is old enough."""


async def test_every_partition_is_swept_cleaned_up_and_verified(
    cluster_store: RedisCreditStore, new_id: Callable[[str], str]
) -> None:
    store = cluster_store
    desks = [Desk(store, new_id("acc")) for _ in range(60)]
    names = [desk.account_id for desk in desks]
    await store.run_each([PutAccount(name, "USD", unlimited=True) for name in names], deadline())
    for order_id in ("o1", "o2"):
        await store.run_each([ReserveCredit(name, order_id, 100, "USD", 3600) for name in names], deadline())
    await store.run_each([CommitReservation(name, "o1", 100, "USD", "d1", final=True) for name in names], deadline())
    await store.run_each([ReleaseReservation(name, "o2") for name in names], deadline())
    await store.run_each([PostReceivable(name, "d2", 7, "USD") for name in names], deadline())
    observer = QuietObserver()
    await Sweeper(store, observer, 1.0, AT_ONCE_S).sweep_once()
    assert observer.cleaned_up >= 3 * len(names)
    for desk in desks:
        assert await desk.all_sums() == (0, 107, 0)
        assert not await desk.post("d2", 7), "the first one is forgotten"
        await desk.adds_up()
    verified, token = 0, ""
    while True:
        page = await store.verify_accounts(page_size=50, page_token=token, repair=True, deadline=deadline())
        assert not {difference.account_id for difference in page.differences} & set(names)
        verified, token = verified + page.verified, page.next_page_token
        if not token:
            break
    assert verified >= len(names)
