"""How much is measured: for figures to rely on, for a first look, and for the test that every row is produced."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured.

    Attributes:
        rounds: how often contenders take turns; the medians are over these.
        seconds: how long a turn is, about.
        accounts: accounts that orders are spread over, where a row does not say.
        account_counts: the numbers of accounts that are compared; the first is the baseline.
        policy_accounts: accounts in groups, and as many plain ones.
        memory_accounts: accounts whose memory is measured.
        memory_orders: orders of each of them.
        feed_updates: rows of a limit batch, each for an account of its own.
        feed_rounds: how often batches are pushed.
        feed_calls: orders placed one by one while limits are put in force, and as many without.

    """

    rounds: int
    seconds: float
    accounts: int
    account_counts: tuple[int, ...]
    policy_accounts: int
    memory_accounts: int
    memory_orders: int
    feed_updates: int
    feed_rounds: int
    feed_calls: int


SIZES: Final = {
    "full": Size(5, 2.0, 100_000, (1_000, 100_000, 1_000_000), 20_000, 20_000, 10, 1_000_000, 2, 4000),
    "quick": Size(3, 0.6, 20_000, (1_000, 20_000, 100_000), 4_000, 5_000, 10, 50_000, 2, 500),
    "smoke": Size(1, 0.05, 200, (100, 200, 400), 100, 100, 4, 300, 1, 20),
}
