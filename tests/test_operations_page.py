"""docs/operations.md: it names every setting, and its commands for the console find what they are said to find."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from creditgate.settings import Settings, variable_of
from creditgate.store import keys
from tests.private_redis import PrivateRedis

PAGE = (Path(__file__).parent.parent / "docs" / "operations.md").read_text(encoding="utf-8")


def test_it_names_every_setting() -> None:
    named = set(re.findall(r"CREDITGATE_[A-Z_]+", PAGE))
    settings = {variable_of(name) for name in Settings.model_fields}
    assert named == settings


def test_every_link_within_it_leads_to_a_heading() -> None:
    headings = re.findall(r"^#+ (.*)", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) - anchors == set()


def test_the_key_of_an_account_is_found_as_it_says(own_redis: Callable[..., PrivateRedis]) -> None:
    (pattern,) = re.findall(r"--scan --pattern '([^']*)'", PAGE)
    with own_redis().client() as client:
        for name in (keys.account(17, "acme"), keys.account(17, "acme-2"), keys.orders(17, "acme")):
            client.set(name, "packed")
        assert list(client.scan_iter(pattern.replace("ACCOUNT", "acme"))) == [b"cg:{17}:a:acme"]


def test_the_console_of_the_embedded_redis_needs_only_python(own_redis: Callable[..., PrivateRedis]) -> None:
    (program,) = re.findall(r"\$ python -c '([^']*)'", PAGE)
    url = own_redis().url
    assert url.startswith("unix://")
    ended = subprocess.run(
        [sys.executable, "-c", program, url.removeprefix("unix://"), "INFO", "memory"],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "used_memory" in ended.stdout
