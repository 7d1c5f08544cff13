"""Accounts that share a limit: the group's sums are those of its accounts, wherever these come from."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import TypeVar

import pytest

from creditgate.domain.bounds import AMOUNT_MAX_MINOR
from creditgate.domain.decision import Action, Outcome, ReasonCode
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.group import CreditGroup
from creditgate.domain.operations import (
    AmendReservation,
    CheckCredit,
    CommitReservation,
    GetAccount,
    GetGroup,
    GetReservation,
    LimitSetting,
    Operation,
    PostReceivable,
    PutAccount,
    PutGroup,
    RecordCreditNote,
    RecordPayment,
    ReleaseReservation,
    ReserveCredit,
    Reserved,
)
from creditgate.domain.policy import DEFAULT_CLASS, DEFAULT_POLICY, DEFAULT_RULES, ClassPolicy, Policy, RuleSetting
from creditgate.domain.ports import Page
from creditgate.domain.rates import ExchangeRate, parse_rate
from creditgate.domain.reservation import ReservationState
from creditgate.policies import parse_policy
from creditgate.store import RedisCreditStore, Sweeper, keys
from tests.patience import PATIENCE_S
from tests.private_redis import PrivateRedis
from tests.quiet_observer import QuietObserver
from tests.store.opened import open_store

T = TypeVar("T")

HOLD_S = 3600
AHEAD_S = 3_786_912_000
"""A second far ahead of every real clock."""
MANY_HOLDS = 5000
"""More than one command of Lua takes."""
CURRENCIES = ("USD", "CHF", "JPY")
RATES = (("CHF", "1.0842"), ("JPY", "0.0065"))


def deadline() -> float:
    return time.monotonic() + PATIENCE_S


async def put_rates(store: RedisCreditStore) -> None:
    rates: list[ExchangeRate] = [parse_rate(code, "USD", rate) for code, rate in RATES]
    await store.put_rates(rates, 1, 0, deadline())


class Family:
    """A group in USD, and short names for what is done with it."""

    def __init__(self, store: RedisCreditStore, group_id: str) -> None:
        self.store = store
        self.group_id = group_id

    async def put(self, limit_minor: int | None) -> CreditGroup:
        return (await self.store.run(PutGroup(self.group_id, "USD", limit_minor, "Family"), deadline())).group

    async def read(self) -> CreditGroup:
        return await self.store.run(GetGroup(self.group_id), deadline())

    async def join(self, account_id: str, currency_code: str = "", group_id: str | None = None) -> None:
        limit = LimitSetting(1_000_000) if currency_code else None
        group_id = self.group_id if group_id is None else group_id
        await self.store.run(PutAccount(account_id, currency_code, group_id=group_id, base_limit=limit), deadline())

    async def leave(self, account_id: str) -> None:
        await self.store.run(PutAccount(account_id, group_id=""), deadline())

    async def reserve(self, account_id: str, order_id: str, amount: int, currency_code: str = "USD") -> Reserved:
        return await self.store.run(ReserveCredit(account_id, order_id, amount, currency_code, HOLD_S), deadline())

    async def differences(self) -> list[str]:
        """Verify the whole store, and return what differs in this group or its accounts."""
        found, token = [], ""
        while True:
            page = await self.store.verify_accounts(page_size=1000, page_token=token, repair=False, deadline=deadline())
            found += [f"{each.account_id}{each.group_id} {each.sum_name}" for each in page.differences]
            token = page.next_page_token
            if not token:
                return found


@pytest.fixture
def server(own_redis: Callable[..., PrivateRedis]) -> PrivateRedis:
    """A Redis of the test's own: rates count for all of a store."""
    return own_redis()


@pytest.fixture
async def own_store(server: PrivateRedis) -> AsyncIterator[RedisCreditStore]:
    """A store with rates."""
    async with open_store(server.url) as store:
        await put_rates(store)
        yield store


@pytest.fixture
def family(own_store: RedisCreditStore, new_id: Callable[[str], str]) -> Family:
    return Family(own_store, new_id("fam"))


