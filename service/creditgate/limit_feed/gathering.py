"""Measures a batch's rows as they are stored, so that this need not be done when they all are."""

import time
from dataclasses import dataclass
from typing import Final

from creditgate.domain.limit_batch import LimitBatch, LimitBatchState, Noteworthy, WindowStaged
from creditgate.domain.policy import Policy
from creditgate.domain.ports import LimitBatchStore
from creditgate.limit_feed.batches import all_batches
from creditgate.limit_feed.measurer import Measured, Measurer

GATHERED_S_MAX: Final = 300.0
"""How old what was measured on receipt may be; beyond, the batch is measured anew."""

_CHANGES_LIMITS: Final = frozenset(
    {
        LimitBatchState.ACTIVATING,
        LimitBatchState.ACTIVE,
        LimitBatchState.ROLLING_BACK,
        LimitBatchState.ROLLED_BACK,
    }
)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What all rows of a batch would do, as measured from an instant of `time.monotonic()` on by a policy."""

    rows_digest: str
    measured: Measured
    policy: Policy
    begun: float


class Gathering:
    """Adds up what one stream's rows do, from the first row of a batch on."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._measurer = Measurer(policy.guard_rails)
        self._begun = time.monotonic()
        self._rows_digest = ""

    def noteworthy(self) -> Noteworthy:
        """Return which rows are to be told one by one from now on."""
        return self._measurer.noteworthy()

    def add(self, staged: WindowStaged, rows_digest: str) -> None:
        """Add what the rows of the next window do; up to its end, the rows have a digest."""
        for effect in staged.effects:
            self._measurer.add(effect)
        self._rows_digest = rows_digest

    def gathered(self) -> Gathered:
        """Return what all rows together do."""
        return Gathered(self._rows_digest, self._measurer.measured(), self._policy, self._begun)


async def still_holds(store: LimitBatchStore, batch: LimitBatch, gathered: Gathered, policy: Policy) -> bool:
    """Return whether what was gathered is as good as measuring a batch's rows anew.

    Orders and people change accounts all the time; a policy or another batch changes what the guard rails look at.
    """
    if gathered.rows_digest != batch.rows_digest or time.monotonic() - gathered.begun > GATHERED_S_MAX:
        return False
    if (gathered.policy.version, gathered.policy.guard_rails) != (policy.version, policy.guard_rails):
        return False
    async for other in all_batches(store, _CHANGES_LIMITS):
        if other.update_time_ms >= batch.create_time_ms:
            return False
    return True
