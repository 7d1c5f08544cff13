import json

import pytest

from creditgate.csv_rows.rows import BadRow
from creditgate.replay.answers import (
    AccountChange,
    AccountsVerified,
    Answer,
    Difference,
    OrderDecided,
    RejectedBefore,
    StepDone,
    StepFailed,
    StepLeftOut,
)
from creditgate.replay.csv_source import Invoice, RepeatedRow
from creditgate.replay.render import print_faults, summary_json, summary_text
from creditgate.replay.schedule import Event, Unlimited, schedule_invoices
from creditgate.replay.summary import (
    BAD_ROWS_SHOWN_MAX,
    AccountPeak,
    CallCount,
    ReasonCount,
    RowCounts,
    Summary,
    summarize,
)
from creditgate.replay.tally import DIFFERENCES_SHOWN_MAX, FAILURES_SHOWN_MAX, Tally
from tests.replay.invoices import invoice

DONE = StepDone(0, replayed=False)
LOST = StepFailed("STORE_UNAVAILABLE", "the store does not answer", service_lost=True)


def approved(found_minor: int, *, replayed: bool = False) -> OrderDecided:
    return OrderDecided("APPROVED", (), found_minor, replayed)


def tally_of(invoices: list[Invoice], *answers: Answer) -> Tally:
    """Answers to the events of the invoices, in their order."""
    events: tuple[Event, ...] = schedule_invoices(invoices, Unlimited()).events
    tally = Tally()
    tally.plan(events)
    for event, answer in zip(events, answers, strict=False):
        tally.record(event, answer)
    return tally


def summary_of(tally: Tally, rows: RowCounts | None = None) -> Summary:
    return summarize(tally, rows, 2.0, complete=True)


def test_sums_and_counts() -> None:
    invoices = [invoice(1, 100, 1, paid_on=2), invoice(2, 250, 3, paid_on=4), invoice(3, 30, 5)]
    rejected = OrderDecided("REJECTED", ("LIMIT_EXCEEDED", "ACCOUNT_BLOCKED"), 0, replayed=False)
    tally = tally_of(
        invoices,
        *(approved(0), DONE, StepDone(-100, replayed=True)),
        *(rejected, StepLeftOut(), StepLeftOut()),
        *(approved(0, replayed=True), LOST),
    )
    tally.account_put(AccountChange.CREATED)
    summary = summary_of(tally)
    sums = tally.currencies["USD"]
    assert (sums.planned_orders, sums.planned_invoiced_minor, sums.planned_paid_minor) == (3, 380, 350)
    assert (sums.invoiced_minor, sums.paid_minor) == (100, 100)
    assert (sums.left_out_invoiced_minor, sums.left_out_paid_minor) == (250, 250)
    assert summary.orders == 3
    assert summary.orders_per_second == 1.5
    assert summary.outcomes == {"APPROVED": 2, "REJECTED": 1}
    assert set(summary.reasons) == {
        ReasonCount("REJECTED", "LIMIT_EXCEEDED", 1),
        ReasonCount("REJECTED", "ACCOUNT_BLOCKED", 1),
    }
    assert summary.calls["ReserveCredit"] == CallCount(3, 1)
    assert (summary.answered, summary.replayed) == (5, 2)
    assert [(error.call, error.calls) for error in summary.errors] == [("CommitReservation", 1)]
    assert summary.failures[0].step_id == "0003"
    assert not summary.changed_nothing


def test_peaks_follow_orders_payments_and_what_is_given_back() -> None:
    invoices = [
        invoice(1, 500, 1, paid_on=4),
        invoice(2, 300, 2, account_id="other"),
        invoice(3, 200, 5),
    ]
    tally = tally_of(
        invoices,
        *(approved(40), StepDone(-100, replayed=False)),  # 540, then 440: shipped short
        *(approved(0), StepDone(50, replayed=False)),  # the other account: 300, then 350: shipped over
        StepDone(-400, replayed=False),  # 40
        approved(40),  # 240
    )
    summary = summary_of(tally)
    (currency,) = summary.currencies
    assert currency.largest_accounts == (AccountPeak("acme", 540), AccountPeak("other", 300))
    assert currency.sums.peak_exposure_minor == 440 + 350


def test_a_second_play_has_changed_nothing() -> None:
    tally = tally_of(
        [invoice(1, 100, 1), invoice(2, 100, 2)],
        approved(0, replayed=True),
        StepDone(0, replayed=True),
        RejectedBefore(),
    )
    tally.account_put(AccountChange.UNCHANGED)
    summary = summary_of(tally)
    assert summary.changed_nothing
    assert summary.rejected_before == 1
    assert "all 2 of 2 answers: everything had been played before" in summary_text(summary)
    tally.account_put(AccountChange.CHANGED)
    assert not summary_of(tally).changed_nothing
    assert "2 of 2 answers had been given before: an order keeps its first decision" in summary_text(summary_of(tally))


