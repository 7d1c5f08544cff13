"""Calls that are made at the same time, each with its answer in the model's words."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Final

from creditgate.domain.operations import GetAccount, GetReservation, Operation, ReserveCredit
from tests.model.answers import in_the_models_words
from tests.model.reference import ReferenceGate
from tests.model.service_gate import ServiceGate
from tests.races.one_order import Call, explained

ORDER: Final = "o"
"""The order that all calls about an account are about."""

LONG_HOLD_S: Final = 3600
_THREADS: Final = 24


def call(gate: ServiceGate, operation: Operation[object]) -> Call:
    """Make one call."""
    before_ms = gate.now_ms()
    answer = in_the_models_words(gate.run(operation))
    return Call(operation, answer, before_ms, gate.now_ms())


def reserve(account_id: str, amount_minor: int, hold_s: int = LONG_HOLD_S, secured_minor: int = 0) -> ReserveCredit:
    """Ask for the order."""
    return ReserveCredit(account_id, ORDER, amount_minor, "USD", hold_s, secured_minor)


def begin(gate: ServiceGate, *operations: Operation[object]) -> ReferenceGate:
    """Set up an account by calls one after the other, and return the model after them."""
    model = explained(ReferenceGate(), [call(gate, operation) for operation in operations])
    assert model is not None
    return model


def shuffled(operations: Sequence[Operation[object]], random: Random) -> Sequence[Operation[object]]:
    """Return operations in another order."""
    return random.sample(operations, len(operations))


def race(
    gates: Sequence[ServiceGate], operations: Sequence[Operation[object]], begin_ms: int = 0
) -> dict[str, list[Call]]:
    """Make all calls at once, not before an instant of the store's clock; return them by account, answered."""
    calls: dict[str, list[Call]] = {operation.account_id: [] for operation in operations}
    with ThreadPoolExecutor(_THREADS) as pool:
        gates[0].let_time_pass(begin_ms)
        numbered = enumerate(operations)
        for made in pool.map(lambda each: call(gates[each[0] % len(gates)], each[1]), numbered):
            calls[made.operation.account_id].append(made)
    return calls


def check_explained(gate: ServiceGate, models: dict[str, ReferenceGate], calls: dict[str, list[Call]]) -> None:
    """Each account's calls have an order of effects, the account is what that order makes of it, and its sums agree."""
    for account_id, made in calls.items():
        after = [call(gate, GetReservation(account_id, ORDER)), call(gate, GetAccount(account_id))]
        assert explained(models[account_id], [*made, *after]) is not None, "\n".join(map(str, [*made, *after]))
        assert not gate.verify(account_id)
