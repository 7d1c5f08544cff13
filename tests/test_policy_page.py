"""docs/policy.md: its policies can be used, its table of rules is that of the schema, and its orders end as it says."""

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import pytest

from creditgate.domain.account import AccountStatus, Block
from creditgate.domain.decision import ReasonCode
from creditgate.domain.money import parse_amount
from creditgate.domain.operations import (
    BlockSetting,
    CheckCredit,
    LimitSetting,
    Operation,
    PostReceivable,
    PutAccount,
    PutGroup,
    ReserveCredit,
    UpdateAging,
)
from creditgate.policies import FixedPolicy, parse_policy
from creditgate.store import RedisCreditStore, keys
from tests.patience import PATIENCE_S
from tests.private_redis import PrivateRedis
from tests.store.opened import open_store

PAGE = (Path(__file__).parent.parent / "docs" / "policy.md").read_text(encoding="utf-8")
DAY_S: Final = 86_400
AHEAD_S: Final = 400 * DAY_S
"""How far ahead the clock is set, so that it stands still."""

R = TypeVar("R")

WORD: Final = re.compile(r"(group limit|group owes|no limit|\w+) ?(.*)")
RULES = [code.name.lower() for code in ReasonCode]


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(title: str) -> Iterator[list[str]]:
    """Yield the cells of the table in a section, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    for line in lines[1:]:
        yield [cell.strip() for cell in line.strip("|").split(" | ")]


class Example(NamedTuple):
    """A rule, an account in words, and orders with their outcomes."""

    rule: str
    account: str
    orders: str


EXAMPLES = [Example(cells[0].strip("`"), *cells[1:]) for cells in rows("The rules in numbers")]


# --- what it says of the file


def test_its_policies_can_be_used() -> None:
    policies = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert policies
    for policy in policies:
        parse_policy(policy)


def test_its_table_has_every_rule_with_its_thresholds_and_their_defaults() -> None:
    described = {cells[0].strip("`"): cells[2] for cells in rows("Rules")}
    assert list(described) == RULES
    for name, thresholds in described.items():
        setting = getattr(parse_policy("{}").default.rules, name)
        told = dict(re.findall(r"`(\w+)`(?: \((\w+)[^)]*\))?", thresholds))
        assert told.keys() == type(setting).model_fields.keys() - {"action"}, name
        defaults = setting.model_dump(mode="json")
        assert {key: value for key, value in told.items() if value} == {
            key: str(defaults[key]) for key, value in told.items() if value
        }, name


def test_its_guard_rails_are_those_of_the_schema_with_their_defaults() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", section("Guard rails"), re.DOTALL)
    rails = parse_policy("{}").guard_rails
    assert parse_policy(example).guard_rails == rails
    assert set(re.findall(r"^  (\w+):", example, re.MULTILINE)) == type(rails).model_fields.keys()
    assert [cells[0].strip("`") for cells in rows("Guard rails")] == list(type(rails).model_fields)


def test_every_rule_has_an_example_in_numbers() -> None:
    assert {example.rule.partition(":")[0] for example in EXAMPLES} == set(RULES)


def test_what_decides_without_a_file_is_what_it_says() -> None:
    rejecting = {name for name in RULES if getattr(parse_policy("{}").default.rules, name).action == "reject"}
    off = {name for name in RULES if getattr(parse_policy("{}").default.rules, name).action == "off"}
    assert rejecting | off == set(RULES)
    assert rejecting == {
        *("account_blocked", "account_closed", "limit_not_set", "limit_expired", "limit_exceeded"),
        "group_limit_exceeded",
    }


def test_the_version_without_a_file_is_the_one_that_it_names() -> None:
    named = re.search(r"Without a file that is\s`(\w+)`", PAGE)
    assert named is not None
    assert named[1] == FixedPolicy().policy.version != FixedPolicy(shadow=True).policy.version


# --- its orders


def usd(text: str) -> int:
    return parse_amount(text, "USD")


class Bookkeeping:
    """One account that is made of words, on a store whose clock is set."""

    def __init__(self, store: RedisCreditStore, redis: PrivateRedis, new_id: Callable[[str], str]) -> None:
        self.store = store
        self.account_id = new_id("acc")
        self._redis = redis
        self._new_id = new_id

    @property
    def now_s(self) -> int:
        """The second at which the store's clock stands: it has been set ahead."""
        with self._redis.client() as client:
            return int(client.get(self._clock) or 0)

    @property
    def _clock(self) -> str:
        return keys.clock(keys.partition_of(self.account_id, self.store.partitions))

    def set_clock(self, second: int) -> None:
        with self._redis.client() as client:
            client.set(self._clock, second)

    async def make(self, words: str) -> None:
        """Make the account: `limit 1,000.00, owes 800.00, overdue 50.00, due 31 days ago`."""
        self.set_clock(int(time.time()) + AHEAD_S)
        told: dict[str, str] = {}
        for word in words.split(", "):
            match = WORD.fullmatch(word)
            assert match is not None, word
            told[match[1]] = match[2].removesuffix(" days ago")
        await self._open(told)
        await self._fill(told)
        assert not told, f"the page says of an account what this test does not know: {told}"

    async def _open(self, told: dict[str, str]) -> None:
        limit, unlimited = told.pop("limit", None), told.pop("unlimited", None) is not None
        assert (limit is not None) + unlimited + (told.pop("no limit", None) is not None) == 1
        group_limit, group_owes = told.pop("group limit", None), told.pop("group owes", "0")
        group_id = None
        if group_limit is not None:
            group_id = await self._group(usd(group_limit), usd(group_owes))
        ended = told.pop("ended", None)
        await self._run(
            PutAccount(
                self.account_id,
                "USD",
                base_limit=LimitSetting(usd(limit)) if limit is not None else None,
                unlimited=unlimited,
                limit_expire_time_s=self.now_s - int(ended) * DAY_S if ended is not None else None,
                status=AccountStatus.CLOSED if told.pop("closed", None) is not None else None,
                block=BlockSetting(Block("late", "ann")) if told.pop("blocked", None) is not None else None,
                group_id=group_id,
            )
        )

    async def _group(self, limit_minor: int, owes_minor: int) -> str:
        """Make a group with another account in it, in the partition where this account is at home."""
        home = keys.partition_of(self.account_id, self.store.partitions)
        group_id = next(
            name
            for name in (self._new_id("family") for _ in range(10_000))
            if keys.partition_of(name, self.store.partitions) == home
        )
        sister = self._new_id("acc")
        await self._run(PutGroup(group_id, "USD", limit_minor, ""))
        await self._run(PutAccount(sister, "USD", unlimited=True, group_id=group_id))
        await self._run(PostReceivable(sister, "d1", owes_minor, "USD"))
        return group_id

    async def _fill(self, told: dict[str, str]) -> None:
        owes, approved = told.pop("owes", None), told.pop("approved", None)
        overdue, disputed, due = told.pop("overdue", None), told.pop("disputed", "0"), told.pop("due", None)
        if owes is not None:
            await self._run(PostReceivable(self.account_id, "d1", usd(owes), "USD"))
        if approved is not None:
            await self._run(ReserveCredit(self.account_id, "earlier", usd(approved), "USD", DAY_S))
        if overdue is not None:
            today = datetime.fromtimestamp(self.now_s, UTC).date()
            due_date = today - timedelta(days=int(due)) if due is not None else None
            as_of_ms = self.now_s * 1000
            await self._run(UpdateAging(self.account_id, usd(overdue), usd(disputed), due_date, as_of_ms))
        confirmed = told.pop("confirmed", None)
        if confirmed is not None:
            self.set_clock(self.now_s + int(confirmed) * DAY_S)

    async def outcome(self, order: str) -> str:
        """Return what is decided about an order: `1.00 at 60 days`, `5,000.00 secured`."""
        amount, _, terms = order.partition(" at ")
        secured = amount.endswith(" secured")
        amount_minor = usd(amount.removesuffix(" secured"))
        terms_days = int(terms.removesuffix(" days") or 0)
        check = CheckCredit(
            self.account_id,
            amount_minor,
            "USD",
            amount_minor if secured else 0,
            payment_terms_days=terms_days,
        )
        return (await self._run(check)).outcome.name

    async def _run(self, operation: Operation[R]) -> R:
        return await self.store.run(operation, time.monotonic() + PATIENCE_S)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRedis]:
    """A Redis of this page's own: its clock is set."""
    server = PrivateRedis(tmp_path_factory.mktemp("page"))
    server.start()
    yield server
    server.kill()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.rule}-{example.account}")
async def test_its_orders_end_as_it_says(redis: PrivateRedis, new_id: Callable[[str], str], example: Example) -> None:
    policy = parse_policy(f"default:\n  rules:\n    {example.rule}\n").compiled(shadow=False)
    async with open_store(redis.url, policy=policy) as store:
        books = Bookkeeping(store, redis, new_id)
        await books.make(example.account)
        for order in example.orders.split(" · "):
            asked, _, outcome = order.rpartition(" ")
            assert await books.outcome(asked) == outcome, order
