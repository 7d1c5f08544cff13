"""Requests of CreditDeskService."""

from creditgate.api.parse.fields import (
    Violations,
    check_amount,
    check_currency,
    check_id,
    check_required_text,
    raise_violations,
    read_optional_second,
    read_second,
)
from creditgate.domain.account import Block, ManualLimit, TemporaryLimit
from creditgate.domain.bounds import BLOCK_ACTOR_LENGTH_MAX, BLOCK_REASON_LENGTH_MAX
from creditgate.domain.errors import FieldViolation
from creditgate.domain.operations import SetBlock, SetManualLimit, SetTemporaryLimit
from creditgate.v1.credit_desk_service_pb2 import (
    BlockAccountRequest,
    ClearManualLimitRequest,
    ClearTemporaryLimitRequest,
    SetManualLimitRequest,
    SetTemporaryLimitRequest,
    UnblockAccountRequest,
)

_DeskRequest = (
    BlockAccountRequest
    | UnblockAccountRequest
    | SetManualLimitRequest
    | ClearManualLimitRequest
    | SetTemporaryLimitRequest
    | ClearTemporaryLimitRequest
)


def parse_block_account(request: BlockAccountRequest) -> SetBlock:
    """Return the operation, or raise INVALID_FIELD."""
    found = _check_who_and_why(request)
    expire_s = read_optional_second(found, "expire_time", request)
    raise_violations(found)
    block = Block(request.reason, request.actor, expire_time_s=expire_s)
    return SetBlock(request.account_id, block, request.reason, request.actor)


def parse_unblock_account(request: UnblockAccountRequest) -> SetBlock:
    """Return the operation, or raise INVALID_FIELD."""
    raise_violations(_check_who_and_why(request))
    return SetBlock(request.account_id, None, request.reason, request.actor)


def parse_set_manual_limit(request: SetManualLimitRequest) -> SetManualLimit:
    """Return the operation, or raise INVALID_FIELD."""
    found = _check_who_and_why(request)
    check_currency(found, "currency_code", request.currency_code)
    check_amount(found, "limit_minor", request.limit_minor, least_minor=0)
    if request.unlimited and request.limit_minor:
        found.append(FieldViolation("limit_minor", f"must be 0 with unlimited, was {request.limit_minor}"))
    expire_s = read_optional_second(found, "expire_time", request)
    raise_violations(found)
    limit_minor = None if request.unlimited else request.limit_minor
    limit = ManualLimit(limit_minor, expire_s, request.reason, request.actor)
    return SetManualLimit(request.account_id, request.currency_code, limit, request.reason, request.actor)


def parse_clear_manual_limit(request: ClearManualLimitRequest) -> SetManualLimit:
    """Return the operation, or raise INVALID_FIELD."""
    raise_violations(_check_who_and_why(request))
    return SetManualLimit(request.account_id, "", None, request.reason, request.actor)


def parse_set_temporary_limit(request: SetTemporaryLimitRequest) -> SetTemporaryLimit:
    """Return the operation, or raise INVALID_FIELD."""
    found = _check_who_and_why(request)
    check_currency(found, "currency_code", request.currency_code)
    check_amount(found, "limit_minor", request.limit_minor, least_minor=0)
    start_s = read_second(found, "start_time", request.start_time) if request.HasField("start_time") else 0
    end_s = _read_end(found, request, start_s)
    raise_violations(found)
    limit = TemporaryLimit(request.limit_minor, start_s, end_s, request.reason, request.actor)
    return SetTemporaryLimit(request.account_id, request.currency_code, limit, request.reason, request.actor)


def _read_end(found: Violations, request: SetTemporaryLimitRequest, start_s: int) -> int:
    if not request.HasField("end_time"):
        found.append(FieldViolation("end_time", "must be set"))
        return 0
    end_s = read_second(found, "end_time", request.end_time)
    if 0 < end_s <= start_s:
        found.append(FieldViolation("end_time", "must be later than start_time"))
    return end_s


def parse_clear_temporary_limit(request: ClearTemporaryLimitRequest) -> SetTemporaryLimit:
    """Return the operation, or raise INVALID_FIELD."""
    raise_violations(_check_who_and_why(request))
    return SetTemporaryLimit(request.account_id, "", None, request.reason, request.actor)


def _check_who_and_why(request: _DeskRequest) -> Violations:
    found: Violations = []
    check_id(found, "account_id", request.account_id)
    check_required_text(found, "reason", request.reason, BLOCK_REASON_LENGTH_MAX)
    check_required_text(found, "actor", request.actor, BLOCK_ACTOR_LENGTH_MAX)
    return found
