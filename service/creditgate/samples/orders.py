"""Sample orders: what two hundred customers order, receive, cancel and pay within four months."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Final, NamedTuple, TypeAlias

from creditgate.domain.bounds import HOLD_DEFAULT_S
from creditgate.domain.operations import CommitReservation, RecordPayment, ReleaseReservation, ReserveCredit
from creditgate.samples.accounts import SEED, SampleAccount

ORDERS: Final = 3000

_SOURCE: Final = "demo"
_BEGIN: Final = datetime(2026, 1, 5, 8, 0)  # noqa: DTZ001 - sample times are local, as those of a file
_END: Final = _BEGIN + timedelta(days=120)
_FIRST_NUMBER: Final = 50_001
_WORKING_HOURS: Final = 9
_MINUTES_PER_HOUR: Final = 60

_AMOUNT_SPREAD: Final = 0.75
_SHARE_CANCELLED: Final = 0.05
_SHARE_IN_PARTS: Final = 0.20
_SHARE_SHORT_SHIPPED: Final = 0.06
_ROUNDED_TO: Final = 10

SampleOperation: TypeAlias = ReserveCredit | CommitReservation | ReleaseReservation | RecordPayment


class SampleStep(NamedTuple):
    """What happens to an order, and when."""

    time: datetime
    order_id: str
    operation: SampleOperation


def sample_steps(accounts: Sequence[SampleAccount], seed: int = SEED) -> tuple[SampleStep, ...]:
    """Return the steps of all sample orders, in the order of time, until the last day of the samples.

    What would happen later is left open: at the end some orders are held and some invoices unpaid.
    """
    random = Random(seed)  # noqa: S311 - samples, no secrets
    weights = [random.lognormvariate(0, 0.6) for _ in accounts]
    steps: list[SampleStep] = []
    for number in range(ORDERS):
        account = random.choices(accounts, weights)[0]
        order_id = f"SO-{_FIRST_NUMBER + number}"
        steps += [step for step in _order_steps(random, account, order_id) if step.time < _END]
    steps.sort(key=lambda step: step.time)
    return tuple(steps)


def _order_steps(random: Random, account: SampleAccount, order_id: str) -> Iterator[SampleStep]:
    settings = account.settings
    amount_minor = _amount_minor(random, account.order_median_minor)
    order_time = _working_time(random, _BEGIN + timedelta(days=random.randrange((_END - _BEGIN).days)))
    order = ReserveCredit(
        settings.account_id,
        order_id=order_id,
        amount_minor=amount_minor,
        currency_code=settings.currency_code,
        hold_s=HOLD_DEFAULT_S,
        payment_terms_days=account.payment_terms_days,
        source=_SOURCE,
    )
    yield SampleStep(order_time, order_id, order)
    if random.random() < _SHARE_CANCELLED:
        release = ReleaseReservation(
            settings.account_id,
            order_id=order_id,
            request_id=f"{order_id}-cancelled",
            reason="Cancelled by the customer",
        )
        yield SampleStep(_later(random, order_time, 1, 5), order_id, release)
        return
    yield from _delivery_steps(random, account, order, order_time)


def _delivery_steps(
    random: Random, account: SampleAccount, order: ReserveCredit, order_time: datetime
) -> Iterator[SampleStep]:
    """Yield the invoices of an order, each with its payment."""
    ship_time = order_time
    amounts_minor = _delivered_minor(random, order.amount_minor)
    for part, amount_minor in enumerate(amounts_minor, start=1):
        ship_time = _later(random, ship_time, 1, 9)
        document_id = f"INV-{order.order_id.removeprefix('SO-')}-{part}"
        commit = CommitReservation(
            order.account_id,
            order_id=order.order_id,
            amount_minor=amount_minor,
            currency_code=order.currency_code,
            document_id=document_id,
            final=part == len(amounts_minor),
        )
        yield SampleStep(ship_time, order.order_id, commit)
        payment = RecordPayment(
            order.account_id,
            payment_id=f"PAY-{document_id.removeprefix('INV-')}",
            amount_minor=amount_minor,
            currency_code=order.currency_code,
        )
        pay_time = _later(random, ship_time, max(2, account.payment_terms_days - 10), account.payment_terms_days + 20)
        yield SampleStep(pay_time, order.order_id, payment)


def _delivered_minor(random: Random, amount_minor: int) -> list[int]:
    """Return the amounts of an order's invoices: mostly one over the whole, some in two parts, some short."""
    if random.random() < _SHARE_SHORT_SHIPPED:
        return [max(1, amount_minor * random.randrange(60, 95) // 100)]
    if random.random() < _SHARE_IN_PARTS:
        first_minor = max(1, amount_minor * random.randrange(30, 70) // 100)
        return [first_minor, amount_minor - first_minor] if first_minor < amount_minor else [amount_minor]
    return [amount_minor]


def _amount_minor(random: Random, median_minor: int) -> int:
    exact = median_minor * random.lognormvariate(0, _AMOUNT_SPREAD)
    return max(_ROUNDED_TO, round(exact / _ROUNDED_TO) * _ROUNDED_TO)


def _later(random: Random, time: datetime, days_min: int, days_max: int) -> datetime:
    return _working_time(random, time + timedelta(days=random.randint(days_min, days_max)))


def _working_time(random: Random, day: datetime) -> datetime:
    """Return a whole minute within the working hours of a day."""
    opening = day.replace(hour=_BEGIN.hour, minute=0)
    return opening + timedelta(minutes=random.randrange(_WORKING_HOURS * _MINUTES_PER_HOUR))
