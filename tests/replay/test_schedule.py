from datetime import timedelta
from decimal import Decimal

import pytest

from creditgate.domain.bounds import AMOUNT_MAX_MINOR
from creditgate.domain.money import Money
from creditgate.domain.operations import (
    CommitReservation,
    LimitSetting,
    PutAccount,
    RecordPayment,
    ReserveCredit,
)
from creditgate.replay.errors import ReplayError
from creditgate.replay.pace import Pace, parse_speed
from creditgate.replay.schedule import (
    STRIDE_EVENTS_MAX,
    Event,
    LimitMultiple,
    SameLimit,
    Unlimited,
    parse_limit_rule,
    schedule_invoices,
    strides,
)
from tests.replay.invoices import BEGIN, invoice

LETTERS = {ReserveCredit: "reserve", CommitReservation: "commit", RecordPayment: "pay"}


def told(events: tuple[Event, ...]) -> list[str]:
    return [f"{(event.time - BEGIN).days} {LETTERS[type(event.operation)]} {event.order_id}" for event in events]


def test_events_come_in_the_order_of_time_and_of_the_file() -> None:
    play = schedule_invoices(
        [invoice(1, 100, day=5, paid_on=7), invoice(2, 100, day=3, paid_on=5), invoice(3, 100, day=5, paid_on=5)],
        Unlimited(),
    )
    assert told(play.events) == [
        "3 reserve 0002",
        "3 commit 0002",
        "5 pay 0002",
        "5 reserve 0001",
        "5 commit 0001",
        "5 reserve 0003",
        "5 commit 0003",
        "5 pay 0003",
        "7 pay 0001",
    ]


def test_all_ids_are_the_invoice_number() -> None:
    play = schedule_invoices([invoice(1, 250, day=1, paid_on=2)], Unlimited())
    reserve, commit, payment = (event.operation for event in play.events)
    assert play.accounts == (PutAccount("acme", "USD", unlimited=True),)
    assert isinstance(reserve, ReserveCredit)
    assert (reserve.account_id, reserve.order_id, reserve.amount_minor) == ("acme", "0001", 250)
    assert reserve.payment_terms_days == 30
    assert commit == CommitReservation("acme", "0001", 250, "USD", "0001", final=True)
    assert payment == RecordPayment("acme", "0001", 250, "USD")


def test_limits() -> None:
    invoices = [invoice(1, 100, 0), invoice(2, 101, 0), invoice(3, AMOUNT_MAX_MINOR, 0, account_id="rich")]
    same = schedule_invoices(invoices, SameLimit([Money(0, "USD")]))
    assert same.accounts == tuple(
        PutAccount(account_id, "USD", base_limit=LimitSetting(0), unlimited=False) for account_id in ("acme", "rich")
    )
    multiple = schedule_invoices(invoices, LimitMultiple(Decimal("1.1")))
    limits = [account.base_limit for account in multiple.accounts]
    assert limits == [LimitSetting(111), LimitSetting(AMOUNT_MAX_MINOR)]  # 1.1 times 100.5 = 110.55, rounded up
    with pytest.raises(ReplayError, match="account acme is in USD"):
        schedule_invoices(invoices, SameLimit([Money(5, "EUR")]))


def test_limit_options() -> None:
    assert isinstance(parse_limit_rule([], None, unlimited=False), Unlimited)
    assert isinstance(parse_limit_rule([], None, unlimited=True), Unlimited)
    assert isinstance(parse_limit_rule(["5.00 USD", "5 JPY"], None, unlimited=False), SameLimit)
    assert isinstance(parse_limit_rule([], "2.5", unlimited=False), LimitMultiple)


@pytest.mark.parametrize(
    ("limits", "multiple", "unlimited"),
    [
        (["5.00 USD"], "2", False),
        (["5.00 USD"], None, True),
        ([], "2", True),
        (["5.00"], None, False),
        (["-5.00 USD"], None, False),
        ([], "0", False),
        ([], "-1", False),
        ([], "nan", False),
        ([], "inf", False),
        ([], "1000001", False),
        ([], "three", False),
    ],
)
def test_limit_options_that_make_no_sense_are_refused(limits: list[str], multiple: str | None, unlimited: bool) -> None:  # noqa: FBT001 - a column of the table above
    with pytest.raises(ReplayError, match="--limit"):
        parse_limit_rule(limits, multiple, unlimited=unlimited)


def test_a_stride_is_a_day_or_a_piece_of_one() -> None:
    few = schedule_invoices([invoice(number, 100, day=number // 2) for number in range(4)], Unlimited()).events
    assert [len(stride) for stride in strides(few)] == [4, 4]
    many = schedule_invoices([invoice(number, 100, day=0) for number in range(STRIDE_EVENTS_MAX)], Unlimited()).events
    assert [len(stride) for stride in strides(many)] == [STRIDE_EVENTS_MAX, STRIDE_EVENTS_MAX]
    assert [event for stride in strides(many) for event in stride] == list(many)


@pytest.mark.parametrize(
    ("text", "speed"), [("max", None), ("1d/s", 86_400), ("0.5h/s", 1800), ("2 w/s", 1_209_600), ("1s/s", 1)]
)
def test_speeds(text: str, speed: float | None) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["", "1d", "0d/s", "-1d/s", "1y/s", "fast", "1d/m", "nan d/s"])
def test_a_speed_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ReplayError, match="--speed"):
        parse_speed(text)


def test_the_pace_follows_file_time() -> None:
    now_s = 100.0
    pace = Pace(86_400, clock=lambda: now_s)
    assert pace.wait_s(BEGIN) == 0
    now_s = 100.5
    assert pace.wait_s(BEGIN + timedelta(days=2)) == pytest.approx(1.5)
    now_s = 103.0
    assert pace.wait_s(BEGIN + timedelta(days=2)) == 0
    assert Pace(None).wait_s(BEGIN) == 0
