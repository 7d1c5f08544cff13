"""What a run asks for, as Hypothesis draws it: amounts and etags stay open until it is known where things stand."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final, NamedTuple, TypeAlias

from hypothesis import strategies as st

from tests.model.account import AMOUNT_MAX_MINOR, DAY_MS

SOME_MINOR: Final = 20
"""What an order is ordinarily about."""


class AmountDraft(NamedTuple):
    """An amount that is fixed once it is known where the account, the order and the document stand."""

    base: str
    delta: int

    def resolve(self, bases: Mapping[str, int], least: int = 1) -> int:
        """Return an amount within the bounds of the contract, near a boundary of what it is for."""
        return min(max(bases.get(self.base, SOME_MINOR) + self.delta, least), AMOUNT_MAX_MINOR)


UNKNOWN: Final = "unknown"
ACCOUNTS: Final = st.sampled_from(("a",) * 8 + ("b",) * 8 + (UNKNOWN,))
IDS: Final = st.sampled_from(tuple(f"x{number}" for number in range(12)))
"""Orders, documents, payments and requests draw from the same few ids: they repeat, and they cross."""

REQUESTS: Final = st.sampled_from(("", "", "x0", "x1"))
"""An order sees few changes: their ids repeat only when they are fewer still."""

PLACE_NONE: Final = 20
PLACES: Final = st.sampled_from(range(PLACE_NONE + 1))
"""Which of an account's orders: an odd number means one that is held, the last one that was never asked for."""

CURRENCIES: Final = st.sampled_from(("USD",) * 19 + ("EUR",))
DELTAS: Final = st.integers(-1, 1)
AMOUNTS: Final = st.one_of(
    st.builds(AmountDraft, st.just("some"), st.integers(1 - SOME_MINOR, 2 * SOME_MINOR)),
    st.builds(AmountDraft, st.sampled_from(("limit", "headroom", "headroom", "rest")), DELTAS),
    st.builds(AmountDraft, st.sampled_from(("least", "some", "some", "some", "some", "some", "most")), DELTAS),
)
SAME: Final = st.just(AmountDraft("known", 0))
"""What stands under the id already: from another system, or in a call whose answer was never seen."""

RECORDED: Final = st.one_of(AMOUNTS, SAME)
INVOICED: Final = st.one_of(AMOUNTS, st.builds(AmountDraft, st.just("rest"), DELTAS), SAME)
PAID: Final = st.one_of(AMOUNTS, st.builds(AmountDraft, st.just("overdue"), DELTAS), SAME)
TOTALS: Final = st.one_of(
    AMOUNTS, st.builds(AmountDraft, st.sampled_from(("total", "room", "room", "invoiced")), DELTAS)
)
LIMITS: Final = st.one_of(
    st.integers(0, 300), st.sampled_from((None, 0, 1, 100, 100, 100, AMOUNT_MAX_MINOR - 1, AMOUNT_MAX_MINOR))
)
SECURED: Final = st.sampled_from((0, 0, 0, 0, 1, 2, -1, -2))
"""What is secured of an order: nothing, a little, or (below zero) exactly or nearly all."""

ETAGS: Final = st.sampled_from(("", "", "", "", "current", "current", "earlier", "former"))
"""Which state of an order its caller has read: none, this, one before the last change, one of an order before it."""

HOLDS: Final = st.sampled_from((None, None, None, True, False))
"""Whether a hold is short; None: it ends when it would have ended."""

