"""The commands `creditgate policy check` and `creditgate policy show`."""

import json
from pathlib import Path

import pytest

from creditgate.policies import parse_policy
from tests.cli.conftest import Invoke

POLICY = """default:
  rules:
    near_limit: {action: flag, percent: 90}
risk_classes:
  gold:
    rules:
      near_limit: {action: flag, percent: 95}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


def test_a_usable_file_has_a_version(offline: Invoke, file: Path) -> None:
    version = parse_policy(POLICY).compiled(shadow=False).version
    result = offline("policy", "check", file)
    assert (result.exit_code, result.stdout) == (0, f"{file} can be used; its policy version is {version}\n")
    result = offline("policy", "check", file, "--json")
    assert json.loads(result.stdout) == {"usable": True, "policy_version": version}


@pytest.mark.parametrize("command", ["check", "show"])
def test_each_mistake_is_told_with_its_line(offline: Invoke, file: Path, command: str) -> None:
    file.write_text(POLICY.replace("flag", "flg"))
    result = offline("policy", command, file)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "can't be used as a policy" in result.stderr
    assert "line 3: default.rules.near_limit.action must be off, shadow, flag, review or reject" in result.stderr
    assert "line 7: risk_classes.gold.rules.near_limit.action" in result.stderr


def test_a_file_that_is_not_there_is_told(offline: Invoke, tmp_path: Path) -> None:
    result = offline("policy", "check", tmp_path / "absent.yaml")
    assert result.exit_code == 2
    assert "absent.yaml" in result.stderr
    assert "No such file or directory" in result.stderr


def test_what_is_shown_is_the_same_policy(offline: Invoke, file: Path, tmp_path: Path) -> None:
    shown = offline("policy", "show", file)
    assert shown.exit_code == 0
    assert parse_policy(shown.stdout).risk_classes["gold"].rules.near_limit.percent == 9500
    again = tmp_path / "again.yaml"
    again.write_text(shown.stdout)
    assert offline("policy", "check", again).stdout.split()[-1] == offline("policy", "check", file).stdout.split()[-1]


def test_the_default_is_a_policy_file(offline: Invoke, tmp_path: Path) -> None:
    shown = offline("policy", "show")
    assert shown.exit_code == 0
    default = tmp_path / "default.yaml"
    default.write_text(shown.stdout)
    assert offline("policy", "show", default).stdout == shown.stdout
