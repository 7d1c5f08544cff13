"""A Hypothesis state machine that asks the gate and the model the same, and compares every answer and every balance."""

import itertools
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from creditgate.domain.account import AccountStatus, Block
from creditgate.domain.operations import (
    BlockSetting,
    CheckCredit,
    CloseAccount,
    CommitReservation,
    GetAccount,
    GetReservation,
    LimitSetting,
    Operation,
    PutAccount,
    RecordPayment,
    ReleaseReservation,
    ReserveCredit,
)
from creditgate.domain.reservation import ReservationState
from tests.model.answers import in_the_models_words, reservation_in, revision_in, times_in
from tests.model.gates import Gate
from tests.model.reference import AMOUNT_MAX_MINOR, MS, AccountModel, Order, ReferenceGate, reads

LONG_HOLD_S: Final = 3600
_ASKED_BETWEEN_WAITS: Final = 12
_WAITS_MAX: Final = 2
_PAGE_SIZES: Final = (1, 3, 1000)
_SOME_MINOR: Final = 20
_numbers = itertools.count(1)


class AmountDraft(NamedTuple):
    """An amount that is fixed once it is known where the account stands."""

    base: str
    delta: int

    def resolve(self, account: AccountModel | None, order: Order | None, now_s: int, least: int = 1) -> int:
        """Return an amount within the bounds of the contract, near a boundary of the account or of the order."""
        base = {"least": 0, "some": _SOME_MINOR, "most": AMOUNT_MAX_MINOR}
        if account is not None:
            base["limit"] = account.base_limit_minor or 0
            base["headroom"] = account.balances(now_s).available_minor or 0
        if order is not None:
            base["rest"] = order.amount_minor - order.committed_minor
        return min(max(base.get(self.base, _SOME_MINOR) + self.delta, least), AMOUNT_MAX_MINOR)


UNKNOWN: Final = "unknown"
ACCOUNTS: Final = st.sampled_from(("a",) * 8 + ("b",) * 8 + (UNKNOWN,))
IDS: Final = st.sampled_from(tuple(f"x{number}" for number in range(12)))
"""Orders, documents and payments draw from the same few ids: they repeat, and they cross."""

PLACE_NONE: Final = 20
PLACES: Final = st.integers(0, PLACE_NONE)
"""Which of an account's orders; the last stands for one that was never asked for."""

CURRENCIES: Final = st.sampled_from(("USD",) * 19 + ("EUR",))
DELTAS: Final = st.integers(-1, 1)
AMOUNTS: Final = st.one_of(
    st.builds(AmountDraft, st.just("some"), st.integers(1 - _SOME_MINOR, 2 * _SOME_MINOR)),
    st.builds(AmountDraft, st.sampled_from(("limit", "headroom", "headroom", "rest")), DELTAS),
    st.builds(AmountDraft, st.sampled_from(("least", "some", "some", "some", "some", "some", "most")), DELTAS),
)
INVOICED: Final = st.one_of(AMOUNTS, st.builds(AmountDraft, st.just("rest"), DELTAS))
LIMITS: Final = st.one_of(
    st.integers(0, 300), st.sampled_from((None, 0, 1, 100, 100, 100, AMOUNT_MAX_MINOR - 1, AMOUNT_MAX_MINOR))
)
SECURED: Final = st.sampled_from((0, 0, 0, 0, 1, 2, -1, -2))
"""What is secured of an order: nothing, a little, or (below zero) exactly or nearly all."""

OFTEN: Final = st.sampled_from((True, True, True, False))
SELDOM: Final = st.sampled_from((False,) * 9 + (True,))


class OrderDraft(NamedTuple):
    """An order whose amounts are still open."""

    account: str
    order_id: str
    amount: AmountDraft
    currency_code: str
    secured: int
    terms_days: int
    short: bool


ORDERS: Final = st.builds(
    OrderDraft, ACCOUNTS, IDS, AMOUNTS, CURRENCIES, SECURED, st.sampled_from((0,) * 7 + (30,)), OFTEN
)


