"""Two services on one Redis, so that calls meet in the store and nowhere before it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest

from tests.faults.service_process import ServiceProcess
from tests.model.service_gate import ServiceGate, open_service_gate
from tests.private_redis import PrivateRedis


@pytest.fixture(scope="package")
def targets(private_redis: PrivateRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """Where the services listen."""
    services = [ServiceProcess(tmp_path_factory.mktemp("service"), redis_url=private_redis.url) for _ in range(2)]
    for service in services:
        service.start()
    yield tuple(service.target for service in services)
    for service in services:
        service.close()


@pytest.fixture
def gates(targets: tuple[str, ...], private_redis: PrivateRedis) -> Iterator[Sequence[ServiceGate]]:
    """The services, in the words of operations."""
    with ExitStack() as stack:
        clock = stack.enter_context(private_redis.client())
        yield [stack.enter_context(open_service_gate(target, clock)) for target in targets]
