"""Requests of AdminService."""

from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from creditgate.api.parse.fields import (
    VIOLATIONS_MAX,
    Violations,
    check_amount,
    check_currency,
    check_id,
    check_optional_id,
    check_page_token,
    check_risk_class,
    check_text,
    raise_violations,
    read_optional_second,
    read_page_size,
    read_second,
    was,
)
from creditgate.domain.account import AccountStatus, Block
from creditgate.domain.bounds import (
    AMOUNT_MAX_MINOR,
    BLOCK_ACTOR_LENGTH_MAX,
    BLOCK_REASON_LENGTH_MAX,
    DISPLAY_NAME_LENGTH_MAX,
    RATES_MAX,
    VERIFIED_ACCOUNTS_MAX,
)
from creditgate.domain.errors import CreditError, FieldViolation
from creditgate.domain.operations import BlockSetting, CloseAccount, GetGroup, LimitSetting, PutAccount, PutGroup
from creditgate.domain.rates import ExchangeRate, RateFormatError, parse_rate
from creditgate.v1.account_pb2 import Account
from creditgate.v1.admin_service_pb2 import (
    CloseAccountRequest,
    GetGroupRequest,
    ListAccountsRequest,
    ListGroupsRequest,
    PutAccountRequest,
    PutExchangeRatesRequest,
    PutGroupRequest,
    VerifyAccountsRequest,
)
from creditgate.v1.admin_service_pb2 import (
    ExchangeRate as ExchangeRateMessage,
)

_SETTABLE: Final = (
    "display_name",
    "group_id",
    "risk_class",
    "status",
    "base_limit_minor",
    "unlimited",
    "limit_expire_time",
    "block",
)
_STATUSES: Final = {status.value: status for status in AccountStatus}
_STATUS_UNSPECIFIED: Final = 0


def parse_put_account(request: PutAccountRequest) -> PutAccount:
    """Return the operation, or raise INVALID_FIELD. A setting that the mask does not name is not checked either."""
    if not request.HasField("account"):
        raise CreditError.of_field("account", "must be set")
    found: Violations = []
    account = request.account
    check_id(found, "account.account_id", account.account_id)
    if account.currency_code:
        check_currency(found, "account.currency_code", account.currency_code)
    named = _read_mask(found, request) or _populated(account)
    operation = PutAccount(
        account.account_id,
        account.currency_code,
        display_name=_read_display_name(found, account) if "display_name" in named else None,
        risk_class=_read_risk_class(found, account) if "risk_class" in named else None,
        status=_read_status(found, account) if "status" in named else None,
        base_limit=_read_base_limit(found, account) if "base_limit_minor" in named else None,
        unlimited=account.unlimited if "unlimited" in named else None,
        block=_read_block(found, account) if "block" in named else None,
        group_id=_read_group_id(found, account) if "group_id" in named else None,
        limit_expire_time_s=_read_limit_expire(found, account) if "limit_expire_time" in named else None,
    )
    raise_violations(found)
    return operation


def _read_mask(found: Violations, request: PutAccountRequest) -> AbstractSet[str]:
    """Return the paths of the update mask; empty when there is none, or one without paths."""
    named: set[str] = set()
    for path in request.update_mask.paths:
        if path not in _SETTABLE:
            description = f"must name settable fields ({', '.join(_SETTABLE)}), {was(path)}"
            found.append(FieldViolation("update_mask", description))
        elif path in named:
            found.append(FieldViolation("update_mask", f"must name a field once, named {path} again"))
        named.add(path)
        if len(found) >= VIOLATIONS_MAX:
            break
    return named


def _populated(account: Account) -> AbstractSet[str]:
    """Return the settable fields that are set."""
    populated = {
        "display_name": bool(account.display_name),
        "group_id": bool(account.group_id),
        "risk_class": bool(account.risk_class),
        "status": account.status != _STATUS_UNSPECIFIED,
        "base_limit_minor": account.HasField("base_limit_minor"),
        "unlimited": account.unlimited,
        "limit_expire_time": account.HasField("limit_expire_time"),
        "block": account.HasField("block"),
    }
    return {field for field, is_set in populated.items() if is_set}


def _read_display_name(found: Violations, account: Account) -> str:
    check_text(found, "account.display_name", account.display_name, DISPLAY_NAME_LENGTH_MAX)
    return account.display_name


def _read_risk_class(found: Violations, account: Account) -> str:
    check_risk_class(found, "account.risk_class", account.risk_class)
    return account.risk_class


def _read_status(found: Violations, account: Account) -> AccountStatus | None:
    """Return the status to write; None, for the unspecified one, leaves it as it is."""
    status = _STATUSES.get(account.status)
    if status is None and account.status != _STATUS_UNSPECIFIED:
        found.append(FieldViolation("account.status", f"must be a value of AccountStatus, {was(account.status)}"))
    return status


def _read_base_limit(found: Violations, account: Account) -> LimitSetting:
    if not account.HasField("base_limit_minor"):
        return LimitSetting(None)
    check_amount(found, "account.base_limit_minor", account.base_limit_minor, least_minor=0)
    return LimitSetting(account.base_limit_minor)


def _read_block(found: Violations, account: Account) -> BlockSetting:
    if not account.HasField("block"):
        return BlockSetting(None)
    block = account.block
    check_text(found, "account.block.reason", block.reason, BLOCK_REASON_LENGTH_MAX)
    check_text(found, "account.block.actor", block.actor, BLOCK_ACTOR_LENGTH_MAX)
    expire_s = read_optional_second(found, "account.block.expire_time", block)
    return BlockSetting(Block(block.reason, block.actor, expire_time_s=expire_s))


