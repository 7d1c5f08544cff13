"""Answers of the domain as messages."""

from dataclasses import replace
from datetime import date

from creditgate.api.render import fill_account, fill_decision, fill_reservation, fill_reserved
from creditgate.domain.account import Account, AccountStatus, Aging, Block
from creditgate.domain.decision import Action, Decision, Exposure, Outcome, Reason, ReasonCode
from creditgate.domain.operations import Reserved
from creditgate.domain.reservation import Reservation, ReservationState
from creditgate.v1 import account_pb2, decision_pb2, reservation_pb2
from creditgate.v1.credit_service_pb2 import ReserveCreditResponse

EXPOSURE = Exposure("USD", 100_000, unlimited=False, reserved_minor=30_000, receivable_minor=-5, pending_review_minor=7)
DECISION = Decision(Outcome.APPROVED, (), (), (), EXPOSURE, "v1", 3, 1_795_382_748_034)
RESERVATION = Reservation(
    "A1", "o-1", ReservationState.COMMITTED, "JPY", 100, 10, 60, 30, 20, 1_001, 2_000, 31, DECISION
)

ACCOUNT = Account(
    "A1",
    "Acme",
    "USD",
    "gold",
    AccountStatus.OPEN,
    EXPOSURE,
    base_limit_minor=None,
    unlimited=False,
    secured_receivable_minor=4,
    limit_version=9,
    block=None,
    aging=None,
    create_time_ms=1_500,
)


def rendered(decision: Decision) -> decision_pb2.Decision:
    message = decision_pb2.Decision()
    fill_decision(message, decision)
    return message


def test_decision() -> None:
    message = rendered(DECISION)
    assert message.outcome == decision_pb2.OUTCOME_APPROVED
    assert (message.policy_version, message.limit_version) == ("v1", 3)
    assert (message.decide_time.seconds, message.decide_time.nanos) == (1_795_382_748, 34_000_000)
    assert message.exposure == decision_pb2.Exposure(
        currency_code="USD",
        limit_minor=100_000,
        reserved_minor=30_000,
        receivable_minor=-5,
        pending_review_minor=7,
        available_minor=70_000,
    )


def test_a_limit_of_zero_is_there_and_no_limit_is_not() -> None:
    zero = rendered(Decision(Outcome.APPROVED, (), (), (), EXPOSURE._replace(limit_minor=0), "v1", 0, 0)).exposure
    assert (zero.HasField("limit_minor"), zero.limit_minor, zero.available_minor) == (True, 0, -30_000)
    for without in (EXPOSURE._replace(limit_minor=None), EXPOSURE._replace(unlimited=True)):
        exposure = rendered(Decision(Outcome.APPROVED, (), (), (), without, "v1", 0, 0)).exposure
        assert not exposure.HasField("limit_minor")
        assert not exposure.HasField("available_minor")
        assert exposure.unlimited == without.unlimited


def test_reasons_stand_where_they_belong_with_their_sentences() -> None:
    fired = Reason(ReasonCode.LIMIT_EXCEEDED, Action.REJECT, 100_001, 100_000)
    shadow = Reason(ReasonCode.ACCOUNT_BLOCKED, Action.SHADOW, 1, 0)
    passed = Reason(ReasonCode.ACCOUNT_CLOSED, Action.OFF, 0, 0)
    message = rendered(Decision(Outcome.REJECTED, (fired,), (shadow,), (passed,), EXPOSURE, "v1", 0, 0))
    assert list(message.reasons) == [
        decision_pb2.Reason(
            code=decision_pb2.REASON_CODE_LIMIT_EXCEEDED,
            action=decision_pb2.ACTION_REJECT,
            message="The order would bring the exposure to 1,000.01 USD, above the limit of 1,000.00 USD.",
            observed=100_001,
            threshold=100_000,
        )
    ]
    (of_shadow,) = message.shadow_reasons
    assert (of_shadow.action, of_shadow.message) == (decision_pb2.ACTION_SHADOW, "The account is blocked.")
    (of_passed,) = message.passed_rules
    assert (of_passed.action, of_passed.message) == (decision_pb2.ACTION_UNSPECIFIED, "The account is open.")


