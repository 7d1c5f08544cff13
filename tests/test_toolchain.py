import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import creditgate

ROOT = Path(__file__).resolve().parent.parent
LOCK_FILES = ("runtime.txt", "dev.txt")
LOCKED_REQUIREMENT = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[^\s\\;]+)(?: ; [^\\]+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?P<more> \\)?$")
JUSTIFICATION = re.compile(r"^\| `(?P<name>[A-Za-z0-9-]+)` \| (?P<reason>\S.*\S) \|$", re.MULTILINE)


def read_pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def runtime_requirements() -> list[Requirement]:
    return [Requirement(line) for line in read_pyproject()["project"]["dependencies"]]


def dev_requirements() -> list[Requirement]:
    pyproject = read_pyproject()
    extras = pyproject["project"]["optional-dependencies"].values()
    lines = [*chain.from_iterable(extras), *pyproject["dependency-groups"]["dev"]]
    return runtime_requirements() + [Requirement(line) for line in lines]


def names_of(requirements: Iterable[Requirement]) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements}


def locked_versions(lock_file: str) -> dict[str, str]:
    """Return the version of each locked package; fail on a line that is not a pin, its hashes or a comment."""
    versions: dict[str, str] = {}
    hash_expected = False
    for line in (ROOT / "requirements" / lock_file).read_text(encoding="utf-8").splitlines():
        if hash_expected:
            found = HASH.match(line)
            assert found, f"{lock_file}: a hash is missing before {line!r}"
            hash_expected = found["more"] is not None
        elif not line.lstrip().startswith("#"):
            pin = LOCKED_REQUIREMENT.match(line)
            assert pin, f"{lock_file}: not a pinned requirement with a hash: {line!r}"
            versions[pin["name"]] = pin["version"]
            hash_expected = True
    assert not hash_expected
    return versions


@pytest.mark.parametrize("lock_file", LOCK_FILES)
def test_lock_file_names_no_address_and_no_path(lock_file: str) -> None:
    assert "/" not in (ROOT / "requirements" / lock_file).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("lock_file", "requirements"),
    [("runtime.txt", runtime_requirements()), ("dev.txt", dev_requirements())],
    ids=LOCK_FILES,
)
def test_lock_file_pins_with_hashes_what_pyproject_asks_for(lock_file: str, requirements: list[Requirement]) -> None:
    versions = locked_versions(lock_file)
    for requirement in requirements:
        assert versions[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_development_installs_what_runs_in_production() -> None:
    development = locked_versions("dev.txt")
    runtime = locked_versions("runtime.txt")
    assert runtime == {name: development[name] for name in runtime}


def test_every_dependency_is_justified_and_nothing_else() -> None:
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = contributing.split("\n## Dependencies\n")[1].split("\n## ")[0]
    justified = [canonicalize_name(found["name"]) for found in JUSTIFICATION.finditer(section)]
    assert sorted(justified) == sorted(names_of(dev_requirements()))


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)
    make = shutil.which("make")
    assert make is not None
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    shown = subprocess.run([make], cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    listed = re.findall(r"^  ([a-z-]+) +\S", shown, re.MULTILINE)
    assert "test" in targets
    assert listed == targets


def test_version_stands_the_same_in_pyproject_and_in_the_package() -> None:
    assert read_pyproject()["project"]["version"] == creditgate.__version__
