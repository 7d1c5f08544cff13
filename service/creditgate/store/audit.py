"""Recomputes what an account's sums should be, while orders run.

A small account is read in one step. The records of a large one are read step by step, and what changes meanwhile is
followed in the journal, whose effects carry the changed records: when both the scan and the journal have come to their
ends in one atomic step, what was gathered is the account as it is in that step, together with the sums that it keeps.
"""

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


class _JournalCutError(Exception):
    """The journal no longer has what happened since the scan began."""


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

    def sums(self, now_s: int) -> tuple[_Sums, Mapping["_Due", int]]:
        """Return what the account's sums should be, and what should fall due at which second."""
        due: defaultdict[_Due, int] = defaultdict(int)
        for order in self.orders.values():
            if order.expire_s <= now_s:
                continue
            if order.state == ReservationState.HELD:
                due[_Due(order.expire_s, _RESERVED)] += order.held_minor
                due[_Due(order.expire_s, DUE_PENDING)] += order.waiting_minor
            elif order.state == ReservationState.PENDING_REVIEW:
                due[_Due(order.expire_s, DUE_PENDING)] += order.held_minor
        reserved = sum(amount for place, amount in due.items() if place.tag == _RESERVED)
        receivable = sum(entry.receivable_minor for entry in self.entries.values())
        secured = sum(entry.secured_minor for entry in self.entries.values())
        return _Sums(reserved, receivable, secured, sum(due.values()) - reserved), due

    def _take_entry(self, name: str, record: bytes) -> None:
        if not name.startswith(_MARKER):
            _, _, _, receivable_change, _, _, secured_change = layouts.LEDGER_ENTRY.packer.unpack_from(record)
            self.entries[name] = _Entry(receivable_change, secured_change)


@dataclass(frozen=True, slots=True)
class Finding:
    """What differs, and the arguments of `creditgate_repair` that put it right."""

    differences: tuple[SumDifference, ...]
    repair: tuple[Argument, ...]


async def audit_account(account_id: str, ask: Ask) -> Finding:
    """Return what differs between an account's sums and what they sum up.

    Raises what `ask` raises.
    """
    while True:
        try:
            return await _audit_once(account_id, ask)
        except _JournalCutError:
            continue  # the scan was overtaken by ten thousand calls; `ask` bounds how often by its deadline


async def _audit_once(account_id: str, ask: Ask) -> Finding:
    gathered = _Gathered()
    order_cursor = entry_cursor = _BEGINNING
    followed = b""
    while True:
        last = not (order_cursor or entry_cursor)
        want_due = "1" if last or not followed else "0"
        reply = cast(
            "list[object]",
            await ask((account_id, order_cursor, entry_cursor, followed, want_due, SCAN_RECORDS)),
        )
        step = _Step(*reply)  # type: ignore[arg-type]  # in the order in which the library answers
        if not followed:
            followed = step.latest
        elif followed != _EMPTY_JOURNAL and _id_of(step.oldest) > _id_of(followed):
            raise _JournalCutError
        gathered.take_orders(step.orders)
        gathered.take_entries(step.entries)
        for journal_id, entry in _pairs(step.journal):
            followed = journal_id
            for effect in read_effects(entry):
                if effect.account_id == account_id:
                    gathered.follow(effect)
        order_cursor, entry_cursor = step.order_cursor.decode(), step.entry_cursor.decode()
        if want_due == "1" and not order_cursor and not entry_cursor and _id_of(followed) >= _id_of(step.latest):
            return _compare(account_id, gathered, step)


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


def _compare(account_id: str, gathered: _Gathered, step: _Step) -> Finding:
    *kept_numbers, next_due_s = layouts.AUDIT_SUMS.packer.unpack(step.sums)
    kept = _Sums(*kept_numbers)
    should, should_due = gathered.sums(step.now_s)
    kept_due: defaultdict[_Due, int] = defaultdict(int)
    for member in step.due:
        second, *tag, amount = member.decode().split(":")
        kept_due[_Due(int(second), "".join(tag))] += int(amount)
    differences = [
        SumDifference(account_id, name, kept_minor, should_minor)
        for name, kept_minor, should_minor in zip(_Sums._fields, kept, should, strict=True)
        if kept_minor != should_minor
    ]
    repair: list[Argument] = [kept_minor - should_minor for kept_minor, should_minor in zip(kept, should, strict=True)]
    for place in sorted(kept_due.keys() | should_due.keys()):
        kept_minor, should_minor = kept_due.get(place, 0), should_due.get(place, 0)
        if kept_minor != should_minor:
            name = f"due@{place.second}" if place.tag == _RESERVED else f"pending_due@{place.second}"
            differences.append(SumDifference(account_id, name, kept_minor, should_minor))
            repair += (place.second, place.tag, kept_minor - should_minor)
    first_s = min((place.second for place, amount in kept_due.items() if amount), default=0)
    if first_s and (next_due_s == 0 or next_due_s > first_s):
        differences.append(SumDifference(account_id, "next_due", next_due_s, first_s))
    return Finding(tuple(differences), tuple(repair))


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
