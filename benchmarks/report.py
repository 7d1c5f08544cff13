"""The result as a table for people and as JSON for programs; docs/benchmarks.md explains both."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Final

from rich.table import Table

from benchmarks.machine import Machine
from benchmarks.rows import Row, Target

SCHEMA: Final = 1
"""Changes when a field of the JSON is renamed or removed."""

_NOT_MEASURED: Final = "-"
_ELSEWHERE_MAX: Final = 0.1
_WHOLE_FROM: Final = 100


@dataclass(frozen=True, slots=True)
class Result:
    """A whole run: its size, how long it took, the machine, its speed before each group of rows, and the rows."""

    size: str
    duration_s: float
    machine: Machine
    loop_ns: tuple[float, ...]
    rows: tuple[Row, ...]

    @property
    def elsewhere_share(self) -> float:
        """How many cores other programs used, the median over the rows."""
        known = [row.elsewhere_share for row in self.rows if row.elsewhere_share is not None]
        return median(known) if known else 0.0


def write_json(result: Result, directory: Path) -> Path:
    """Write the result to a file named after its time, and return the file."""
    directory.mkdir(parents=True, exist_ok=True)
    taken = datetime.fromisoformat(result.machine.time)
    path = directory / f"{taken:%Y%m%d-%H%M%S}-{result.size}.json"
    document = {
        "schema": SCHEMA,
        "size": result.size,
        "duration_s": result.duration_s,
        "machine": result.machine._asdict(),
        "loop_ns": result.loop_ns,
        "rows": [_row_document(row) for row in result.rows],
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path


def _row_document(row: Row) -> dict[str, object]:
    missed = row.missed
    targets = [{**target._asdict(), "met": target not in missed} for target in row.targets]
    return {**asdict(row), "targets": targets}


def render_table(result: Result) -> Table:
    """Return the table: a line for each row, a missed target in red."""
    table = Table(title=f"creditgate benchmark, size {result.size}", caption=_caption(result), caption_justify="left")
    table.add_column("what")
    for column in ("figure", "p50 ms", "p99 ms", "server", "Redis", "load", "ratio"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("target")
    table.add_column("of / note")
    group = result.rows[0].group if result.rows else ""
    for row in result.rows:
        if row.group != group:
            table.add_section()
            group = row.group
        table.add_row(*_cells(row))
    return table


def _caption(result: Result) -> str:
    machine = result.machine
    lines = [
        f"{machine.time}, {result.duration_s:.0f} s",
        f"{machine.cpu_model}, {machine.cores} cores, Linux {machine.kernel}, files on {machine.file_system}",
        f"creditgate {machine.creditgate}, Python {machine.python}, grpcio {machine.grpcio}, {machine.redis}",
        f"a round of a Python loop took {min(result.loop_ns):.0f} to {max(result.loop_ns):.0f} ns of CPU meanwhile",
        "server, Redis, load: microseconds of CPU for one of what the figure counts",
    ]
    if result.elsewhere_share > _ELSEWHERE_MAX:
        lines.append(
            f"[yellow]Other programs used {result.elsewhere_share:.2f} cores meanwhile: "
            "times and rates are worse than they would be, ratios less reliable.[/yellow]"
        )
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    missed = row.missed
    return (
        row.name,
        f"{_number(row.figure)} {row.unit}",
        _number(row.p50_ms),
        _number(row.p99_ms),
        _number(row.server_cpu_us),
        _number(row.redis_cpu_us),
        _number(row.load_cpu_us),
        _number(row.ratio),
        "\n".join(_target(target, missed=target in missed) for target in row.targets),
        row.note or row.baseline or "",
    )


def _target(target: Target, *, missed: bool) -> str:
    sign = "≥" if target.bound == "at least" else "≤"
    text = f"{sign} {target.value:,g}"
    return f"[red]{text} missed[/red]" if missed else f"[green]{text}[/green]"


def _number(value: float | None) -> str:
    if value is None:
        return _NOT_MEASURED
    return f"{value:,.0f}" if value >= _WHOLE_FROM else f"{value:.3g}"
