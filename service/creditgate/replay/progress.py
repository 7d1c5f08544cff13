"""Shows how a play gets on: a bar on a terminal, a line now and then elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from creditgate.replay.player import Progress

_LINES: Final = 10


class SparseLines:
    """Writes a line for each tenth of the way."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._steps = self._done = 0

    def begin(self, steps: int) -> None:
        """Take note of how many steps there are."""
        self._steps = steps

    def step_done(self, file_time: datetime | None) -> None:
        """Count a step; write a line when another tenth is done."""
        self._done += 1
        if self._done * _LINES // self._steps > (self._done - 1) * _LINES // self._steps:
            day = "" if file_time is None else f", {file_time:%Y-%m-%d}"
            self._console.print(f"{self._title}: {self._done:,} of {self._steps:,} steps{day}")


class Bar:
    """Moves a progress bar that names the day being played."""

    def __init__(self, bar: RichProgress, title: str) -> None:
        self._bar = bar
        self._task = bar.add_task(title, total=None, day="")

    def begin(self, steps: int) -> None:
        """Take note of how many steps there are."""
        self._bar.update(self._task, total=steps)

    def step_done(self, file_time: datetime | None) -> None:
        """Count a step."""
        self._bar.update(self._task, advance=1, day="" if file_time is None else f"{file_time:%Y-%m-%d}")


@contextmanager
def show_progress(title: str) -> Iterator[Progress]:
    """Show a play's progress on standard error until the block ends."""
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        yield SparseLines(console, title)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[day]}"),
        TimeElapsedColumn(),
    )
    with RichProgress(*columns, console=console, transient=True) as bar:
        yield Bar(bar, title)
