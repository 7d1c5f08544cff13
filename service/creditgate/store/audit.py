"""Recomputes what an account's sums should be, while orders run.

A small account is read in one step. The records of a large one are read step by step, and what changes meanwhile is
followed in the journal, whose effects carry the changed records: when both the scan and the journal have come to their
ends in one atomic step, what was gathered is the account as it is in that step, together with the sums that it keeps.
Its due sums come in that step too; those of many seconds in further steps, each compared when the journal's end is
reached again.
"""

import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, cast

from creditgate.domain.reservation import ReservationState
from creditgate.domain.verification import SumDifference
from creditgate.store import layouts
from creditgate.store.constants import DUE_PENDING, EffectKind, OrderFlag
from creditgate.store.journal import Effect, read_effects
from creditgate.store.lane import Argument, Reply

SCAN_RECORDS: Final = 500
"""About how many records of each kind one step reads."""

SCAN_DUE_SUMS: Final = 1000
"""How many due sums one step reads."""

REPAIR_SECONDS_MAX: Final = 1000
"""Of how many seconds one repair puts the due sums right; the rest is found, and put right, again."""

_BEGINNING: Final = "0"
_EMPTY_JOURNAL: Final = b"0-0"
_MARKER: Final = "a:"
_ORDER_FIELD: Final = "o:"
_RESERVED: Final = ""

Ask = Callable[[Sequence[Argument]], Awaitable[Reply]]
"""Calls `creditgate_audit` on the account's partition with these arguments."""


class _Held(NamedTuple):
    """What a reservation adds to its account's sums."""

    state: int
    held_minor: int
    expire_s: int
    waiting_minor: int


class _Due(NamedTuple):
    """Where a due sum stands: its second, and which sum it is."""

    second: int
    tag: str


class _Entry(NamedTuple):
    """What an entry of the ledger adds to the receivable, covered by security or not."""

    receivable_minor: int
    secured_minor: int


class _Sums(NamedTuple):
    """An account's sums, in minor units; the names are those that differences are told by."""

    reserved: int
    receivable: int
    secured_receivable: int
    pending_review: int


class _BeginAgainError(Exception):
    """The journal no longer has what happened since the scan began, or the account was repaired meanwhile."""


@dataclass
class _Gathered:
    """What has been read of an account."""

    orders: dict[str, _Held] = field(default_factory=dict)
    entries: dict[str, _Entry] = field(default_factory=dict)

    def take_orders(self, flat: Iterable[bytes]) -> None:
        for order_id, record in _pairs(flat):
            self.orders[order_id.decode()] = _held_of(record)

    def take_entries(self, flat: Iterable[bytes]) -> None:
        for name, record in _pairs(flat):
            self._take_entry(name.decode(), record)

    def follow(self, effect: Effect) -> None:
        """Take over what an effect on this account has changed."""
        match effect.kind:
            case EffectKind.REJECTED | EffectKind.AMEND_REJECTED:
                pass
            case (
                EffectKind.RESERVED
                | EffectKind.AMENDED
                | EffectKind.RELEASED
                | EffectKind.EXPIRED
                | EffectKind.REVIEW_RELEASED
            ):
                self.orders[effect.name] = _held_of(effect.record)
            case EffectKind.COMMITTED:
                self.orders[effect.name] = _held_of(effect.record)
                (document_id,) = effect.texts
                self._take_entry(f"d:{document_id}", _commit_entry_of(effect.record))
            case EffectKind.RECORDED:
                self._take_entry(effect.name, effect.record)
            case EffectKind.FOLDED:
                self.entries.pop(effect.name, None)
                self._take_entry("b", effect.record)
            case EffectKind.FORGOTTEN:
                self.orders.pop(effect.name.removeprefix(_ORDER_FIELD), None)
            case EffectKind.REPAIRED:
                raise _BeginAgainError

    def sums(self, now_s: int) -> _Sums:
        """Return what the account's sums should be at a second."""
        due, entries = self.due(now_s, math.inf), self.entries.values()
        return _Sums(
            sum(amount for place, amount in due.items() if place.tag == _RESERVED),
            sum(entry.receivable_minor for entry in entries),
            sum(entry.secured_minor for entry in entries),
            sum(amount for place, amount in due.items() if place.tag == DUE_PENDING),
        )

    def due(self, behind_s: int, to_s: float) -> Mapping["_Due", int]:
        """Return what should fall due at which second, behind a second and up to another."""
        due: defaultdict[_Due, int] = defaultdict(int)
        for order in self.orders.values():
            if not behind_s < order.expire_s <= to_s:
                continue
            if order.state == ReservationState.HELD:
                due[_Due(order.expire_s, _RESERVED)] += order.held_minor
                due[_Due(order.expire_s, DUE_PENDING)] += order.waiting_minor
            elif order.state == ReservationState.PENDING_REVIEW:
                due[_Due(order.expire_s, DUE_PENDING)] += order.held_minor
        return due

    def _take_entry(self, name: str, record: bytes) -> None:
        if not name.startswith(_MARKER):
            _, _, _, receivable_change, _, _, secured_change = layouts.LEDGER_ENTRY.packer.unpack_from(record)
            self.entries[name] = _Entry(receivable_change, secured_change)


