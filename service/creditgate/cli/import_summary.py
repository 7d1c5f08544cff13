"""What became of an imported file, for people and for programs."""

import json
import sys

from creditgate.cli.tables import OutputConsole, print_facts
from creditgate.domain.money import format_money
from creditgate.open_items.load import LoadSummary


def print_summary(summary: LoadSummary, *, as_json: bool) -> None:
    """Print the summary, and on standard error the first rows that are not there and how many more there are."""
    if as_json:
        sys.stdout.write(json.dumps(summary.document(), indent=2) + "\n")
    else:
        _print_facts(summary)
    sys.stdout.flush()
    for fault in summary.faults:
        sys.stderr.write(f"{fault}\n")
    more = summary.bad + summary.failed - len(summary.faults)
    if more > 0:
        sys.stderr.write(f"… and {more:,} more rows; --errors-file lists them all\n")


def _print_facts(summary: LoadSummary) -> None:
    facts: list[tuple[str, str]] = [
        ("rows", f"{summary.read:,} read, {summary.bad:,} bad"),
        ("imported", f"{summary.imported:,}"),
    ]
    if summary.replayed:
        facts.append(("replayed", f"{summary.replayed:,} had been imported before: nothing was changed for them"))
    if summary.open.repeated:
        facts.append(
            ("repeated", f"{summary.open.repeated:,} name a document that an earlier row names: it counts once")
        )
    if summary.failed:
        facts.append(("failed", f"{summary.failed:,}"))
    if summary.complete:
        sums = [format_money(amount_minor, code) for code, amount_minor in sorted(summary.open.minor.items())]
        facts.append(("open", ", ".join(sums) or "nothing"))
    else:
        facts.append(("ended early", "import the file again to carry on from here"))
    facts.append(("time", f"{summary.elapsed_s:,.1f} s"))
    print_facts(OutputConsole(), facts)
