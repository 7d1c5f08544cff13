"""Whatever changes or ends an order, and however much of it at once: the answers are those of one order of effects."""

from collections.abc import Callable, Sequence
from random import Random

from creditgate.domain.operations import (
    AmendReservation,
    CommitReservation,
    LimitSetting,
    Operation,
    PutAccount,
    RecordPayment,
    ReleaseReservation,
)
from creditgate.domain.reservation import Etag
from tests.model.account import MS
from tests.model.reference import ReferenceGate
from tests.model.service_gate import ServiceGate
from tests.races.racing import ORDER, Asking, begin, check_explained, race, reserve, shuffled

AMOUNT_MINOR = 100
LIMIT_MINOR = 150
HOLD_S = 1
HEAD_START_MS = 200


def begin_held(gate: ServiceGate, account_id: str, hold_s: int, secured_minor: int = 0) -> ReferenceGate:
    """Set up an account with one held order."""
    put = PutAccount(account_id, "USD", base_limit=LimitSetting(LIMIT_MINOR))
    return begin(gate, put, reserve(account_id, AMOUNT_MINOR, hold_s, secured_minor))


def ends(account_id: str) -> list[Operation[object]]:
    """What reaches an order at the same time: partial, final and repeated commits, a release, the order again."""
    return [
        CommitReservation(account_id, ORDER, 30, "USD", "d1"),
        CommitReservation(account_id, ORDER, 30, "USD", "d1"),
        CommitReservation(account_id, ORDER, 80, "USD", "d2", final=True),
        ReleaseReservation(account_id, ORDER),
        reserve(account_id, AMOUNT_MINOR),
        RecordPayment(account_id, "p1", 30, "USD"),
    ]


def amend(
    account_id: str, amount_minor: int, request_id: str = "", hold_s: int | None = None, etag: Etag | None = None
) -> AmendReservation:
    return AmendReservation(account_id, ORDER, amount_minor, "USD", hold_s, request_id, etag)


def amends(account_id: str) -> list[Operation[object]]:
    """Changes up to the limit, beyond it, down, and below what may be invoiced; one is repeated, one has two totals."""
    return [
        amend(account_id, LIMIT_MINOR, "up"),
        amend(account_id, LIMIT_MINOR, "up"),
        amend(account_id, LIMIT_MINOR + 1, "beyond"),
        amend(account_id, 40, "down", hold_s=7200),
        amend(account_id, 20, "down", hold_s=7200),
        amend(account_id, 10),
    ]


def test_commits_releases_and_retries_of_one_order_at_once(
    gates: Sequence[ServiceGate], new_id: Callable[[str], str]
) -> None:
    random = Random(7)
    for _ in range(5):
        models = {
            account_id: begin_held(gates[0], account_id, 3600) for account_id in (new_id("race") for _ in range(8))
        }
        operations = [operation for account_id in models for operation in shuffled(ends(account_id), random)]
        check_explained(gates[1], models, race(gates, operations))


def test_amends_up_and_down_meet_commits_and_a_release(
    gates: Sequence[ServiceGate], new_id: Callable[[str], str]
) -> None:
    random = Random(13)
    for secured_minor in (0, 0, 25):
        models = {
            account_id: begin_held(gates[0], account_id, 3600, secured_minor)
            for account_id in (new_id("race") for _ in range(8))
        }
        operations: list[Operation[object]] = []
        for account_id in models:
            # A few of each, so that the changes are not always over with the first end.
            operations += shuffled([*amends(account_id), *random.sample(ends(account_id), 2)], random)
        check_explained(gates[1], models, race(gates, operations))


def test_of_those_who_read_the_same_etag_one_changes_the_order(
    gates: Sequence[ServiceGate], new_id: Callable[[str], str]
) -> None:
    models = {account_id: begin_held(gates[0], account_id, 3600) for account_id in (new_id("race") for _ in range(16))}
    operations: list[Operation[object]] = []
    for account_id, model in models.items():
        read = model.accounts[account_id].orders[ORDER].etag
        operations += [amend(account_id, amount_minor, etag=read) for amount_minor in (90, 110, LIMIT_MINOR)]
        operations += [ReleaseReservation(account_id, ORDER, etag=read), amend(account_id, 120, "same", etag=read)] * 2
    calls = race(gates, operations)
    check_explained(gates[1], models, calls)


def test_the_same_order_alone_in_batches_and_in_streams_meets_another_that_no_longer_fits(
    gates: Sequence[ServiceGate], new_id: Callable[[str], str]
) -> None:
    random = Random(19)
    models: dict[str, ReferenceGate] = {}
    askings: list[Asking] = []
    for account_id in (new_id("ways") for _ in range(16)):
        models[account_id] = begin(gates[0], PutAccount(account_id, "USD", base_limit=LimitSetting(LIMIT_MINOR)))
        same = reserve(account_id, AMOUNT_MINOR)
        other = reserve(account_id, LIMIT_MINOR - AMOUNT_MINOR + 1, order_id="other")
        changed = reserve(account_id, AMOUNT_MINOR + 1)
        askings += shuffled(
            [same, same, other, [same, other], [other, same, same], [changed, same], amend(account_id, 10, "down")],
            random,
        )
    check_explained(gates[1], models, race(gates, askings))


def test_whatever_meets_the_second_in_which_the_hold_ends(
    gates: Sequence[ServiceGate], new_id: Callable[[str], str]
) -> None:
    random = Random(11)
    for contenders in (ends, amends):
        begun_s = gates[0].now_ms() // MS + 1
        gates[0].let_time_pass(begun_s * MS)
        models = {
            account_id: begin_held(gates[0], account_id, HOLD_S) for account_id in (new_id("race") for _ in range(24))
        }
        own = [shuffled(contenders(account_id), random) for account_id in models]
        # One of each account after the other, so that every account's calls spread over the end of its hold.
        spread = [operations[index] for index in range(len(own[0])) for operations in own]
        ends_ms = (begun_s + 1 + HOLD_S) * MS
        made = race(gates, spread, begin_ms=ends_ms - HEAD_START_MS)
        check_explained(gates[1], models, made)
