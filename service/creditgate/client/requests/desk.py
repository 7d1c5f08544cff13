"""Requests of CreditDeskService: what credit analysts decide."""

from datetime import datetime

from creditgate.client.requests.instants import optional_timestamp, timestamp_of
from creditgate.v1.credit_desk_service_pb2 import (
    BlockAccountRequest,
    ClearManualLimitRequest,
    ClearTemporaryLimitRequest,
    SetManualLimitRequest,
    SetTemporaryLimitRequest,
    UnblockAccountRequest,
)


def block_account(
    account_id: str, *, reason: str, actor: str, expire_time: datetime | None = None
) -> BlockAccountRequest:
    """Stop an account; what is held or owed can still be committed, released and paid.

    Args:
        account_id: the account.
        reason: why, for people.
        actor: who decides.
        expire_time: when the block ends by itself, a whole second, with its time zone; None: it does not.

    Raises:
        ValueError: `expire_time` has no time zone.

    """
    return BlockAccountRequest(
        account_id=account_id,
        reason=reason,
        actor=actor,
        expire_time=optional_timestamp("expire_time", expire_time),
    )


def unblock_account(account_id: str, *, reason: str, actor: str) -> UnblockAccountRequest:
    """End an account's block.

    Args:
        account_id: the account.
        reason: why, for people.
        actor: who decides.

    """
    return UnblockAccountRequest(account_id=account_id, reason=reason, actor=actor)


def set_manual_limit(
    account_id: str,
    *,
    currency_code: str,
    reason: str,
    actor: str,
    limit_minor: int | None = None,
    unlimited: bool = False,
    expire_time: datetime | None = None,
) -> SetManualLimitRequest:
    """Set a limit that counts instead of the scorer's until it expires or is cleared.

    Args:
        account_id: the account.
        currency_code: the account's currency.
        reason: why, for people.
        actor: who decides.
        limit_minor: the limit, in minor units; 0 is a limit of zero. Either this or `unlimited` is given.
        unlimited: True: no ceiling.
        expire_time: when the base limit counts again, a whole second, with its time zone; None: not by itself.

    Raises:
        ValueError: neither or both of `limit_minor` and `unlimited` are given, or `expire_time` has no time zone.

    """
    if (limit_minor is None) != unlimited:
        msg = "either limit_minor or unlimited must be given"
        raise ValueError(msg)
    return SetManualLimitRequest(
        account_id=account_id,
        limit_minor=limit_minor or 0,
        currency_code=currency_code,
        unlimited=unlimited,
        expire_time=optional_timestamp("expire_time", expire_time),
        reason=reason,
        actor=actor,
    )


def clear_manual_limit(account_id: str, *, reason: str, actor: str) -> ClearManualLimitRequest:
    """Take the manual limit away: the scorer's counts again.

    Args:
        account_id: the account.
        reason: why, for people.
        actor: who decides.

    """
    return ClearManualLimitRequest(account_id=account_id, reason=reason, actor=actor)


def set_temporary_limit(
    account_id: str,
    *,
    limit_minor: int,
    currency_code: str,
    end_time: datetime,
    reason: str,
    actor: str,
    start_time: datetime | None = None,
) -> SetTemporaryLimitRequest:
    """Set a limit that counts instead of every other between two instants, in the place of an earlier temporary one.

    Args:
        account_id: the account.
        limit_minor: the limit, in minor units; 0 is a limit of zero.
        currency_code: the account's currency.
        end_time: when it no longer counts, a whole second, with its time zone.
        reason: why, for people.
        actor: who decides.
        start_time: from when on it counts, a whole second, with its time zone; None: from now on.

    Raises:
        ValueError: `start_time` or `end_time` has no time zone.

    """
    return SetTemporaryLimitRequest(
        account_id=account_id,
        limit_minor=limit_minor,
        currency_code=currency_code,
        start_time=optional_timestamp("start_time", start_time),
        end_time=timestamp_of("end_time", end_time),
        reason=reason,
        actor=actor,
    )


def clear_temporary_limit(account_id: str, *, reason: str, actor: str) -> ClearTemporaryLimitRequest:
    """Take the temporary limit away.

    Args:
        account_id: the account.
        reason: why, for people.
        actor: who decides.

    """
    return ClearTemporaryLimitRequest(account_id=account_id, reason=reason, actor=actor)
