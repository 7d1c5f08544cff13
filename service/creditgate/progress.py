"""Shows on standard error how work gets on: a bar on a terminal, a line now and then elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

_LINES: Final = 10
_STEPS_A_LINE: Final = 10_000


class Progress(Protocol):
    """Is told how work gets on."""

    def begin(self, steps: int | None) -> None:
        """Take note of how many steps there are; None: nobody knows."""
        ...

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count steps that are done; the note says where the work is."""
        ...


class SparseLines:
    """Writes a line for each tenth of the way, or for every ten thousand steps of a way that has no known end."""

    def __init__(self, console: Console, title: str, unit: str) -> None:
        self._console = console
        self._title = title
        self._unit = unit
        self._steps: int | None = None
        self._done = 0

    def begin(self, steps: int | None) -> None:
        """Take note of how many steps there are."""
        self._steps = steps

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count steps; write a line when another part of the way is done."""
        before = self._lines()
        self._done += steps
        if self._lines() > before:
            of_all = "" if self._steps is None else f" of {self._steps:,}"
            where = f", {note}" if note else ""
            self._console.print(f"{self._title}: {self._done:,}{of_all} {self._unit}{where}", soft_wrap=True)

    def _lines(self) -> int:
        return self._done // _STEPS_A_LINE if self._steps is None else self._done * _LINES // max(1, self._steps)


class Bar:
    """Moves a progress bar that shows the latest note."""

    def __init__(self, bar: RichProgress, title: str) -> None:
        self._bar = bar
        self._task = bar.add_task(title, total=None, note="")

    def begin(self, steps: int | None) -> None:
        """Take note of how many steps there are."""
        self._bar.update(self._task, total=steps)

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count steps."""
        self._bar.update(self._task, advance=steps, note=note)


@contextmanager
def show_progress(title: str, unit: str) -> Iterator[Progress]:
    """Show progress until the block ends. `unit` names the steps, as in `10 of 20 steps`."""
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        yield SparseLines(console, title, unit)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with RichProgress(*columns, console=console, transient=True) as bar:
        yield Bar(bar, title)
