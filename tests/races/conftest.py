"""Two services on one Redis, so that calls meet in the store and nowhere before it."""

from collections.abc import Iterator

import pytest

from tests.faults.service_process import ServiceProcess
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
