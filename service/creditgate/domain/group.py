"""Several accounts under one shared limit."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GroupCurrency:
    """What a group's accounts of one currency have together, in its minor units.

    `owed_minor` is the receivable with the credit balances of accounts counted as 0.
    """

    currency_code: str
    reserved_minor: int
    receivable_minor: int
    owed_minor: int


@dataclass(frozen=True, slots=True)
class CreditGroup:
    """A credit group as it stands at one instant.

    `limit_minor` is None for a group without a ceiling, `exposure_minor` None when a rate is missing; both are in minor
    units of the group's currency.
    """

    group_id: str
    display_name: str
    currency_code: str
    limit_minor: int | None
    account_count: int
    currencies: tuple[GroupCurrency, ...]
    exposure_minor: int | None
    create_time_ms: int
