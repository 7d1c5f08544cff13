"""Handlers of LimitFeedService: the scoring batch job, and what people decide about its batches."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from typing import Final

from creditgate.api.context import CallContext
from creditgate.api.parse.limit_feed import (
    SentUpdates,
    check_cancel_limit_batch,
    check_rollback_limit_batch,
    parse_activate_limit_batch,
    parse_get_limit_batch,
    parse_header,
    parse_list_limit_batches,
)
from creditgate.api.render_limit_batch import fill_limit_batch
from creditgate.domain.errors import CreditError, ErrorReason
from creditgate.domain.limit_batch import LimitBatch
from creditgate.limit_feed import LimitFeed, Receiver
from creditgate.v1.limit_feed_service_pb2 import (
    ActivateLimitBatchRequest,
    ActivateLimitBatchResponse,
    CancelLimitBatchRequest,
    CancelLimitBatchResponse,
    GetLimitBatchRequest,
    GetLimitBatchResponse,
    ListLimitBatchesRequest,
    ListLimitBatchesResponse,
    PushLimitsRequest,
    PushLimitsResponse,
    RollbackLimitBatchRequest,
    RollbackLimitBatchResponse,
)

IDLE_S_MAX: Final = 300.0
"""How long a sender may say nothing before its stream is ended."""

PROGRESS_INTERVAL_S: Final = 1.0
"""How often a sender is told how far its batch is while it waits, so that it knows that the service works on it."""

_HEADER: Final = "header"
_UPDATES: Final = "updates"


class LimitFeedHandlers:
    """The RPCs of the limit feed. A push is ended when its sender says nothing for `idle_s_max` seconds."""

    def __init__(self, feed: LimitFeed, idle_s_max: float = IDLE_S_MAX) -> None:
        self._feed = feed
        self._idle_s_max = idle_s_max

    async def push_limits(
        self, requests: AsyncIterator[PushLimitsRequest], context: CallContext
    ) -> AsyncGenerator[PushLimitsResponse, None]:
        """Take a batch in, window by window, and see it through to where a person or nobody is needed."""
        reading = _Reading(requests, self._idle_s_max)
        receiver: Receiver | None = None
        try:
            receiver = await self._begin(await reading.next(), context)
            yield _progress(receiver.batch)
            told = receiver.batch
            while (request := await reading.next_beside(receiver)) is not None:
                if isinstance(request, PushLimitsRequest):
                    async with aclosing(_meanwhile(receiver, receiver.receive(_updates_in(request)))) as told_meanwhile:
                        async for answer in told_meanwhile:
                            yield answer
                if isinstance(request, _Waiting) or receiver.batch.received_rows > told.received_rows:
                    told = receiver.batch
                    yield _progress(told)
            async with aclosing(_meanwhile(receiver, receiver.finish())) as told_meanwhile:
                async for answer in told_meanwhile:
                    yield answer
        finally:
            await reading.close()
            if receiver is not None:
                await receiver.close()
        yield _progress(receiver.batch)
        batch_id = receiver.batch.batch_id
        ending = self._feed.carry_on(batch_id, receiver.gathered)
        while not (await asyncio.wait({ending}, timeout=PROGRESS_INTERVAL_S))[0]:
            progress = self._feed.progress_of(batch_id)
            if progress is not None:
                yield _progress(progress)
        response = PushLimitsResponse()
        fill_limit_batch(response.batch, ending.result())
        yield response

    async def get_limit_batch(self, request: GetLimitBatchRequest, context: CallContext) -> GetLimitBatchResponse:
        """Read one batch with its report."""
        response = GetLimitBatchResponse()
        fill_limit_batch(response.batch, await self._feed.get(parse_get_limit_batch(request), context.deadline))
        return response

    async def list_limit_batches(
        self, request: ListLimitBatchesRequest, context: CallContext
    ) -> ListLimitBatchesResponse:
        """Read a page of batches."""
        page = await self._feed.list(*parse_list_limit_batches(request), context.deadline)
        response = ListLimitBatchesResponse(next_page_token=page.next_page_token)
        for batch in page.items:
            fill_limit_batch(response.batches.add(), batch)
        return response

    async def activate_limit_batch(
        self, request: ActivateLimitBatchRequest, context: CallContext
    ) -> ActivateLimitBatchResponse:
        """Put a batch in force."""
        activation = parse_activate_limit_batch(request)
        response = ActivateLimitBatchResponse()
        fill_limit_batch(response.batch, await self._feed.activate(request.batch_id, activation, context.deadline))
        return response

    async def cancel_limit_batch(
        self, request: CancelLimitBatchRequest, context: CallContext
    ) -> CancelLimitBatchResponse:
        """Give a batch up."""
        check_cancel_limit_batch(request)
        batch = await self._feed.cancel(request.batch_id, request.actor, request.comment, context.deadline)
        response = CancelLimitBatchResponse()
        fill_limit_batch(response.batch, batch)
        return response

    async def rollback_limit_batch(
        self, request: RollbackLimitBatchRequest, context: CallContext
    ) -> RollbackLimitBatchResponse:
        """Take a batch back."""
        check_rollback_limit_batch(request)
        batch = await self._feed.roll_back(request.batch_id, request.actor, request.comment, context.deadline)
        response = RollbackLimitBatchResponse()
        fill_limit_batch(response.batch, batch)
        return response

    async def _begin(self, request: PushLimitsRequest | None, context: CallContext) -> Receiver:
        if request is None or not request.HasField(_HEADER):
            raise CreditError.of_field(_HEADER, "must be the first message of the stream")
        return await self._feed.begin_push(parse_header(request.header), context.item_deadline())


class _Stored:
    """Says that a window has been stored while no message came."""


class _Waiting:
    """Says that no message has come for a while, and no window been stored."""


class _Reading:
    """The messages of a push, which may come while its rows are being stored."""

    def __init__(self, requests: AsyncIterator[PushLimitsRequest], idle_s_max: float) -> None:
        self._requests = requests
        self._idle_s_max = idle_s_max
        self._next: asyncio.Task[PushLimitsRequest | None] | None = None

    async def next(self) -> PushLimitsRequest | None:
        """Return the next message, None at the end. Raises DEADLINE_EXCEEDED when none comes for too long."""
        if self._next is None:
            self._next = asyncio.create_task(self._read())
        done, _ = await asyncio.wait({self._next}, timeout=self._idle_s_max)
        return self._take(done)

    async def next_beside(self, receiver: Receiver) -> PushLimitsRequest | _Stored | _Waiting | None:
        """Return the next message, or that a window has been stored before one has come, or takes its time.

        A sender that waits for its rows to be kept must be told so; it need not send more to learn it. Raises as `next`
        does, and what storing has raised.
        """
        storing = receiver.storing
        if storing is None:
            return await self.next()
        if self._next is None:
            self._next = asyncio.create_task(self._read())
        awaited = {self._next, storing}
        if not (await asyncio.wait(awaited, timeout=PROGRESS_INTERVAL_S, return_when=asyncio.FIRST_COMPLETED))[0]:
            return _Waiting()
        if self._next.done():
            return self._take({self._next})
        await receiver.stored()
        return _Stored()

    async def close(self) -> None:
        """Read no more."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)

    async def _read(self) -> PushLimitsRequest | None:
        return await anext(self._requests, None)

    def _take(self, done: set[asyncio.Task[PushLimitsRequest | None]]) -> PushLimitsRequest | None:
        if not done:
            raise CreditError(
                ErrorReason.DEADLINE_EXCEEDED,
                f"no message came for {self._idle_s_max:g} s; what was kept is kept, push the batch again to go on",
            )
        self._next = None
        return done.pop().result()


async def _meanwhile(receiver: Receiver, work: Awaitable[None]) -> AsyncGenerator[PushLimitsResponse, None]:
    """Yield how far a batch is, now and then, until some work on it is done. Raises what that raises."""
    working = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({working}, timeout=PROGRESS_INTERVAL_S))[0]:
            yield _progress(receiver.batch)
        working.result()
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


def _updates_in(request: PushLimitsRequest) -> SentUpdates:
    if not request.HasField(_UPDATES):
        raise CreditError.of_field(_UPDATES, "must be set in every message but the first")
    return SentUpdates(request.updates)


def _progress(batch: LimitBatch) -> PushLimitsResponse:
    response = PushLimitsResponse()
    response.progress.received_rows = batch.received_rows
    response.progress.rejected_rows = batch.rejected_rows
    response.progress.applied_rows = batch.applied_rows
    response.progress.state = batch.state  # type: ignore[assignment]  # the domain's numbers are the contract's
    return response
