"""Loading the function library, and who may replace whom."""

from collections.abc import Callable

import pytest

from creditgate.store import RedisCreditStore, StoreOptions, library
from creditgate.store.library import LIBRARY_VERSION, LibraryNewerError, LibraryStatus, check_library, load_library
from tests.patience import PATIENCE_S
from tests.private_redis import PrivateRedis
from tests.quiet_observer import QuietObserver
from tests.unready import wait_unready


def source_of_version(version: int) -> str:
    return library.render_library().replace(f"return {LIBRARY_VERSION} end", f"return {version} end")


async def test_loading_puts_the_library_in_place_and_may_be_repeated(own_redis: Callable[..., PrivateRedis]) -> None:
    server = own_redis()
    with server.client() as client:
        client.function_flush()
    assert await check_library(server.url) == LibraryStatus(None, LIBRARY_VERSION)
    for _ in range(2):
        assert (await load_library(server.url)).usable
    assert (await check_library(server.url)).loaded_version == LIBRARY_VERSION


async def test_a_newer_library_is_never_replaced(own_redis: Callable[..., PrivateRedis]) -> None:
    server = own_redis()
    with server.client() as client:
        client.function_load(source_of_version(LIBRARY_VERSION + 1), replace=True)
        kept = await load_library(server.url)
        assert (kept.loaded_version, kept.usable) == (LIBRARY_VERSION + 1, True)
        client.function_load(source_of_version(LIBRARY_VERSION + 1000), replace=True)
    with pytest.raises(LibraryNewerError, match=str(LIBRARY_VERSION + 1000)):
        await load_library(server.url)
    assert (await check_library(server.url)).loaded_version == LIBRARY_VERSION + 1000


@pytest.mark.parametrize(
    ("loaded", "usable"),
    [
        (None, False),
        (LIBRARY_VERSION, True),
        (LIBRARY_VERSION + 1, True),
        (LIBRARY_VERSION - 1, False),
        (LIBRARY_VERSION + 1000, False),
    ],
)
def test_a_server_works_with_its_own_library_or_a_later_one_of_its_generation(
    loaded: int | None, *, usable: bool
) -> None:
    assert LibraryStatus(loaded, LIBRARY_VERSION).usable is usable


async def test_a_store_waits_for_its_library_and_says_so(own_redis: Callable[..., PrivateRedis]) -> None:
    server = own_redis()
    with server.client() as client:
        client.function_flush()
        store = RedisCreditStore(server.url, options=StoreOptions(), observer=QuietObserver())
        await store.start()
        await wait_unready(store, "creditgate library load")
        await load_library(server.url)
        assert await store.wait_ready(PATIENCE_S)
        assert store.unready_reason == ""
        await store.close()


async def test_a_store_with_another_partition_count_is_refused(own_redis: Callable[..., PrivateRedis]) -> None:
    server = own_redis()
    first = RedisCreditStore(server.url, options=StoreOptions(partitions=4), observer=QuietObserver())
    await first.start()
    assert await first.wait_ready(PATIENCE_S)
    await first.close()
    other = RedisCreditStore(server.url, options=StoreOptions(partitions=8), observer=QuietObserver())
    await other.start()
    await wait_unready(other, "CREDITGATE_PARTITIONS to 4")
    await other.close()
