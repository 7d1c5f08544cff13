"""What a line's words say: amounts, durations, instants, and the words that a verb takes."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from typing import Final, TypeVar

from creditgate.domain.bounds import AMOUNT_MAX_MINOR
from tests.scenarios.table import TableError

T = TypeVar("T")
E = TypeVar("E", bound=Enum)

MS_PER_S: Final = 1000
NONE: Final = "none"
YES: Final = "yes"
NO: Final = "no"
_UNITS_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_match_amount: Final = re.compile(r"-?\d+").fullmatch
_match_bound: Final = re.compile(r"(-?)max([+-]\d+)?").fullmatch
_match_duration: Final = re.compile(r"(\d+)(ms|s|m|h|d)").fullmatch
_match_instant: Final = re.compile(r"T(?:([+-])(.+))?").fullmatch


def read_amount(word: str) -> int:
    """Return an amount in minor units."""
    if _match_amount(word):
        return int(word)
    bound = _match_bound(word)
    if bound is None:
        raise TableError(f"{word!r} is not an amount such as 600 or max-1")
    return (-AMOUNT_MAX_MINOR if bound[1] else AMOUNT_MAX_MINOR) + int(bound[2] or 0)


def optional(read: Callable[[str], T]) -> Callable[[str], T | None]:
    """Return what reads a word that may also be `none`."""
    return lambda word: None if word == NONE else read(word)


def read_count(word: str) -> int:
    """Return a count; `gone` is 0."""
    if word == "gone":
        return 0
    if not word.isdecimal():
        raise TableError(f"{word!r} is not a count, or gone")
    return int(word)


def read_yes(word: str) -> bool:
    """Return whether a word says yes."""
    if word not in {YES, NO}:
        raise TableError(f"{word!r} is neither {YES} nor {NO}")
    return word == YES


def read_member(names: type[E], word: str) -> E:
    """Return the member of an enum that has this name."""
    if word not in names.__members__:
        raise TableError(f"{word!r} is not one of {', '.join(names.__members__)}")
    return names[word]


def read_duration_ms(word: str) -> int:
    """Return a duration in milliseconds."""
    duration = _match_duration(word)
    if duration is None:
        raise TableError(f"{word!r} is not a duration such as 60s")
    return int(duration[1]) * _UNITS_MS[duration[2]]


def read_seconds(word: str) -> int:
    """Return a duration of whole seconds."""
    seconds, rest = divmod(read_duration_ms(word), MS_PER_S)
    if rest:
        raise TableError(f"{word!r} is not a duration of whole seconds")
    return seconds


@dataclass(frozen=True, slots=True)
class Instant:
    """An instant as a table writes it: so many milliseconds from T, the beginning of its scenario."""

    offset_ms: int

    def __str__(self) -> str:
        seconds, milliseconds = divmod(abs(self.offset_ms), MS_PER_S)
        offset = f"{abs(self.offset_ms)}ms" if milliseconds else f"{seconds}s"
        return f"T{'-' if self.offset_ms < 0 else '+'}{offset}"


def read_instant(word: str) -> Instant:
    """Return an instant."""
    instant = _match_instant(word)
    if instant is None:
        raise TableError(f"{word!r} is not an instant such as T or T+60s")
    offset_ms = read_duration_ms(instant[2]) if instant[1] else 0
    return Instant(-offset_ms if instant[1] == "-" else offset_ms)


def date_at(time_ms: int) -> date:
    """Return the day of an instant in milliseconds since 1970."""
    return datetime.fromtimestamp(time_ms // MS_PER_S, UTC).date()


class Words:
    """The words behind a verb, taken one after the other; `options` takes all that are left."""

    def __init__(self, words: Sequence[str]) -> None:
        self._left = list(words)

    def take(self, what: str) -> str:
        """Return the next word."""
        if not self._left:
            raise TableError(f"{what} is missing")
        return self._left.pop(0)

    def take_amount(self) -> int:
        """Return the amount that the next word is."""
        return read_amount(self.take("an amount"))

    def take_unless(self, options: Sequence[str]) -> str:
        """Return the next word unless it is one of the options, or there is none: then an empty one."""
        return self._left.pop(0) if self._left and self._left[0] not in options else ""

    def take_all(self) -> str:
        """Return the rest as one text."""
        taken, self._left = self._left, []
        return " ".join(taken)

    def options(self, names: Sequence[str] = (), flags: Sequence[str] = ()) -> dict[str, str]:
        """Return the rest: options with their values, flags with an empty one."""
        found: dict[str, str] = {}
        while self._left:
            name = self._left.pop(0)
            if name in found or name not in (*names, *flags):
                raise TableError(f"{name!r} is not one of {', '.join((*names, *flags)) or 'no words'}, each once")
            found[name] = self.take(f"the value of {name}") if name in names else ""
        return found

    def end(self) -> None:
        """Make sure that nothing is left."""
        self.options()