async def test_an_order_fits_its_accounts_limit_and_its_groups(family: Family, new_id: Callable[[str], str]) -> None:
    await family.put(1000)
    one, other = new_id("acc"), new_id("acc")
    for account_id in (one, other):
        await family.join(account_id, "USD")
    assert (await family.reserve(one, "o1", 600)).decision.outcome is Outcome.APPROVED
    assert (await family.reserve(other, "o1", 400)).decision.outcome is Outcome.APPROVED
    refused = (await family.reserve(other, "o2", 1)).decision
    assert [tuple(reason) for reason in refused.reasons] == [
        (ReasonCode.GROUP_LIMIT_EXCEEDED, Action.REJECT, 1001, 1000, "USD")
    ]
    await family.store.run(ReleaseReservation(one, "o1"), deadline())
    assert (await family.reserve(other, "o3", 600)).decision.outcome is Outcome.APPROVED
    group = await family.read()
    assert (group.exposure_minor, group.account_count) == (1000, 2)


async def test_each_currency_is_converted_and_rounded_up(family: Family, new_id: Callable[[str], str]) -> None:
    await family.put(10_000)
    swiss, japanese = new_id("acc"), new_id("acc")
    await family.join(swiss, "CHF")
    await family.join(japanese, "JPY")
    await family.reserve(swiss, "o1", 333, "CHF")
    await family.reserve(japanese, "o1", 1001, "JPY")
    group = await family.read()
    # 3.33 CHF are 3.610386 USD, 1001 JPY are 6.5065 USD.
    assert group.exposure_minor == 362 + 651
    assert {sums.currency_code: sums.reserved_minor for sums in group.currencies} == {"CHF": 333, "JPY": 1001}


async def test_a_group_without_a_rate_can_not_be_judged(family: Family, new_id: Callable[[str], str]) -> None:
    await family.put(10_000)
    account_id = new_id("acc")
    await family.join(account_id, "NOK")
    with pytest.raises(CreditError, match=f"group {family.group_id} .*from NOK to USD") as caught:
        await family.reserve(account_id, "o1", 1, "NOK")
    assert caught.value.reason is ErrorReason.EXCHANGE_RATE_NOT_FOUND
    assert (await family.read()).exposure_minor is None or (await family.read()).exposure_minor == 0


async def test_a_missing_rate_names_the_group_when_neither_order_nor_account_needs_one(
    family: Family, new_id: Callable[[str], str]
) -> None:
    await family.put(None)
    foreign, own = new_id("acc"), new_id("acc")
    await family.join(foreign, "NOK")
    await family.join(own, "USD")
    await family.reserve(foreign, "o1", 1, "NOK")
    await family.put(10_000)
    with pytest.raises(CreditError) as caught:
        await family.reserve(own, "o1", 1)
    assert caught.value.reason is ErrorReason.EXCHANGE_RATE_NOT_FOUND
    assert f"credit group {family.group_id}" in caught.value.message
    assert "from NOK to USD" in caught.value.message
    assert "an order of account" not in caught.value.message


async def test_a_group_that_has_no_limit_or_of_which_nothing_is_asked_needs_no_rate(
    family: Family, new_id: Callable[[str], str]
) -> None:
    await family.put(None)
    account_id = new_id("acc")
    await family.join(account_id, "NOK")
    assert (await family.reserve(account_id, "o1", 100, "NOK")).decision.outcome is Outcome.APPROVED
    explained = await family.store.run(CheckCredit(account_id, 100, "NOK", explain=True), deadline())
    assert explained.outcome is Outcome.APPROVED
    await family.put(0)
    secured = ReserveCredit(account_id, "o2", 100, "NOK", HOLD_S, secured_minor=100)
    assert (await family.store.run(secured, deadline())).decision.outcome is Outcome.APPROVED
    explained = await family.store.run(CheckCredit(account_id, 100, "NOK", 100, explain=True), deadline())
    assert explained.outcome is Outcome.APPROVED
    lowered = AmendReservation(account_id, "o1", 90, "NOK")
    assert (await family.store.run(lowered, deadline())).decision.outcome is Outcome.APPROVED


