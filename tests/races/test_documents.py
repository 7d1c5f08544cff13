"""A document that several systems record at the same time counts once, whoever comes first."""

from collections.abc import Callable, Sequence
from random import Random

import pytest

from creditgate.domain.operations import (
    CommitReservation,
    ImportOpenItem,
    LimitSetting,
    Operation,
    PostReceivable,
    PutAccount,
    RecordCreditNote,
    RecordPayment,
    UpdateAging,
)
from tests.model.service_gate import ServiceGate
from tests.model.words import CommitAnswer, ImportAnswer, RecordedAnswer
from tests.races.one_order import Call
from tests.races.racing import ORDER, begin, check_explained, race, reserve, shuffled

ACCOUNTS = 12
ORDER_MINOR = 100
DOCUMENT_MINOR = 60
AS_OF_MS = 1_700_000_000_000


def recorded_first(calls: Sequence[Call], document_id: str) -> Sequence[Call]:
    """Return the calls that recorded a document, rather than finding it there."""
    return [
        made
        for made in calls
        if getattr(made.operation, "document_id", "") == document_id
        and isinstance(made.answer, CommitAnswer | RecordedAnswer | ImportAnswer)
        and not made.answer.replayed
    ]


@pytest.mark.parametrize("secured_minor", [0, 80])
def test_an_invoice_that_is_posted_imported_and_committed_at_once_counts_once(
    gates: Sequence[ServiceGate], new_id: Callable[[str], str], secured_minor: int
) -> None:
    random = Random(secured_minor)
    models = {}
    operations: list[Operation[object]] = []
    for account_id in (new_id("documents") for _ in range(ACCOUNTS)):
        put = PutAccount(account_id, "USD", base_limit=LimitSetting(ORDER_MINOR))
        models[account_id] = begin(gates[0], put, reserve(account_id, ORDER_MINOR, secured_minor=secured_minor))
        own: list[Operation[object]] = [
            PostReceivable(account_id, "d1", DOCUMENT_MINOR, "USD"),
            PostReceivable(account_id, "d1", DOCUMENT_MINOR, "USD"),
            ImportOpenItem(account_id, "d1", DOCUMENT_MINOR, "USD"),
            CommitReservation(account_id, ORDER, DOCUMENT_MINOR, "USD", "d1"),
            CommitReservation(account_id, ORDER, DOCUMENT_MINOR, "USD", "d1"),
            CommitReservation(account_id, ORDER, DOCUMENT_MINOR, "USD", "d2", final=True),
            RecordPayment(account_id, "p1", DOCUMENT_MINOR, "USD"),
        ]
        operations += shuffled(own, random)
    calls = race(gates, operations)
    assert {len(recorded_first(made, "d1")) for made in calls.values()} == {1}
    check_explained(gates[1], models, calls)


def test_payments_credits_and_ageing_meet_the_import_of_what_they_settle(
    gates: Sequence[ServiceGate], new_id: Callable[[str], str]
) -> None:
    random = Random(17)
    models = {}
    operations: list[Operation[object]] = []
    for account_id in (new_id("documents") for _ in range(ACCOUNTS)):
        put = PutAccount(account_id, "USD", base_limit=LimitSetting(ORDER_MINOR))
        models[account_id] = begin(gates[0], put, reserve(account_id, 10))
        own: list[Operation[object]] = [
            ImportOpenItem(account_id, "x1", DOCUMENT_MINOR, "USD"),
            ImportOpenItem(account_id, "x1", DOCUMENT_MINOR, "USD"),
            ImportOpenItem(account_id, "x2", -5, "USD"),
            RecordCreditNote(account_id, "x2", 5, "USD"),
            RecordCreditNote(account_id, "x1", DOCUMENT_MINOR, "USD"),
            # A payment's id is no document's: x1 is paid whether or not it is there already.
            RecordPayment(account_id, "x1", DOCUMENT_MINOR, "USD"),
            RecordPayment(account_id, "x1", DOCUMENT_MINOR, "USD"),
            UpdateAging(account_id, 40, 0, None, AS_OF_MS),
            UpdateAging(account_id, 70, 5, None, AS_OF_MS + 1),
        ]
        operations += shuffled(own, random)
    calls = race(gates, operations)
    assert {len(recorded_first(made, "x2")) for made in calls.values()} == {1}
    check_explained(gates[1], models, calls)
