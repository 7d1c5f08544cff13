"""What the engine tells whoever counts."""

from collections.abc import Mapping
from enum import StrEnum, unique
from typing import Protocol

from creditgate.domain.limit_batch import LimitBatch, LimitBatchState


@unique
class Step(StrEnum):
    """What is done with a batch as a whole."""

    MEASURE = "measure"
    ACTIVATE = "activate"
    ROLL_BACK = "roll_back"


class LimitFeedObserver(Protocol):
    """Is told what becomes of batches; each is told by the server that ends a step."""

    def activated(self, batch: LimitBatch) -> None:
        """All limits of a batch are in force."""

    def rolled_back(self, batch: LimitBatch) -> None:
        """The limits before a batch are in force again."""

    def step_finished(self, step: Step, duration_s: float) -> None:
        """A step has been done in so many seconds."""

    def batches_counted(self, by_state: Mapping[LimitBatchState, int], newest_activate_time_ms: int) -> None:
        """So many batches are in each state; the newest active one was in force at that instant, 0 without one."""
