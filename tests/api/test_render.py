"""Answers of the domain as messages."""

from dataclasses import replace
from datetime import date

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.api.reason_texts import CHINESE, Language
from creditgate.api.render import fill_account, fill_decision, fill_group, fill_reservation, fill_reserved
from creditgate.domain.account import Account, AccountStatus, Aging, Block, ManualLimit, ScheduledLimit, TemporaryLimit
from creditgate.domain.decision import Action, Decision, Exposure, Outcome, Reason, ReasonCode
from creditgate.domain.group import CreditGroup, GroupCurrency
from creditgate.domain.operations import Reserved
from creditgate.domain.reservation import Reservation, ReservationState
from creditgate.v1 import account_pb2, decision_pb2, group_pb2, reservation_pb2
from creditgate.v1.credit_service_pb2 import ReserveCreditResponse

EXPOSURE = Exposure("USD", 100_000, unlimited=False, reserved_minor=30_000, receivable_minor=-5, pending_review_minor=7)
DECISION = Decision(Outcome.APPROVED, (), (), (), EXPOSURE, "v1", 3, 1_795_382_748_034)
RESERVATION = Reservation(
    "A1", "o-1", ReservationState.COMMITTED, "JPY", 100, 10, 60, 30, 20, "1.5", 0, 1_001, 2_000, 31, DECISION
)

ACCOUNT = Account(
    "A1",
    "Acme",
    "USD",
    "family",
    "gold",
    AccountStatus.OPEN,
    EXPOSURE,
    base_limit_minor=None,
    unlimited=False,
    secured_receivable_minor=4,
    limit_version=9,
    limit_expire_time_s=0,
    limit_confirm_time_s=0,
    manual_limit=None,
    temporary_limit=None,
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
    fired = Reason(ReasonCode.LIMIT_EXCEEDED, Action.REJECT, 100_001, 100_000, "USD")
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
            currency_code="USD",
        )
    ]
    (of_shadow,) = message.shadow_reasons
    assert (of_shadow.action, of_shadow.message) == (decision_pb2.ACTION_SHADOW, "The account is blocked.")
    (of_passed,) = message.passed_rules
    assert (of_passed.action, of_passed.message) == (decision_pb2.ACTION_UNSPECIFIED, "The account is not closed.")


def test_sentences_are_in_the_language_of_the_caller() -> None:
    reasons = (Reason(ReasonCode.ACCOUNT_BLOCKED, Action.REJECT, 1, 0),)
    message = decision_pb2.Decision()
    fill_decision(message, DECISION._replace(outcome=Outcome.REJECTED, reasons=reasons), lambda: CHINESE)
    assert message.reasons[0].message == CHINESE.fired[ReasonCode.ACCOUNT_BLOCKED]


def test_the_language_is_not_looked_for_without_a_sentence() -> None:
    def speak() -> Language:
        raise AssertionError

    fill_decision(decision_pb2.Decision(), DECISION, speak)


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
    assert (message.rate, message.pending_amount_minor) == ("1.5", 0)


def test_an_amend_that_waits() -> None:
    message = reservation_pb2.Reservation()
    fill_reservation(message, RESERVATION._replace(pending_amount_minor=150))
    assert message.pending_amount_minor == 150


def test_a_reservation_that_holds_nothing_has_no_time_at_which_its_hold_ends() -> None:
    message = reservation_pb2.Reservation()
    fill_reservation(message, RESERVATION._replace(expire_time_s=0))
    assert not message.HasField("expire_time")