async def test_what_a_check_explains_of_an_unlimited_group_is_what_it_owes(
    family: Family, new_id: Callable[[str], str]
) -> None:
    await family.put(None)
    account_id = new_id("acc")
    await family.join(account_id, "CHF")
    explained = await family.store.run(CheckCredit(account_id, 333, "CHF", explain=True), deadline())
    (told,) = [reason for reason in explained.passed_rules if reason.code is ReasonCode.GROUP_LIMIT_EXCEEDED]
    assert (told.action, told.observed, told.threshold) == (Action.OFF, 362, 0)


async def test_a_groups_sum_that_leaves_the_range_is_named_as_that(
    family: Family, new_id: Callable[[str], str]
) -> None:
    await family.put(AMOUNT_MAX_MINOR)
    one, other, swiss = new_id("acc"), new_id("acc"), new_id("acc")
    for account_id, currency in ((one, "USD"), (other, "USD"), (swiss, "CHF")):
        await family.store.run(PutAccount(account_id, currency, unlimited=True, group_id=family.group_id), deadline())
    await family.store.run(PostReceivable(one, "d1", AMOUNT_MAX_MINOR - 10, "USD"), deadline())
    asked: list[tuple[Operation[object], str]] = [
        (ReserveCredit(other, "o1", 11, "USD", HOLD_S), "USD"),  # with what the others owe
        (ReserveCredit(swiss, "o1", 11, "CHF", HOLD_S), "USD"),
        (ReserveCredit(swiss, "o1", AMOUNT_MAX_MINOR, "CHF", HOLD_S), "USD"),  # converted
        (PostReceivable(other, "d1", 11, "USD"), "USD"),
    ]
    for operation, currency in asked:
        with pytest.raises(CreditError) as caught:
            await family.store.run(operation, deadline())
        assert caught.value.reason is ErrorReason.SUM_OUT_OF_RANGE, operation
        assert f"credit group {family.group_id} in {currency}" in caught.value.message
        assert [each.field for each in caught.value.violations] == ["amount_minor"]
    partitions = family.store.partitions
    home = keys.partition_of(family.group_id, partitions)
    newcomer = next(name for name in (new_id("acc") for _ in count()) if keys.partition_of(name, partitions) == home)
    await family.store.run(PutAccount(newcomer, "USD", unlimited=True), deadline())
    await family.store.run(PostReceivable(newcomer, "d1", 11, "USD"), deadline())
    with pytest.raises(CreditError) as caught:
        await family.join(newcomer)
    assert caught.value.reason is ErrorReason.SUM_OUT_OF_RANGE
    assert f"credit group {family.group_id} in USD" in caught.value.message
    assert [each.field for each in caught.value.violations] == ["account.group_id"]


async def test_a_credit_balance_of_one_account_does_not_help_another(
    family: Family, new_id: Callable[[str], str]
) -> None:
    await family.put(100)
    one, other = new_id("acc"), new_id("acc")
    for account_id in (one, other):
        await family.join(account_id, "USD")
    await family.store.run(RecordPayment(one, "p1", 500, "USD"), deadline())
    assert (await family.reserve(other, "o1", 101)).decision.outcome is Outcome.REJECTED
    (sums,) = (await family.read()).currencies
    assert (sums.receivable_minor, sums.owed_minor) == (-500, 0)


async def test_the_groups_own_tolerance_marks(
    own_redis: Callable[..., PrivateRedis], new_id: Callable[[str], str]
) -> None:
    rules = {**DEFAULT_RULES, ReasonCode.GROUP_LIMIT_EXCEEDED: RuleSetting(Action.REVIEW, share_bps=1000)}
    policy = Policy("tolerant", {DEFAULT_CLASS: ClassPolicy(rules)})
    async with open_store(own_redis().url, policy=policy) as store:
        family = Family(store, new_id("fam"))
        await family.put(1000)
        account_id = new_id("acc")
        await family.join(account_id, "USD")
        outcomes = [
            (await family.reserve(account_id, f"o{index}", amount)).decision.outcome
            for index, amount in enumerate((1000, 100, 1))
        ]
        assert outcomes == [Outcome.APPROVED, Outcome.FLAGGED, Outcome.PENDING_REVIEW]


