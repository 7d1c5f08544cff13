"""A Hypothesis state machine that asks the gate and the model the same, and compares every answer and every balance."""

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final, cast

from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from creditgate.domain.account import AccountStatus, Block, ManualLimit
from creditgate.domain.operations import (
    AmendReservation,
    BlockSetting,
    CheckCredit,
    CloseAccount,
    CommitReservation,
    GetAccount,
    GetReservation,
    ImportOpenItem,
    LimitSetting,
    Operation,
    PostReceivable,
    PutAccount,
    RecordCreditNote,
    RecordPayment,
    ReleaseReservation,
    ReserveCredit,
    SetBlock,
    SetManualLimit,
    UpdateAging,
)
from creditgate.domain.reservation import Etag, ReservationState
from tests.model.account import AMOUNT_MAX_MINOR, MS, AccountModel, Document, Order, net, reads
from tests.model.answers import in_the_models_words, reservation_in, times_in
from tests.model.drafts import (
    LIMITS,
    PLACE_NONE,
    SOME_MINOR,
    STEPS,
    UNKNOWN,
    AmendDraft,
    AmountDraft,
    Draft,
    OrderDraft,
)
from tests.model.gates import Gate
from tests.model.reference import ReferenceGate
from tests.model.rules import DEFAULT_RULEBOOK, Rulebook

LONG_HOLD_S: Final = 3600
_ASKED_BETWEEN_WAITS: Final = 12
_WAITS_MAX: Final = 2
_PAGE_SIZES: Final = (1, 3, 1000)
_numbers = itertools.count(1)