def _step(name: str, *arguments: st.SearchStrategy[Any], weight: int = 1) -> list[st.SearchStrategy[Any]]:
    """A step, by the name of its method, and what it is called with; as often as its weight."""
    return [st.tuples(st.just(name), st.tuples(*arguments))] * weight


STEPS: Final = st.sampled_from(
    [
        *_step("reserve", ORDERS, weight=6),
        *_step("reserve_again", ORDERS, PLACES, weight=2),
        *_step("reserve_batch", st.lists(ORDERS, min_size=2, max_size=6), weight=2),
        *_step("commit", ACCOUNTS, PLACES, INVOICED, CURRENCIES, IDS, st.booleans(), weight=5),
        *_step("release", ACCOUNTS, PLACES, weight=2),
        *_step("pay", ACCOUNTS, IDS, AMOUNTS, CURRENCIES, weight=2),
        *_step("repeat", st.integers(0, 1000), weight=3),
        *_step("check", ORDERS, st.booleans(), weight=2),
        *_step("put_limit", ACCOUNTS, LIMITS, SELDOM, st.sampled_from(("USD",) * 9 + ("EUR",))),
        *_step("put_standing", ACCOUNTS, SELDOM, SELDOM),
        *_step("get_reservation", ACCOUNTS, PLACES),
        *_step("sweep", st.booleans()),
    ]
).flatmap(lambda step: step)