async def test_accounts_join_and_leave_with_what_they_have(family: Family, new_id: Callable[[str], str]) -> None:
    await family.put(10_000)
    account_id = new_id("acc")
    store = family.store
    await store.run(PutAccount(account_id, "USD", base_limit=LimitSetting(10_000), display_name="Kept"), deadline())
    await family.reserve(account_id, "o1", 700)
    await family.reserve(account_id, "o2", 300)
    await store.run(CommitReservation(account_id, "o2", 100, "USD", "d1"), deadline())
    await store.run(ReleaseReservation(account_id, "o1"), deadline())
    await store.run(AmendReservation(account_id, "o2", 400, "USD", request_id="r1"), deadline())
    before = await store.run(GetAccount(account_id), deadline())
    await family.join(account_id)
    after = await store.run(GetAccount(account_id), deadline())
    assert (after.exposure, after.display_name, after.create_time_ms) == (
        before.exposure,
        before.display_name,
        before.create_time_ms,
    )
    (sums,) = (await family.read()).currencies
    assert (sums.reserved_minor, sums.receivable_minor) == (300, 100)
    assert (await family.reserve(account_id, "o1", 700)).replayed
    again = await store.run(AmendReservation(account_id, "o2", 400, "USD", request_id="r1"), deadline())
    assert again.replayed
    assert (await store.run(CommitReservation(account_id, "o2", 100, "USD", "d1"), deadline())).replayed
    assert await family.differences() == []
    await family.leave(account_id)
    group = await family.read()
    assert (group.currencies, group.account_count) == ((), 0)
    assert (await store.run(GetAccount(account_id), deadline())).exposure == before.exposure
    assert await family.differences() == []


async def test_a_hold_that_moved_ends_in_its_second(
    own_store: RedisCreditStore, server: PrivateRedis, new_id: Callable[[str], str]
) -> None:
    family = Family(own_store, new_id("fam"))
    await family.put(100)
    account_id = new_id("acc")
    store = family.store
    await store.run(PutAccount(account_id, "USD", base_limit=LimitSetting(100)), deadline())
    await store.run(ReserveCredit(account_id, "o1", 100, "USD", 600), deadline())
    await family.join(account_id)
    assert (await family.reserve(account_id, "o2", 1)).decision.outcome is Outcome.REJECTED
    end_s = (await store.run(GetReservation(account_id, "o1"), deadline())).expire_time_s
    with server.client() as client:
        client.set(keys.clock(keys.partition_of(family.group_id, store.partitions)), end_s)
    assert (await store.run(GetReservation(account_id, "o1"), deadline())).state is ReservationState.EXPIRED
    assert (await family.read()).exposure_minor == 0
    assert (await family.reserve(account_id, "o3", 100)).decision.outcome is Outcome.APPROVED
    observer = QuietObserver()
    await Sweeper(store, observer, 1.0).sweep_once()
    assert observer.settled == 1
    assert await family.differences() == []


async def test_the_seventeenth_currency_is_refused_and_the_account_stays_as_it_is(
    family: Family, new_id: Callable[[str], str]
) -> None:
    await family.put(None)
    codes = "USD EUR CHF JPY GBP NOK SEK DKK PLN CZK HUF RON TRY ZAR INR CNY"
    for code in codes.split():
        await family.join(new_id("acc"), code)
    account_id = new_id("acc")
    await family.store.run(PutAccount(account_id, "KRW", base_limit=LimitSetting(5)), deadline())
    with pytest.raises(CreditError) as caught:
        await family.join(account_id)
    assert caught.value.reason is ErrorReason.GROUP_CURRENCIES_EXHAUSTED
    account = await family.store.run(GetAccount(account_id), deadline())
    assert (account.group_id, account.base_limit_minor) == ("", 5)
    await family.store.run(PutAccount(account_id, base_limit=LimitSetting(6)), deadline())


