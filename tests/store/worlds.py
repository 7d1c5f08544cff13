"""Small worlds in which one order is judged: a policy with all rules, rates, an account, its group, and its past.

A world is drawn as a value, so that a test can change one thing of it and have the same order judged again.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Final, NamedTuple, TypeVar

from creditgate.domain.account import AccountStatus, Block, ManualLimit, TemporaryLimit
from creditgate.domain.decision import Action, Decision, ReasonCode
from creditgate.domain.money import minor_digits
from creditgate.domain.operations import (
    BlockSetting,
    CheckCredit,
    LimitSetting,
    Operation,
    PostReceivable,
    PutAccount,
    PutGroup,
    RecordPayment,
    ReserveCredit,
    SetManualLimit,
    SetTemporaryLimit,
    UpdateAging,
)
from creditgate.domain.policy import DEFAULT_CLASS, DEFAULT_RULES, ClassPolicy, Policy, RuleSetting
from creditgate.domain.rates import ExchangeRate, parse_rate
from creditgate.store import RedisCreditStore, keys
from tests.patience import PATIENCE_S
from tests.private_redis import PrivateRedis

R = TypeVar("R")

DAY_S: Final = 86_400
AHEAD_S: Final = 3_786_912_000
"""Where the clock begins: a second far ahead of every real one."""

CURRENCIES: Final = ("USD", "JPY", "KWD", "CHF")
"""With two, none, three and again two decimals."""

WINDOW_S: Final = 7 * DAY_S
_REFUSING: Final = (Action.REVIEW, Action.REJECT)
_MILD: Final = (Action.OFF, Action.SHADOW, Action.FLAG)
_SHARES_BPS: Final = (0, 1, 333, 500, 5000, 9000, 10_000)
_MINOR_RATES: Final = ("0.3333", "0.5", "0.99", "1", "1.01", "1.5", "3.07")
"""What a minor unit of one currency may be worth in minor units of another: none dwarfs the others."""


class Group(NamedTuple):
    """A group with a sister of the account; a limit of None is none."""

    currency: str
    limit: int | None
    sister_currency: str
    sister_owes: int
    sister_reserved: int


class Limits(NamedTuple):
    """The three limits; `manual` and `temporary` are None where they are not set."""

    base: int
    unlimited: bool
    manual: int | None
    temporary: int | None


class Order(NamedTuple):
    """The order that is judged."""

    currency: str
    amount: int
    secured: int
    terms_days: int


@dataclass(frozen=True)
class World:
    """All that a decision may depend on. Without limits, none is set; ages of limits are in days, None for no end."""

    policy: Policy
    rates: Mapping[tuple[str, str], str]
    currency: str
    limits: Limits | None
    ended_days_ago: int | None
    confirmed_s_ago: int
    blocked: bool
    closed: bool
    owes: int
    reserved: int
    overdue: int
    disputed: int
    due_days_ago: int
    group: Group | None
    order: Order


def draw_world(draw: Random, version: str, judge: ReasonCode | None = None) -> World:
    """Return any world; where one rule is to be the `judge`, no other refuses or sends to review, if it may be so."""
    currency = draw.choice(CURRENCIES)
    limits = Limits(
        draw.randrange(900),
        draw.random() < 0.05,
        draw.randrange(900) if draw.random() < 0.2 else None,
        draw.randrange(900) if draw.random() < 0.2 else None,
    )
    group = Group(
        draw.choice(CURRENCIES),
        draw.randrange(1000) if draw.random() < 0.9 else None,
        draw.choice(CURRENCIES),
        draw.randrange(-50, 200),
        draw.randrange(200),
    )
    amount = 1 + draw.randrange(300)
    order = Order(
        draw.choice((currency, draw.choice(CURRENCIES))),
        amount,
        draw.choice((0, 0, draw.randrange(amount + 1), amount)),
        draw.randrange(60),
    )
    overdue = draw.choice((0, draw.randrange(1, 300)))
    return World(
        policy=draw_policy(draw, version, judge),
        rates={
            (one, other): _rate(draw.choice(_MINOR_RATES), one, other)
            for one in CURRENCIES
            for other in CURRENCIES
            if one != other
        },
        currency=currency,
        limits=limits if draw.random() < 0.9 else None,
        ended_days_ago=draw.choice((None, None, None, draw.randrange(4))),
        confirmed_s_ago=draw.choice((0, 0, 1)),
        blocked=draw.random() < 0.1,
        closed=draw.random() < 0.1,
        owes=draw.randrange(-50, 300),
        reserved=draw.randrange(200),
        overdue=overdue,
        disputed=draw.randrange(overdue + 1) if draw.random() < 0.3 else 0,
        due_days_ago=draw.randrange(60),
        group=group if draw.random() < 0.7 else None,
        order=order,
    )


def draw_policy(draw: Random, version: str, judge: ReasonCode | None = None) -> Policy:
    """Return any policy that a file could say (see `draw_world`)."""

    def setting(code: ReasonCode) -> RuleSetting:
        actions = tuple(Action) if judge is None else _REFUSING if code is judge else _MILD
        amounts = {each: draw.randrange(300) for each in CURRENCIES if draw.random() < 0.8}
        return RuleSetting(draw.choice(actions), numbers.get(code, 0), draw.choice(_SHARES_BPS), amounts)

    numbers = {
        ReasonCode.LIMIT_EXPIRED: draw.randrange(4),
        ReasonCode.LIMIT_STALE: draw.choice((0, 0, 1)),
        ReasonCode.OVERDUE_DAYS: draw.randrange(60),
        ReasonCode.TERMS_TOO_LONG: draw.randrange(60),
        ReasonCode.VELOCITY_EXCEEDED: WINDOW_S,
    }
    rules = {code: setting(code) for code in ReasonCode}
    # A policy file in which a smaller order is refused where a larger one is not can't be used.
    least = Action.OFF
    for code in (ReasonCode.NEAR_LIMIT, ReasonCode.WITHIN_TOLERANCE, ReasonCode.LIMIT_EXCEEDED):
        if code is not ReasonCode.WITHIN_TOLERANCE or rules[code].action > Action.SHADOW:
            least = max(least, rules[code].action)
            rules[code] = replace(rules[code], action=least)
    credit_counts = draw.random() < 0.3
    return Policy(version, {DEFAULT_CLASS: ClassPolicy(rules, credit_balance_raises_headroom=credit_counts)})


def _rate(minor_rate: str, from_code: str, to_code: str) -> str:
    """Return the rate at which a minor unit is worth so many of the other's."""
    shift = (minor_digits(from_code) or 0) - (minor_digits(to_code) or 0)
    return f"{Decimal(minor_rate).scaleb(shift):f}"


