"""An answer in a table's words, and its comparison with the answer that a line states."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from creditgate.domain.errors import CreditError, ErrorReason
from tests.scenarios.table import TableError
from tests.scenarios.words import NO, NONE, YES

T = TypeVar("T")

PASSED = "passed:"
"""What the name of a row begins with that may be left out."""

_BLAMED = "field"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an answer: its value for people, and whether a word of a table says the same."""

    shown: str
    matches: Callable[[str], bool]


def a_field(value: T, read: Callable[[str], T]) -> Field:
    """Return a field with a value, which `read` makes of a table's word."""
    return Field(_text_of(value), lambda word: read(word) == value)


def _text_of(value: object) -> str:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return YES if value else NO
    return str(value)


NOTHING = Field("nothing", lambda _: False)
"""A field of what an answer might have, and does not."""


@dataclass(frozen=True, slots=True)
class Row:
    """`NAME:first/second`, as it stands in an answer; a table may leave out the two values."""

    name: str
    first: Field
    second: Field

    def says(self, word: str) -> bool:
        """Return whether a word of a table says the same."""
        if word == self.name:
            return True
        first, _, second = word.removeprefix(f"{self.name}:").partition("/")
        return row_name(word) == self.name and self.first.matches(first) and self.second.matches(second)

    def __str__(self) -> str:
        return f"{self.name}:{self.first.shown}/{self.second.shown}"


def row_name(word: str) -> str:
    """Return the name of the row that a word of a table states."""
    return word.rpartition(":")[0] if "/" in word else word


class Comparable(Protocol):
    """An answer that can be compared with what a line states."""

    def compare(self, words: Sequence[str]) -> list[str]:
        """Return what differs, a sentence each. Raises `TableError` for a word that means nothing here."""


@dataclass(frozen=True)
class Shown:
    """An answer in a table's words.

    Attributes:
        fields: compared where the line states them.
        marks: words that must be stated where they hold, and only there.
        facts: words that are compared where they are stated.
        unstated: fields that must have this value (a word of the table) where the line does not state them.
        rows: what must be stated completely, in its order.
        row_names: what rows might have been there.
        passed: rows that are compared where they are stated.

    """

    fields: Mapping[str, Field] = field(default_factory=dict)
    marks: Mapping[str, bool] = field(default_factory=dict)
    facts: Mapping[str, bool] = field(default_factory=dict)
    unstated: Mapping[str, str] = field(default_factory=dict)
    rows: Sequence[Row] = ()
    row_names: Callable[[str], bool] = lambda _: False
    passed: Sequence[Row] = ()

    def compare(self, words: Sequence[str]) -> list[str]:
        """Return what differs (see `Comparable`)."""
        stated = _Stated()
        left = list(words)
        while left:
            word = left.pop(0)
            if word in self.fields:
                if not left:
                    raise TableError(f"the value of {word} is missing")
                stated.add_field(word, left.pop(0))
            elif word in self.marks or word in self.facts:
                stated.add_word(word)
            elif self.row_names(row_name(word)):
                stated.rows.append(word)
            else:
                raise TableError(f"nothing that this verb answers is called {word!r}")
        return [*self._compare_fields(stated), *self._compare_words(stated), *self._compare_rows(stated)]

    def __str__(self) -> str:
        words = [word for word, holds in (*self.marks.items(), *self.facts.items()) if holds]
        fields = [f"{name} {each.shown}" for name, each in self.fields.items() if each is not NOTHING]
        return " ".join((*words, *(str(each) for each in (*self.rows, *self.passed)), *fields))

    def _compare_fields(self, stated: "_Stated") -> list[str]:
        expected = {**self.unstated, **stated.fields}
        return [
            f"{name} is {self.fields[name].shown}, not {word}"
            for name, word in expected.items()
            if not self.fields[name].matches(word)
        ]

    def _compare_words(self, stated: "_Stated") -> list[str]:
        missing = [f"{word} is not stated" for word, holds in self.marks.items() if holds and word not in stated.words]
        wrong = [f"it is not {word}" for word in stated.words if not (self.marks.get(word) or self.facts.get(word))]
        return missing + wrong

    def _compare_rows(self, stated: "_Stated") -> list[str]:
        passed = [word for word in stated.rows if word.startswith(PASSED)]
        differences = [
            f"{word} is not among {_list(self.passed)}"
            for word in passed
            if not any(each.says(word) for each in self.passed)
        ]
        rows = [word for word in stated.rows if word not in passed]
        if len(rows) != len(self.rows) or not all(map(Row.says, self.rows, rows)):
            differences.append(f"it has {_list(self.rows)}, not {_list(rows)}")
        return differences


def _list(words: Sequence[object]) -> str:
    return " ".join(str(word) for word in words) or "nothing"


@dataclass
class _Stated:
    """What a line states, taken apart."""

    fields: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)

    def add_field(self, name: str, word: str) -> None:
        if name in self.fields:
            raise TableError(f"{name} is stated twice")
        self.fields[name] = word

    def add_word(self, word: str) -> None:
        if word in self.words:
            raise TableError(f"{word} is stated twice")
        self.words.append(word)


@dataclass(frozen=True, slots=True)
class Failed:
    """An error as the answer."""

    error: CreditError

    def compare(self, words: Sequence[str]) -> list[str]:
        """Return what differs (see `Comparable`)."""
        if not states_error(words):
            return [f"it failed with {self}: {self.error.message}"]
        reason, *left = words
        blamed = [each for each in left if each != _BLAMED]
        if left != [part for each in blamed for part in (_BLAMED, each)]:
            raise TableError(f"behind {reason} only {_BLAMED} NAME may stand, any number of times")
        fields = [violation.field for violation in self.error.violations]
        if reason == self.error.reason.name and blamed in ([], fields):
            return []
        return [f"it failed with {self}: {self.error.message}"]

    def __str__(self) -> str:
        return " ".join((self.error.reason.name, *(f"{_BLAMED} {each.field}" for each in self.error.violations)))


def states_error(words: Sequence[str]) -> bool:
    """Return whether the words of an answer say that it is an error."""
    return words[0] in ErrorReason.__members__
