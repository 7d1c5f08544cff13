"""Whatever ends an order, and however much of it at once: the answers are those of one order of effects."""

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from creditgate.client import CreditClient
from creditgate.domain.operations import (
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
from tests.model.answers import in_the_models_words
from tests.model.reference import MS, ReferenceGate
from tests.model.service_gate import ServiceGate
from tests.patience import PATIENCE_S
from tests.private_redis import PrivateRedis
from tests.races.one_order import Call, explained

AMOUNT_MINOR = 100
THREADS = 24
HOLD_S = 1
HEAD_START_MS = 200


@pytest.fixture
def gates(targets: tuple[str, ...], private_redis: PrivateRedis) -> Iterator[Sequence[ServiceGate]]:
    with ExitStack() as stack:
        clock = stack.enter_context(private_redis.client())
        yield [ServiceGate(stack.enter_context(CreditClient(each, timeout_s=PATIENCE_S)), clock) for each in targets]


def call(gate: ServiceGate, operation: Operation[object]) -> Call:
    before_ms = gate.now_ms()
    answer = in_the_models_words(gate.run(operation))
    return Call(operation, answer, before_ms, gate.now_ms())


def reserve(account_id: str, hold_s: int, amount_minor: int = AMOUNT_MINOR) -> Operation[object]:
    return ReserveCredit(account_id, "o", amount_minor, "USD", hold_s)


def begin(gate: ServiceGate, account_id: str, hold_s: int) -> ReferenceGate:
    """Set up an account with one held order."""
    put = PutAccount(account_id, "USD", base_limit=LimitSetting(AMOUNT_MINOR + AMOUNT_MINOR // 2))
    model = explained(ReferenceGate(), [call(gate, put), call(gate, reserve(account_id, hold_s))])
    assert model is not None
    return model


def contenders(account_id: str) -> list[Operation[object]]:
    """What reaches an order at the same time: partial, final and repeated commits, a release, the order again."""
    return [
        CommitReservation(account_id, "o", 30, "USD", "d1"),
        CommitReservation(account_id, "o", 30, "USD", "d1"),
        CommitReservation(account_id, "o", 80, "USD", "d2", final=True),
        ReleaseReservation(account_id, "o"),
        reserve(account_id, 3600),
        RecordPayment(account_id, "p1", 30, "USD"),
    ]


def race(
    gates: Sequence[ServiceGate], operations: Sequence[Operation[object]], begin_ms: int = 0
) -> dict[str, list[Call]]:
    """Make all calls at once, not before an instant of the store's clock; return them by account, answered."""
    calls: dict[str, list[Call]] = {operation.account_id: [] for operation in operations}
    with ThreadPoolExecutor(THREADS) as pool:
        gates[0].let_time_pass(begin_ms)
        numbered = enumerate(operations)
        for made in pool.map(lambda each: call(gates[each[0] % len(gates)], each[1]), numbered):
            calls[made.operation.account_id].append(made)
    return calls


def check_explained(gate: ServiceGate, models: dict[str, ReferenceGate], calls: dict[str, list[Call]]) -> None:
    """Every account's calls have an order of effects, and the account is what that order makes of it."""
    for account_id, made in calls.items():
        after = [call(gate, GetReservation(account_id, "o")), call(gate, GetAccount(account_id))]
        assert explained(models[account_id], [*made, *after]) is not None, "\n".join(map(str, [*made, *after]))


def test_commits_releases_and_retries_of_one_order_at_once(
    gates: Sequence[ServiceGate], new_id: Callable[[str], str]
) -> None:
    shuffle = random.Random(7).shuffle
    for _ in range(5):
        models = {account_id: begin(gates[0], account_id, 3600) for account_id in (new_id("race") for _ in range(8))}
        operations = []
        for account_id in models:
            own = contenders(account_id)
            shuffle(own)
            operations += own
        check_explained(gates[1], models, race(gates, operations))


def test_commits_releases_and_retries_at_the_second_in_which_the_hold_ends(
    gates: Sequence[ServiceGate], new_id: Callable[[str], str]
) -> None:
    shuffle = random.Random(11).shuffle
    for _ in range(2):
        begun_s = gates[0].now_ms() // MS + 1
        gates[0].let_time_pass(begun_s * MS)
        models = {account_id: begin(gates[0], account_id, HOLD_S) for account_id in (new_id("race") for _ in range(24))}
        own = [contenders(account_id) for account_id in models]
        for operations in own:
            shuffle(operations)
        # One of each account after the other, so that every account's calls spread over the end of its hold.
        spread = [operations[index] for index in range(len(own[0])) for operations in own]
        ends_ms = (begun_s + 1 + HOLD_S) * MS
        made = race(gates, spread, begin_ms=ends_ms - HEAD_START_MS)
        check_explained(gates[1], models, made)
