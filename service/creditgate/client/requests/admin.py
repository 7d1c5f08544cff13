"""Requests of AdminService: accounts, groups, exchange rates, the policy."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal, TypeAlias

from google.protobuf.field_mask_pb2 import FieldMask

from creditgate.client.requests.instants import optional_timestamp
from creditgate.v1.account_pb2 import ACCOUNT_STATUS_UNSPECIFIED, Account, AccountStatus, Block
from creditgate.v1.admin_service_pb2 import (
    CloseAccountRequest,
    ExchangeRate,
    GetGroupRequest,
    GetPolicyRequest,
    ListAccountsRequest,
    ListGroupsRequest,
    PutAccountRequest,
    PutExchangeRatesRequest,
    PutGroupRequest,
)
from creditgate.v1.group_pb2 import CreditGroup

ClearableField: TypeAlias = Literal["base_limit_minor", "block", "group_id", "limit_expire_time"]
"""A setting of an account that can be taken away."""


def put_account(  # noqa: PLR0913 - one parameter per setting of an account, all but the id by name
    account_id: str,
    *,
    currency_code: str = "",
    display_name: str | None = None,
    risk_class: str | None = None,
    status: AccountStatus.ValueType | None = None,
    base_limit_minor: int | None = None,
    unlimited: bool | None = None,
    limit_expire_time: datetime | None = None,
    group_id: str | None = None,
    block: Block | None = None,
    clear: Iterable[ClearableField] = (),
) -> PutAccountRequest:
    """Create an account, or change the given settings of an existing one; None leaves a setting as it is.

    Args:
        account_id: the account.
        currency_code: the account's ISO 4217 currency; required for a new account.
        display_name: the customer's name.
        risk_class: name of the policy's class that judges the account.
        status: open or closed.
        base_limit_minor: the limit, in minor units of the account's currency; 0 is a limit of zero.
        unlimited: True: no ceiling.
        limit_expire_time: when the limit ends, a whole second, with its time zone.
        group_id: the credit group that the account joins with all that it has.
        block: stops the account.
        clear: settings to take away: `base_limit_minor` (no limit is set), `limit_expire_time` (the limit does not
            end), `group_id` (in no group) and `block` (no longer blocked).

    Raises:
        ValueError: `limit_expire_time` has no time zone.

    """
    given = {
        "display_name": display_name,
        "risk_class": risk_class,
        "status": status,
        "base_limit_minor": base_limit_minor,
        "unlimited": unlimited,
        "limit_expire_time": limit_expire_time,
        "group_id": group_id,
        "block": block,
    }
    paths = {field for field, value in given.items() if value is not None} | set(clear)
    account = Account(
        account_id=account_id,
        currency_code=currency_code,
        display_name=display_name or "",
        risk_class=risk_class or "",
        status=status or ACCOUNT_STATUS_UNSPECIFIED,
        base_limit_minor=base_limit_minor,
        unlimited=unlimited or False,
        limit_expire_time=optional_timestamp("limit_expire_time", limit_expire_time),
        group_id=group_id or "",
        block=block,
    )
    for field in clear:
        account.ClearField(field)
    return PutAccountRequest(account=account, update_mask=FieldMask(paths=sorted(paths)) if paths else None)


def close_account(account_id: str) -> CloseAccountRequest:
    """Close an account to new orders; what is held or owed can still be committed, released and paid."""
    return CloseAccountRequest(account_id=account_id)


def list_accounts(*, page_size: int = 0) -> ListAccountsRequest:
    """Iterate over all accounts, in no particular order; a page is fetched when it is needed.

    Args:
        page_size: most accounts in one call, up to 1000; 0: 100.

    """
    return ListAccountsRequest(page_size=page_size)


def put_group(
    group_id: str,
    *,
    currency_code: str,
    limit_minor: int | None = None,
    unlimited: bool = False,
    display_name: str = "",
) -> PutGroupRequest:
    """Create a credit group, or replace its settings; accounts join and leave by `put_account`.

    Args:
        group_id: the group.
        currency_code: the ISO 4217 currency of its limit; it can't change.
        limit_minor: the ceiling on the exposure of all its accounts together; either this or `unlimited` is given.
        unlimited: True: no ceiling.
        display_name: its name, for people.

    """
    group = CreditGroup(
        group_id=group_id,
        display_name=display_name,
        currency_code=currency_code,
        limit_minor=limit_minor,
        unlimited=unlimited,
    )
    return PutGroupRequest(group=group)


def get_group(group_id: str) -> GetGroupRequest:
    """Read one credit group with its exposure."""
    return GetGroupRequest(group_id=group_id)


def list_groups(*, page_size: int = 0) -> ListGroupsRequest:
    """Iterate over all credit groups, in no particular order; a page is fetched when it is needed.

    Args:
        page_size: most groups in one call, up to 1000; 0: 100.

    """
    return ListGroupsRequest(page_size=page_size)


def put_exchange_rates(
    rates: Mapping[tuple[str, str], Decimal | str], *, version: int, expire_time: datetime | None = None
) -> PutExchangeRatesRequest:
    """Replace exchange rates from now on; rates that are booked on reservations stay.

    Args:
        rates: what one unit of the first currency is worth in the second: `{("EUR", "USD"): "1.0842"}`; at most 500. A
            pair that is not named stays as it is, and the opposite direction is a rate of its own.
        version: counts the tables of rates, from 1: for a pair that has a newer one, this table is ignored.
        expire_time: when these rates are no longer to be used, a whole second, with its time zone.

    Raises:
        ValueError: `expire_time` has no time zone.

    """
    return PutExchangeRatesRequest(
        rates=[
            ExchangeRate(
                from_currency_code=from_code,
                to_currency_code=to_code,
                rate=f"{rate:f}" if isinstance(rate, Decimal) else rate,
            )
            for (from_code, to_code), rate in rates.items()
        ],
        version=version,
        expire_time=optional_timestamp("expire_time", expire_time),
    )


def get_policy() -> GetPolicyRequest:
    """Read the policy that decides, and why its file is not used, if it is not."""
    return GetPolicyRequest()
