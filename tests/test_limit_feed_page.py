"""docs/limit-feed.md: its job runs against a real service, and its guard rails are those of the policy file."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from creditgate.policies import FixedPolicy
from tests.cli.served import CREDITGATE, ServedService, environment
from tests.patience import PATIENCE_S
from tests.private_redis import PrivateRedis

PAGE = (Path(__file__).parent.parent / "docs" / "limit-feed.md").read_text(encoding="utf-8")
ACCOUNTS = ("acme", "bolt", "coal")


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


@pytest.fixture
def served(own_redis: Callable[..., PrivateRedis], tmp_path: Path) -> Iterator[ServedService]:
    service = ServedService(own_redis().url, tmp_path / "service.log")
    service.start()
    yield service
    assert service.stop() == 0


def run(command: list[str | Path], address: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=environment(LISTEN=address),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


def test_the_job_puts_limits_in_force_and_may_run_again(served: ServedService, tmp_path: Path) -> None:
    (job,) = re.findall(r"```python\n(.*?)```", section("A job"), re.DOTALL)
    assert len(job.strip().splitlines()) <= 20
    assert "127.0.0.1:50051" in job
    (tmp_path / "job.py").write_text(job.replace("127.0.0.1:50051", served.address))
    rows = [f"{account},{index}00000\n" for index, account in enumerate(ACCOUNTS, start=1)]
    (tmp_path / "scores.csv").write_text("".join(("customer,cents\n", *rows)))
    for account in ACCOUNTS:
        put = run([CREDITGATE, "account", "put", account, "--limit", "500.00 USD"], served.address, tmp_path)
        assert put.returncode == 0, put.stderr
    for _ in range(2):
        ended = run([sys.executable, "job.py"], served.address, tmp_path)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout == "LIMIT_BATCH_STATE_ACTIVE: 3 in force, 0 wrong\n"
    shown = run([CREDITGATE, "account", "show", "coal"], served.address, tmp_path)
    assert "  limit       3,000.00 USD\n" in shown.stdout

    commands = [line.split() for line in section("A job").splitlines() if line.startswith("creditgate limits ")]
    outcomes = [run([CREDITGATE, *command[1:]], served.address, tmp_path) for command in commands]
    assert [process.returncode for process in outcomes] == [0, 0], [process.stderr for process in outcomes]
    assert outcomes[0].stdout.startswith("PREVIEW")


def test_the_guard_rails_are_those_of_the_policy_with_their_defaults() -> None:
    listed = re.findall(r"^\| `(\w+)` \| .* \| ([^|]*) \|$", section("Guard rails"), re.MULTILINE)
    defaults = yaml.safe_load(FixedPolicy().document)["guard_rails"]
    assert [name for name, _ in listed] == list(defaults)
    for name, told in listed:
        assert written(told) == plain(defaults[name]), name


def written(told: str) -> object:
    """Return a default as the table tells it, percentages as numbers."""
    return yaml.safe_load(re.sub(r",? percent$", "", told).strip("`"))


def plain(value: object) -> object:
    """Return a default as a policy file has it, percentages as numbers."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return yaml.safe_load(str(value).removesuffix("%").lower())
