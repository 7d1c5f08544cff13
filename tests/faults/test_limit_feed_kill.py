"""A batch whose scorer, server or Redis is killed half way ends with exactly the file's limits in force, once."""

import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from creditgate.client import CreditClient
from creditgate.settings import Settings
from creditgate.store.constants import EffectKind
from tests.faults.conftest import ExternalSite
from tests.faults.load import until_answered
from tests.faults.pushing import account_of, again_of, limit_of
from tests.killable import Killable
from tests.patience import PATIENCE_S
from tests.store.journal import read_entries

LONG: Final = os.environ.get("LONG") == "1"
"""Whether the test takes its time: `make test-feed LONG=1`."""

ACCOUNTS: Final = 100_000 if LONG else 8000
MOMENTS: Final = 10 if LONG else 1
FEED_S: Final = 20 * PATIENCE_S if LONG else PATIENCE_S
SEED: Final = int(os.environ.get("SEED", "20261126"))
ROOT: Final = Path(__file__).resolve().parents[2]
RAILS_OFF: Final = (
    "guard_rails: {accounts_cut: off, total_change: off, single_raise_factor: off, duplicate_rows: off}\n"
)
PARTITIONS: Final = Settings.model_fields["partitions"].default
NAMES: Final = re.compile(rb"acc-[0-9]+").findall
_NEVER: Final = threading.Event()

pytestmark = pytest.mark.timeout(3600 if LONG else 300)


class ScorerProcess(Killable):
    """A scorer of its own, which pushes a batch until it has come to its end."""

    def __init__(self, target: str, version: int) -> None:
        self._arguments = [target, f"batch-{version}", str(version), str(ACCOUNTS)]

    def start(self) -> None:
        """Begin to push, or to go on."""
        program = [sys.executable, "-m", "tests.faults.pushing", *self._arguments]
        self._process = subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True)

    def kill(self) -> None:
        """End the process at once; nobody reads what it has printed."""
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        super().kill()

    def end(self) -> dict[str, object]:
        """Wait until it was told how its batch has ended."""
        assert self._process is not None
        output, _ = self._process.communicate(timeout=FEED_S)
        assert self._process.returncode == 0
        self._process = None
        return dict(json.loads(output))


class Feed:
    """A site with accounts, and one scorer after another."""

    def __init__(self, site: ExternalSite) -> None:
        self.site = site
        self.version = 0
        self._scorer: ScorerProcess | None = None

    def begin(self) -> ScorerProcess:
        """Begin to push a batch that changes every limit."""
        self.version += 1
        self._scorer = ScorerProcess(self.site.service.target, self.version)
        self._scorer.start()
        return self._scorer

    def kill(self, victim: str) -> None:
        """Kill a part, and do what somebody has to do then."""
        if victim == "scorer":
            assert self._scorer is not None
            self._scorer.kill()
            self._scorer.start()
        elif victim == "server":
            self.site.service.kill()
            self.site.service.start()
        else:
            self.site.kill_redis()
            self.site.bring_back()

    def check(self, ended: dict[str, object]) -> None:
        """Hold what the scorer was told, what is in force and what was journaled to the file."""
        everything = {"applied_rows": ACCOUNTS, "skipped_rows": 0, "rejected_rows": again_of(self.version)}
        assert ended == {"state": "LIMIT_BATCH_STATE_ACTIVE"} | everything
        assert self._in_force() == {
            account_of(number): (limit_of(number, self.version), self.version) for number in range(ACCOUNTS)
        }

    def applied_times(self) -> Counter[bytes]:
        """Return how often the journal tells each account's limit as set by the batch."""
        with self.site.redis.client() as client:
            entries = [entry for partition in range(PARTITIONS) for entry in read_entries(client, partition)]
        return Counter(
            name
            for entry in entries
            for effect in entry
            if effect.kind is EffectKind.LIMITS_APPLIED and effect.name == f"batch-{self.version}"
            for name in NAMES(effect.record)
        )

    def close(self) -> None:
        """End what is left."""
        if self._scorer is not None:
            self._scorer.kill()

    def _in_force(self) -> dict[str, tuple[int, int]]:
        """Return limit and version of each account, asked for until the store is back."""
        with CreditClient(self.site.service.target, timeout_s=PATIENCE_S) as client:
            accounts = until_answered(lambda: list(client.list_accounts(page_size=1000)))
        return {each.account_id: (each.base_limit_minor, each.limit_version) for each in accounts}


@pytest.fixture
def feed(new_external: Callable[..., ExternalSite], tmp_path: Path) -> Iterator[Feed]:
    policy_file = tmp_path / "policy.yaml"
    policy_file.write_text(RAILS_OFF)
    feed = Feed(new_external(policy_file=str(policy_file)))
    yield feed
    feed.close()


def test_a_kill_at_any_moment_leaves_the_limits_of_the_file_once(feed: Feed) -> None:
    feed.check(feed.begin().end())
    started = time.monotonic()
    feed.check(feed.begin().end())
    undisturbed_s = time.monotonic() - started
    moments = random.Random(SEED)
    for victim in ("scorer", "server", "redis") * MOMENTS:
        scorer = feed.begin()
        _NEVER.wait(moments.uniform(0, undisturbed_s))
        feed.kill(victim)
        feed.check(scorer.end())
        assert feed.applied_times() == {account_of(number).encode(): 1 for number in range(ACCOUNTS)}
