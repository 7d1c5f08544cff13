from collections import Counter

from creditgate.domain.account import AccountStatus
from creditgate.domain.money import minor_digits
from creditgate.domain.operations import (
    CommitReservation,
    RecordPayment,
    ReleaseReservation,
    ReserveCredit,
)
from creditgate.samples import SampleStep, sample_accounts, sample_batches, sample_steps


def steps_by_order(steps: tuple[SampleStep, ...]) -> dict[str, list[SampleStep]]:
    by_order: dict[str, list[SampleStep]] = {}
    for step in steps:
        by_order.setdefault(step.order_id, []).append(step)
    return by_order


def test_the_same_seed_gives_the_same_samples() -> None:
    accounts = sample_accounts(seed=5)
    assert accounts == sample_accounts(seed=5)
    assert accounts != sample_accounts(seed=6)
    assert sample_steps(accounts, seed=5) == sample_steps(accounts, seed=5)
    assert sample_steps(accounts, seed=5) != sample_steps(accounts, seed=6)


def test_accounts_are_many_and_of_every_kind() -> None:
    settings = [account.settings for account in sample_accounts()]
    assert len({each.account_id for each in settings}) == len({each.display_name for each in settings}) == 200
    assert {minor_digits(each.currency_code) for each in settings} == {0, 2, 3}
    blocked, closed, _, unlimited, *ordinary = settings
    assert blocked.block is not None
    assert blocked.block.block is not None
    assert closed.status is AccountStatus.CLOSED
    assert unlimited.unlimited
    for each in ordinary:
        assert each.status is AccountStatus.OPEN
        assert each.unlimited is False
        assert each.base_limit is None
    without_limit = [account.settings for account in sample_accounts() if account.limit_minor is None]
    assert without_limit == settings[2:4]


def test_three_nights_bring_limits_of_which_the_last_halves_too_many() -> None:
    accounts = sample_accounts()
    batches = sample_batches(accounts)
    assert batches == sample_batches(accounts)
    first_step = sample_steps(accounts)[0]
    assert batches[0].time < first_step.time < batches[1].time < batches[2].time
    limited = [each.settings.account_id for each in accounts if each.limit_minor is not None]
    for batch in batches:
        assert [row.account_id for row in batch.rows] == limited
    (first, second, third) = ([row.limit_minor or 0 for row in batch.rows] for batch in batches)
    assert first == [each.limit_minor for each in accounts if each.limit_minor is not None]
    raised = sum(after > before for before, after in zip(first, second, strict=True))
    cut = sum(after < before for before, after in zip(first, second, strict=True))
    assert raised > 20
    assert 5 < cut < raised
    assert sum(after <= before // 2 for before, after in zip(second, third, strict=True)) == round(0.4 * len(limited))


def test_orders_come_in_time_and_in_their_accounts_currency() -> None:
    accounts = sample_accounts()
    currencies = {each.settings.account_id: each.settings.currency_code for each in accounts}
    steps = sample_steps(accounts)
    assert [step.time for step in steps] == sorted(step.time for step in steps)
    for step in steps:
        if not isinstance(step.operation, ReleaseReservation):
            assert step.operation.currency_code == currencies[step.operation.account_id]


def test_every_order_begins_with_its_reservation_and_is_never_invoiced_beyond_it() -> None:
    kinds: Counter[str] = Counter()
    for order_steps in steps_by_order(sample_steps(sample_accounts())).values():
        order, *later = (step.operation for step in order_steps)
        assert isinstance(order, ReserveCredit)
        commits = [each for each in later if isinstance(each, CommitReservation)]
        payments = [each for each in later if isinstance(each, RecordPayment)]
        invoiced = sum(each.amount_minor for each in commits)
        assert invoiced <= order.amount_minor
        assert all(each.amount_minor > 0 for each in commits)
        assert sum(each.amount_minor for each in payments) <= invoiced
        assert len({each.document_id for each in commits}) == len(commits)
        kinds["parts"] += len(commits) == 2
        kinds["short"] += bool(commits) and commits[-1].final and invoiced < order.amount_minor
        kinds["released"] += any(isinstance(each, ReleaseReservation) for each in later)
        kinds["held"] += not later
        kinds["unpaid"] += len(payments) < len(commits)
    assert sum(kinds.values()) < 3000
    assert all(kinds[kind] > 50 for kind in ("parts", "short", "released", "held", "unpaid")), kinds


def test_ids_are_unique() -> None:
    steps = sample_steps(sample_accounts())
    for kind, count in (("order", 3000), ("document", 3000), ("payment", 2000)):
        ids = [getattr(step.operation, f"{kind}_id") for step in steps if _has(step, kind)]
        assert len(ids) == len(set(ids)) >= count


def _has(step: SampleStep, kind: str) -> bool:
    owner = {"order": ReserveCredit, "document": CommitReservation, "payment": RecordPayment}[kind]
    return isinstance(step.operation, owner)
