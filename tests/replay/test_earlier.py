"""An imagined first play of a file, stopped anywhere, shows by its traces what it has asked."""

from hypothesis import given
from hypothesis import strategies as st

from creditgate.domain.operations import CommitReservation, RecordPayment, ReserveCredit
from creditgate.replay.csv_source import Invoice
from creditgate.replay.earlier import OrderKey, Standing, rejected_before
from creditgate.replay.schedule import Event, Unlimited, schedule_invoices
from tests.replay.invoices import invoice


def standings_after(events: list[Event], approved: set[str]) -> dict[str, Standing]:
    """What the service would know of each account after these events, if it approves these orders only."""
    known: dict[str, set[str]] = {}
    committed: dict[str, int] = {}
    paid: dict[str, int] = {}
    for event in events:
        operation = event.operation
        account_id = operation.account_id
        known.setdefault(account_id, set())
        if event.order_id not in approved:
            continue
        if isinstance(operation, ReserveCredit):
            known[account_id].add(event.order_id)
        elif isinstance(operation, CommitReservation):
            committed[account_id] = committed.get(account_id, 0) + operation.amount_minor
        elif isinstance(operation, RecordPayment):
            paid[account_id] = paid.get(account_id, 0) + operation.amount_minor
    return {
        account_id: Standing(
            frozenset(orders), committed.get(account_id, 0), committed.get(account_id, 0) - paid.get(account_id, 0)
        )
        for account_id, orders in known.items()
    }


def skipped(invoices: list[Invoice], played: int | None, approved: set[str]) -> set[str]:
    """The orders that a second play leaves out, after a first one of so many events."""
    events = schedule_invoices(invoices, Unlimited()).events
    standings = standings_after(list(events[:played]), approved)
    return {key.order_id for key in rejected_before(events, standings)}


def test_nothing_known_means_nothing_asked() -> None:
    events = schedule_invoices([invoice(1, 100, 1), invoice(2, 100, 2)], Unlimited()).events
    assert rejected_before(events, {}) == frozenset()
    assert rejected_before(events, {"acme": Standing(frozenset(), 0, 0)}) == frozenset()


def test_an_order_before_a_known_one_of_its_account_was_rejected() -> None:
    invoices = [invoice(1, 100, 1), invoice(2, 100, 2), invoice(3, 100, 3)]
    assert skipped(invoices, None, approved={"0002"}) == {"0001"}


def test_an_order_before_a_recorded_payment_was_rejected() -> None:
    invoices = [invoice(1, 100, 1, paid_on=5), invoice(2, 100, 3), invoice(3, 100, 7)]
    assert skipped(invoices, None, approved={"0001"}) == {"0002"}
    assert skipped(invoices, 3, approved={"0001"}) == set()  # stopped after the second order, before the payment


def test_an_order_of_a_day_before_any_trace_was_rejected() -> None:
    invoices = [invoice(1, 100, 1), invoice(2, 100, 3, account_id="other"), invoice(3, 100, 3)]
    assert skipped(invoices, None, approved={"0002"}) == {"0001"}


def test_accounts_with_other_settings_are_asked_again() -> None:
    events = schedule_invoices([invoice(1, 100, 1), invoice(2, 100, 2, account_id="other")], Unlimited()).events
    known = {"other": Standing(frozenset({"0002"}), 100, 100)}
    assert rejected_before(events, known) == frozenset()


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3), st.sampled_from("ab"), st.booleans()), max_size=12),
    st.integers(0, 40),
)
def test_what_is_left_out_was_asked_and_rejected(orders: list[tuple[int, int, str, bool]], played: int) -> None:
    invoices = [
        invoice(number, amount, day=day, paid_on=day + amount % 3, account_id=account_id)
        for number, (amount, day, account_id, _) in enumerate(orders)
    ]
    approved = {f"{number:04}" for number, order in enumerate(orders) if order[3]}
    events = list(schedule_invoices(invoices, Unlimited()).events)
    asked = {event.order_id for event in events[:played]}
    left_out = skipped(invoices, played, approved)
    assert left_out <= asked - approved
    if played >= len(events):
        again = {key.order_id: key for key in map(_key, invoices) if key.order_id not in approved | left_out}
        assert not any(_happens_later(events, key, approved) for key in again.values())


def _key(invoice: Invoice) -> OrderKey:
    return OrderKey(invoice.account_id, invoice.invoice_id)


def _happens_later(events: list[Event], order: OrderKey, approved: set[str]) -> bool:
    """Whether anything changes the account after the order, so that asking again could be answered otherwise."""
    later = False
    for event in events:
        if event.operation.account_id != order.account_id:
            continue
        if event.order_id == order.order_id:
            later = True
        elif later and event.order_id in approved:
            return True
    return False
