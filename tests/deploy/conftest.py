from collections.abc import Iterator

import pytest

from creditgate.store.embedded.binary import all_redis_servers
from creditgate.store.library import load_library
from tests.deploy.deployed_redis import DeployedRedis


@pytest.fixture(scope="module", params=all_redis_servers(), ids=str)
def deployed_redis(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedRedis]:
    """The shipped Redis on each server of this machine; one that refuses to start fails the tests."""
    server = DeployedRedis(tmp_path_factory.mktemp("redis"), request.param)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
async def loaded_redis(deployed_redis: DeployedRedis) -> DeployedRedis:
    """The shipped Redis after the deploy step, with a record of denied commands that begins before it."""
    with deployed_redis.client("operator") as operator:
        operator.acl_log_reset()
    status = await load_library(deployed_redis.url("library"))
    assert status.usable
    return deployed_redis