def _setting_up() -> Policy:
    """Return the policy under which a world's past happens: nothing is refused, and what is approved is counted."""
    rules = {code: RuleSetting(Action.OFF) for code in DEFAULT_RULES}
    rules[ReasonCode.VELOCITY_EXCEEDED] = RuleSetting(Action.SHADOW, WINDOW_S, amounts=dict.fromkeys(CURRENCIES, 0))
    return Policy("setting-up", {DEFAULT_CLASS: ClassPolicy(rules)})


class Stage:
    """A store on a Redis whose clock is set far ahead and moves only here."""

    def __init__(self, store: RedisCreditStore, server: PrivateRedis, new_id: Callable[[str], str]) -> None:
        self._store = store
        self._server = server
        self._new_id = new_id
        self._rates: Mapping[tuple[str, str], str] | None = None
        with server.client() as client:
            self.now_s = int(client.get(keys.clock(0)) or 0) if client.exists(keys.rates(0)) else AHEAD_S
        self._set_clock()

    async def judge(self, world: World) -> Decision:
        """Build the world anew, and return what is decided about its order."""
        await self.put_rates(world.rates)
        self._store.use_policy(_setting_up())
        account_id = await self._build(world)
        if world.confirmed_s_ago:
            self.now_s += world.confirmed_s_ago
            self._set_clock()
        self._store.use_policy(world.policy)
        order = world.order
        return await self.run(
            CheckCredit(account_id, order.amount, order.currency, order.secured, payment_terms_days=order.terms_days)
        )

    async def put_rates(self, rates: Mapping[tuple[str, str], str]) -> None:
        """Let these rates and no others be in force."""
        if rates == self._rates:
            return
        self._rates = rates
        every = [(one, other) for one in CURRENCIES for other in CURRENCIES if one != other]
        missing = [parse_rate(*pair, "1") for pair in every if pair not in rates]
        given = [parse_rate(*pair, text) for pair, text in rates.items()]
        await self._put(missing, self.now_s + 1)
        if missing:
            self.now_s += 1
            self._set_clock()
        await self._put(given, 0)

    async def _put(self, rates: Sequence[ExchangeRate], expire_s: int) -> None:
        if rates:
            await self._store.put_rates(rates, time.time_ns() // 1000, expire_s, self._deadline())

    async def run(self, operation: Operation[R]) -> R:
        """Carry out one operation."""
        return await self._store.run(operation, self._deadline())

    async def _build(self, world: World) -> str:
        """Make the account with its group and its past; return its id."""
        account_id, sister, group_id = (self._new_id(kind) for kind in ("acc", "sister", "group"))
        group, limits = world.group, world.limits
        if group is not None:
            await self.run(PutGroup(group_id, group.currency, group.limit, ""))
            await self.run(PutAccount(sister, group.sister_currency, unlimited=True, group_id=group_id))
            await self._owe(sister, group.sister_currency, group.sister_owes, group.sister_reserved)
        await self.run(
            PutAccount(
                account_id,
                world.currency,
                group_id=group_id if group is not None else None,
                base_limit=LimitSetting(limits.base) if limits is not None else None,
                unlimited=limits is not None and limits.unlimited,
                limit_expire_time_s=self.now_s - world.ended_days_ago * DAY_S
                if world.ended_days_ago is not None
                else None,
                status=AccountStatus.CLOSED if world.closed else None,
                block=BlockSetting(Block("late", "ann")) if world.blocked else None,
            )
        )
        await self._set_limits(account_id, world)
        await self._owe(account_id, world.currency, world.owes, world.reserved)
        due = datetime.fromtimestamp(self.now_s, UTC).date() - timedelta(days=world.due_days_ago)
        await self.run(
            UpdateAging(account_id, world.overdue, world.disputed, due if world.overdue else None, self.now_s * 1000)
        )
        return account_id

    async def _set_limits(self, account_id: str, world: World) -> None:
        limits, currency = world.limits, world.currency
        if limits is not None and limits.manual is not None:
            manual = ManualLimit(limits.manual, 0, "fair", "ann")
            await self.run(SetManualLimit(account_id, currency, manual, "fair", "ann"))
        if limits is not None and limits.temporary is not None:
            temporary = TemporaryLimit(limits.temporary, self.now_s, self.now_s + DAY_S, "fair", "ann")
            await self.run(SetTemporaryLimit(account_id, currency, temporary, "fair", "ann"))

    async def _owe(self, account_id: str, currency: str, owes: int, reserved: int) -> None:
        """Let an account owe so much, or have so much to its credit, and hold a reservation."""
        if owes > 0:
            await self.run(PostReceivable(account_id, "d", owes, currency))
        elif owes < 0:
            await self.run(RecordPayment(account_id, "p", -owes, currency))
        if reserved:
            await self.run(ReserveCredit(account_id, "before", reserved, currency, DAY_S))

    def _set_clock(self) -> None:
        with self._server.client() as client:
            client.mset({keys.clock(number): self.now_s for number in range(self._store.partitions)})

    def _deadline(self) -> float:
        return time.monotonic() + PATIENCE_S
