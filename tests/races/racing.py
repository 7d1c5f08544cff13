"""Calls that are made at the same time, each with its answer in the model's words."""

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Final, TypeAlias, TypeVar

from creditgate.domain.operations import GetAccount, GetReservation, Operation, ReserveCredit
from tests.model.answers import in_the_models_words
from tests.model.reference import ReferenceGate
from tests.model.service_gate import ServiceGate
from tests.races.one_order import Call, explained

ORDER: Final = "o"
"""The order that all calls about an account are about."""

LONG_HOLD_S: Final = 3600
_THREADS: Final = 24

Asking: TypeAlias = Operation[object] | Sequence[ReserveCredit]
"""What is asked in one call: one thing, or several orders of one account, in a batch or (an odd number) as a stream."""

AskingT = TypeVar("AskingT", bound=Asking)


def call(gate: ServiceGate, asking: Asking) -> list[Call]:
    """Make one call; each thing that is asked counts as one."""
    before_ms = gate.now_ms()
    if isinstance(asking, Operation):
        operations, answers = [asking], [gate.run(asking)]
    else:
        operations, answers = list(asking), list(gate.run_each(asking))
    after_ms = gate.now_ms()
    return [
        Call(operation, in_the_models_words(answer), before_ms, after_ms)
        for operation, answer in zip(operations, answers, strict=True)
    ]


def reserve(
    account_id: str, amount_minor: int, hold_s: int = LONG_HOLD_S, secured_minor: int = 0, order_id: str = ORDER
) -> ReserveCredit:
    """Ask for the order, or for another one."""
    return ReserveCredit(account_id, order_id, amount_minor, "USD", hold_s, secured_minor)


def begin(gate: ServiceGate, *operations: Operation[object]) -> ReferenceGate:
    """Set up an account by calls one after the other, and return the model after them."""
    model = explained(ReferenceGate(), [made for operation in operations for made in call(gate, operation)])
    assert model is not None
    return model


def shuffled(askings: Sequence[AskingT], random: Random) -> Sequence[AskingT]:
    """Return the same in another order."""
    return random.sample(askings, len(askings))


def race(gates: Sequence[ServiceGate], askings: Sequence[Asking], begin_ms: int = 0) -> dict[str, list[Call]]:
    """Make all calls at once, not before an instant of the store's clock; return them by account, answered."""
    calls: defaultdict[str, list[Call]] = defaultdict(list)
    with ThreadPoolExecutor(_THREADS) as pool:
        gates[0].let_time_pass(begin_ms)
        for some in pool.map(lambda each: call(gates[each[0] % len(gates)], each[1]), enumerate(askings)):
            for made in some:
                calls[made.operation.account_id].append(made)
    return calls


def check_explained(gate: ServiceGate, models: dict[str, ReferenceGate], calls: dict[str, list[Call]]) -> None:
    """Each account's calls have an order of effects, the account is what that order makes of it, and its sums agree."""
    for account_id, made in calls.items():
        after = [*call(gate, GetReservation(account_id, ORDER)), *call(gate, GetAccount(account_id))]
        assert explained(models[account_id], [*made, *after]) is not None, "\n".join(map(str, [*made, *after]))
        assert not gate.verify(account_id)
