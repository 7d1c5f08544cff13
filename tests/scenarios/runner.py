"""Runs scenarios: each line is carried out, and everything that it states is compared."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.operations import Operation
from tests.scenarios import actions, verbs
from tests.scenarios.answers import shown
from tests.scenarios.scene import Scene, Stage
from tests.scenarios.shown import Comparable, Failed, states_error
from tests.scenarios.table import Line, Scenario, TableError
from tests.scenarios.words import Words


class DifferenceError(AssertionError):
    """The store does not answer as a line states."""


def run_scenario(stage: Stage, scenario: Scenario) -> None:
    """Run a scenario; raises `DifferenceError` or `TableError`, which name the line."""
    scene = stage.open_scene()
    for line in scenario.lines:
        if line.is_batch:
            answers = _ask_together(scene, scenario, line.items)
            for item, answer in zip(line.items, answers, strict=True):
                _compare(scenario, item, answer)
        else:
            _compare(scenario, line, _carry_out(scene, scenario, line))
    _verify_accounts(scene, scenario)


def _carry_out(scene: Scene, scenario: Scenario, line: Line) -> Comparable:
    verb, *rest = line.ask
    with _placing(scenario, line):
        try:
            if verb in actions.ACTIONS:
                return actions.ACTIONS[verb](scene, Words(rest))
            operation = verbs.ask_of(scene, line.ask)
            return shown(scene.finish(scene.store.run(operation, scene.deadline)), scene)
        except CreditError as error:
            return Failed(error)


def _ask_together(scene: Scene, scenario: Scenario, lines: Sequence[Line]) -> list[Comparable]:
    """Return the answers to lines that go to the store in one call; one that can't be parsed fails alone."""
    parsed = [_parse_item(scene, scenario, line) for line in lines]
    operations = [each for each in parsed if isinstance(each, Operation)]
    answers = iter(scene.run_each(operations))
    return [
        Failed(answer) if isinstance(answer, CreditError) else shown(answer, scene)
        for answer in (next(answers) if isinstance(each, Operation) else each for each in parsed)
    ]


def _parse_item(scene: Scene, scenario: Scenario, line: Line) -> Operation[object] | CreditError:
    with _placing(scenario, line):
        try:
            return verbs.ask_of(scene, line.ask)
        except CreditError as error:
            return error


def _compare(scenario: Scenario, line: Line, answer: Comparable) -> None:
    with _placing(scenario, line):
        differences = _differences(line, answer)
    if differences:
        what = "; ".join(differences)
        raise DifferenceError(f"{_place(scenario, line)}\n  {what}\n  the answer: {answer}")


def _differences(line: Line, answer: Comparable) -> list[str]:
    if line.answer is None:
        if line.ask[0] in verbs.ANSWER_NEEDED | actions.ANSWER_NEEDED:
            raise TableError(f"{line.ask[0]} needs an answer")
        return [f"it failed with {answer}"] if isinstance(answer, Failed) else []
    if states_error(line.answer) and not isinstance(answer, Failed):
        return [f"it did not fail with {line.answer[0]}"]
    return answer.compare(line.answer)


def _verify_accounts(scene: Scene, scenario: Scenario) -> None:
    """Make sure that every account's sums are what they sum up, when all lines have been carried out."""
    for name in scene.accounts:
        line = Line(scenario.lines[-1].number, f"the end: verify {name} … clean", ("verify", name), ("clean",))
        answer = _carry_out(scene, scenario, line)
        if not (isinstance(answer, Failed) and answer.error.reason is ErrorReason.ACCOUNT_NOT_FOUND):
            _compare(scenario, line, answer)


@contextmanager
def _placing(scenario: Scenario, line: Line) -> Iterator[None]:
    """Let an error of the table name the line that it is in."""
    try:
        yield
    except TableError as error:
        raise TableError(f"{_place(scenario, line)}\n  {error}") from None


def _place(scenario: Scenario, line: Line) -> str:
    return f"{scenario}\n  {scenario.path.name}:{line.number}: {line.text}"
