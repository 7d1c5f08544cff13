"""The verbs that are no operation: time, background work, the policy, listings, and looks behind the answers."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from creditgate.domain.ports import Page
from creditgate.domain.reservation import Reservation, ReservationState
from creditgate.domain.verification import SumDifference
from creditgate.store import keys, layouts
from creditgate.store.constants import SWEEP_REFERENCES_MAX, EffectKind
from creditgate.store.journal import Effect
from creditgate.store.redis_store import QueueStep
from tests.scenarios.scene import Scene
from tests.scenarios.shown import Comparable, Field, Row, Shown, a_field
from tests.scenarios.table import TableError
from tests.scenarios.words import (
    MS_PER_S,
    NONE,
    Words,
    optional,
    read_amount,
    read_count,
    read_instant,
    read_member,
    read_seconds,
)
from tests.store.journal import read_account_effects

_STEPS_MAX: Final = 100
_PAGES_MAX: Final = 100
_SUMS: Final = ("reserved", "receivable", "secured_receivable", "pending_review")
_DUE: Final = "due"
_DUE_AT: Final = f"{_DUE}@"
_NEXT_DUE: Final = "next_due"
_BLANK: Final = "\0"
_THEN: Final = f"{_BLANK}then{_BLANK}"

Act = Callable[[Scene, Words], Comparable]
"""Does what a line says, and returns what it answers. Raises `CreditError` as the store does, and `TableError`."""


# --- time and background work


def _tick(scene: Scene, words: Words) -> Comparable:
    """`tick 60s`: so much time passes."""
    seconds = read_seconds(words.take("a duration"))
    words.end()
    scene.tick(seconds)
    return Shown()


def _sweep(scene: Scene, words: Words) -> Comparable:
    """`sweep [bound 100]`: the sweeper settles what is due, or with a bound takes one step of so many references."""
    given = words.options(("bound",))
    return _work_off(scene, given, lambda bound: scene.store.sweep(scene.partition, bound), "settled")


def _retire(scene: Scene, words: Words) -> Comparable:
    """`retire 7d [bound 100]`: what ended longer ago is cleaned up, or with a bound one step of so many references."""
    retention_s = read_seconds(words.take("the retention"))
    given = words.options(("bound",))
    return _work_off(scene, given, lambda bound: scene.store.retire(scene.partition, bound, retention_s), "cleaned")


def _work_off(
    scene: Scene, given: Mapping[str, str], step: Callable[[int], Coroutine[Any, Any, QueueStep]], settled: str
) -> Shown:
    bound = read_count(given["bound"]) if "bound" in given else SWEEP_REFERENCES_MAX
    steps = [scene.finish(step(bound))]
    while "bound" not in given and steps[-1].looked_at:
        assert len(steps) < _STEPS_MAX, "a step leaves what it has looked at"
        steps.append(scene.finish(step(bound)))
    done = QueueStep(
        sum(each.settled for each in steps), sum(each.looked_at for each in steps), max(each.lag_s for each in steps)
    )
    return Shown(
        {
            settled: a_field(done.settled, read_count),
            "looked_at": a_field(done.looked_at, read_count),
            "lag": Field(f"{done.lag_s}s", lambda word: read_seconds(word) == done.lag_s),
        }
    )


# --- the policy


def _policy(scene: Scene, words: Words) -> Comparable:
    """`policy near_limit: {action: flag, percent: 90}`: the rule as a policy file says it, from now on."""
    rule = words.take("a rule")
    if not rule.endswith(":"):
        raise TableError(f"a rule is named as in a policy file, {rule}: with its setting behind")
    scene.set_rule(rule.removesuffix(":"), words.take_all())
    return Shown()


# --- listings


def _reservations(scene: Scene, words: Words) -> Comparable:
    """`reservations A1 [states HELD,EXPIRED] [page_size 2]`: their orders, in any order, from all pages."""
    account_id = scene.account_id(words.take("an account"))
    given = words.options(("states", "page_size"))
    named = given["states"].split(",") if "states" in given else ()
    states = frozenset(read_member(ReservationState, name) for name in named)
    page_size = read_count(given.get("page_size", "100"))
    pages: list[Page[Reservation]] = []
    while not pages or pages[-1].next_page_token:
        assert len(pages) < _PAGES_MAX, "the listing does not end"
        token = pages[-1].next_page_token if pages else ""
        pages.append(scene.finish(scene.store.list_reservations(account_id, states, page_size, token, scene.deadline)))
    listed = [each for page in pages for each in page.items]
    orders = ",".join(sorted(each.order_id for each in listed)) or NONE
    return Shown(
        {
            "orders": Field(orders, lambda word: ",".join(sorted(word.split(","))) == orders),
            "held": a_field(sum(each.exposure_minor for each in listed), read_amount),
            "longest_page": a_field(max(len(page.items) for page in pages), read_count),
        }
    )


# --- verification


def _verify(scene: Scene, words: Words) -> Comparable:
    """`verify A1`: the sums that differ from what they sum up."""
    return _verified(scene, words, repair=False)


def _repair(scene: Scene, words: Words) -> Comparable:
    """`repair A1`: the sums that differed, now put right."""
    return _verified(scene, words, repair=True)


def _verified(scene: Scene, words: Words, *, repair: bool) -> Comparable:
    account_id = scene.account_id(words.take("an account"))
    words.end()
    differences = scene.finish(scene.store.verify_account(account_id, repair=repair, deadline=scene.deadline))
    assert {each.repaired for each in differences} <= {repair}
    return Shown(
        marks={"clean": not differences},
        rows=[_difference_row(scene, each) for each in differences],
        row_names=lambda name: name in {*_SUMS, _NEXT_DUE} or name.startswith(_DUE_AT),
    )


def _difference_row(scene: Scene, difference: SumDifference) -> Row:
    name, kept, recomputed = difference.sum_name, difference.kept_minor, difference.recomputed_minor
    if name == _NEXT_DUE:
        return Row(name, _second_field(scene, kept), _second_field(scene, recomputed))
    if name.startswith(_DUE_AT):
        name = f"{_DUE_AT}{scene.instant(int(name.removeprefix(_DUE_AT)) * MS_PER_S)}"
    return Row(name, a_field(kept, read_amount), a_field(recomputed, read_amount))


def _second_field(scene: Scene, second: int) -> Field:
    return a_field(scene.instant(second * MS_PER_S) if second else None, optional(read_instant))


def _corrupt(scene: Scene, words: Words) -> Comparable:
    """`corrupt A1 reserved 700`, `corrupt A1 next_due none`, `corrupt A1 due T+60s 700`: writes past the library."""
    account_id, name = scene.account_id(words.take("an account")), words.take("a sum")
    if name == _DUE:
        second = _read_second(scene, words.take("an instant"))
        _write_due(scene, account_id, second, words.take_amount())
    elif name == _NEXT_DUE:
        _write_sum(scene, account_id, "next_due_s", _read_second(scene, words.take("an instant")))
    else:
        _write_sum(scene, account_id, name, words.take_amount())
    words.end()
    return Shown()


def _read_second(scene: Scene, word: str) -> int:
    return 0 if word == NONE else scene.time_ms(word) // MS_PER_S


def _write_due(scene: Scene, account_id: str, second: int, amount_minor: int) -> None:
    """Write what falls due at a second, or nothing."""
    due_key = keys.due(scene.partition, account_id)
    scene.client.zremrangebyscore(due_key, second, second)
    if amount_minor:
        scene.client.zadd(due_key, {f"{second}:{amount_minor}": second})


def _write_sum(scene: Scene, account_id: str, name: str, value: int) -> None:
    """Write one number of an account's record."""
    names = [each for each, kind in layouts.ACCOUNT.fields if kind is not layouts.FieldType.TEXT]
    if name not in names:
        raise TableError(f"an account has no sum {name!r}")
    account_key = keys.account(scene.partition, account_id)
    record = cast("bytes", scene.client.get(account_key))
    numbers = list(layouts.ACCOUNT.packer.unpack_from(record))
    numbers[names.index(name)] = value
    scene.client.set(account_key, layouts.ACCOUNT.packer.pack(*numbers) + record[layouts.ACCOUNT.size :])