async def test_a_currency_leaves_with_its_last_account(family: Family, new_id: Callable[[str], str]) -> None:
    await family.put(10_000)
    codes = "EUR CHF JPY GBP NOK SEK DKK PLN CZK HUF RON TRY ZAR INR CNY"
    names = {code: new_id("acc") for code in ("USD", *codes.split())}
    for code, account_id in names.items():
        await family.join(account_id, code)
    await family.reserve(names["CHF"], "o1", 5, "CHF")
    for code in codes.split():
        await family.leave(names[code])
    assert [sums.currency_code for sums in (await family.read()).currencies] == ["USD"]
    await family.join(names["CHF"])
    await family.join(new_id("acc"), "KRW")
    assert {sums.currency_code for sums in (await family.read()).currencies} == {"USD", "CHF", "KRW"}
    assert await family.differences() == []


async def test_a_currency_of_which_nothing_is_owed_needs_no_rate(family: Family, new_id: Callable[[str], str]) -> None:
    await family.put(10_000)
    dollars, dinars = new_id("acc"), new_id("acc")
    await family.join(dollars, "USD")
    await family.join(dinars, "KWD")
    assert (await family.reserve(dollars, "o1", 100)).decision.outcome is Outcome.APPROVED
    await family.store.run(PostReceivable(dinars, "d1", 5, "KWD"), deadline())
    with pytest.raises(CreditError) as caught:
        await family.reserve(dollars, "o2", 100)
    assert caught.value.reason is ErrorReason.EXCHANGE_RATE_NOT_FOUND


@pytest.mark.parametrize("is_away", [True, False])
async def test_an_account_joins_with_thousands_of_holds(
    family: Family, new_id: Callable[[str], str], *, is_away: bool
) -> None:
    """Each falls due in a second of its own: more than one command writes, among later ones of the group."""
    await family.put(10**9)
    store, home = family.store, keys.partition_of(family.group_id, family.store.partitions)
    sister, account_id = (
        new_id("acc"),
        next(
            each
            for each in (new_id("acc") for _ in count())
            if (keys.partition_of(each, store.partitions) != home) == is_away
        ),
    )
    await family.join(sister, "USD")
    await store.run(ReserveCredit(sister, "late", 7, "USD", HOLD_S + 10_000), deadline())
    await store.run(PutAccount(account_id, "USD", base_limit=LimitSetting(10**9)), deadline())
    orders = [ReserveCredit(account_id, f"o{number}", 2, "USD", HOLD_S + number) for number in range(MANY_HOLDS)]
    await store.run_each(orders, deadline())
    for join in (True, False, True):
        await store.run(PutAccount(account_id, group_id=family.group_id if join else ""), deadline())
        (sums,) = (await family.read()).currencies
        assert sums.reserved_minor == 7 + (2 * MANY_HOLDS if join else 0)
    assert (await family.reserve(account_id, "more", 3)).decision.outcome is Outcome.APPROVED
    assert await family.differences() == []


async def test_an_unknown_group_is_refused(family: Family, new_id: Callable[[str], str]) -> None:
    account_id = new_id("acc")
    with pytest.raises(CreditError) as caught:
        await family.join(account_id, "USD")
    assert caught.value.reason is ErrorReason.GROUP_NOT_FOUND
    with pytest.raises(CreditError) as caught:
        await family.store.run(GetAccount(account_id), deadline())
    assert caught.value.reason is ErrorReason.ACCOUNT_NOT_FOUND


async def test_a_groups_currency_can_not_change(family: Family) -> None:
    await family.put(1)
    with pytest.raises(CreditError) as caught:
        await family.store.run(PutGroup(family.group_id, "EUR", 1, ""), deadline())
    assert caught.value.reason is ErrorReason.GROUP_EXISTS_WITH_DIFFERENT_CURRENCY


async def test_groups_are_listed(family: Family, new_id: Callable[[str], str]) -> None:
    wanted = {new_id("fam") for _ in range(30)}
    for group_id in wanted:
        await Family(family.store, group_id).put(None)
    listed, token = [], ""
    while True:
        page = await family.store.list_groups(7, token, deadline())
        assert len(page.items) <= 7
        listed += [group.group_id for group in page.items]
        token = page.next_page_token
        if not token:
            break
    assert sorted(listed) == sorted(wanted)


