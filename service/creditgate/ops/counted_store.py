"""A store that counts what it answers: decisions, reasons, replays, late and over commits."""

from collections.abc import Sequence
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter

from creditgate.domain.account import Account
from creditgate.domain.decision import Action, Decision, Outcome, ReasonCode
from creditgate.domain.errors import CreditError
from creditgate.domain.group import CreditGroup
from creditgate.domain.operations import (
    Amended,
    AmendReservation,
    CheckCredit,
    CommitReservation,
    Committed,
    ImportOpenItem,
    Operation,
    PostReceivable,
    RecordCreditNote,
    RecordPayment,
    ReleaseReservation,
    ReserveCredit,
    Reserved,
    UpdateAging,
)
from creditgate.domain.ports import CreditStore, Page
from creditgate.domain.rates import ExchangeRate
from creditgate.domain.reservation import Reservation, ReservationState
from creditgate.domain.verification import SumDifference, Verified
from creditgate.ops.loop_metrics import Count, LoopCounter

R = TypeVar("R")

_DECIDING: Final = (CheckCredit, ReserveCredit, AmendReservation)
_FIRING: Final[tuple[Action, ...]] = (Action.SHADOW, Action.FLAG, Action.REVIEW, Action.REJECT)
_REPLAYING: Final = (
    ReserveCredit,
    AmendReservation,
    CommitReservation,
    ReleaseReservation,
    RecordPayment,
    PostReceivable,
    RecordCreditNote,
    ImportOpenItem,
    UpdateAging,
)


class DecisionMetrics:
    """Counts by what was answered, with all label values looked up once."""

    def __init__(self, registry: CollectorRegistry) -> None:
        decisions = LoopCounter(
            "creditgate_decisions_total",
            "Decisions by outcome; a replayed one is not counted again.",
            ("operation", "outcome"),
            registry,
        )
        reasons = LoopCounter(
            "creditgate_decision_reasons_total",
            "Rules that fired in the counted decisions of ReserveCredit and AmendReservation, by what they do; SHADOW "
            "has no effect.",
            ("code", "action"),
            registry,
        )
        replays = LoopCounter(
            "creditgate_replays_total", "Answers that repeat an earlier one.", ("operation",), registry
        )
        self._late = Counter(
            "creditgate_late_commits_total", "Commits recorded after their hold had ended.", registry=registry
        )
        self._over = Counter(
            "creditgate_over_commits_total", "Commits recorded beyond their order's total.", registry=registry
        )
        self._decisions: dict[tuple[type, Outcome], Count] = {
            (operation, outcome): decisions.labels(operation.__name__, outcome.name)
            for operation in _DECIDING
            for outcome in Outcome
        }
        self._reasons = {
            (code, action): reasons.labels(code.name, action.name) for code in ReasonCode for action in _FIRING
        }
        self._replays: dict[type, Count] = {operation: replays.labels(operation.__name__) for operation in _REPLAYING}

    def count(self, operation: type, answer: object) -> None:
        """Count the answer of one operation; answers that decide and change nothing are not counted."""
        if getattr(answer, "replayed", False):
            self._replays[operation].inc()
        elif isinstance(answer, Reserved | Amended):
            self._count_decision(operation, answer.decision)
        elif isinstance(answer, Decision):
            self._decisions[operation, answer.outcome].inc()
        elif isinstance(answer, Committed):
            self._count_committed(answer)

    def _count_decision(self, operation: type, decision: Decision) -> None:
        self._decisions[operation, decision.outcome].inc()
        for reason in decision.reasons:
            self._reasons[reason.code, reason.action].inc()
        for reason in decision.shadow_reasons:
            self._reasons[reason.code, Action.SHADOW].inc()

    def _count_committed(self, committed: Committed) -> None:
        if committed.late:
            self._late.inc()
        if committed.over_committed_minor:
            self._over.inc()


class CountedStore:
    """`creditgate.domain.ports.CreditStore` around another one, counting its answers."""

    def __init__(self, store: CreditStore, metrics: DecisionMetrics) -> None:
        self._store = store
        self._count = metrics.count

    async def run(self, operation: Operation[R], deadline: float) -> R:
        """Carry out one operation (see `CreditStore.run`)."""
        answer = await self._store.run(operation, deadline)
        self._count(type(operation), answer)
        return answer

    async def run_each(self, operations: Sequence[Operation[R]], deadline: float) -> list[R | CreditError]:
        """Carry out operations independently (see `CreditStore.run_each`)."""
        answers = await self._store.run_each(operations, deadline)
        for operation, answer in zip(operations, answers, strict=True):
            self._count(type(operation), answer)
        return answers

    async def list_reservations(
        self, account_id: str, states: frozenset[ReservationState], page_size: int, page_token: str, deadline: float
    ) -> Page[Reservation]:
        """Return a page of reservations (see `CreditStore.list_reservations`)."""
        return await self._store.list_reservations(account_id, states, page_size, page_token, deadline)

    async def list_accounts(self, page_size: int, page_token: str, deadline: float) -> Page[Account]:
        """Return a page of accounts (see `CreditStore.list_accounts`)."""
        return await self._store.list_accounts(page_size, page_token, deadline)

    async def list_groups(self, page_size: int, page_token: str, deadline: float) -> Page[CreditGroup]:
        """Return a page of credit groups (see `CreditStore.list_groups`)."""
        return await self._store.list_groups(page_size, page_token, deadline)

    async def put_rates(self, rates: Sequence[ExchangeRate], version: int, expire_time_s: int, deadline: float) -> int:
        """Replace exchange rates (see `CreditStore.put_rates`)."""
        return await self._store.put_rates(rates, version, expire_time_s, deadline)

    async def verify_accounts(self, *, page_size: int, page_token: str, repair: bool, deadline: float) -> Verified:
        """Verify a page of all accounts (see `CreditStore.verify_accounts`)."""
        return await self._store.verify_accounts(
            page_size=page_size, page_token=page_token, repair=repair, deadline=deadline
        )

    async def verify_account(self, account_id: str, *, repair: bool, deadline: float) -> tuple[SumDifference, ...]:
        """Verify one account (see `CreditStore.verify_account`)."""
        return await self._store.verify_account(account_id, repair=repair, deadline=deadline)
