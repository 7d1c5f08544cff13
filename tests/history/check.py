"""Checks a recorded history: an order of effects must exist that explains every answer.

Finding one in thousands of calls is too dear, so the journal says what the order was, and is held to it account by
account. Each effect must be what one call asked for, done at an instant at which that call was under way to the state
that the effects before it had left, and answered as the contract wants; each answer without an effect must be what the
contract wants at some instant at which its call was under way.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from creditgate.store.constants import EffectKind
from tests.history.account_check import AccountCheck, Tally, ViolationError
from tests.history.calls import Call, Chunk, Imported, Listing
from tests.history.causes import Cause, account_of, cause_of_call
from tests.history.excerpt import excerpt
from tests.history.readings import MS_PER_S, JournaledEffect


@dataclass(slots=True)
class Evidence:
    """What was recorded: the calls in any order, and the effects on their accounts in each partition's.

    `faults` says what VerifyAccounts and the reader of the journal found, `slack_ms` how far apart two readings of one
    moment may lie.
    """

    calls: list[Call] = field(default_factory=list)
    journal: list[list[JournaledEffect]] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    listings: list[Listing] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    slack_ms: int = 0


class Findings(NamedTuple):
    """The violations, each with an excerpt of the history, at most one for an account; and what was checked."""

    violations: list[str]
    tally: Tally


def check_history(evidence: Evidence) -> Findings:
    """Return what the journal does not explain, and what was checked."""
    violations: list[str] = []
    effects_of: defaultdict[str, list[JournaledEffect]] = defaultdict(list)
    for effects in evidence.journal:
        violations += _time_violations(effects, evidence.slack_ms)
        for effect in effects:
            effects_of[effect.effect.account_id].append(effect)
    calls_of: defaultdict[str, list[Call]] = defaultdict(list)
    for call in sorted(evidence.calls, key=lambda each: each.begun):
        calls_of[account_of(call.request)].append(call)
    listings = {listing.account_id: listing for listing in evidence.listings}
    tally, caused = Tally(), dict[Call, JournaledEffect]()
    for account_id in sorted(calls_of.keys() | effects_of.keys()):
        check = AccountCheck(calls_of[account_id], effects_of[account_id], evidence.slack_ms)
        try:
            check.run()
            if account_id in listings:
                check.compare_listing(listings[account_id])
        except ViolationError as violation:
            shown = excerpt(calls_of[account_id], effects_of[account_id], violation.at_ms, violation.subjects)
            violations.append(f"account {account_id}: {violation.what}\n\n{shown}")
        caused |= check.caused
        tally.add(check.tally())
    violations += evidence.faults
    if not violations:
        violations += _chunk_violations(evidence, caused)
    return Findings(violations, tally)


def _time_violations(effects: Sequence[JournaledEffect], slack_ms: int) -> Iterator[str]:
    """Yield where a partition's time went back, or ran ahead of the clock."""
    latest_s = 0
    for effect in effects:
        expired = effect.effect.kind is EffectKind.EXPIRED
        second = effect.update_s if expired else effect.effect.time_ms // MS_PER_S
        if second < latest_s or second * MS_PER_S > effect.entry_ms + slack_ms:
            yield f"effect {effect.entry_id} took place in second {second}, after one in second {latest_s}"
        latest_s = max(latest_s, second)


def _chunk_violations(evidence: Evidence, caused: Mapping[Call, JournaledEffect]) -> Iterator[str]:
    """Yield where an import counted other than the journal: it tells how many items it recorded, not which."""
    rivals: defaultdict[tuple[str, Cause], list[Call]] = defaultdict(list)
    for call in evidence.calls:
        rivals[account_of(call.request), cause_of_call(call.request)].append(call)
    for chunk in evidence.chunks:
        recorded = [call for call in chunk.items if isinstance(call.answer, Imported)]
        new = sum(call in caused for call in recorded)
        # Where several calls ask for one entry at once, which of them recorded it may be anyone's guess.
        unsure = sum(len(rivals[account_of(call.request), cause_of_call(call.request)]) > 1 for call in recorded)
        counted = len(recorded) - chunk.replayed
        if not new - unsure <= counted <= new + unsure:
            items = ", ".join(" ".join(str(call.request).split()) for call in chunk.items)
            yield f"an import of ({items}) counted {counted} items as new, the journal {new}"