OVERDUE: Final = st.sampled_from((0, 1, 10, 10, 30, AMOUNT_MAX_MINOR))
DISPUTED: Final = st.sampled_from((0, 0, 1, AMOUNT_MAX_MINOR))
DUE_DATES: Final = st.sampled_from((None, date(2024, 2, 29), date(2024, 3, 1)))
AS_OF: Final = st.sampled_from((0, 0, 0, 1, 1, -1, -1, DAY_MS // 2, 2 * DAY_MS))
"""What instant an ageing describes, in milliseconds from the first step; the last is too far ahead."""

OFTEN: Final = st.sampled_from((True, True, True, False))
SOMETIMES: Final = st.sampled_from((False, False, False, True))
SELDOM: Final = st.sampled_from((False,) * 9 + (True,))


class OrderDraft(NamedTuple):
    """An order whose amounts are still open."""

    account: str
    order_id: str
    amount: AmountDraft
    currency_code: str
    secured: int
    terms_days: int
    short: bool


ORDERS: Final = st.builds(
    OrderDraft, ACCOUNTS, IDS, AMOUNTS, CURRENCIES, SECURED, st.sampled_from((0,) * 7 + (30,)), OFTEN
)


class AmendDraft(NamedTuple):
    """A change of an order whose amounts are still open."""

    account: str
    place: int
    total: AmountDraft
    currency_code: str
    short: bool | None
    request_id: str
    etag: str


AMENDS: Final = st.builds(AmendDraft, ACCOUNTS, PLACES, TOTALS, CURRENCIES, HOLDS, REQUESTS, ETAGS)

Draft: TypeAlias = tuple[str, tuple[object, ...]]
"""The name of a method, and what it is called with."""


def _draft(name: str, *arguments: st.SearchStrategy[Any], weight: int = 1) -> list[st.SearchStrategy[Draft]]:
    """A draft, as often as its weight."""
    return [st.tuples(st.just(name), st.tuples(*arguments))] * weight


def _any_of(*drafts: list[st.SearchStrategy[Draft]]) -> st.SearchStrategy[Draft]:
    return st.sampled_from([draft for some in drafts for draft in some]).flatmap(lambda draft: draft)


_RESERVE: Final = _draft("reserve", ORDERS, weight=6)
_IMPORT: Final = _draft("import_item", ACCOUNTS, IDS, RECORDED, SELDOM, CURRENCIES, weight=2)
WRITES: Final = _any_of(
    _RESERVE,
    _draft("reserve_again", ORDERS, PLACES, weight=2),
    _draft("reserve_as_first", ACCOUNTS, PLACES),
    _draft("amend", AMENDS, weight=8),
    _draft("amend_secured", PLACES, HOLDS, weight=4),
    _draft("amend_again", PLACES, st.booleans(), weight=2),
    _draft("commit", ACCOUNTS, PLACES, INVOICED, CURRENCIES, IDS, SOMETIMES, weight=5),
    _draft("commit_recorded", ACCOUNTS, PLACES, PLACES, SOMETIMES, weight=2),
    _draft("release", ACCOUNTS, PLACES, ETAGS, weight=2),
    _draft("pay", ACCOUNTS, IDS, PAID, CURRENCIES, weight=3),
    _draft("post", ACCOUNTS, IDS, RECORDED, CURRENCIES, weight=2),
    _draft("credit", ACCOUNTS, IDS, RECORDED, CURRENCIES),
    _IMPORT,
    _draft("age", ACCOUNTS, OVERDUE, DISPUTED, DUE_DATES, AS_OF, weight=3),
    _draft("age_again", ACCOUNTS),
    _draft("put_limit", ACCOUNTS, LIMITS, SELDOM, st.sampled_from(("USD",) * 9 + ("EUR",))),
    _draft("put_standing", ACCOUNTS, SELDOM, SELDOM),
    _draft("set_manual_limit", ACCOUNTS, LIMITS, CURRENCIES),
    _draft("set_block", ACCOUNTS, SELDOM),
)
READS: Final = _any_of(
    _draft("check", ORDERS, st.booleans(), weight=2),
    _draft("get_reservation", ACCOUNTS, PLACES),
)


def _several(drafts: st.SearchStrategy[Draft]) -> st.SearchStrategy[list[Draft]]:
    return st.lists(drafts, min_size=2, max_size=6)


STEPS: Final = _any_of(
    _draft("ask_one", WRITES, weight=20),
    _draft("ask_one", READS, weight=2),
    _draft("ask_together", _several(WRITES), weight=2),
    _draft("ask_together", _several(_any_of(_RESERVE)), weight=2),
    _draft("ask_together", _several(_any_of(_IMPORT))),
    _draft("repeat", st.one_of(st.integers(0, 9), st.integers(0, 1000)), weight=4),
    _draft("sweep", st.booleans()),
)
