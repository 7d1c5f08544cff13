"""Progress where standard error is no terminal."""

import pytest
from rich.console import Console

from creditgate.progress import SparseLines, show_progress


def test_each_tenth_of_the_way_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress("items.csv", "rows") as progress:
        progress.begin(2000)
        for _ in range(5):
            progress.advance(100)
        progress.advance(1500, "2026-05-31")
    assert capsys.readouterr().err.splitlines() == [
        "items.csv: 200 of 2,000 rows",
        "items.csv: 400 of 2,000 rows",
        "items.csv: 2,000 of 2,000 rows, 2026-05-31",
    ]


def test_a_way_without_a_known_end_has_a_line_for_every_ten_thousand_steps(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress("Verifying", "accounts") as progress:
        progress.begin(None)
        for _ in range(25):
            progress.advance(1000)
    assert capsys.readouterr().err.splitlines() == ["Verifying: 10,000 accounts", "Verifying: 20,000 accounts"]


def test_the_pace_and_the_time_left_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter((10.0, 12.0, 20.0, 24.0))
    lines = SparseLines(Console(stderr=True, width=200), "Sending limits.csv", "rows", lambda: next(clock))
    lines.begin(100_000)
    lines.advance(10_000)
    lines.begin(50_000, "Putting limits in force")
    lines.advance(50_000)
    assert capsys.readouterr().err.splitlines() == [
        "Sending limits.csv: 10,000 of 100,000 rows, 5,000 rows/s, 0:00:18 left",
        "Putting limits in force: 50,000 of 50,000 rows, 12,500 rows/s, 0:00:00 left",
    ]