@dataclass(frozen=True, slots=True)
class Finding:
    """What differs, and the arguments of `creditgate_repair` that put it right; `more` says that they leave some."""

    differences: tuple[SumDifference, ...]
    repair: tuple[Argument, ...]
    more: bool


async def audit_account(account_id: str, ask: Ask) -> Finding:
    """Return what differs between an account's sums and what they sum up.

    Raises what `ask` raises.
    """
    while True:
        try:
            return await _audit_once(account_id, ask)
        except _BeginAgainError:
            continue  # overtaken by ten thousand calls, or by a repair; `ask` bounds how often by its deadline


async def _audit_once(account_id: str, ask: Ask) -> Finding:
    gathered = _Gathered()
    order_cursor = entry_cursor = _BEGINNING
    followed = b""
    compared: _Compared | None = None
    while True:
        seen_s = str(compared.seen_s) if compared is not None else ""
        arguments = (account_id, order_cursor, entry_cursor, followed, seen_s, SCAN_RECORDS, SCAN_DUE_SUMS)
        reply = cast("list[object]", await ask(arguments))
        step = _Step(*reply)  # type: ignore[arg-type]  # in the order in which the library answers
        if followed and _is_cut(step, followed):
            raise _BeginAgainError
        gathered.take_orders(step.orders)
        gathered.take_entries(step.entries)
        for journal_id, entry in _pairs(step.journal):
            followed = journal_id
            for effect in read_effects(entry):
                if effect.account_id == account_id:
                    gathered.follow(effect)
        followed = followed or step.latest
        order_cursor, entry_cursor = step.order_cursor.decode(), step.entry_cursor.decode()
        if order_cursor or entry_cursor or followed != step.latest:
            continue
        # What was gathered is the account as it is in this step, with the sums that it keeps.
        if compared is None:
            compared = _Compared(account_id, gathered, step)
        if compared.take_due(gathered, step):
            return compared.finding(followed)


class _Step(NamedTuple):
    """What the library answers to one step, in its order."""

    sums: bytes
    now_s: int
    oldest: bytes
    latest: bytes
    order_cursor: bytes
    entry_cursor: bytes
    orders: list[bytes]
    entries: list[bytes]
    due: list[bytes]
    journal: list[bytes]


