"""Every scenario of the tables is a test of its own; `table.py` says how to write one."""

from pathlib import Path

import pytest

from tests.scenarios.runner import DifferenceError, run_scenario
from tests.scenarios.scene import Stage
from tests.scenarios.table import Scenario, TableError, read_tables

SCENARIOS = read_tables(Path(__file__).parent)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_scenario(stage: Stage, scenario: Scenario) -> None:
    wrong = ""
    try:
        run_scenario(stage, scenario)
    except (DifferenceError, TableError) as error:
        wrong = str(error)
    if wrong:
        pytest.fail(wrong, pytrace=False)  # the line tells more than the place where it was compared