def test_a_second_play_may_ask_again_for_what_is_rejected_again() -> None:
    rejected = OrderDecided("REJECTED", ("LIMIT_EXCEEDED",), 0, replayed=False)
    tally = tally_of(
        [invoice(1, 100, 1), invoice(2, 100, 2)], approved(0, replayed=True), StepDone(0, replayed=True), rejected
    )
    tally.account_put(AccountChange.UNCHANGED)
    summary = summary_of(tally)
    assert summary.changed_nothing
    assert "2 of 3 answers, and the other orders were rejected again: everything had been" in summary_text(summary)


def test_lists_are_bounded_and_the_rest_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    invoices = [invoice(number, 100, 1) for number in range(FAILURES_SHOWN_MAX + 5)]
    failed = StepFailed("INVALID_FIELD", "amount_minor [is] wrong", service_lost=False)
    tally = tally_of(invoices, *(failed for _ in range(2 * FAILURES_SHOWN_MAX)))
    rows = RowCounts()
    for line in range(BAD_ROWS_SHOWN_MAX + 3):
        rows.add(BadRow(line, "InvoiceDate", "is missing"))
    rows.add(RepeatedRow(99))
    summary = summary_of(tally, rows)
    print_faults(summary)
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "line 0: InvoiceDate is missing"
    assert told[BAD_ROWS_SHOWN_MAX] == "… and 3 more bad rows"
    assert told[BAD_ROWS_SHOWN_MAX + 1] == "ReserveCredit acme 0000: INVALID_FIELD: amount_minor [is] wrong"
    assert told[-1] == f"… and {FAILURES_SHOWN_MAX} more failed calls"
    assert len(told) == BAD_ROWS_SHOWN_MAX + FAILURES_SHOWN_MAX + 2
    assert (rows.read, rows.bad, rows.repeated) == (BAD_ROWS_SHOWN_MAX + 4, BAD_ROWS_SHOWN_MAX + 3, 1)


def test_sums_that_differ_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally()
    differing = (
        Difference("acme", "USD", "receivable", 30_000, 25_050),
        Difference("acme", "USD", "next_due", 0, 1_795_650_082),
        *(Difference(f"a-{number}", "JPY", "reserved", 1, 0) for number in range(DIFFERENCES_SHOWN_MAX)),
    )
    tally.verified(AccountsVerified(1200, differing))
    summary = summary_of(tally)
    assert f"{len(differing)} sums differ: `creditgate verify` tells more" in summary_text(summary)
    print_faults(summary)
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "acme: receivable is 300.00 USD and should be 250.50 USD"
    assert told[1] == "acme: next_due is 0 and should be 1795650082"
    assert told[2] == "a-0: reserved is 1 JPY and should be 0 JPY"
    assert told[-1] == "… and 2 more sums that differ"
    document = json.loads(summary_json(summary))["verified"]
    assert (document["accounts"], document["differing_sums"]) == (1200, len(differing))
    assert document["differences"][0]["kept_minor"] == 30_000


def test_accounts_without_a_difference_are_told_so() -> None:
    tally = Tally()
    tally.verified(AccountsVerified(1200, ()))
    assert "1,200 accounts: every sum is what its orders and entries add up to" in summary_text(summary_of(tally))


def test_the_document_holds_what_the_tables_show() -> None:
    tally = tally_of([invoice(1, 123_456, 1)], approved(0), DONE)
    tally.time_call("ReserveCredit", 0.0015)
    rows = RowCounts()
    rows.add(invoice(1, 123_456, 1))
    summary = summary_of(tally, rows)
    document = json.loads(summary_json(summary))
    assert document["rows"] == {"read": 1, "bad": 0, "repeated": 0, "bad_rows": []}
    assert document["currencies"][0]["invoiced_minor"] == 123_456
    assert document["currencies"][0]["largest_accounts"] == [{"account_id": "acme", "peak_exposure_minor": 123_456}]
    assert document["calls"] == {
        "CommitReservation": {"answered": 1, "replayed": 0},
        "ReserveCredit": {"answered": 1, "replayed": 0},
    }
    assert document["latency_ms"]["ReserveCredit"]["p50"] == 1.5
    text = summary_text(summary)
    assert "1,234.56" in text
    assert "1 of 1" in text


def test_a_play_that_never_began_can_be_summed_up() -> None:
    summary = summarize(Tally(), None, 0.0, complete=False)
    assert "play it again to carry on" in summary_text(summary)
    assert "Verified" not in summary_text(summary)
    assert json.loads(summary_json(summary))["rows"] is None
