"""A policy file that changes while it decides: what is taken, what is told, and what goes on."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import structlog
from structlog.typing import EventDict

from creditgate.domain.policy import DEFAULT_POLICY, Policy
from creditgate.policies import FixedPolicy, PolicyError, PolicyFile, parse_policy
from creditgate.policies.source import LOOK_INTERVAL_S
from tests.patience import PATIENCE_S

STRICT = "default: {rules: {near_limit: {action: reject, percent: 50}}}\n"
LOOSE = "default: {rules: {limit_exceeded: {action: flag}}}\n"
WRONG = "default: {rules: {near_limit: {action: flag, percent: 150}}}\n"
WHY_WRONG = "line 1: default.rules.near_limit.percent must be a percentage from 0 to 99.99"

CHANGED = "the policy file is used as it is now"
UNUSABLE = "the policy file can't be used; the last good policy goes on deciding"


def version_of(text: str) -> str:
    return parse_policy(text).compiled(shadow=False).version


class Watched:
    """A policy file, what the gate was told of it, and what the log and the metrics were."""

    def __init__(self, path: Path, log: list[EventDict], text: str = STRICT, last_good: str | None = None) -> None:
        self.path = path
        self.log = log
        self.used: list[str] = []
        self.reads: list[bool] = []
        path.write_text(text)
        self.file = PolicyFile(path, shadow=False, on_read=self._read, last_good=last_good, look_interval_s=PATIENCE_S)

    def _read(self, *, usable: bool) -> None:
        self.reads.append(usable)

    def _use(self, policy: Policy) -> None:
        self.used.append(policy.version)

    def start(self) -> None:
        self.file.start(self._use)

    async def settle(self) -> None:
        """Look until what stands in the file now has been seen often enough to be taken."""
        await self.file.look()
        await self.file.look()

    def events(self) -> list[str]:
        return [str(entry["event"]) for entry in self.log]


@pytest.fixture
def log() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


Watch = Callable[..., Watched]


@pytest.fixture
async def watch(tmp_path: Path, log: list[EventDict]) -> AsyncIterator[Watch]:
    """Watch a file with a text; it is looked at by hand, since its own looks are far apart."""
    watched: list[Watched] = []

    def start(text: str = STRICT, last_good: str | None = None) -> Watched:
        watched.append(Watched(tmp_path / "policy.yaml", log, text, last_good))
        watched[-1].start()
        return watched[-1]

    yield start
    for each in watched:
        await each.file.stop()


async def test_a_change_is_taken(watch: Watch) -> None:
    watched = watch()
    assert (watched.used, watched.reads) == ([version_of(STRICT)], [True])
    watched.path.write_text(LOOSE)
    await watched.settle()
    assert watched.used == [version_of(STRICT), version_of(LOOSE)]
    assert watched.file.policy.version == version_of(LOOSE)
    assert parse_policy(watched.file.document) == parse_policy(LOOSE)
    assert (watched.file.text, watched.file.problem, watched.reads) == (LOOSE, "", [True, True])
    (entry,) = watched.log
    assert (entry["event"], entry["policy_version"], entry["file"]) == (CHANGED, version_of(LOOSE), str(watched.path))


def test_a_change_decides_within_five_seconds() -> None:
    looks = 2  # the first one sees it, the second one sees that it is no longer being written
    assert looks * LOOK_INTERVAL_S <= 5 / 2


async def test_what_does_not_change_is_not_read_again(watch: Watch) -> None:
    watched = watch()
    await watched.settle()
    watched.path.touch()
    await watched.settle()
    assert (watched.used, watched.reads, watched.log) == ([version_of(STRICT)], [True], [])


async def test_a_wrong_file_is_told_once_and_the_last_good_one_goes_on(watch: Watch) -> None:
    watched = watch()
    watched.path.write_text(WRONG)
    await watched.settle()
    await watched.settle()
    assert watched.used == [version_of(STRICT)]
    assert watched.file.policy.version == version_of(STRICT)
    assert parse_policy(watched.file.document) == parse_policy(STRICT)
    assert watched.file.problem.startswith(WHY_WRONG)
    assert watched.reads == [True, False]
    (entry,) = watched.log
    assert (entry["event"], entry["log_level"]) == (UNUSABLE, "error")
    assert (entry["problem"], entry["policy_version"]) == (watched.file.problem, version_of(STRICT))


@pytest.mark.parametrize("text", ["", "# all commented out\n"])
async def test_a_file_that_is_emptied_does_not_decide(watch: Watch, text: str) -> None:
    watched = watch()
    watched.path.write_text(text)
    await watched.settle()
    assert watched.used == [version_of(STRICT)]
    assert watched.file.policy.version == version_of(STRICT)
    assert watched.file.problem.startswith("line 1: the policy says nothing; ")
    assert (watched.reads, watched.events()) == ([True, False], [UNUSABLE])


async def test_another_wrong_file_is_told_too(watch: Watch) -> None:
    watched = watch()
    for text in (WRONG, WRONG + "# try again\n", "time_zone: nowhere\n"):
        watched.path.write_text(text)
        await watched.settle()
    assert watched.reads == [True, False, False, False]
    assert watched.file.problem.startswith("line 1: time_zone must be")
    assert watched.events() == [UNUSABLE] * 3


@pytest.mark.parametrize("text", [STRICT, LOOSE])
async def test_a_good_file_after_a_wrong_one(watch: Watch, text: str) -> None:
    watched = watch()
    watched.path.write_text(WRONG)
    await watched.settle()
    watched.path.write_text(text)
    await watched.settle()
    assert (watched.file.policy.version, watched.file.problem) == (version_of(text), "")
    assert watched.used == [version_of(STRICT), version_of(text)]
    assert watched.reads == [True, False, True]
    assert watched.events() == [UNUSABLE, CHANGED]


async def test_a_file_that_goes_away_and_comes_back(watch: Watch) -> None:
    watched = watch()
    watched.path.unlink()
    await watched.settle()
    await watched.settle()
    assert watched.file.policy.version == version_of(STRICT)
    assert watched.file.problem == "the file can't be read: No such file or directory"
    assert watched.reads == [True, False]
    watched.path.write_text(STRICT)
    await watched.settle()
    assert (watched.file.problem, watched.reads) == ("", [True, False, True])


async def test_a_file_that_is_replaced_in_one_step(watch: Watch) -> None:
    watched = watch()
    following = watched.path.with_suffix(".new")
    following.write_text(LOOSE)
    following.replace(watched.path)
    await watched.settle()
    assert watched.file.policy.version == version_of(LOOSE)


async def test_a_file_that_is_mounted_by_kubernetes(watch: Watch) -> None:
    watched = watch()
    for number, text in enumerate((STRICT, LOOSE)):
        version = watched.path.parent / f"version-{number}"
        version.mkdir()
        (version / "policy.yaml").write_text(text)
        link = watched.path.parent / "link"
        link.symlink_to(version / "policy.yaml")
        link.replace(watched.path)
    await watched.settle()
    assert watched.file.policy.version == version_of(LOOSE)


async def test_a_file_that_is_just_being_written_does_not_decide_with_its_first_half(watch: Watch) -> None:
    watched = watch(STRICT)
    whole = "default:\n  rules:\n    limit_exceeded: {action: flag}\n    terms_too_long: {action: reject, days: 30}\n"
    for end in range(0, len(whole) + 1, 20):
        watched.path.write_text(whole[:end])
        await watched.file.look()
    watched.path.write_text(whole)
    await watched.settle()
    assert watched.used == [version_of(STRICT), version_of(whole)]
    assert watched.reads == [True, True]


async def test_a_file_that_is_away_for_a_moment_is_not_told(watch: Watch) -> None:
    watched = watch()
    watched.path.unlink()
    await watched.file.look()
    watched.path.write_text(STRICT)
    await watched.settle()
    assert (watched.reads, watched.log, watched.file.problem) == ([True], [], "")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"#" * (64 * 1024 + 1), "the file must be at most 65536 bytes"),
        (b"# one\n# two\n\xff\xfe\n", "line 3: the file must be text in UTF-8"),
    ],
)
async def test_what_is_no_text_of_bounded_size(watch: Watch, content: bytes, problem: str) -> None:
    watched = watch()
    watched.path.write_bytes(content)
    await watched.settle()
    assert watched.file.problem == problem
    watched.path.write_bytes(STRICT.encode() + b"#" * (64 * 1024 - len(STRICT)))
    await watched.settle()
    assert watched.file.problem == ""


async def test_a_directory_in_the_place_of_the_file(watch: Watch) -> None:
    watched = watch()
    watched.path.unlink()
    watched.path.mkdir()
    await watched.settle()
    assert watched.file.problem == "the file can't be read: Is a directory"


@pytest.mark.parametrize("text", [WRONG, "a: &a [*a]", "[" * 10_000, "%", "default: {rules: {near_limit: &x [*x]}}"])
async def test_no_file_stops_the_watch(watch: Watch, text: str) -> None:
    watched = watch()
    watched.path.write_text(text)
    await watched.settle()
    assert watched.file.problem.startswith("line 1: ")
    watched.path.write_text(LOOSE)
    await watched.settle()
    assert watched.file.policy.version == version_of(LOOSE)


# --- the start


@pytest.mark.parametrize(
    ("text", "why"),
    [(WRONG, WHY_WRONG), ("", "line 1: the policy says nothing"), (None, "the file can't be read: No such file")],
)
def test_a_start_needs_a_good_file(tmp_path: Path, text: str | None, why: str) -> None:
    path = tmp_path / "policy.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PolicyError, match=why):
        PolicyFile(path, shadow=False)


async def test_a_process_that_is_told_the_last_good_policy_needs_none(watch: Watch) -> None:
    watched = watch(WRONG, last_good=LOOSE)
    assert watched.used == [version_of(LOOSE)]
    assert watched.file.problem.startswith(WHY_WRONG)
    assert (watched.reads, watched.events()) == ([False], [UNUSABLE])
    await watched.settle()
    assert watched.reads == [False]
    watched.path.write_text(STRICT)
    await watched.settle()
    assert (watched.used, watched.reads) == ([version_of(LOOSE), version_of(STRICT)], [False, True])


async def test_a_good_file_counts_more_than_the_last_good_policy(watch: Watch) -> None:
    watched = watch(STRICT, last_good=LOOSE)
    assert (watched.used, watched.file.problem) == ([version_of(STRICT)], "")


def test_the_whole_gate_in_shadow_mode(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(STRICT)
    assert PolicyFile(path, shadow=True).policy.shadow
    assert not PolicyFile(path, shadow=False).policy.shadow
    assert FixedPolicy(shadow=True).policy.shadow


def test_without_a_file_the_default_decides() -> None:
    fixed = FixedPolicy()
    assert (fixed.policy, fixed.problem) == (DEFAULT_POLICY, "")
    assert parse_policy(fixed.document) == parse_policy("{}")
    used: list[Policy] = []
    fixed.start(used.append)
    assert used == [DEFAULT_POLICY]
