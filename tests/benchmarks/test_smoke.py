"""A whole benchmark of tiny size: every row is produced, and the JSON has the documented shape."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_TIMEOUT_S = 600
pytestmark = pytest.mark.timeout(_TIMEOUT_S + 20)  # it starts a dozen servers, one after the other

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTED = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", (ROOT / "docs" / "benchmarks.md").read_text(), re.MULTILINE)
GROUPS = re.findall(
    r"^\| ([\w ]+) \|",
    (ROOT / "docs" / "benchmarks.md").read_text().split("\n## The rows\n")[1].split("\n## ")[0],
    re.MULTILINE,
)[1:]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ANN401 - the shape is what is tested
    directory = tmp_path_factory.mktemp("results")
    command = [sys.executable, "-m", "benchmarks", "--size", "smoke", "--results", str(directory)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    assert ended.returncode == 0, ended.stderr
    (file,) = directory.iterdir()
    assert str(file) in ended.stdout
    return json.loads(file.read_text())


def documented_fields() -> list[str]:
    return [name for cell in DOCUMENTED for name in re.findall(r"\w+", cell)]


def test_the_fields_are_those_of_the_documentation(result: Any) -> None:  # noqa: ANN401 - as above
    top, row = set(result), set(result["rows"][0])
    assert sorted(documented_fields()) == sorted([*top, *row])
    assert all(set(row) == set(other) for other in result["rows"])
    assert (result["schema"], result["size"]) == (1, "smoke")


def test_every_documented_group_has_rows_in_that_order(result: Any) -> None:  # noqa: ANN401 - as above
    assert list(dict.fromkeys(row["group"] for row in result["rows"])) == GROUPS


def test_every_row_has_a_figure_and_compared_rows_a_ratio(result: Any) -> None:  # noqa: ANN401 - as above
    rows = {row["name"]: row for row in result["rows"]}
    assert len(rows) == len(result["rows"])
    for row in rows.values():
        assert row["note"] == "not installed" if row["figure"] is None else row["samples"], row
        assert (row["baseline"] is None) == (row["ratio"] is None)
        assert row["baseline"] is None or rows[row["baseline"]]["group"] == row["group"]
    compared = {row["group"] for row in rows.values() if row["ratio"]}
    assert compared >= {"unary", "batch", "policy", "hot account", "accounts", "durability", "optimistic"}


def test_the_targets_say_what_is_to_be_reached(result: Any) -> None:  # noqa: ANN401 - as above
    rows = {row["name"]: row for row in result["rows"]}
    batch = rows["BatchReserveCredit of 100"]
    reached = {"figure": batch["figure"], "ratio": batch["ratio"]}
    wanted = {"figure": 50_000, "ratio": 0.7}
    assert batch["targets"] == [
        {"of": of, "bound": "at least", "value": value, "met": reached[of] >= value} for of, value in wanted.items()
    ]
