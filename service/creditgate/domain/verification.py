"""What verifying finds: sums that differ from what they sum up."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SumDifference:
    """A sum that is kept and differs from what reservations and entries add up to, in minor units.

    `sum_name` is `reserved`, `receivable`, `secured_receivable`, `pending_review`, or `due@SECOND` and
    `pending_due@SECOND` for what of it falls due at a second. With `next_due` the two are no amounts but seconds: when
    the account next looks at what falls due. A sum of a credit group has its `group_id`, no account, and a name that
    ends in its currency.
    """

    account_id: str
    sum_name: str
    kept_minor: int
    recomputed_minor: int
    repaired: bool = False
    group_id: str = ""


@dataclass(frozen=True, slots=True)
class Verified:
    """What verifying a page of accounts found. An empty `next_page_token` is the only end."""

    verified: int
    differences: tuple[SumDifference, ...]
    next_page_token: str
