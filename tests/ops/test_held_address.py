"""An address that several processes of one service share, and nobody else."""

import select
import socket
from collections.abc import Iterator

import pytest

from creditgate.ops.listen_address import AddressUnusableError, HeldAddress, ListenAddress, check_usable

CONNECTIONS = 20
IN_USE = r"^address already in use$"


@pytest.fixture
def held() -> Iterator[HeldAddress]:
    held = HeldAddress(ListenAddress("127.0.0.1", 0))
    yield held
    held.release()


def listen_sharing(address: ListenAddress) -> socket.socket:
    """Listen as a worker does."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind((address.host, address.port))
    listening.listen()
    return listening


def test_it_is_in_use_before_anybody_listens(held: HeldAddress) -> None:
    assert held.address.port
    with pytest.raises(AddressUnusableError, match=IN_USE):
        check_usable(held.address)
    with pytest.raises(AddressUnusableError, match=IN_USE):
        HeldAddress(held.address)


def test_processes_of_the_service_listen_on_it_and_are_reached(held: HeldAddress) -> None:
    with listen_sharing(held.address) as first, listen_sharing(held.address) as second:
        accepted = 0
        for _ in range(CONNECTIONS):
            with socket.create_connection((held.address.host, held.address.port), 5):
                (readable, *_), _, _ = select.select([first, second], [], [], 5)
                readable.accept()[0].close()
                accepted += 1
        assert accepted == CONNECTIONS
        with pytest.raises(AddressUnusableError, match=IN_USE):
            check_usable(held.address)


def test_a_released_address_is_free() -> None:
    held = HeldAddress(ListenAddress("127.0.0.1", 0))
    held.release()
    check_usable(held.address)


def test_an_address_that_somebody_listens_on_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(AddressUnusableError, match=IN_USE):
        HeldAddress(ListenAddress("127.0.0.1", other.getsockname()[1]))


def test_a_name_with_several_addresses_has_one_port() -> None:
    held = HeldAddress(ListenAddress("localhost", 0))
    with pytest.raises(AddressUnusableError, match=IN_USE):
        check_usable(held.address)
    held.release()
