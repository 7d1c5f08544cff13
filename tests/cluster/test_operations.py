"""What each operation does to an account, on a Redis Cluster: the port's conformance, as on one Redis."""

# The same tests, on this folder's `each_store`.
from tests.store.test_aging import *  # noqa: F403 - as above
from tests.store.test_amend import *  # noqa: F403 - as above
from tests.store.test_operations import *  # noqa: F403 - as above
from tests.store.test_receivables import *  # noqa: F403 - as above
