"""Turns invoices into what is played: the accounts first, then every step in the order of time.

An invoice becomes three steps: at its invoice date the order is reserved and committed (one document, final), and at
its settlement date, if it has one, the payment is recorded. All three carry the invoice's number as their id, so that
the same file always plays the same operations.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final, NamedTuple, Protocol, TypeAlias

from creditgate.domain.bounds import AMOUNT_MAX_MINOR, HOLD_DEFAULT_S
from creditgate.domain.limit_batch import LimitBatchHeader, LimitRow
from creditgate.domain.money import Money, MoneyFormatError, parse_money
from creditgate.domain.operations import (
    CommitReservation,
    LimitSetting,
    PutAccount,
    RecordPayment,
    ReleaseReservation,
    ReserveCredit,
)
from creditgate.replay.csv_source import Invoice
from creditgate.replay.errors import ReplayError

SOURCE: Final = "replay"
LIMIT_MULTIPLE_MAX: Final = 1_000_000

STRIDE_EVENTS_MAX: Final = 1000
"""Most events that are played before their answers are summed up."""

PlayedOperation: TypeAlias = ReserveCredit | CommitReservation | ReleaseReservation | RecordPayment


class Event(NamedTuple):
    """One step: what happens to an order, and when. A step is played only if its order was approved."""

    time: datetime
    order_id: str
    operation: PlayedOperation


class TimedBatch(NamedTuple):
    """A limit batch, and when it comes."""

    time: datetime
    header: LimitBatchHeader
    rows: tuple[LimitRow, ...]


class Play(NamedTuple):
    """What is played: the accounts, then the events and the limit batches, each in the order of time."""

    accounts: tuple[PutAccount, ...]
    events: tuple[Event, ...]
    batches: tuple[TimedBatch, ...] = ()


class LimitRule(Protocol):
    """Chooses the limit an account is played with."""

    def put_account(self, account_id: str, currency_code: str, amounts_minor: list[int]) -> PutAccount:
        """Return the account's settings, given the amounts of all its invoices."""
        ...


class Unlimited:
    """No account has a ceiling; a limit that an account already has is kept, unused."""

    def put_account(self, account_id: str, currency_code: str, amounts_minor: list[int]) -> PutAccount:  # noqa: ARG002 - the amounts decide nothing here
        """Return the settings of an unlimited account."""
        return PutAccount(account_id, currency_code, unlimited=True)


class SameLimit:
    """Every account has the same limit, one for each currency."""

    def __init__(self, limits: Iterable[Money]) -> None:
        self._limits_minor = {limit.currency_code: limit.amount_minor for limit in limits}

    def put_account(self, account_id: str, currency_code: str, amounts_minor: list[int]) -> PutAccount:  # noqa: ARG002 - the amounts decide nothing here
        """Return the settings with the limit of the account's currency, or raise `ReplayError` if there is none."""
        limit_minor = self._limits_minor.get(currency_code)
        if limit_minor is None:
            raise ReplayError(f"account {account_id} is in {currency_code}: give a --limit in {currency_code} too")
        return _limited(account_id, currency_code, limit_minor)


class LimitMultiple:
    """Each account's limit is a multiple of its mean invoice, rounded up to a whole minor unit."""

    def __init__(self, multiple: Decimal) -> None:
        self._multiple = Fraction(multiple)

    def put_account(self, account_id: str, currency_code: str, amounts_minor: list[int]) -> PutAccount:
        """Return the settings with that limit, at most 2^53-1 minor units."""
        exact = self._multiple * sum(amounts_minor) / len(amounts_minor)
        return _limited(account_id, currency_code, min(-(-exact.numerator // exact.denominator), AMOUNT_MAX_MINOR))


def parse_limit_rule(limits: list[str], multiple: str | None, *, unlimited: bool) -> LimitRule:
    """Return the rule that the options name; none of them is `Unlimited`.

    Raises:
        ReplayError: more than one kind is named, or a value is malformed or out of its bounds.

    """
    if sum((bool(limits), multiple is not None, unlimited)) > 1:
        raise ReplayError("--limit, --limit-multiple and --unlimited exclude each other")
    if limits:
        return SameLimit(_parse_limit(text) for text in limits)
    return Unlimited() if multiple is None else LimitMultiple(_parse_multiple(multiple))


def schedule_invoices(invoices: Iterable[Invoice], rule: LimitRule) -> Play:
    """Return the play of a file's invoices.

    On one day, payments for invoices of an earlier time come first, then the invoices as they stand in the file.
    """
    amounts_minor: dict[tuple[str, str], list[int]] = {}
    timed: list[tuple[tuple[datetime, bool, int, int], Event]] = []
    for invoice in invoices:
        amounts_minor.setdefault((invoice.account_id, invoice.currency_code), []).append(invoice.amount_minor)
        for step, event in enumerate(_steps(invoice)):
            timed.append(((event.time, event.time == invoice.invoice_time, invoice.line, step), event))
    timed.sort(key=lambda pair: pair[0])
    accounts = tuple(rule.put_account(*account, amounts) for account, amounts in amounts_minor.items())
    return Play(accounts, tuple(event for _, event in timed))


def strides(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Yield the events in pieces of one day, of at most `STRIDE_EVENTS_MAX` each: the next begins when one is done."""
    stride: list[Event] = []
    for event in events:
        if stride and (len(stride) == STRIDE_EVENTS_MAX or event.time.date() != stride[-1].time.date()):
            yield stride
            stride = []
        stride.append(event)
    if stride:
        yield stride


def _steps(invoice: Invoice) -> Iterator[Event]:
    reserve = ReserveCredit(
        invoice.account_id,
        order_id=invoice.invoice_id,
        amount_minor=invoice.amount_minor,
        currency_code=invoice.currency_code,
        hold_s=HOLD_DEFAULT_S,
        payment_terms_days=invoice.payment_terms_days,
        source=SOURCE,
    )
    commit = CommitReservation(
        invoice.account_id,
        order_id=invoice.invoice_id,
        amount_minor=invoice.amount_minor,
        currency_code=invoice.currency_code,
        document_id=invoice.invoice_id,
        final=True,
    )
    yield Event(invoice.invoice_time, invoice.invoice_id, reserve)
    yield Event(invoice.invoice_time, invoice.invoice_id, commit)
    if invoice.settle_time is not None:
        payment = RecordPayment(
            invoice.account_id,
            payment_id=invoice.invoice_id,
            amount_minor=invoice.amount_minor,
            currency_code=invoice.currency_code,
        )
        yield Event(invoice.settle_time, invoice.invoice_id, payment)


def _limited(account_id: str, currency_code: str, limit_minor: int) -> PutAccount:
    return PutAccount(account_id, currency_code, base_limit=LimitSetting(limit_minor), unlimited=False)


def _parse_limit(text: str) -> Money:
    try:
        limit = parse_money(text)
    except MoneyFormatError as error:
        raise ReplayError(f"--limit: {error}") from None
    if limit.amount_minor < 0:
        raise ReplayError(f"--limit {text!r} is below 0")
    return limit


def _parse_multiple(text: str) -> Decimal:
    try:
        multiple = Decimal(text)
    except InvalidOperation:
        multiple = Decimal("nan")
    if not (multiple.is_finite() and 0 < multiple <= LIMIT_MULTIPLE_MAX):
        raise ReplayError(f"--limit-multiple {text!r} is not a number above 0, at most {LIMIT_MULTIPLE_MAX}")
    return multiple
