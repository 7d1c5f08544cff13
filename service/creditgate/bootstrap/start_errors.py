"""What keeps a service from starting."""

from collections.abc import Iterator
from contextlib import contextmanager

from creditgate.ops.listen_address import AddressUnusableError, ListenAddress
from creditgate.settings import variable_of


class ServiceStartError(Exception):
    """The service can't start; the message is a sentence for the person who starts it."""


@contextmanager
def naming_setting(field_name: str, address: ListenAddress) -> Iterator[None]:
    """Name the setting when its address can't be used: AddressUnusableError becomes ServiceStartError."""
    try:
        yield
    except AddressUnusableError as error:
        raise ServiceStartError(f"{variable_of(field_name)} is {address}, which can't be used: {error}") from error
