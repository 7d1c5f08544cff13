"""The forms of a Redis URL."""

import pytest

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.store.coalescer import WaitingRoom
from creditgate.store.location import RedisAddress, RedisKind, parse_location


def test_one_server_is_named_as_redis_py_names_it() -> None:
    for url in ("redis://:pw@host:1/2?x=1", "rediss://host", "unix:///run/r.sock"):
        location = parse_location(url)
        assert (location.kind, location.url) == (RedisKind.SINGLE, url)


def test_sentinels_and_the_service_they_know() -> None:
    location = parse_location(
        "rediss+sentinel://ann:p%40w@one:1,two,[::1]:3/orders?sentinel_password=s%3Aw&ssl_ca_certs=/ca.pem"
    )
    assert location.kind is RedisKind.SENTINEL
    assert location.addresses == (RedisAddress("one", 1), RedisAddress("two", 26_379), RedisAddress("::1", 3))
    assert location.service == "orders"
    assert location.url_of(RedisAddress("p", 9)) == "rediss://ann:p%40w@p:9?ssl_ca_certs=%2Fca.pem"
    assert location.sentinel_url_of(location.addresses[2]) == "rediss://:s%3Aw@[::1]:3?ssl_ca_certs=%2Fca.pem"
    assert "p%40w" not in repr(location)
    assert "s%3Aw" not in repr(location)


def test_some_nodes_of_a_cluster() -> None:
    location = parse_location("redis+cluster://:pw@one,two:7001/")
    assert location.kind is RedisKind.CLUSTER
    assert location.addresses == (RedisAddress("one", 6379), RedisAddress("two", 7001))
    assert location.url_of(location.addresses[0]) == "redis://:pw@one:6379"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://host", "must begin with redis://"),
        ("redis+other://host", "must begin with redis://"),
        ("unix+cluster://host", "must begin with redis://"),
        ("redis+cluster://", "must name each server as host:port"),
        ("redis+cluster://one,,two", "must name each server as host:port"),
        ("redis+cluster://one:0", "must name each server as host:port"),
        ("redis+cluster://one:70000", "must name each server as host:port"),
        ("redis+cluster://one:x", "must name each server as host:port"),
        ("redis+cluster://one/1", "a cluster has one database"),
        ("redis+sentinel://one:1", "must end in the service name"),
        ("redis+sentinel://one:1/a/b", "must end in the service name"),
    ],
)
def test_what_is_none_of_them(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_location(url)


def test_one_queue_may_take_all_places_and_one_of_several_never_does() -> None:
    alone = WaitingRoom(300, groups=1)
    alone.waiting = 200
    alone.admit(queued=200, count=100)
    with pytest.raises(CreditError, match="at most 300"):
        alone.admit(queued=200, count=101)
    shared = WaitingRoom(300, groups=3)
    shared.waiting = 150
    with pytest.raises(CreditError) as caught:
        shared.admit(queued=150, count=1)
    assert caught.value.reason is ErrorReason.OVERLOADED
    shared.admit(queued=0, count=128)