class GateMachine(RuleBasedStateMachine):
    """Holds do not end here by themselves; `ExpiringGateMachine` lets time pass."""

    short_hold_s = LONG_HOLD_S

    gate: Gate

    def __init__(self) -> None:
        super().__init__()
        self.model = ReferenceGate()
        self.prefix = f"model-{next(_numbers)}-{time.time_ns():x}-"
        self.done: list[Operation[object]] = []
        self.diverged = False
        self.revisions: dict[tuple[str, str], dict[int, object]] = {}

    # --- asking

    def ask(self, operation: Operation[object]) -> None:
        """Carry out an operation on both sides and compare."""
        before_ms = self.gate.now_ms()
        answer = self.gate.run(operation)
        self.compare(operation, answer, before_ms, self.gate.now_ms())
        self.done.append(operation)
        self.compare_balances(operation.account_id)

    def ask_each(self, operations: Sequence[Operation[object]]) -> None:
        """Carry out operations in one call and compare."""
        before_ms = self.gate.now_ms()
        answers = self.gate.run_each(operations)
        after_ms = self.gate.now_ms()
        assert len(answers) == len(operations)
        for operation, answer in zip(operations, answers, strict=True):
            self.compare(operation, answer, before_ms, after_ms)
        for account_id in {operation.account_id for operation in operations}:
            self.compare_balances(account_id)

    def compare(self, operation: Operation[object], answer: object, before_ms: int, after_ms: int) -> None:
        """Compare an answer with the model's, at whichever instant between the two it was given."""
        seen = in_the_models_words(answer)
        instants = [time_ms for time_ms in times_in(seen) if before_ms <= time_ms <= after_ms]
        seconds = range(before_ms // MS + 1, after_ms // MS + 1)
        instants += [before_ms, *(second * MS for second in seconds)]
        expected = None
        for now_ms in instants:
            trial = self.model.copy_of(operation.account_id)
            expected = trial.answer(operation, now_ms)
            if expected == seen:
                self.model.accounts.update(trial.accounts)
                self.compare_revision(operation.account_id, answer)
                return
        self.diverged = True
        raise AssertionError(f"{operation}\n    gate: {seen}\n   model: {expected}")

    def compare_revision(self, account_id: str, answer: object) -> None:
        """A reservation's revision is another exactly when the model says that the reservation has changed."""
        reservation = reservation_in(in_the_models_words(answer))
        if reservation is None or reservation.state is ReservationState.EXPIRED:
            return  # settling an expired reservation may or may not count as a change
        order = self.model.accounts[account_id].orders[reservation.order_id]
        seen = self.revisions.setdefault((account_id, order.order_id), {})
        assert seen.setdefault(order.revision, revision_in(answer)) == revision_in(answer)
        assert len(seen) == len(set(seen.values()))

    def compare_balances(self, account_id: str) -> None:
        """Compare where an account stands."""
        before_ms = self.gate.now_ms()
        answer = self.gate.run(GetAccount(account_id))
        self.compare(GetAccount(account_id), answer, before_ms, self.gate.now_ms())

    def now_s(self) -> int:
        """The store's second."""
        return self.gate.now_ms() // MS

    def account(self, name: str) -> AccountModel | None:
        """The model of an account."""
        return self.model.accounts.get(self.prefix + name)

    def amount(self, draft: AmountDraft, name: str, order_id: str, least: int = 1) -> int:
        """Fix an amount."""
        account = self.account(name)
        order = account.orders.get(order_id) if account is not None else None
        return draft.resolve(account, order, self.now_s(), least)

    def reserve_of(self, draft: OrderDraft) -> ReserveCredit:
        """Fix an order."""
        amount_minor = self.amount(draft.amount, draft.account, draft.order_id)
        secured_minor = min(draft.secured if draft.secured >= 0 else amount_minor + 1 + draft.secured, amount_minor)
        hold_s = self.short_hold_s if draft.short else LONG_HOLD_S
        account_id = self.prefix + draft.account
        return ReserveCredit(
            account_id, draft.order_id, amount_minor, draft.currency_code, hold_s, secured_minor, draft.terms_days
        )

    def order_id(self, name: str, place: int) -> str:
        """Choose an order that was approved some time, or `never-asked`."""
        account = self.account(name)
        order_ids = sorted(account.orders) if account is not None else []
        return order_ids[place % len(order_ids)] if order_ids and place < PLACE_NONE else "never-asked"

    # --- steps

    def put_limit(self, name: str, limit: int | None, unlimited: bool, currency_code: str) -> None:  # noqa: FBT001 - drawn
        """Change an account's limit."""
        operation = PutAccount(self.prefix + name, currency_code, base_limit=LimitSetting(limit), unlimited=unlimited)
        self.ask(replace(operation, currency_code="") if name == UNKNOWN else operation)

    def put_standing(self, name: str, closed: bool, blocked: bool) -> None:  # noqa: FBT001 - drawn
        """Close an account, or open it and block it or let it go on."""
        if closed:
            self.ask(CloseAccount(self.prefix + name))
        else:
            block = BlockSetting(Block("why", "who") if blocked else None)
            self.ask(PutAccount(self.prefix + name, status=AccountStatus.OPEN, block=block))

    def check(self, draft: OrderDraft, explain: bool) -> None:  # noqa: FBT001 - drawn
        """Ask without holding."""
        order = self.reserve_of(draft)
        self.ask(CheckCredit(order.account_id, order.amount_minor, order.currency_code, order.secured_minor, explain))

    def reserve(self, draft: OrderDraft) -> None:
        """Ask for one order."""
        self.ask(self.reserve_of(draft))

    def reserve_again(self, draft: OrderDraft, place: int) -> None:
        """Ask for an order that was approved some time, probably with other details."""
        self.ask(self.reserve_of(draft._replace(order_id=self.order_id(draft.account, place))))

    def reserve_batch(self, drafts: list[OrderDraft]) -> None:
        """Ask for several orders in one call."""
        self.ask_each([self.reserve_of(draft) for draft in drafts])

    def commit(
        self,
        name: str,
        place: int,
        amount: AmountDraft,
        currency_code: str,
        document_id: str,
        final: bool,  # noqa: FBT001 - drawn
    ) -> None:
        """Invoice an order."""
        order_id = self.order_id(name, place)
        amount_minor = self.amount(amount, name, order_id, 0 if final else 1)
        self.ask(CommitReservation(self.prefix + name, order_id, amount_minor, currency_code, document_id, final))

    def release(self, name: str, place: int) -> None:
        """Give an order back."""
        self.ask(ReleaseReservation(self.prefix + name, self.order_id(name, place)))

    def pay(self, name: str, payment_id: str, amount: AmountDraft, currency_code: str) -> None:
        """Pay some of what is owed, or more."""
        amount_minor = self.amount(amount, name, payment_id)
        self.ask(RecordPayment(self.prefix + name, payment_id, amount_minor, currency_code))

    def repeat(self, back: int) -> None:
        """Ask again what was asked before: a client that never saw its answer does so, sooner or later."""
        self.ask(self.done[-1 - back % len(self.done)])

    def get_reservation(self, name: str, place: int) -> None:
        """Read an order."""
        self.ask(GetReservation(self.prefix + name, self.order_id(name, place)))

    def sweep(self, on: bool) -> None:  # noqa: FBT001 - drawn
        """Start or stop the sweeper."""
        self.gate.set_sweeping(on=on)

    # --- rules

    @initialize(limit=LIMITS)
    def put_accounts(self, limit: int | None) -> None:
        """Set up an account with an ordinary limit, and one with any."""
        self.ask(PutAccount(self.prefix + "a", "USD", base_limit=LimitSetting(100)))
        self.ask(PutAccount(self.prefix + "b", "USD", base_limit=LimitSetting(limit)))

    @rule(step=STEPS)
    def step(self, step: tuple[str, tuple[object, ...]]) -> None:
        """Take one step.

        One rule for all, since Hypothesis leaves out whole rules in most of its runs, and here every step needs others
        before it to be of interest.
        """
        name, arguments = step
        getattr(self, name)(*arguments)

    # --- the end

    def teardown(self) -> None:
        """Sums are what the listed reservations and the model's documents and payments add up to."""
        self.gate.set_sweeping(on=False)
        if self.diverged:
            return  # the model no longer knows
        for account_id in self.model.accounts:
            self.compare_listings(account_id)

    def compare_listings(self, account_id: str) -> None:
        """Compare every reservation, in pages of several sizes."""
        account = self.model.accounts[account_id]
        for page_size in _PAGE_SIZES:
            second = self.now_s()
            answers = self.gate.list_reservations(account_id, page_size)
            if self.now_s() != second:
                continue  # a hold may have ended in between; the next size compares
            listed = [reservation_in(in_the_models_words(answer)) for answer in answers]
            expected = {order_id: reads(order, second) for order_id, order in account.orders.items()}
            assert {one.order_id: one for one in listed if one is not None} == expected
            assert len(listed) == len(expected)
            balances = account.balances(second)
            assert balances.reserved_minor == sum(one.exposure_minor for one in listed if one is not None)
            invoiced_minor = sum(order.committed_minor for order in account.orders.values())
            unpaid_minor = balances.receivable_minor + account.secured_receivable_minor
            assert unpaid_minor == invoiced_minor - sum(account.payments.values())


class ExpiringGateMachine(GateMachine):
    """Half of the holds last a second, and now and then the end of the next one is waited for."""

    short_hold_s = 1

    def __init__(self) -> None:
        super().__init__()
        self.waits = 0

    def ask(self, operation: Operation[object]) -> None:
        """Carry out an operation on both sides, after the end of a hold when it is time for one."""
        if len(self.done) >= (self.waits + 1) * _ASKED_BETWEEN_WAITS and self.waits < _WAITS_MAX:
            self.wait()
        super().ask(operation)

    def wait(self) -> None:
        """Let the next hold end."""
        now_s = self.now_s()
        ends = [
            order.expire_time_s
            for account in self.model.accounts.values()
            for order in account.orders.values()
            if order.held_minor(now_s) and order.expire_time_s <= now_s + 2 * self.short_hold_s
        ]
        if ends:
            self.waits += 1
            self.gate.let_time_pass(min(ends) * MS)
            for account_id in self.model.accounts:
                self.compare_balances(account_id)


def machine_on(gate: Gate, kind: type[GateMachine]) -> type[GateMachine]:
    """Return the machine for a gate; Hypothesis makes one for each of its runs."""
    return type(kind.__name__, (kind,), {"gate": gate})
