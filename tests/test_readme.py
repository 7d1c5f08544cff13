"""The README's first look is true: its commands and its program run against a real service."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.served import CREDITGATE, ServedService, environment
from tests.patience import PATIENCE_S
from tests.private_redis import PrivateRedis

README = (Path(__file__).parent.parent / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def served(own_redis: Callable[..., PrivateRedis], tmp_path: Path) -> Iterator[ServedService]:
    service = ServedService(own_redis().url, tmp_path / "service.log")
    service.start()
    yield service
    assert service.stop() == 0


def run(arguments: list[str], address: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, env=environment(LISTEN=address), capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )


def test_the_first_look_is_what_it_says(served: ServedService) -> None:
    (console,) = blocks("console")
    commands = [shlex.split(line.removeprefix("$ ")) for line in console.splitlines()]
    assert {command[0] for command in commands} == {"creditgate"}
    ended = [run([str(CREDITGATE), *command[1:]], served.address) for command in commands]
    assert [process.returncode for process in ended] == [0, 0, 1, 0, 0, 0], [process.stderr for process in ended]
    refused = ended[2].stdout
    for told in ("REJECTED", "5,200.00 USD", "5,000.00 USD"):
        assert told in refused
    assert "Acme Tools" in ended[-1].stdout


def test_the_program_runs(served: ServedService, tmp_path: Path) -> None:
    (program,) = blocks("python")
    assert "127.0.0.1:50051" in program
    script = tmp_path / "program.py"
    script.write_text(program.replace("127.0.0.1:50051", served.address))
    account = run([str(CREDITGATE), "account", "put", "acme", "--limit", "5000.00 USD"], served.address)
    assert account.returncode == 0, account.stderr
    ended = run([sys.executable, str(script)], served.address)
    assert ended.returncode == 0, ended.stderr
    shown = run([str(CREDITGATE), "reservation", "show", "acme", "order-2"], served.address)
    assert "RELEASED" in shown.stdout


def test_every_target_and_file_it_names_is_there() -> None:
    root = Path(__file__).parent.parent
    makefile = (root / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)|`make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{''.join(target)}:", makefile, re.MULTILINE), target
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (root / link).exists(), link
