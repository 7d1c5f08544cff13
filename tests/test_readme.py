"""The README is true: its commands and its program run, in its order, against what `make run` starts."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.cli.served import CREDITGATE, environment, running
from tests.patience import PATIENCE_S, PATIENT_REDIS_S
from tests.waiting import wait_until

ROOT: Final = Path(__file__).parent.parent
README: Final = (ROOT / "README.md").read_text()
ADDRESS_DEFAULT: Final = "127.0.0.1:50051"
pytestmark = pytest.mark.timeout(12 * PATIENCE_S)  # the demo plays thousands of orders

REFUSED: Final = ("creditgate check acme", "creditgate limits preview", "creditgate limits push")
"""What the README says to be refused, with exit code 1."""

Ended = subprocess.CompletedProcess[str]


def blocks() -> list[tuple[str, str]]:
    """Return each block of code with its language."""
    return re.findall(r"^```(\w+)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def commands(code: str) -> list[str]:
    """Return the lines that call the program, as a shell takes them."""
    lines = [line.removeprefix("$ ") for line in code.splitlines()]
    return [line for line in lines if line.startswith("creditgate ")]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where `make run` serves, when it has played its orders."""
    settings = {
        "DATA_DIR": str(tmp_path_factory.mktemp("readme")),
        "REDIS_TIMEOUT": str(PATIENT_REDIS_S),
        "LISTEN": "127.0.0.1:0",
        "METRICS_LISTEN": "127.0.0.1:0",
    }
    with running("demo", **settings) as demo:
        assert demo.stdout is not None
        found = ""
        for line in demo.stdout:
            found = line.split()[1] if line.strip().startswith("gRPC") else found
            if "account list" in line:
                break
        assert found
        yield found


@pytest.fixture(scope="module")
def ended(address: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Ended]:
    """What has become of each command, by its line, and of each program, by its language."""
    directory = tmp_path_factory.mktemp("clone")
    (directory / "docs").symlink_to(ROOT / "docs")
    variables = {**environment(LISTEN=address), "PATH": f"{CREDITGATE.parent}{os.pathsep}{os.environ['PATH']}"}

    def run(*words: str) -> Ended:
        return subprocess.run(
            words, cwd=directory, env=variables, capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )

    def rolls_back(line: str) -> Ended:
        batch = line.split()[3]
        wait_until(lambda: 'LIMIT_BATCH_STATE_ACTIVE"' in run("creditgate", "limits", "show", batch, "--json").stdout)
        return run("sh", "-c", line)

    became: dict[str, Ended] = {}
    for language, code in blocks():
        if language == "python":
            assert ADDRESS_DEFAULT in code
            became[language] = run(sys.executable, "-c", code.replace(ADDRESS_DEFAULT, address))
        for line in commands(code):
            became[line] = rolls_back(line) if " rollback " in line else run("sh", "-c", line)
    return became


def test_every_command_ends_as_it_says(ended: Mapping[str, Ended]) -> None:
    lines = [line for line in ended if line.startswith("creditgate")]
    assert len(lines) == sum(len(commands(code)) for _, code in blocks())
    assert {line: (ended[line].returncode, ended[line].stderr) for line in lines if ended[line].returncode > 1} == {}
    assert [line for line in lines if ended[line].returncode] == [line for line in lines if line.startswith(REFUSED)]


def test_the_first_look_is_what_it_says(ended: Mapping[str, Ended]) -> None:
    refused = next(became for line, became in ended.items() if line.startswith("creditgate check")).stdout
    for told in ("REJECTED", "5,200.00 USD", "5,000.00 USD"):
        assert told in refused
    assert "Acme Tools" in ended["creditgate account show acme"].stdout


def test_the_program_decides_and_tells_faults(ended: Mapping[str, Ended]) -> None:
    assert ended["python"].returncode == 0, ended["python"].stderr
    approved, rejected, wrong, not_held = ended["python"].stdout.splitlines()
    assert approved == "order-1 OUTCOME_APPROVED"
    assert rejected.startswith("order-2 OUTCOME_REJECTED ")
    assert "5,000.00 USD" in rejected
    assert wrong.startswith("order-3 INVALID_ARGUMENT ")
    assert "amount_minor" in wrong
    assert not_held == "order-9 is not held"


def test_the_sample_files_show_what_it_says(ended: Mapping[str, Ended]) -> None:
    shown = {line.split("#")[0].strip(): became.stdout for line, became in ended.items()}
    pushed = shown["creditgate limits push docs/samples/limits.csv --batch tuned"]
    assert "QUARANTINED" in pushed
    assert "there are 5 rows; the last active batch, sample-limits-20260105-2, had 198" in pushed
    assert "0 bad" in shown["creditgate import docs/samples/open-items.csv"]
    assert "LIMIT_EXCEEDED" in shown["creditgate replay docs/samples/invoices.csv --limit-multiple 3"]


def test_every_target_and_file_it_names_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)|`make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{''.join(target)}:", makefile, re.MULTILINE), target
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