async def test_listings_count_credit_balances_as_the_policy_says(family: Family, new_id: Callable[[str], str]) -> None:
    family.store.use_policy(
        Policy("credit", {DEFAULT_CLASS: ClassPolicy(DEFAULT_RULES, credit_balance_raises_headroom=True)})
    )
    account_id = new_id("acc")
    await family.put(1_000)
    await family.join(account_id, "USD")
    await family.store.run(RecordPayment(account_id, "p1", 300, "USD"), deadline())
    account = await family.store.run(GetAccount(account_id), deadline())
    assert account.exposure.available_minor == 1_000_300
    accounts = await all_items(family.store.list_accounts)
    assert [each for each in accounts if each.account_id == account_id] == [account]
    group = await family.read()
    assert group.exposure_minor == -300
    assert [each for each in await all_items(family.store.list_groups) if each.group_id == family.group_id] == [group]
    await family.store.run(PostReceivable(account_id, "d1", 299, "USD"), deadline())
    assert (await family.read()).exposure_minor == -1


async def all_items(listing: Callable[[int, str, float], Awaitable[Page[T]]]) -> list[T]:
    """Return the items of all pages."""
    items: list[T] = []
    token = ""
    while True:
        page = await listing(1000, token, deadline())
        items += page.items
        token = page.next_page_token
        if not token:
            return items


async def test_verifying_groups_that_are_right_writes_nothing(
    family: Family, server: PrivateRedis, new_id: Callable[[str], str]
) -> None:
    account_id = new_id("acc")
    await family.put(1_000)
    await family.join(account_id, "USD")
    await family.reserve(account_id, "o1", 10)
    journal = keys.journal(keys.partition_of(family.group_id, family.store.partitions))
    with server.client() as client:
        before = client.xlen(journal)
        await repair_all(family.store)
        assert client.xlen(journal) == before


async def repair_all(store: RedisCreditStore) -> None:
    token = ""
    while True:
        page = await store.verify_accounts(page_size=1000, page_token=token, repair=True, deadline=deadline())
        token = page.next_page_token
        if not token:
            return


async def test_a_wrong_sum_of_a_group_is_found_and_put_right(
    family: Family, new_id: Callable[[str], str], own_store: RedisCreditStore, server: PrivateRedis
) -> None:
    await family.put(1000)
    account_id = new_id("acc")
    await family.join(account_id, "USD")
    await family.reserve(account_id, "o1", 10)
    partition = keys.partition_of(family.group_id, own_store.partitions)
    with server.client() as client:
        record = client.get(keys.group(partition, family.group_id))
        assert isinstance(record, bytes)
        wrong = record.replace((10).to_bytes(8, "little"), (11).to_bytes(8, "little"), 1)
        client.set(keys.group(partition, family.group_id), wrong)
    assert await family.differences() == [f"{family.group_id} reserved:USD"]
    token = ""
    while True:
        page = await own_store.verify_accounts(page_size=1000, page_token=token, repair=True, deadline=deadline())
        token = page.next_page_token
        if not token:
            break
    assert await family.differences() == []


EVERY_RULE = """
default:
  limit_rise_releases_reviews: true
  rules:
    account_blocked: {action: review}
    limit_stale: {action: flag}
    limit_exceeded: {action: review}
    within_tolerance: {action: flag, percent: 5}
    near_limit: {action: flag}
    group_limit_exceeded: {action: review, tolerance_percent: 10}
    order_too_large: {action: reject, amount: {USD: 3.90, CHF: 3.90, JPY: 390}}
    overdue_amount: {action: flag, amount: {USD: 1.00}}
    overdue_days: {action: flag, days: 10}
    velocity_exceeded: {action: review, window: 1d, percent: 300}
    terms_too_long: {action: flag}
"""
POLICIES = {"without a file": DEFAULT_POLICY, "every rule": parse_policy(EVERY_RULE).compiled(shadow=False)}
CROSS_RATES = (("USD", "CHF", "0.9223"), ("JPY", "CHF", "0.0059"), ("USD", "JPY", "153.1"), ("CHF", "JPY", "166.7"))
STEPS = ("reserve", "reserve", "commit", "release", "amend", "pay", "post", "credit", "raise", "join", "leave", "other")


