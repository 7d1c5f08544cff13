"""Every rule has its five positions in `rules.txt`, and each position shows the rule as its name says."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from creditgate.domain.decision import Outcome, ReasonCode
from tests.scenarios.shown import row_name
from tests.scenarios.table import Line, Scenario, read_table

TABLE: Final = Path(__file__).with_name("rules.txt")
SCENARIOS: Final = {each.name: each for each in read_table(TABLE, TABLE.read_text())}
RULES: Final = [code.name.lower() for code in ReasonCode]
OUTCOMES: Final = {each.name.lower(): each for each in Outcome}
NUMBERED: Final = re.compile(r"-?\d+/-?\d+").fullmatch


def told(line: Line, prefix: str = "") -> list[str]:
    """Return the rules that an answer tells with this prefix, with their numbers stated, in its order."""
    names = [row_name(word) for word in line.answer or () if NUMBERED(word.rpartition(":")[2])]
    wanted = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    return [name.lower() for name in wanted if name in ReasonCode.__members__]


def outcome(line: Line) -> Outcome:
    (word,) = [word for word in line.answer or () if word in OUTCOMES]
    return OUTCOMES[word]


def decisions(scenario: Scenario) -> list[Line]:
    return [line for line in scenario.lines if line.ask[0] in {"check", "reserve"}]


def checks(scenario: Scenario) -> list[Line]:
    lines = [line for line in scenario.lines if line.ask[0] == "check"]
    assert lines
    return lines


def shows_not_fired(scenario: Scenario, rule: str) -> bool:
    """The rule was on, and told that it did not fire; always."""
    return all(told(line, "passed:") == [rule] and rule not in told(line) for line in checks(scenario))


def shows_the_threshold(scenario: Scenario, rule: str) -> bool:
    """The rule tells its numbers each time, whether it fires or not."""
    return all(rule in told(line, "passed:") + told(line) for line in checks(scenario))


def shows_fired(scenario: Scenario, rule: str) -> bool:
    """An order is held, waits or is refused because of the rule alone."""
    return any(
        told(line) == [rule] and line.ask[0] == "reserve" and outcome(line) > Outcome.APPROVED
        for line in decisions(scenario)
    )


def shows_shadow(scenario: Scenario, rule: str) -> bool:
    """Only in shadow, and an order ends as without the rule."""
    lines = decisions(scenario)
    return (
        all(rule not in told(line) for line in lines)
        and any(told(line, "shadow:") == [rule] for line in lines)
        and all(told(line) or outcome(line) is Outcome.APPROVED for line in lines)
    )


def shows_all_three(scenario: Scenario, rule: str) -> bool:
    """First all three are told, the severer one first, and it decides; without it, the rule itself does."""
    all_three, without = decisions(scenario)[-2:]
    severer, middle, milder = told(all_three)
    return (
        middle == rule
        and severer != milder
        and outcome(all_three) is Outcome.REJECTED
        and told(without) == [rule, milder]
        and outcome(without) is Outcome.PENDING_REVIEW
    )


POSITIONS: Final[dict[str, Callable[[Scenario, str], bool]]] = {
    "not fired": shows_not_fired,
    "at the threshold": shows_the_threshold,
    "fired": shows_fired,
    "fired in shadow": shows_shadow,
    "between a severer and a milder one": shows_all_three,
}


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_all_positions(rule: str) -> None:
    assert {f"{rule}: {position}" for position in POSITIONS} <= SCENARIOS.keys()


def test_the_table_has_nothing_else() -> None:
    assert len(SCENARIOS) == len(RULES) * len(POSITIONS)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda each: each.name)
def test_a_position_shows_what_its_name_says(scenario: Scenario) -> None:
    rule, _, position = scenario.name.partition(": ")
    assert POSITIONS[position](scenario, rule)
