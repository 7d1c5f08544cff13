"""The limit feed as a scorer sees it: accounts, rows, and pushes over a channel."""

import asyncio
from collections.abc import Sequence
from typing import Final

import grpc

from creditgate.v1.account_pb2 import Account
from creditgate.v1.admin_service_pb2 import PutAccountRequest
from creditgate.v1.admin_service_pb2_grpc import AdminServiceStub
from creditgate.v1.credit_service_pb2 import GetAccountRequest
from creditgate.v1.credit_service_pb2_grpc import CreditServiceStub
from creditgate.v1.limit_batch_pb2 import (
    LIMIT_BATCH_MODE_APPLY,
    LIMIT_BATCH_STATE_ACTIVATING,
    LIMIT_BATCH_STATE_RECEIVING,
    LIMIT_BATCH_STATE_ROLLING_BACK,
    GuardRail,
    LimitBatch,
    LimitBatchMode,
)
from creditgate.v1.limit_feed_service_pb2 import (
    ActivateLimitBatchRequest,
    GetLimitBatchRequest,
    LimitBatchHeader,
    LimitPushProgress,
    LimitUpdate,
    LimitUpdates,
    PushLimitsRequest,
    RollbackLimitBatchRequest,
)
from creditgate.v1.limit_feed_service_pb2_grpc import LimitFeedServiceStub
from tests.patience import PATIENCE_S
from tests.waiting import eventually

CHUNK: Final = 1000
_AT_ONCE: Final = 100
_UNDER_WAY: Final = (LIMIT_BATCH_STATE_RECEIVING, LIMIT_BATCH_STATE_ACTIVATING, LIMIT_BATCH_STATE_ROLLING_BACK)


def header(
    batch_id: str, mode: LimitBatchMode.ValueType = LIMIT_BATCH_MODE_APPLY, **fields: object
) -> LimitBatchHeader:
    given = {"source": "scorer", "model_version": "2.1"} | fields
    message = LimitBatchHeader(batch_id=batch_id, mode=mode, **given)  # type: ignore[arg-type]  # fields by name
    if not message.HasField("as_of"):
        message.as_of.seconds = 1_700_000_000
    return message


def update(account_id: str, limit_minor: int, version: int = 1, **fields: object) -> LimitUpdate:
    given = {"currency_code": "USD"} | fields
    return LimitUpdate(account_id=account_id, limit_minor=limit_minor, version=version, **given)  # type: ignore[arg-type]


def requests(
    of: LimitBatchHeader, rows: Sequence[LimitUpdate], first_row: int = 1, size: int = CHUNK
) -> list[PushLimitsRequest]:
    """Return a push's messages: the header, then the rows from one of theirs on."""
    chunks = [
        LimitUpdates(first_row=start + 1, updates=rows[start : start + size])
        for start in range(first_row - 1, len(rows), size)
    ]
    return [PushLimitsRequest(header=of), *(PushLimitsRequest(updates=chunk) for chunk in chunks)]


class Scorer:
    """A client of the feed on one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.stub = LimitFeedServiceStub(channel)
        self._admin = AdminServiceStub(channel)
        self._credit = CreditServiceStub(channel)
        self.progress: list[LimitPushProgress] = []

    async def open(self, account_ids: Sequence[str], limit_minor: int = 100, **fields: object) -> None:
        """Put accounts in USD with a base limit."""
        for start in range(0, len(account_ids), _AT_ONCE):
            await asyncio.gather(
                *(self._put(each, limit_minor, fields) for each in account_ids[start : start + _AT_ONCE])
            )

    async def account(self, account_id: str) -> Account:
        request = GetAccountRequest(account_id=account_id)
        return (await self._credit.GetAccount(request, timeout=PATIENCE_S)).account

    async def limits(self, account_ids: Sequence[str]) -> list[int]:
        """Return the base limits of accounts."""
        found: list[int] = []
        for start in range(0, len(account_ids), _AT_ONCE):
            accounts = await asyncio.gather(*map(self.account, account_ids[start : start + _AT_ONCE]))
            found += [each.base_limit_minor for each in accounts]
        return found

    async def push(self, messages: Sequence[PushLimitsRequest]) -> LimitBatch:
        """Push a batch; return it as the last answer has it."""
        async for answer in self.stub.PushLimits(iter(messages), timeout=PATIENCE_S):
            if answer.HasField("batch"):
                return answer.batch
            self.progress.append(answer.progress)
        raise AssertionError("the push had no last answer")

    async def batch(self, batch_id: str) -> LimitBatch:
        return (await self.stub.GetLimitBatch(GetLimitBatchRequest(batch_id=batch_id), timeout=PATIENCE_S)).batch

    async def activate(self, batch_id: str, *, force: bool = False) -> LimitBatch:
        """Activate a batch; return it when all its limits are in force."""
        request = ActivateLimitBatchRequest(batch_id=batch_id, force=force, actor="ann", comment="looked at it")
        await self.stub.ActivateLimitBatch(request, timeout=PATIENCE_S)
        return await self.ended(batch_id)

    async def roll_back(self, batch_id: str) -> LimitBatch:
        """Take a batch back; return it when that is done."""
        request = RollbackLimitBatchRequest(batch_id=batch_id, actor="ann", comment="wrong model")
        await self.stub.RollbackLimitBatch(request, timeout=PATIENCE_S)
        return await self.ended(batch_id)

    async def ended(self, batch_id: str) -> LimitBatch:
        """Return a batch once no server has anything left to do with it."""

        async def is_ended() -> bool:
            return (await self.batch(batch_id)).state not in _UNDER_WAY

        await eventually(is_ended)
        return await self.batch(batch_id)

    async def _put(self, account_id: str, limit_minor: int, fields: dict[str, object]) -> None:
        request = PutAccountRequest()
        request.account.account_id = account_id
        request.account.currency_code = "USD"
        request.account.base_limit_minor = limit_minor
        for name, value in fields.items():
            setattr(request.account, name, value)
        await self._admin.PutAccount(request, timeout=PATIENCE_S)


def tripped(batch: LimitBatch) -> list[str]:
    return [GuardRail.Name(report.guard_rail) for report in batch.guard_rails]
