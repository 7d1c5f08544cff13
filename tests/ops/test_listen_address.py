"""Addresses to listen on."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from creditgate.ops.listen_address import (
    AddressUnusableError,
    ListenAddress,
    ListenAddressError,
    check_usable,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:50051", ListenAddress("127.0.0.1", 50_051)),
        ("localhost:0", ListenAddress("localhost", 0)),
        ("0.0.0.0:65535", ListenAddress("0.0.0.0", 65_535)),  # noqa: S104 - parsed, not bound
        ("[::1]:80", ListenAddress("::1", 80)),
        ("unix:///run/gate.sock", ListenAddress(unix_path=Path("/run/gate.sock"))),
    ],
)
def test_spellings(text: str, address: ListenAddress) -> None:
    assert ListenAddress.parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "50051",
        ":50051",
        "host",
        "host:",
        "host:-1",
        "host:65536",
        "host:x",
        "host:\uff15",
        "::1:80",
        "[h]:1",
        "[]:1",
    ],
)
def test_misspellings(text: str) -> None:
    with pytest.raises(ListenAddressError, match=r"^must (be|have) "):
        ListenAddress.parse(text)


@pytest.mark.parametrize("text", ["unix://", "unix://relative", "unix:///" + "x" * 107])
def test_wrong_paths(text: str) -> None:
    with pytest.raises(ListenAddressError, match=r"after unix://$"):
        ListenAddress.parse(text)


def test_the_longest_path() -> None:
    assert ListenAddress.parse("unix:///" + "x" * 106).unix_path == Path("/" + "x" * 106)


def test_the_bound_port_takes_the_place_of_any() -> None:
    assert ListenAddress("127.0.0.1", 0).with_port(7) == ListenAddress("127.0.0.1", 7)
    of_path = ListenAddress(unix_path=Path("/x"))
    assert of_path.with_port(1) == of_path


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def why_unusable(address: ListenAddress) -> str:
    with pytest.raises(AddressUnusableError) as caught:
        check_usable(address)
    return str(caught.value)


def test_a_free_port_is_usable_and_stays_free() -> None:
    for _ in range(2):
        check_usable(ListenAddress("127.0.0.1", 0))


def test_a_busy_port(busy_port: int) -> None:
    assert why_unusable(ListenAddress("127.0.0.1", busy_port)) == "address already in use"


def test_a_name_with_one_busy_address(busy_port: int) -> None:
    assert why_unusable(ListenAddress("localhost", busy_port)) == "address already in use"


def test_an_address_of_another_host() -> None:
    assert why_unusable(ListenAddress("192.0.2.1", 0)) == "cannot assign requested address"


def test_an_unknown_host() -> None:
    assert why_unusable(ListenAddress("no-such-host.invalid", 1)).startswith(
        "the host 'no-such-host.invalid' can't be resolved ("
    )


def test_a_host_that_is_no_name() -> None:
    assert "can't be resolved" in why_unusable(ListenAddress("x" * 300, 1))


def test_unix_paths(tmp_path: Path) -> None:
    path = tmp_path / "s"
    address = ListenAddress(unix_path=path)
    check_usable(address)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        assert why_unusable(address) == "another server listens on it"
    check_usable(address)
    path.unlink()
    path.write_text("precious")
    assert why_unusable(address) == "the path is there and is not a socket"
    missing = tmp_path / "no" / "s"
    assert why_unusable(ListenAddress(unix_path=missing)) == f"the directory {missing.parent} does not exist"