async def one_step(family: Family, other: Family, draw: random.Random, accounts: dict[str, str]) -> None:
    account_id = draw.choice(sorted(accounts))
    currency, order_id, amount = accounts[account_id], f"o{draw.randrange(8)}", draw.randrange(1, 400)
    ordered_in = CURRENCIES[sum(map(ord, order_id)) % 3]
    steps: dict[str, Operation[object]] = {
        "reserve": ReserveCredit(
            account_id,
            order_id,
            amount,
            ordered_in,
            draw.choice((1, HOLD_S, HOLD_S)),
            secured_minor=draw.choice((0, 0, amount // 2)),
        ),
        "commit": CommitReservation(
            account_id, order_id, amount, ordered_in, f"d{draw.randrange(60)}", draw.random() < 0.3
        ),
        "release": ReleaseReservation(account_id, order_id),
        "amend": AmendReservation(account_id, order_id, amount, ordered_in, draw.choice((None, 1, HOLD_S))),
        "pay": RecordPayment(account_id, f"p{draw.randrange(60)}", amount, currency),
        "post": PostReceivable(account_id, f"d{draw.randrange(60)}", amount, currency),
        "credit": RecordCreditNote(account_id, f"d{draw.randrange(60)}", amount, currency),
        "raise": PutAccount(account_id, base_limit=LimitSetting(1000 + draw.randrange(1000))),
        "join": PutAccount(account_id, group_id=family.group_id),
        "leave": PutAccount(account_id, group_id=""),
        "other": PutAccount(account_id, group_id=other.group_id),
    }
    refused: ErrorReason | None = None
    try:
        await family.store.run(steps[draw.choice(STEPS)], deadline())
    except CreditError as error:
        refused = error.reason
    assert refused is not ErrorReason.INTERNAL


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES.keys())
@pytest.mark.parametrize("seed", range(3))
async def test_a_groups_sums_are_those_of_its_accounts_whatever_happens(
    own_store: RedisCreditStore, server: PrivateRedis, new_id: Callable[[str], str], seed: int, policy: Policy
) -> None:
    own_store.use_policy(policy)
    await own_store.put_rates([parse_rate(*each) for each in CROSS_RATES], 2, 0, deadline())
    draw = random.Random(seed)
    family, other = Family(own_store, new_id("fam")), Family(own_store, new_id("fam"))
    for each in (family, other):
        await each.put(2000)
    accounts = {new_id("acc"): CURRENCIES[index % 3] for index in range(6)}
    for account_id, currency in accounts.items():
        limit = LimitSetting(1500)
        await own_store.run(PutAccount(account_id, currency, base_limit=limit), deadline())
    for round_number in range(25):
        set_clocks(server, own_store, AHEAD_S + round_number // 2)
        await asyncio.gather(*(one_step(family, other, draw, accounts) for _ in range(12)))
        await check_sums(family, other, accounts)
    assert await family.differences() == []


def set_clocks(server: PrivateRedis, store: RedisCreditStore, second: int) -> None:
    """Set the clocks of all partitions far ahead, where they stand still."""
    with server.client() as client:
        client.mset({keys.clock(partition): second for partition in range(store.partitions)})


async def check_sums(family: Family, other: Family, accounts: dict[str, str]) -> None:
    groups = {each.group_id: await each.read() for each in (family, other)}
    read = [await family.store.run(GetAccount(account_id), deadline()) for account_id in accounts]
    for group_id, group in groups.items():
        members = [account for account in read if account.group_id == group_id]
        assert group.account_count == len(members)
        assert {account.currency_code for account in members} <= {each.currency_code for each in group.currencies}
        for sums in group.currencies:
            own = [account.exposure for account in members if account.currency_code == sums.currency_code]
            assert sums.reserved_minor == sum(each.reserved_minor for each in own)
            assert sums.receivable_minor == sum(each.receivable_minor for each in own)
            assert sums.owed_minor == sum(max(0, each.receivable_minor) for each in own)
