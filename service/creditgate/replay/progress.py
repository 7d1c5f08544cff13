"""Shows how a play gets on, with the day that is being played."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from creditgate.progress import Progress, show_progress


class PlayProgress:
    """Counts the steps of a play (see `player.Progress`)."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def begin(self, steps: int) -> None:
        """Take note of how many steps there are."""
        self._progress.begin(steps)

    def step_done(self, file_time: datetime | None) -> None:
        """Count a step."""
        self._progress.advance(note="" if file_time is None else f"{file_time:%Y-%m-%d}")


@contextmanager
def show_play(title: str) -> Iterator[PlayProgress]:
    """Show a play's progress on standard error until the block ends."""
    with show_progress(title, "steps") as progress:
        yield PlayProgress(progress)
