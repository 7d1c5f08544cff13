"""Tables of scenarios: plain text files beside this module, one operation a line with the answer it must get.

    # A comment; empty lines are free.
    scenario a hold ends at its second, and not before
        account A1 USD limit 1000
        reserve A1 o1 600 hold 60s … approved held 600 expires T+60s
        tick 60s
        reservation A1 o1 … EXPIRED held 0
        batch
            | reserve A1 o2 600 … approved
            | reserve A1 o3 600 … rejected LIMIT_EXCEEDED:1200/1000

A scenario's name says what it shows, and no other scenario has it. It begins at T, an instant far ahead of every real
clock, on accounts of its own, and only `tick` moves its time: T+60s is a minute later, T-1d a day earlier. It is judged
as without a policy file; a `policy` line says one rule as such a file says it. It ends with every account it touched
verified clean.

A line is a verb, what it takes, and behind `…` the answer. First come the words that have a fixed place, then options
in any order; the functions of `verbs.py` and `actions.py` name them. A line without an answer must only not fail, and
is for what sets the scene; a verb that decides or reads must have one. Below `batch`, lines that begin with `|` go to
the store in one call.

An answer is one of
- the name of an error; where behind it stands `field NAME`, those are all fields that it blames, in their order;
- words in any order (`answers.py`): fields with their values, compared where the line states them; and words that stand
  alone. Of those, an outcome (`approved flagged pending_review rejected`) and what marks an answer (`replayed late
  created ignored`) must be stated where they hold and may not be where they do not. A state (`HELD COMMITTED …`) is
  compared where it is stated. `CODE`, or `CODE:observed/threshold`, is a reason: those stated must be all there are, in
  their order; `shadow:CODE` is one without effect, `passed:CODE` a rule that did not fire;
- of `verify` and `repair` `clean`, or `SUM:kept/recomputed` for each sum that differs; of `journal` the effects since
  the last `journal` line of that account, with `then` between them.

Amounts are minor units; `max` is 2^53-1, and may have something added or taken off: `max-1`. Durations are `60s`, `5m`,
`2h`, `30d`, `1500ms`. The first `etag e1` of an answer names the etag, later ones compare it; another name is another
etag. Texts with blanks stand in double quotes.

Nothing is skipped: a word that nobody knows or compares is an error of the table.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

_SCENARIO: Final = "scenario"
_BATCH: Final = "batch"
_ITEM: Final = "|"
_COMMENT: Final = "#"
_ANSWER: Final = "…"


class TableError(Exception):
    """The table itself is wrong: it says something that means nothing."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line: its words before and behind `…` (None without one), and for a batch the lines below it."""

    number: int
    text: str
    ask: tuple[str, ...]
    answer: tuple[str, ...] | None
    items: tuple["Line", ...] = ()

    @property
    def is_batch(self) -> bool:
        """Whether the lines below go to the store in one call."""
        return self.ask == (_BATCH,)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named row of lines, and the file that has it."""

    name: str
    path: Path
    lines: tuple[Line, ...]

    def __str__(self) -> str:
        return f"{self.path.stem}: {self.name}"


def read_tables(directory: Path) -> list[Scenario]:
    """Return the scenarios of all tables in a directory; raises `TableError`."""
    scenarios: list[Scenario] = []
    named: dict[str, Path] = {}
    for path in sorted(directory.glob("*.txt")):
        for scenario in read_table(path, path.read_text()):
            if scenario.name in named:
                raise TableError(
                    f"{path.name}: {named[scenario.name].name} has a scenario of this name too: {scenario}"
                )
            named[scenario.name] = path
            scenarios.append(scenario)
    return scenarios


def read_table(path: Path, text: str) -> list[Scenario]:
    """Return the scenarios of one table; raises `TableError`."""
    scenarios: list[Scenario] = []
    name, lines = "", list[Line]()
    for number, stripped in _lines_of(text):
        keyword, _, rest = stripped.partition(" ")
        if keyword == _SCENARIO:
            if name:
                scenarios.append(_scenario(path, name, lines))
            name, lines = rest.strip(), []
            if not name:
                raise TableError(f"{path.name}:{number}: a scenario has a name")
        elif not name:
            raise TableError(f"{path.name}:{number}: a line stands in a scenario: {stripped}")
        elif keyword == _ITEM:
            if not lines or not lines[-1].is_batch:
                raise TableError(f"{path.name}:{number}: a line that begins with {_ITEM} stands below {_BATCH}")
            lines[-1] = replace(lines[-1], items=(*lines[-1].items, _line(path, number, rest)))
        else:
            lines.append(_line(path, number, stripped))
    if name:
        scenarios.append(_scenario(path, name, lines))
    return scenarios


def _lines_of(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith(_COMMENT):
            yield number, stripped


def _line(path: Path, number: int, text: str) -> Line:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise TableError(f"{path.name}:{number}: {error}: {text}") from None
    if words.count(_ANSWER) > 1 or not words or words[0] == _ANSWER or words[-1] == _ANSWER:
        raise TableError(
            f"{path.name}:{number}: a line asks something, and states an answer behind one {_ANSWER}: {text}"
        )
    if _ANSWER not in words:
        return Line(number, text, tuple(words), None)
    place = words.index(_ANSWER)
    return Line(number, text, tuple(words[:place]), tuple(words[place + 1 :]))


def _scenario(path: Path, name: str, lines: list[Line]) -> Scenario:
    if not lines:
        raise TableError(f"{path.name}: scenario {name!r} has no lines")
    for line in lines:
        if line.ask[0] == _BATCH and (line.ask != (_BATCH,) or line.answer is not None or not line.items):
            raise TableError(f"{path.name}:{line.number}: {_BATCH} stands alone, with the lines of the batch below it")
    return Scenario(name, path, tuple(lines))