def _read_group_id(found: Violations, account: Account) -> str:
    check_optional_id(found, "account.group_id", account.group_id)
    return account.group_id


def _read_limit_expire(found: Violations, account: Account) -> int:
    if not account.HasField("limit_expire_time"):
        return 0
    return read_second(found, "account.limit_expire_time", account.limit_expire_time)


def parse_put_group(request: PutGroupRequest) -> PutGroup:
    """Return the operation, or raise INVALID_FIELD. A group has a limit or is unlimited: none is not no check."""
    if not request.HasField("group"):
        raise CreditError.of_field("group", "must be set")
    found: Violations = []
    group = request.group
    check_id(found, "group.group_id", group.group_id)
    check_currency(found, "group.currency_code", group.currency_code)
    check_text(found, "group.display_name", group.display_name, DISPLAY_NAME_LENGTH_MAX)
    if group.HasField("limit_minor") == group.unlimited:
        found.append(FieldViolation("group.limit_minor", "or group.unlimited must be set, and not both"))
    elif not group.unlimited:
        check_amount(found, "group.limit_minor", group.limit_minor, least_minor=0)
    raise_violations(found)
    limit_minor = None if group.unlimited else group.limit_minor
    return PutGroup(group.group_id, group.currency_code, limit_minor, group.display_name)


def parse_get_group(request: GetGroupRequest) -> GetGroup:
    """Return the operation, or raise INVALID_FIELD."""
    found: Violations = []
    check_id(found, "group_id", request.group_id)
    raise_violations(found)
    return GetGroup(request.group_id)


class RateTable(NamedTuple):
    """Rates to put; `expire_time_s` 0 never."""

    version: int
    expire_time_s: int
    rates: tuple[ExchangeRate, ...]


def parse_put_exchange_rates(request: PutExchangeRatesRequest) -> RateTable:
    """Return the rates, or raise INVALID_FIELD."""
    found: Violations = []
    if not 1 <= len(request.rates) <= RATES_MAX:
        found.append(FieldViolation("rates", f"must have 1 to {RATES_MAX} items, had {len(request.rates)}"))
    if not 1 <= request.version <= AMOUNT_MAX_MINOR:
        found.append(FieldViolation("version", f"must be between 1 and {AMOUNT_MAX_MINOR}, {was(request.version)}"))
    expire_s = read_optional_second(found, "expire_time", request)
    rates: list[ExchangeRate] = []
    pairs: set[tuple[str, str]] = set()
    for index, rate in enumerate(request.rates[:RATES_MAX]):
        rates += _read_rate(found, f"rates[{index}]", rate, pairs)
    raise_violations(found)
    return RateTable(request.version, expire_s, tuple(rates))


def _read_rate(
    found: Violations, field: str, rate: ExchangeRateMessage, pairs: set[tuple[str, str]]
) -> list[ExchangeRate]:
    pair = (rate.from_currency_code, rate.to_currency_code)
    count = len(found)
    check_currency(found, f"{field}.from_currency_code", pair[0])
    check_currency(found, f"{field}.to_currency_code", pair[1])
    if pair[0] == pair[1]:
        found.append(
            FieldViolation(f"{field}.to_currency_code", f"must be another currency than the first, {was(pair[1])}")
        )
    elif pair in pairs:
        found.append(
            FieldViolation(f"{field}.to_currency_code", f"must make a pair that is not there yet, {was(pair[1])}")
        )
    pairs.add(pair)
    if len(found) > count:
        return []
    try:
        return [parse_rate(*pair, rate.rate)]
    except RateFormatError as error:
        found.append(FieldViolation(f"{field}.rate", f"{error}, {was(rate.rate)}"))
        return []


def parse_close_account(request: CloseAccountRequest) -> CloseAccount:
    """Return the operation, or raise INVALID_FIELD."""
    found: Violations = []
    check_id(found, "account_id", request.account_id)
    raise_violations(found)
    return CloseAccount(request.account_id)


class Verification(NamedTuple):
    """What is to be verified: the accounts named, or a page of all."""

    account_ids: tuple[str, ...]
    page_size: int
    page_token: str
    repair: bool


def parse_verify_accounts(request: VerifyAccountsRequest) -> Verification:
    """Return what to verify, or raise INVALID_FIELD."""
    found: Violations = []
    account_ids = tuple(request.account_ids)
    if len(account_ids) > VERIFIED_ACCOUNTS_MAX:
        found.append(FieldViolation("account_ids", f"must be at most {VERIFIED_ACCOUNTS_MAX}, had {len(account_ids)}"))
    for index, account_id in enumerate(account_ids[:VERIFIED_ACCOUNTS_MAX]):
        check_id(found, f"account_ids[{index}]", account_id)
    for field, is_set in (("page_size", request.page_size != 0), ("page_token", bool(request.page_token))):
        if account_ids and is_set:
            found.append(FieldViolation(field, "must not be set when account_ids are"))
    page_size = read_page_size(found, request.page_size)
    check_page_token(found, request.page_token)
    raise_violations(found)
    return Verification(account_ids, page_size, request.page_token, request.repair)


class Listing(NamedTuple):
    """Which page of all accounts, or of all groups, is asked for."""

    page_size: int
    page_token: str


def parse_listing(request: ListAccountsRequest | ListGroupsRequest) -> Listing:
    """Return what to list, or raise INVALID_FIELD."""
    found: Violations = []
    page_size = read_page_size(found, request.page_size)
    check_page_token(found, request.page_token)
    raise_violations(found)
    return Listing(page_size, request.page_token)