class GateMachine(RuleBasedStateMachine):
    """Holds do not end here by themselves; `ExpiringGateMachine` lets time pass."""

    short_hold_s = LONG_HOLD_S

    gate: Gate
    rulebook: Rulebook = DEFAULT_RULEBOOK
    releases_reviews = False

    def __init__(self) -> None:
        super().__init__()
        self.model = ReferenceGate(self.rulebook, releases_reviews=self.releases_reviews)
        self.prefix = f"model-{next(_numbers)}-{time.time_ns():x}-"
        self.done: list[Operation[object]] = []
        self.diverged = False
        self.begun_ms = 0
        self.seen_ms = 0

    # --- asking

    def look(self) -> tuple[int, int]:
        """Read the store's clock; return when it was read before, and now."""
        before_ms, self.seen_ms = self.seen_ms, self.gate.now_ms()
        return before_ms, self.seen_ms

    def ask(self, operation: Operation[object]) -> None:
        """Carry out an operation on both sides and compare."""
        answer = self.gate.run(operation)
        self.compare(operation, answer, *self.look())
        self.done.append(operation)
        self.compare_balances(operation.account_id)

    def ask_each(self, operations: Sequence[Operation[object]]) -> None:
        """Carry out operations in one call and compare."""
        answers = self.gate.run_each(operations)
        before_ms, after_ms = self.look()
        assert len(answers) == len(operations)
        for operation, answer in zip(operations, answers, strict=True):
            self.compare(operation, answer, before_ms, after_ms)
        self.done += operations
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
                return
        self.diverged = True
        raise AssertionError(f"{operation}\n    gate: {seen}\n   model: {expected}")

    def compare_balances(self, account_id: str) -> None:
        """Compare where an account stands."""
        answer = self.gate.run(GetAccount(account_id))
        self.compare(GetAccount(account_id), answer, *self.look())

    @property
    def now_s(self) -> int:
        """The store's second, when it was last read."""
        return self.seen_ms // MS

    def account(self, name: str) -> AccountModel | None:
        """The model of an account."""
        return self.model.accounts.get(self.prefix + name)

    def bases(self, name: str, order_id: str = "", entry_id: str = "") -> Mapping[str, int]:
        """What amounts of an account, an order of it, and a document or payment may lie near."""
        bases = {"least": 0, "some": SOME_MINOR, "most": AMOUNT_MAX_MINOR}
        account = self.account(name)
        if account is None:
            return bases
        headroom_minor = account.balances(self.now_s).available_minor or 0
        bases |= {"limit": account.base_limit_minor or 0, "headroom": headroom_minor}
        if account.aging is not None:
            bases["overdue"] = account.aging.overdue_minor
        order = account.orders.get(order_id)
        if order is not None:
            invoiced_minor = order.committed_minor
            bases |= {
                "rest": order.amount_minor - invoiced_minor,
                "total": order.amount_minor,
                "invoiced": invoiced_minor,
                # The total that just fits: what is secured or invoiced already takes no further credit.
                "room": order.secured_minor
                + net(invoiced_minor, order.secured_minor)
                + order.held_minor(self.now_s)
                + headroom_minor,
            }
        if entry_id in account.payments:
            bases["known"] = account.payments[entry_id]
        if entry_id in account.documents:
            bases["known"] = abs(account.documents[entry_id].amount_minor)
        return bases

    def hold_s(self, *, short: bool) -> int:
        """How long to hold."""
        return self.short_hold_s if short else LONG_HOLD_S

    def order(self, name: str, place: int) -> Order | None:
        """Choose an order that was approved some time, or none."""
        account = self.account(name)
        if account is None or not account.orders or place == PLACE_NONE:
            return None
        orders = sorted(account.orders.values(), key=lambda order: order.order_id)
        held = [order for order in orders if order.state_at(self.now_s) is ReservationState.HELD]
        among = held if held and place % 2 else orders
        return among[place // 2 % len(among)]

    def order_id(self, name: str, place: int) -> str:
        """Choose an order that was approved some time, or `never-asked`."""
        order = self.order(name, place)
        return order.order_id if order is not None else "never-asked"

    def etag(self, name: str, place: int, kind: str) -> Etag | None:
        """Choose what a caller has read of an order."""
        order = self.order(name, place)
        if order is None or not kind:
            return None
        if kind == "earlier" and order.revision > 1:
            return order.etag._replace(revision=order.revision - 1)
        if kind == "former":
            return order.etag._replace(decide_time_ms=order.create_time_ms - 1)
        return order.etag

    # --- operations

    def put_limit(self, name: str, limit: int | None, unlimited: bool, currency_code: str) -> PutAccount:  # noqa: FBT001 - drawn
        """Change an account's limit."""
        operation = PutAccount(self.prefix + name, currency_code, base_limit=LimitSetting(limit), unlimited=unlimited)
        return replace(operation, currency_code="") if name == UNKNOWN else operation

    def put_standing(self, name: str, closed: bool, blocked: bool) -> CloseAccount | PutAccount:  # noqa: FBT001 - drawn
        """Close an account, or open it and block it or let it go on."""
        if closed:
            return CloseAccount(self.prefix + name)
        block = BlockSetting(Block("why", "who") if blocked else None)
        return PutAccount(self.prefix + name, status=AccountStatus.OPEN, block=block)

    def set_manual_limit(self, name: str, limit: int | None, currency_code: str) -> SetManualLimit:
        """Set a limit by hand, or take it away."""
        manual = ManualLimit(limit, 0, "why", "who") if limit is not None else None
        return SetManualLimit(self.prefix + name, currency_code, manual, "why", "who")

    def set_block(self, name: str, blocked: bool) -> SetBlock:  # noqa: FBT001 - drawn
        """Block an account, or end its block."""
        return SetBlock(self.prefix + name, Block("why", "who") if blocked else None, "why", "who")

    def check(self, draft: OrderDraft, explain: bool) -> CheckCredit:  # noqa: FBT001 - drawn
        """Ask without holding."""
        order = self.reserve(draft)
        return CheckCredit(
            order.account_id,
            order.amount_minor,
            order.currency_code,
            order.secured_minor,
            explain,
            order.payment_terms_days,
        )

    def reserve(self, draft: OrderDraft) -> ReserveCredit:
        """Ask for an order."""
        amount_minor = draft.amount.resolve(self.bases(draft.account, draft.order_id))
        secured_minor = min(draft.secured if draft.secured >= 0 else amount_minor + 1 + draft.secured, amount_minor)
        return ReserveCredit(
            self.prefix + draft.account,
            draft.order_id,
            amount_minor,
            draft.currency_code,
            self.hold_s(short=draft.short),
            secured_minor,
            draft.terms_days,
        )

    def reserve_again(self, draft: OrderDraft, place: int) -> ReserveCredit:
        """Ask for an order that was approved some time, probably with other details."""
        return self.reserve(draft._replace(order_id=self.order_id(draft.account, place)))

    def reserve_as_first(self, name: str, place: int) -> ReserveCredit:
        """Ask for an order with the details that it was approved with, whatever became of it since."""
        order = self.order(name, place)
        if order is None:
            return ReserveCredit(self.prefix + name, "first-asked", SOME_MINOR, "USD", LONG_HOLD_S)
        return ReserveCredit(
            self.prefix + name,
            order.order_id,
            order.first_amount_minor,
            order.currency_code,
            LONG_HOLD_S,
            order.secured_minor,
            order.terms_days,
        )

    def amend(self, draft: AmendDraft) -> AmendReservation:
        """Change an order."""
        order_id = self.order_id(draft.account, draft.place)
        return AmendReservation(
            self.prefix + draft.account,
            order_id,
            draft.total.resolve(self.bases(draft.account, order_id)),
            draft.currency_code,
            None if draft.short is None else self.hold_s(short=draft.short),
            draft.request_id,
            self.etag(draft.account, draft.place, draft.etag),
        )

    def amend_secured(self, place: int, short: bool | None) -> AmendReservation:  # noqa: FBT001 - drawn
        """Let a secured order of any account shrink to nearly nothing, or grow again to all that is secured."""
        held = [
            (account_id, order)
            for account_id, account in self.model.accounts.items()
            for _, order in sorted(account.orders.items())
            if order.state_at(self.now_s) is ReservationState.HELD and order.secured_minor > order.committed_minor
        ]
        hold_s = None if short is None else self.hold_s(short=short)
        if not held:
            return AmendReservation(self.prefix + "a", "never-secured", SOME_MINOR, "USD", hold_s)
        account_id, order = held[place % len(held)]
        grows = order.amount_minor < order.secured_minor
        total_minor = order.secured_minor if grows else order.committed_minor + 1
        return AmendReservation(account_id, order.order_id, total_minor, order.currency_code, hold_s)

    def amend_again(self, place: int, held_otherwise: bool) -> AmendReservation:  # noqa: FBT001 - drawn
        """Change an order of any account under an id that it was changed under, to the same total."""
        amends = [
            (account_id, order_id, request_id, known)
            for account_id, account in self.model.accounts.items()
            for (order_id, request_id), known in sorted(account.amends.items())
        ]
        if not amends:
            return AmendReservation(self.prefix + "a", "never-amended", SOME_MINOR, "USD", None, "x0")
        account_id, order_id, request_id, known = amends[place % len(amends)]
        other_hold_s = LONG_HOLD_S if known.hold_s is None else None
        hold_s = other_hold_s if held_otherwise else known.hold_s
        return AmendReservation(account_id, order_id, known.amount_minor, "USD", hold_s, request_id)

    def commit(
        self,
        name: str,
        place: int,
        amount: AmountDraft,
        currency_code: str,
        document_id: str,
        final: bool,  # noqa: FBT001 - drawn
    ) -> CommitReservation:
        """Invoice an order."""
        order_id = self.order_id(name, place)
        amount_minor = amount.resolve(self.bases(name, order_id, document_id), 0 if final else 1)
        return CommitReservation(self.prefix + name, order_id, amount_minor, currency_code, document_id, final)

    def commit_recorded(self, name: str, place: int, document_place: int, final: bool) -> CommitReservation:  # noqa: FBT001 - drawn
        """Invoice an order by a document that is there, with an odd number by one of the ERP that leaves a rest."""
        account, order = self.account(name), self.order(name, place)
        documents = sorted(account.documents.items()) if account is not None else []
        invoices = [(each_id, document) for each_id, document in documents if document.amount_minor > 0]
        rest_minor = order.amount_minor - order.committed_minor if order is not None else 0
        partial = [each for each in invoices if each[1].commit is None and each[1].amount_minor < rest_minor]
        among = partial if partial and document_place % 2 else invoices
        if not among:
            among = [("never-recorded", Document(SOME_MINOR, None))]
        document_id, document = among[document_place // 2 % len(among)]
        order_id = self.order_id(name, place)
        return CommitReservation(self.prefix + name, order_id, document.amount_minor, "USD", document_id, final)

    def release(self, name: str, place: int, etag: str) -> ReleaseReservation:
        """Give an order back."""
        return ReleaseReservation(self.prefix + name, self.order_id(name, place), etag=self.etag(name, place, etag))

    def pay(self, name: str, payment_id: str, amount: AmountDraft, currency_code: str) -> RecordPayment:
        """Pay some of what is owed, or more."""
        amount_minor = amount.resolve(self.bases(name, payment_id, payment_id))
        return RecordPayment(self.prefix + name, payment_id, amount_minor, currency_code)

    def post(self, name: str, document_id: str, amount: AmountDraft, currency_code: str) -> PostReceivable:
        """Invoice without an order, or what is or will be committed too."""
        amount_minor = amount.resolve(self.bases(name, document_id, document_id))
        return PostReceivable(self.prefix + name, document_id, amount_minor, currency_code)

    def credit(self, name: str, document_id: str, amount: AmountDraft, currency_code: str) -> RecordCreditNote:
        """Credit some of what is owed, or more."""
        amount_minor = amount.resolve(self.bases(name, document_id, document_id))
        return RecordCreditNote(self.prefix + name, document_id, amount_minor, currency_code)

    def import_item(
        self,
        name: str,
        document_id: str,
        amount: AmountDraft,
        negative: bool,  # noqa: FBT001 - drawn
        currency_code: str,
    ) -> ImportOpenItem:
        """Take over an open item."""
        amount_minor = amount.resolve(self.bases(name, document_id, document_id))
        return ImportOpenItem(
            self.prefix + name, document_id, -amount_minor if negative else amount_minor, currency_code
        )

    def age(
        self, name: str, overdue_minor: int, disputed_minor: int, due_date: date | None, as_of_ms: int
    ) -> UpdateAging:
        """Say what is overdue."""
        return UpdateAging(
            self.prefix + name,
            overdue_minor,
            min(disputed_minor, overdue_minor),
            due_date if overdue_minor else None,
            self.begun_ms + as_of_ms,
        )

    def age_again(self, name: str) -> UpdateAging:
        """Say again what was overdue by the last ageing, whatever was paid since."""
        account = self.account(name)
        reported = account.reported_aging if account is not None else None
        if reported is None:
            return UpdateAging(self.prefix + name, 0, 0, None, self.begun_ms)
        return UpdateAging(
            self.prefix + name,
            reported.overdue_minor,
            reported.disputed_minor,
            reported.oldest_due_date,
            reported.as_of_ms,
        )

    def get_reservation(self, name: str, place: int) -> GetReservation:
        """Read an order."""
        return GetReservation(self.prefix + name, self.order_id(name, place))

    # --- steps

    def operation(self, draft: Draft) -> Operation[object]:
        """Fix what a draft leaves open, as the account stands now."""
        name, arguments = draft
        return cast("Operation[object]", getattr(self, name)(*arguments))

    def ask_one(self, draft: Draft) -> None:
        """Ask for one thing."""
        self.ask(self.operation(draft))

    def ask_together(self, drafts: list[Draft]) -> None:
        """Ask for several things at once, each fixed as those before it will leave the account."""
        known, self.model = self.model, self.model.copy()
        operations = []
        for draft in drafts:
            operations.append(self.operation(draft))
            self.model.answer(operations[-1], self.seen_ms)
        self.model = known
        self.ask_each(operations)

    def repeat(self, back: int) -> None:
        """Ask again what was asked before: a client that never saw its answer does so, sooner or later."""
        self.ask(self.done[-1 - back % len(self.done)])

    def sweep(self, on: bool) -> None:  # noqa: FBT001 - drawn
        """Start or stop the sweeper."""
        self.gate.set_sweeping(on=on)

    # --- rules

    @initialize(limit=LIMITS)
    def put_accounts(self, limit: int | None) -> None:
        """Set up an account with an ordinary limit, and one with any."""
        _, self.begun_ms = self.look()
        self.ask(PutAccount(self.prefix + "a", "USD", base_limit=LimitSetting(100)))
        self.ask(PutAccount(self.prefix + "b", "USD", base_limit=LimitSetting(limit)))

    @rule(step=STEPS)
    def step(self, step: Draft) -> None:
        """Take one step.

        One rule for all, since Hypothesis leaves out whole rules in most of its runs, and here every step needs others
        before it to be of interest.
        """
        name, arguments = step
        getattr(self, name)(*arguments)

    # --- the end

    def teardown(self) -> None:
        """Sums are what reservations, documents and payments add up to: the model's, the listed, and the gate's own."""
        self.gate.set_sweeping(on=False)
        if self.diverged:
            return  # the model no longer knows
        for account_id in self.model.accounts:
            assert not self.gate.verify(account_id)
            self.compare_listings(account_id)

    def compare_listings(self, account_id: str) -> None:
        """Compare every reservation, in pages of several sizes."""
        account = self.model.accounts[account_id]
        for page_size in _PAGE_SIZES:
            self.look()
            answers = self.gate.list_reservations(account_id, page_size)
            before_ms, after_ms = self.look()
            second = after_ms // MS
            if before_ms // MS != second:
                continue  # a hold may have ended in between; the next size compares
            listed = [reservation_in(in_the_models_words(answer)) for answer in answers]
            expected = {order_id: reads(order, second) for order_id, order in account.orders.items()}
            assert {one.order_id: one for one in listed if one is not None} == expected
            assert len(listed) == len(expected)
            balances = account.balances(second)
            assert balances.reserved_minor == sum(one.exposure_minor for one in listed if one is not None)
            documents = account.documents.values()
            invoiced_minor = sum(document.amount_minor for document in documents if document.commit is not None)
            assert invoiced_minor == sum(order.committed_minor for order in account.orders.values())
            owed_minor = sum(document.amount_minor for document in documents) - sum(account.payments.values())
            assert owed_minor == balances.receivable_minor + account.secured_receivable_minor


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
        now_s = self.now_s
        ends = [
            order.expire_time_s
            for account in self.model.accounts.values()
            for order in account.orders.values()
            if order.held_minor(now_s) and order.expire_time_s <= now_s + 2 * self.short_hold_s
        ]
        if ends:
            self.waits += 1
            self.gate.let_time_pass(min(ends) * MS)
            self.look()  # what is compared from here on is of after the end
            for account_id in self.model.accounts:
                self.compare_balances(account_id)


def machine_on(
    gate: Gate, kind: type[GateMachine], rules: Rulebook = DEFAULT_RULEBOOK, *, releases_reviews: bool = False
) -> type[GateMachine]:
    """Return the machine for a gate that decides by these rules; Hypothesis makes one for each of its runs."""
    return type(kind.__name__, (kind,), {"gate": gate, "rulebook": rules, "releases_reviews": releases_reviews})