# --- journal and keys


def _journal(scene: Scene, words: Words) -> Comparable:
    """`journal A1`: the effects on an account since this was asked last, with `then` between them.

    An effect is `KIND NAME TEXT…`, without empty texts; behind it may stand `at T+60s`, and the account's sums
    afterwards, such as `reserved 0`.
    """
    name = words.take("an account")
    words.end()
    effects = read_account_effects(scene.client, scene.partition, scene.account_id(name))
    before = scene.journaled.get(name, 0)
    scene.journaled[name] = len(effects)
    return _Effects(scene, tuple(effects[before:]))


@dataclass(frozen=True, slots=True)
class _Effects:
    """Effects of the journal as an answer."""

    scene: Scene
    effects: tuple[Effect, ...]

    def compare(self, words: Sequence[str]) -> list[str]:
        """Return what differs (see `Comparable`)."""
        if tuple(words) == ("nothing",):
            return [f"it has {self}"] if self.effects else []
        stated = [part.split(_BLANK) for part in _BLANK.join(words).split(_THEN)]
        if len(stated) != len(self.effects):
            return [f"it has {len(self.effects)} effects, not {len(stated)}: {self}"]
        return [
            difference
            for effect, part in zip(self.effects, stated, strict=True)
            for difference in self._compare_effect(effect, part)
        ]

    def __str__(self) -> str:
        return " then ".join(" ".join(_effect_words(effect)) for effect in self.effects) or "nothing"

    def _compare_effect(self, effect: Effect, words: Sequence[str]) -> list[str]:
        if words[0] not in EffectKind.__members__:
            raise TableError(f"the journal has no effect {words[0]!r}")
        fields = self._fields(effect)
        texts_end = next((index for index, word in enumerate(words) if word in fields), len(words))
        differences = Shown(fields).compare(words[texts_end:])
        if list(words[:texts_end]) != _effect_words(effect):
            differences.append(f"it has {' '.join(_effect_words(effect))}, not {' '.join(words[:texts_end])}")
        return differences

    def _fields(self, effect: Effect) -> dict[str, Field]:
        sums = effect.sums._asdict() if effect.sums is not None else {}
        return {
            "at": a_field(self.scene.instant(effect.time_ms), read_instant),
            **{name.removesuffix("_minor"): a_field(value, read_amount) for name, value in sums.items()},
        }


