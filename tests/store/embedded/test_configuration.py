from collections.abc import Mapping
from pathlib import Path

import pytest

from creditgate.store.embedded import EmbeddedRedisOptionError, EmbeddedRedisOptions, RedisBinary, ServerVersion
from creditgate.store.embedded.configuration import render_configuration
from creditgate.store.embedded.files import RedisFiles

BINARY = RedisBinary(Path("/usr/bin/redis-server"), ServerVersion(7, 0, 15))


def directives(options: EmbeddedRedisOptions) -> dict[str, str]:
    text = render_configuration(RedisFiles.of(Path("/srv/creditgate")), BINARY, options)
    lines = [line.partition(" ") for line in text.splitlines() if not line.startswith("#")]
    assert len({name for name, _, _ in lines}) == len(lines), "a directive stands twice"
    return {name: arguments for name, _, arguments in lines}


def test_default_loses_nothing_acknowledged_and_listens_on_no_port() -> None:
    written = directives(EmbeddedRedisOptions())
    assert written["port"] == "0"
    assert written["unixsocketperm"] == "700"
    assert (written["appendonly"], written["appendfsync"], written["io-threads"]) == ("yes", "always", "1")
    assert (written["maxmemory"], written["maxmemory-policy"]) == ("0", "noeviction")


def test_extra_directives_win_over_the_service() -> None:
    written = directives(EmbeddedRedisOptions(extra={"port": "6390", "save": "60 1000"}, maxmemory_bytes=2**30))
    assert (written["port"], written["save"], written["maxmemory"]) == ("6390", "60 1000", "1073741824")


def test_another_binary_makes_another_configuration() -> None:
    files = RedisFiles.of(Path("/srv/creditgate"))
    upgraded = RedisBinary(BINARY.path, ServerVersion(7, 2, 0))
    options = EmbeddedRedisOptions()
    assert render_configuration(files, BINARY, options) != render_configuration(files, upgraded, options)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"dir": "/elsewhere"}, "extra must not set dir"),
        ({"appendfsync": "no"}, "extra must not set appendfsync"),
        ({"port 6390\nrequirepass": "x"}, "not the name of a Redis directive"),
        ({"Port": "6390"}, "not the name of a Redis directive"),
        ({"save": '""\nrequirepass x'}, "control characters"),
    ],
)
def test_extra_directives_that_would_break_adoption_are_refused(extra: Mapping[str, str], message: str) -> None:
    with pytest.raises(EmbeddedRedisOptionError, match=message):
        EmbeddedRedisOptions(extra=extra)


def test_options_out_of_bounds_are_refused_by_name() -> None:
    with pytest.raises(EmbeddedRedisOptionError, match="appendfsync is 'sometimes', not one of always, everysec, no"):
        EmbeddedRedisOptions(appendfsync="sometimes")  # type: ignore[arg-type] # what a setting may hold
    with pytest.raises(EmbeddedRedisOptionError, match="maxmemory_bytes is 0, less than 16777216"):
        EmbeddedRedisOptions(maxmemory_bytes=0)
    with pytest.raises(EmbeddedRedisOptionError, match="log_max_bytes is -1, less than 0"):
        EmbeddedRedisOptions(log_max_bytes=-1)
    with pytest.raises(EmbeddedRedisOptionError, match="stop_timeout_s is inf"):
        EmbeddedRedisOptions(stop_timeout_s=float("inf"))
