"""`make soak`: plays and checks one history after another, on either kind of site in turn, for as long as told."""

import argparse
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Final

from tests.faults.conftest import Site
from tests.history.account_check import Tally
from tests.history.faults import Blow, draw_blows
from tests.history.play import Played, play
from tests.history.sites import SITES

_ROUND_S: Final = 40.0
"""How long one history gets: its check needs all of it in memory."""

_ANSWERS_BETWEEN: Final = 300
_VIOLATIONS_MAX: Final = 3
"""Violations of one history that are shown: further ones mostly follow from the same defect."""

_LOG_LINES_MAX: Final = 5
_LOG_LINE_LENGTH_MAX: Final = 2000

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600}
_SEED_END: Final = 1_000_000
_ENDED_BY_SIGNAL: Final = 128


def main() -> int:
    """Return the exit code: 1 when a history was not explained."""
    arguments = _read_arguments()
    # What was started is ended, whoever ends this program.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: sys.exit(_ENDED_BY_SIGNAL + received))
    print(f"SEED={arguments.seed}, {arguments.duration:.0f} s", flush=True)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        sites = {}
        for kind, open_site in SITES.items():
            (directory / kind).mkdir()
            sites[kind] = stack.enter_context(open_site(directory / kind))
        return _soak(sites, arguments.seed, time.monotonic() + arguments.duration)


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--duration", type=_parse_duration, default=_parse_duration("15m"), help="90s, 15m or 2h")
    seed = str(Random().randrange(_SEED_END))
    parser.add_argument("--seed", type=_parse_seed, default=seed, help="draws what is asked and what fails")
    return parser.parse_args()


def _parse_duration(text: str) -> float:
    match = re.fullmatch(r"(\d+)([smh])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number with s, m or h behind it, such as 15m")
    return int(match[1]) * _UNITS_S[match[2]]


def _parse_seed(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} can't begin the ids of accounts")
    return text


def _soak(sites: dict[str, Site], seed: str, deadline: float) -> int:
    tally, blows, number = Tally(), Counter[str](), 0
    while number == 0 or time.monotonic() < deadline:
        number += 1
        kind = list(sites)[number % len(sites)]
        begun = time.monotonic()
        played = _play_round(sites[kind], f"{seed}.{number}", min(deadline, begun + _ROUND_S))
        tally.add(played.findings.tally)
        blows.update(re.sub(r" \d.*? s\b", "", blow) for blow in played.blows)
        _print_round(f"round {number}, {kind}, {time.monotonic() - begun:.0f} s", played)
        if played.findings.violations:
            _print_violations(seed, number, played)
            _print_log_errors(sites[kind].service.log)
            return 1
    _print_summary(number, tally, blows)
    return 0


def _play_round(site: Site, seed: str, until: float) -> Played:
    return play(site, seed, _while_time(draw_blows(Random(seed)), until), _ANSWERS_BETWEEN)


def _while_time(blows: Iterable[Blow], until: float) -> Iterator[Blow]:
    for blow in blows:
        if time.monotonic() >= until:
            return
        yield blow


def _print_round(title: str, played: Played) -> None:
    tally = played.findings.tally
    print(
        f"{title}: {tally.calls} calls, {tally.unanswered} without an answer, of which "
        f"{tally.unanswered_with_effect} had an effect; {len(played.blows)} blows; {tally.effects.total()} effects: "
        f"{'NOT EXPLAINED' if played.findings.violations else 'explained'}",
        flush=True,
    )


def _print_violations(seed: str, number: int, played: Played) -> None:
    violations = played.findings.violations
    print(f"\nSEED={seed}, round {number}; blows: {', '.join(played.blows)}")
    for violation in violations[:_VIOLATIONS_MAX]:
        print(f"\n{violation}")
    if len(violations) > _VIOLATIONS_MAX:
        print(f"\n… and {len(violations) - _VIOLATIONS_MAX} more")


def _print_log_errors(log: Path) -> None:
    """Print what the service itself took for an error, the end of it; the log goes with the site."""
    errors = [line for line in log.read_text().splitlines() if '"level": "error"' in line]
    for line in errors[-_LOG_LINES_MAX:]:
        print(f"\n{line[:_LOG_LINE_LENGTH_MAX]}")


def _print_summary(rounds: int, tally: Tally, blows: Counter[str]) -> None:
    print(f"\n{rounds} histories, all explained")
    print(
        f"calls: {tally.calls}; without an answer: {tally.unanswered}, with an effect: {tally.unanswered_with_effect}"
    )
    for title, counts in (("blows", blows), ("effects", tally.effects), ("answers without effect", tally.answers)):
        each = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        print(f"{title}: {counts.total()} ({each})")


if __name__ == "__main__":
    sys.exit(main())