class _Compared:
    """The differences found so far: those of the sums at first, then those of the due sums, second after second.

    Attributes:
        seen_s: the last second whose due sum was looked at.

    """

    def __init__(self, account_id: str, gathered: _Gathered, step: _Step) -> None:
        *kept_numbers, next_due_s = layouts.AUDIT_SUMS.packer.unpack(step.sums)
        kept, should = _Sums(*kept_numbers), gathered.sums(step.now_s)
        self.seen_s = step.now_s
        self._account_id = account_id
        self._differences: list[SumDifference] = []
        self._surplus: tuple[Argument, ...] = tuple(had - due for had, due in zip(kept, should, strict=True))
        self._due_surplus: list[tuple[Argument, ...]] = []
        for name, kept_minor, should_minor in zip(_Sums._fields, kept, should, strict=True):
            self._add(name, kept_minor, should_minor)
        first_s = int(step.due[1]) if step.due else 0
        if first_s and (next_due_s == 0 or next_due_s > first_s):
            self._add("next_due", next_due_s, first_s)

    def take_due(self, gathered: _Gathered, step: _Step) -> bool:
        """Compare the due sums of a step, which lie behind those seen; return whether they were the last."""
        kept: defaultdict[_Due, int] = defaultdict(int)
        for member, score in _pairs(step.due):
            _, *tag, amount = member.decode().split(":")
            kept[_Due(int(score), "".join(tag))] += int(amount)
        last = len(step.due) < 2 * SCAN_DUE_SUMS
        to_s = math.inf if last else int(step.due[-1])
        should = gathered.due(max(self.seen_s, step.now_s), to_s)
        for place in sorted(kept.keys() | should.keys()):
            had_minor, due_minor = kept.get(place, 0), should.get(place, 0)
            if had_minor != due_minor:
                name = f"due@{place.second}" if place.tag == _RESERVED else f"pending_due@{place.second}"
                self._add(name, had_minor, due_minor)
                self._due_surplus.append((*place, had_minor - due_minor))
        if not last:
            self.seen_s = int(step.due[-1])
        return last

    def finding(self, followed: bytes) -> Finding:
        """Return what was found; the differences hold up to an id of the journal."""
        due = tuple(argument for pair in self._due_surplus[:REPAIR_SECONDS_MAX] for argument in pair)
        more = len(self._due_surplus) > REPAIR_SECONDS_MAX
        return Finding(tuple(self._differences), (followed, *self._surplus, *due), more)

    def _add(self, name: str, kept_minor: int, should_minor: int) -> None:
        if kept_minor != should_minor:
            self._differences.append(SumDifference(self._account_id, name, kept_minor, should_minor))


def _is_cut(step: _Step, followed: bytes) -> bool:
    """Return whether the journal no longer has all that came behind an id."""
    if _id_of(step.latest) < _id_of(followed):
        return True
    return followed != _EMPTY_JOURNAL and _id_of(step.oldest) > _id_of(followed)


def _pairs(flat: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    items = iter(flat)
    return zip(items, items, strict=True)


def _held_of(record: bytes) -> _Held:
    state, flags, _, _, _, _, _, _, held, expire_s, _, _ = layouts.ORDER.packer.unpack_from(record)
    waiting = 0
    if flags & OrderFlag.AMEND_PENDING:
        start = layouts.ORDER.size + (layouts.RATE.size if flags & OrderFlag.FOREIGN else 0)
        _, waiting = layouts.PENDING_AMEND.packer.unpack_from(record, start)
    return _Held(state, held, expire_s, waiting)


def _commit_entry_of(record: bytes) -> bytes:
    """Return the ledger entry behind the order and its decision in the effect of a commit."""
    flags = layouts.ORDER.packer.unpack_from(record)[1]
    start = layouts.ORDER.size
    start += layouts.RATE.size if flags & OrderFlag.FOREIGN else 0
    start += layouts.PENDING_AMEND.size if flags & OrderFlag.AMEND_PENDING else 0
    reason_count = layouts.DECISION.packer.unpack_from(record, start)[2]
    version_end = record.index(b"\0", start + layouts.DECISION.size)
    return record[version_end + 1 + reason_count * layouts.REASON.size :]


def _id_of(journal_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = journal_id.partition(b"-")
    return int(milliseconds), int(number)