def test_the_etag_follows_the_revision() -> None:
    etags = set()
    for revision in (1, 2, 16):
        message = reservation_pb2.Reservation()
        fill_reservation(
            message,
            Reservation("A1", "o", ReservationState.HELD, "USD", 1, 0, 0, 1, 1, "1", 0, 0, 0, revision, DECISION),
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
    absent = {"block", "manual_limit", "temporary_limit", "limit_expire_time", "limit_confirm_time", "aging_as_of"}
    assert not absent & {field.name for field, _ in message.ListFields()}
    assert message.unlimited


def test_what_the_scorer_says_of_an_account() -> None:
    scheduled = ScheduledLimit(700, 8, 100, 200, "gold")
    account = replace(ACCOUNT, scheduled_limit=scheduled, score=0.0, limit_reasons=("pays late", "grows"))
    message = account_pb2.Account()
    fill_account(message, account)
    assert message.scheduled_limit == account_pb2.ScheduledLimit(
        limit_minor=700,
        version=8,
        effective_time=Timestamp(seconds=100),
        expire_time=Timestamp(seconds=200),
        risk_class="gold",
    )
    assert (message.HasField("score"), message.score) == (True, 0.0)
    assert list(message.limit_reasons) == ["pays late", "grows"]


def test_a_scheduled_limit_without_a_ceiling() -> None:
    message = account_pb2.Account()
    fill_account(message, replace(ACCOUNT, scheduled_limit=ScheduledLimit(None, 8, 100)))
    assert message.scheduled_limit.unlimited
    assert not message.scheduled_limit.HasField("expire_time")
    assert not message.HasField("score")


def test_limits_of_an_account() -> None:
    account = replace(
        ACCOUNT,
        limit_expire_time_s=60,
        limit_confirm_time_s=50,
        manual_limit=ManualLimit(500, 70, "christmas", "ann", 1_001),
        temporary_limit=TemporaryLimit(600, 10, 20, "fair", "bob", 2_002),
        block=Block("fraud", "eve", 5_000, 90),
    )
    message = account_pb2.Account()
    fill_account(message, account)
    assert (message.limit_expire_time, message.limit_confirm_time) == (Timestamp(seconds=60), Timestamp(seconds=50))
    assert message.manual_limit == account_pb2.ManualLimit(
        limit_minor=500,
        expire_time=Timestamp(seconds=70),
        reason="christmas",
        actor="ann",
        create_time=Timestamp(seconds=1, nanos=1_000_000),
    )
    assert message.temporary_limit == account_pb2.TemporaryLimit(
        limit_minor=600,
        start_time=Timestamp(seconds=10),
        end_time=Timestamp(seconds=20),
        reason="fair",
        actor="bob",
        create_time=Timestamp(seconds=2, nanos=2_000_000),
    )
    assert message.block.expire_time == Timestamp(seconds=90)


def test_a_manual_limit_without_a_ceiling_and_without_an_end() -> None:
    message = account_pb2.Account()
    fill_account(message, replace(ACCOUNT, manual_limit=ManualLimit(None, 0, "parent company pays", "ann")))
    assert (message.manual_limit.unlimited, message.manual_limit.limit_minor) == (True, 0)
    assert not message.manual_limit.HasField("expire_time")


def test_a_manual_limit_of_zero() -> None:
    message = account_pb2.Account()
    fill_account(message, replace(ACCOUNT, manual_limit=ManualLimit(0, 0, "insolvent", "ann")))
    assert (message.manual_limit.unlimited, message.manual_limit.limit_minor) == (False, 0)


def test_aging() -> None:
    message = account_pb2.Account()
    fill_account(message, replace(ACCOUNT, aging=Aging(30, 10, date(2026, 11, 2), 1_795_382_748_034)))
    assert (message.overdue_minor, message.disputed_minor, message.oldest_due_date) == (30, 10, "2026-11-02")
    assert message.aging_as_of.seconds == 1_795_382_748


def test_group() -> None:
    sums = (GroupCurrency("EUR", 10, -5, 20), GroupCurrency("USD", 1, 2, 3))
    message = group_pb2.CreditGroup()
    fill_group(message, CreditGroup("family", "The Family", "EUR", 1_000, 7, sums, 34, 1_500))
    assert message == group_pb2.CreditGroup(
        group_id="family",
        display_name="The Family",
        currency_code="EUR",
        limit_minor=1_000,
        account_count=7,
        currencies=[
            group_pb2.GroupCurrency(currency_code="EUR", reserved_minor=10, receivable_minor=-5, owed_minor=20),
            group_pb2.GroupCurrency(currency_code="USD", reserved_minor=1, receivable_minor=2, owed_minor=3),
        ],
        exposure_minor=34,
        create_time=Timestamp(seconds=1, nanos=500_000_000),
    )


def test_a_group_without_a_ceiling_and_with_a_missing_rate() -> None:
    message = group_pb2.CreditGroup()
    fill_group(message, CreditGroup("family", "", "EUR", None, 0, (), None, 0))
    assert message.unlimited
    assert not message.HasField("limit_minor")
    assert not message.HasField("exposure_minor")


def test_a_group_with_a_limit_of_zero_and_no_exposure() -> None:
    message = group_pb2.CreditGroup()
    fill_group(message, CreditGroup("family", "", "EUR", 0, 0, (), 0, 0))
    assert (message.unlimited, message.HasField("limit_minor"), message.HasField("exposure_minor")) == (
        False,
        True,
        True,
    )


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