def _effect_words(effect: Effect) -> list[str]:
    return [word for word in (effect.kind.name, effect.name, *effect.texts) if word]


def _keys(scene: Scene, words: Words) -> Comparable:
    """`keys A1`: how many records each key of an account has, and how many keys the queues of its partition."""
    account_id = scene.account_id(words.take("an account"))
    words.end()
    client, partition = scene.client, scene.partition
    counts = {
        "orders": client.hlen(keys.orders(partition, account_id)),
        "due": client.zcard(keys.due(partition, account_id)),
        "ledger": client.hlen(keys.ledger(partition, account_id)),
        "texts": client.hlen(keys.texts(partition, account_id)),
        "sweep": len(client.keys(f"{keys.sweep_seconds(partition)}*")),
        "retention": len(client.keys(f"{keys.retention_steps(partition)}*")),
    }
    return Shown({name: a_field(count, read_count) for name, count in counts.items()})


ACTIONS: Final[Mapping[str, Act]] = {
    "tick": _tick,
    "sweep": _sweep,
    "retire": _retire,
    "policy": _policy,
    "reservations": _reservations,
    "verify": _verify,
    "repair": _repair,
    "corrupt": _corrupt,
    "journal": _journal,
    "keys": _keys,
}

ANSWER_NEEDED: Final = frozenset({"reservations", "verify", "repair", "journal", "keys"})
"""Verbs that read: without an answer, such a line would show nothing."""
