"""Requests of LimitFeedService: what the scorer sends, and what people decide about its batches."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from creditgate.client.requests.instants import timestamp_of
from creditgate.v1.limit_batch_pb2 import LIMIT_BATCH_MODE_APPLY, LimitBatchMode, LimitBatchState, LimitRowError
from creditgate.v1.limit_feed_service_pb2 import (
    ActivateLimitBatchRequest,
    CancelLimitBatchRequest,
    GetLimitBatchRequest,
    LimitBatchHeader,
    LimitUpdate,
    ListLimitBatchesRequest,
    RollbackLimitBatchRequest,
)


def limit_batch_header(
    batch_id: str,
    *,
    source: str,
    model_version: str,
    as_of: datetime,
    mode: LimitBatchMode.ValueType = LIMIT_BATCH_MODE_APPLY,
    all_or_nothing: bool = False,
    create_accounts: bool = False,
) -> LimitBatchHeader:
    """Return what a batch is, for `push_limits`.

    Args:
        batch_id: the batch's id, chosen by the sender: the same id again goes on, or is answered with the result.
        source: the scorer or job that sends it.
        model_version: the version of its model.
        as_of: the instant whose facts were scored, with its time zone.
        mode: what is to become of it: `LIMIT_BATCH_MODE_APPLY`, `_STAGE` or `_PREVIEW` of `creditgate.v1`.
        all_or_nothing: True: one wrong row, and none is applied.
        create_accounts: True: an account that does not exist is created with its row's currency and risk class.

    Raises:
        ValueError: `as_of` has no time zone.

    """
    return LimitBatchHeader(
        batch_id=batch_id,
        source=source,
        model_version=model_version,
        as_of=timestamp_of("as_of", as_of),
        mode=mode,
        all_or_nothing=all_or_nothing,
        create_accounts=create_accounts,
    )


def limit_update(  # noqa: PLR0913 - one parameter per field of the row
    account_id: str,
    *,
    currency_code: str,
    version: int,
    limit_minor: int | None = None,
    unlimited: bool = False,
    risk_class: str = "",
    score: float | None = None,
    effective_time: datetime | None = None,
    expire_time: datetime | None = None,
    reasons: Iterable[str] = (),
) -> LimitUpdate:
    """Return a new base limit of an account, a row for `push_limits`.

    Args:
        account_id: the account.
        currency_code: the account's currency.
        version: counts the account's limits, from 1 to 2^53-1; a row that is not above the account's is skipped.
        limit_minor: the limit, in minor units; 0 is a limit of zero; required unless `unlimited`.
        unlimited: True: no ceiling.
        risk_class: the policy's class that judges the account from then on; empty: as it is.
        score: what the model made of the customer; None: not told.
        effective_time: from when on it counts, a whole second, with its time zone; None: at once.
        expire_time: when it ends, a whole second, with its time zone; None: not by itself.
        reasons: why, for people; at most 5 texts of at most 100 characters.

    Raises:
        ValueError: `effective_time` or `expire_time` has no time zone.

    """
    # Field by field, and only those that are told: a batch has many rows, and this takes half as long.
    update = LimitUpdate()
    update.account_id = account_id
    update.currency_code = currency_code
    update.version = version
    if limit_minor is not None:
        update.limit_minor = limit_minor
    if unlimited:
        update.unlimited = True
    if risk_class:
        update.risk_class = risk_class
    if score is not None:
        update.score = score
    if effective_time is not None:
        update.effective_time.CopyFrom(timestamp_of("effective_time", effective_time))
    if expire_time is not None:
        update.expire_time.CopyFrom(timestamp_of("expire_time", expire_time))
    if reasons:
        update.reasons.extend(reasons)
    return update


def unreadable_row(field: str, message: str) -> LimitRowError:
    """Return a row for `push_limits` that could not be read: it is reported like other wrong rows.

    Args:
        field: the field that is wrong, such as `limit_minor`.
        message: what is wrong, at most 200 characters.

    """
    return LimitRowError(field=field, message=message)


def get_limit_batch(batch_id: str) -> GetLimitBatchRequest:
    """Read a batch with its report and its rows' errors.

    Args:
        batch_id: the batch.

    """
    return GetLimitBatchRequest(batch_id=batch_id)


def list_limit_batches(
    *, states: Sequence[LimitBatchState.ValueType] = (), page_size: int = 0
) -> ListLimitBatchesRequest:
    """Yield the batches, newest first, without their rows' errors.

    Args:
        states: only batches in these states; empty: in any.
        page_size: how many to ask for in one call, up to 1000; 0: 100.

    """
    return ListLimitBatchesRequest(states=states, page_size=page_size)


def activate_limit_batch(
    batch_id: str, *, actor: str = "", comment: str = "", force: bool = False
) -> ActivateLimitBatchRequest:
    """Put a staged batch in force; answered when that has begun.

    Before, the batch is measured anew, which takes some seconds for a million rows: give the client a timeout for
    that, or ask again.

    Args:
        batch_id: the batch.
        actor: who decides.
        comment: why.
        force: True: in spite of its guard rails; `actor` and `comment` are then required.

    """
    return ActivateLimitBatchRequest(batch_id=batch_id, force=force, actor=actor, comment=comment)


def cancel_limit_batch(batch_id: str, *, actor: str, comment: str = "") -> CancelLimitBatchRequest:
    """Give up a batch of which no limit is in force.

    Args:
        batch_id: the batch.
        actor: who decides.
        comment: why.

    """
    return CancelLimitBatchRequest(batch_id=batch_id, actor=actor, comment=comment)


def rollback_limit_batch(batch_id: str, *, actor: str, comment: str) -> RollbackLimitBatchRequest:
    """Restore the limits before an active batch, where they have not been changed since.

    Args:
        batch_id: the batch.
        actor: who decides.
        comment: why.

    """
    return RollbackLimitBatchRequest(batch_id=batch_id, actor=actor, comment=comment)
