"""What each operation does to an account, on a Redis Cluster: the port's conformance, as on one Redis."""

from tests.store.test_operations import *  # noqa: F403 - the same tests, on this folder's `each_store`