def test_reservation() -> None:
    message = reservation_pb2.Reservation()
    fill_reservation(message, RESERVATION)
    assert message.state == reservation_pb2.RESERVATION_STATE_COMMITTED
    amounts = (message.amount_minor, message.secured_minor, message.committed_minor, message.remaining_minor)
    assert (message.currency_code, *amounts, message.exposure_minor) == ("JPY", 100, 10, 60, 30, 20)
    assert (message.create_time.seconds, message.create_time.nanos) == (1, 1_000_000)
    assert (message.expire_time.seconds, message.expire_time.nanos) == (2_000, 0)
    assert message.etag == "3e9.1f"
    assert message.decision == rendered(DECISION)


def test_a_reservation_that_holds_nothing_has_no_time_at_which_its_hold_ends() -> None:
    message = reservation_pb2.Reservation()
    fill_reservation(message, replace(RESERVATION, expire_time_s=0))
    assert not message.HasField("expire_time")


def test_the_etag_follows_the_revision() -> None:
    etags = set()
    for revision in (1, 2, 16):
        message = reservation_pb2.Reservation()
        fill_reservation(
            message, Reservation("A1", "o", ReservationState.HELD, "USD", 1, 0, 0, 1, 1, 0, 0, revision, DECISION)
        )
        etags.add(message.etag)
    assert len(etags) == 3


def test_reserved_without_a_reservation() -> None:
    message = ReserveCreditResponse()
    fill_reserved(message, Reserved(DECISION, None, replayed=False))
    assert not message.HasField("reservation")
    assert message.decision == rendered(DECISION)


def test_reserved_carries_the_decision_in_both_places() -> None:
    message = ReserveCreditResponse()
    fill_reserved(message, Reserved(DECISION, RESERVATION, replayed=True))
    assert message.replayed
    assert message.reservation.decision == message.decision == rendered(DECISION)


def test_account() -> None:
    block = Block("fraud", "ann", 5_000)
    account = replace(ACCOUNT, status=AccountStatus.CLOSED, base_limit_minor=0, block=block)
    message = account_pb2.Account()
    fill_account(message, account)
    assert (message.account_id, message.display_name, message.currency_code) == ("A1", "Acme", "USD")
    assert (message.risk_class, message.status) == ("gold", account_pb2.ACCOUNT_STATUS_CLOSED)
    assert (message.HasField("base_limit_minor"), message.base_limit_minor, message.limit_version) == (True, 0, 9)
    assert (message.block.reason, message.block.actor, message.block.create_time.seconds) == ("fraud", "ann", 5)
    assert (message.create_time.seconds, message.create_time.nanos) == (1, 500_000_000)
    assert message.exposure.available_minor == 70_000
    assert message.secured_receivable_minor == 4


def test_account_without_limit_and_block() -> None:
    account = replace(ACCOUNT, unlimited=True)
    message = account_pb2.Account()
    fill_account(message, account)
    assert not message.HasField("base_limit_minor")
    assert not message.HasField("block")
    assert message.unlimited
    assert not message.HasField("aging_as_of")


def test_account_with_ageing() -> None:
    for due, rendered_due in ((date(2026, 2, 1), "2026-02-01"), (None, "")):
        message = account_pb2.Account()
        fill_account(message, replace(ACCOUNT, aging=Aging(500, 100, due, 1_500)))
        assert (message.overdue_minor, message.disputed_minor, message.oldest_due_date) == (500, 100, rendered_due)
        assert (message.aging_as_of.seconds, message.aging_as_of.nanos) == (1, 500_000_000)


def test_account_with_an_ageing_of_nothing() -> None:
    message = account_pb2.Account()
    fill_account(message, replace(ACCOUNT, aging=Aging(0, 0, None, 0)))
    assert message.HasField("aging_as_of"), "it was aged"
