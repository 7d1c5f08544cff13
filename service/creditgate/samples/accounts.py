"""Sample customers: two hundred companies in five currencies, among them one of every kind that is refused."""

from dataclasses import dataclass, replace
from random import Random
from typing import Final

from creditgate.domain.account import AccountStatus, Block
from creditgate.domain.money import minor_digits
from creditgate.domain.operations import BlockSetting, PutAccount

SEED: Final = 20260105
ACCOUNTS: Final = 200

_FIRST_NUMBER: Final = 1001
_PLACES: Final = (
    "Alder", "Ashford", "Birch", "Bluewater", "Calder", "Cedar", "Copper Hill", "Delta", "Eastgate", "Elm Street",
    "Fairview", "Granite", "Harbour", "Highland", "Juniper", "Kingsbridge", "Lakeside", "Linden", "Meridian", "Moor",
    "North Quay", "Oakfield", "Old Mill", "Pinewood", "Quarry", "Redstone", "Ridgeway",
    "Silverdale", "Stonebridge", "Westbrook",
)  # fmt: skip
_TRADES: Final = (
    "Bakeries", "Building Supplies", "Components", "Cycles", "Dairy", "Electrical", "Fasteners", "Foods", "Furniture",
    "Garden Centres", "Hotels", "Instruments", "Laboratories", "Logistics", "Machine Tools", "Medical", "Office Supply",
    "Packaging", "Paper", "Plastics", "Print", "Refrigeration", "Textiles", "Timber", "Wholesale",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Market:
    """Where a customer trades: what its companies are called, and what a thousand dollars are there, roughly."""

    currency_code: str
    suffixes: tuple[str, ...]
    thousand_dollars: int
    share: int


_MARKETS: Final = (
    _Market("USD", ("Inc.", "LLC", "Corp."), 1_000, 45),
    _Market("EUR", ("GmbH", "S.A.", "B.V.", "S.r.l."), 900, 30),
    _Market("GBP", ("Ltd", "plc"), 800, 12),
    _Market("JPY", ("K.K.",), 150_000, 8),
    _Market("KWD", ("W.L.L.",), 300, 5),
)
_RISK_CLASSES: Final = (("low", 30), ("standard", 55), ("elevated", 15))

_LIMIT_MEDIAN_THOUSANDS: Final = 40
_LIMIT_SPREAD: Final = 0.9
_LIMIT_THOUSANDS: Final = (3, 900)


@dataclass(frozen=True, slots=True)
class SampleAccount:
    """A customer: its settings, its limit, which comes from the scorer, and what its orders are made from.

    `limit_minor`: None for a customer that the scorer does not judge.
    """

    settings: PutAccount
    limit_minor: int | None
    order_median_minor: int
    payment_terms_days: int


def sample_accounts(seed: int = SEED) -> tuple[SampleAccount, ...]:
    """Return the sample customers. The first four are blocked, closed, without a limit, and unlimited."""
    random = Random(seed)  # noqa: S311 - samples, no secrets
    names = _company_names(random)
    accounts = [_ordinary_account(random, number, names[number]) for number in range(ACCOUNTS)]
    accounts[:4] = _special_accounts(accounts[:4])
    return tuple(accounts)


def _company_names(random: Random) -> list[str]:
    names = [f"{place} {trade}" for place in _PLACES for trade in _TRADES]
    return random.sample(names, ACCOUNTS)


def _ordinary_account(random: Random, number: int, name: str) -> SampleAccount:
    market = random.choices(_MARKETS, [market.share for market in _MARKETS])[0]
    risk_class = random.choices([name for name, _ in _RISK_CLASSES], [share for _, share in _RISK_CLASSES])[0]
    least, most = _LIMIT_THOUSANDS
    thousands = round(min(most, max(least, _LIMIT_MEDIAN_THOUSANDS * random.lognormvariate(0, _LIMIT_SPREAD))))
    unit_minor = market.thousand_dollars * 10 ** (minor_digits(market.currency_code) or 0)
    limit_minor = thousands * unit_minor
    settings = PutAccount(
        f"C-{_FIRST_NUMBER + number}",
        market.currency_code,
        display_name=f"{name} {random.choice(market.suffixes)}",
        risk_class=risk_class,
        status=AccountStatus.OPEN,
        unlimited=False,
        block=BlockSetting(None),
    )
    # What a customer buys follows its limit loosely: some order well within it, some strain it.
    order_median_minor = round(limit_minor * random.uniform(0.03, 0.13))
    return SampleAccount(settings, limit_minor, order_median_minor, random.choice((14, 30, 30, 30, 45, 60)))


def _special_accounts(ordinary: list[SampleAccount]) -> list[SampleAccount]:
    blocked, closed, without_limit, unlimited = ordinary
    block = Block(reason="Three invoices unpaid, collections informed", actor="credit-desk")
    return [
        replace(blocked, settings=replace(blocked.settings, block=BlockSetting(block))),
        replace(closed, settings=replace(closed.settings, status=AccountStatus.CLOSED)),
        replace(without_limit, limit_minor=None),
        replace(unlimited, settings=replace(unlimited.settings, unlimited=True), limit_minor=None),
    ]
