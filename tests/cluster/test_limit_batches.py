"""Limit batches on a Redis Cluster, where each partition may be on another server: as on one Redis."""

# The same tests, on this folder's `each_store`.
from tests.store.test_limit_batches import *  # noqa: F403 - as above
