"""What the tests of the clients share."""

from collections.abc import Callable, Iterator

import grpc
import pytest

from tests.client.scripted_service import ScriptedService


@pytest.fixture
def start_scripted() -> Iterator[Callable[..., ScriptedService]]:
    services: list[ScriptedService] = []

    def start(port: int = 0, credentials: grpc.ServerCredentials | None = None) -> ScriptedService:
        services.append(ScriptedService(port, credentials))
        return services[-1]

    yield start
    for service in services:
        service.stop()


@pytest.fixture
def scripted(start_scripted: Callable[..., ScriptedService]) -> ScriptedService:
    return start_scripted()
