"""Requests of AdminService."""

from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from creditgate.api.parse.fields import (
    VIOLATIONS_MAX,
    Violations,
    check_amount,
    check_currency,
    check_id,
    check_page_token,
    check_risk_class,
    check_text,
    raise_violations,
    read_page_size,
    was,
)
from creditgate.domain.account import AccountStatus, Block
from creditgate.domain.bounds import (
    BLOCK_ACTOR_LENGTH_MAX,
    BLOCK_REASON_LENGTH_MAX,
    DISPLAY_NAME_LENGTH_MAX,
    VERIFIED_ACCOUNTS_MAX,
)
from creditgate.domain.errors import CreditError, FieldViolation
from creditgate.domain.operations import BlockSetting, CloseAccount, LimitSetting, PutAccount
from creditgate.v1.account_pb2 import Account
from creditgate.v1.admin_service_pb2 import (
    CloseAccountRequest,
    ListAccountsRequest,
    PutAccountRequest,
    VerifyAccountsRequest,
)

_SETTABLE: Final = ("display_name", "risk_class", "status", "base_limit_minor", "unlimited", "block")
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
        "risk_class": bool(account.risk_class),
        "status": account.status != _STATUS_UNSPECIFIED,
        "base_limit_minor": account.HasField("base_limit_minor"),
        "unlimited": account.unlimited,
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
    return BlockSetting(Block(block.reason, block.actor))


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


class AccountListing(NamedTuple):
    """Which page of all accounts is asked for."""

    page_size: int
    page_token: str


def parse_list_accounts(request: ListAccountsRequest) -> AccountListing:
    """Return what to list, or raise INVALID_FIELD."""
    found: Violations = []
    page_size = read_page_size(found, request.page_size)
    check_page_token(found, request.page_token)
    raise_violations(found)
    return AccountListing(page_size, request.page_token)
