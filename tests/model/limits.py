"""The base limit of an account in plain Python, as rows of limit batches make it: written from the contract.

A row counts when its version is above the account's; one whose time is to come waits beside the limit, and counts from
its second on. A rollback restores what the batch has replaced and nobody has changed since; versions never go back.
"""

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NamedTuple


class Fate(Enum):
    """What becomes of a row."""

    APPLIED = "applied"
    SCHEDULED = "scheduled"
    SKIPPED = "skipped"


class RowDraft(NamedTuple):
    """A row for an account; `limit_minor` None is no ceiling, `effective_s` and `expire_s` 0 are none."""

    limit_minor: int | None
    version: int
    risk_class: str = ""
    score: float | None = None
    effective_s: int = 0
    expire_s: int = 0
    reasons: tuple[str, ...] = ()


class BaseLimit(NamedTuple):
    """A base limit with all that comes with it."""

    limit_minor: int | None = None
    unlimited: bool = False
    expire_s: int = 0
    score: float | None = None
    reasons: tuple[str, ...] = ()
    risk_class: str = ""


NO_LIMIT = BaseLimit()


@dataclass(frozen=True)
class LimitModel:
    """One account's base limit, the next one, and what each batch has replaced."""

    base: BaseLimit = NO_LIMIT
    version: int = 0
    following: RowDraft | None = None
    replaced: dict[str, tuple[RowDraft, "LimitModel"]] = field(default_factory=dict)

    def at(self, now_s: int) -> "LimitModel":
        """Return how it stands at a second."""
        row = self.following
        if row is None or row.effective_s > now_s:
            return self
        version = max(self.version, row.version)
        return replace(self, base=_base_of(row, self.base), version=version, following=None)

    def put(self, batch_id: str, row: RowDraft, now_s: int) -> tuple["LimitModel", Fate]:
        """Return how it stands when a row of a batch has been put in force, and what has become of the row."""
        now = self.at(now_s)
        replaced = {**now.replaced, batch_id: (row, now)}
        following = now.following
        if row.version <= now.version:
            return now, Fate.SKIPPED
        if row.effective_s > now_s:
            if following is not None and row.version <= following.version:
                return now, Fate.SKIPPED
            return replace(now, following=row, replaced=replaced), Fate.SCHEDULED
        if following is not None and following.version < row.version:
            following = None
        base = _base_of(row, now.base)
        return LimitModel(base, row.version, following, replaced), Fate.APPLIED

    def set(self, limit_minor: int | None, now_s: int) -> "LimitModel":
        """Return how it stands when a person has set the limit, with no ceiling for None."""
        now = self.at(now_s)
        unlimited = limit_minor is None
        base = BaseLimit(limit_minor, unlimited, now.base.expire_s, None, (), now.base.risk_class)
        return replace(now, base=base)

    def take_back(self, batch_id: str, now_s: int) -> tuple["LimitModel", bool]:
        """Return how it stands when a batch has been rolled back, and whether that changed it."""
        now = self.at(now_s)
        if batch_id not in now.replaced:
            return now, False
        row, before = now.replaced[batch_id]
        rest = {name: each for name, each in now.replaced.items() if name != batch_id}
        if now.following == row:
            version = max(now.version, row.version)
            return LimitModel(now.base, version, before.following, rest).at(now_s), True
        if now.version != row.version or _terms(now.base) != _terms(_base_of(row, now.base)):
            return replace(now, replaced=rest), False
        following = now.following or before.following
        return LimitModel(before.base, now.version, following, rest).at(now_s), True


def _base_of(row: RowDraft, before: BaseLimit) -> BaseLimit:
    unlimited = row.limit_minor is None
    risk_class = row.risk_class or before.risk_class
    return BaseLimit(row.limit_minor, unlimited, row.expire_s, row.score, row.reasons, risk_class)


def _terms(base: BaseLimit) -> tuple[int | None, bool, int]:
    return base.limit_minor, base.unlimited, base.expire_s
