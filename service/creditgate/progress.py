"""Shows on standard error how work gets on: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Column
from rich.text import Text

_LINES: Final = 10
_STEPS_A_LINE: Final = 10_000
_NARROW: Final = 10
"""Columns of a bar that leaves room for the pace on a terminal of eighty."""


class Progress(Protocol):
    """Is told how work gets on."""

    def begin(self, steps: int | None, title: str = "") -> None:
        """Begin to count, with another title if one is given. `steps`: how many there are; None: nobody knows."""
        ...

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count steps that are done; the note says where the work is."""
        ...


class SparseLines:
    """Writes a line for each tenth of the way, or for every ten thousand steps of a way that has no known end.

    Args:
        console: where to write.
        title: what is being done.
        unit: what the steps are.
        clock: tells seconds, for the pace; None: no pace is told.

    """

    def __init__(self, console: Console, title: str, unit: str, clock: Callable[[], float] | None = None) -> None:
        self._console = console
        self._title = title
        self._unit = unit
        self._clock = clock
        self._begin_s = 0.0
        self._steps: int | None = None
        self._done = 0

    def begin(self, steps: int | None, title: str = "") -> None:
        """Begin to count."""
        self._steps = steps
        self._done = 0
        self._title = title or self._title
        if self._clock is not None:
            self._begin_s = self._clock()

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count steps; write a line when another part of the way is done."""
        before = self._lines()
        self._done += steps
        if self._lines() > before:
            of_all = "" if self._steps is None else f" of {self._steps:,}"
            told = ", ".join(
                (f"{self._title}: {self._done:,}{of_all} {self._unit}", *filter(None, (self._pace(), note)))
            )
            self._console.print(told, soft_wrap=True)

    def _pace(self) -> str:
        if self._clock is None or (elapsed_s := self._clock() - self._begin_s) <= 0:
            return ""
        left = None if self._steps is None else (self._steps - self._done) * elapsed_s / self._done
        return pace(self._done / elapsed_s, left, self._unit)

    def _lines(self) -> int:
        return self._done // _STEPS_A_LINE if self._steps is None else self._done * _LINES // max(1, self._steps)


class Bar:
    """Moves a progress bar that shows the latest note."""

    def __init__(self, bar: RichProgress, title: str) -> None:
        self._bar = bar
        self._task = bar.add_task(title, total=None, note="")

    def begin(self, steps: int | None, title: str = "") -> None:
        """Begin to count."""
        self._bar.reset(self._task, total=steps, description=title or None)

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count steps."""
        self._bar.update(self._task, advance=steps, note=note)


class PaceColumn(ProgressColumn):
    """How many steps a second are done, and how long the rest will take."""

    def __init__(self, unit: str) -> None:
        super().__init__(Column(no_wrap=True))
        self._unit = unit

    def render(self, task: Task) -> Text:
        """Return the pace; nothing until it is known."""
        return Text(pace(task.speed, task.time_remaining, self._unit) if task.speed else "")


def pace(steps_a_second: float, left_s: float | None, unit: str) -> str:
    """Return how fast steps are done and how long the rest will take: `45,000 rows/s, 0:00:20 left`."""
    rate = f"{steps_a_second:,.0f} {unit}/s"
    return rate if left_s is None else f"{rate}, {timedelta(seconds=round(left_s))} left"


@contextmanager
def show_progress(title: str, unit: str, *, with_pace: bool = False) -> Iterator[Progress]:
    """Show progress until the block ends. `unit` names the steps, as in `10 of 20 steps`."""
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        yield SparseLines(console, title, unit, time.monotonic if with_pace else None)
        return
    title_column, steps_column, note_column = (
        TextColumn("{task.description}"),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
    )
    columns: tuple[ProgressColumn, ...] = (
        (title_column, BarColumn(_NARROW), steps_column, PaceColumn(unit), note_column)
        if with_pace
        else (title_column, BarColumn(), steps_column, note_column, TimeElapsedColumn())
    )
    with RichProgress(*columns, console=console, transient=True) as bar:
        yield Bar(bar, title)
