"""`PushLimits`: what both clients keep to send rows no further ahead than they are kept, and some of them again.

An iterable can't be rewound. So a chunk stays here until the service says that all its rows are kept; when the stream
breaks, the next one begins with the first chunk that is still here.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

import grpc

from creditgate.client.errors import CreditCallError
from creditgate.client.repeats import REPEATED_CODES, Repeats
from creditgate.domain.bounds import MESSAGE_SIZE_MAX_BYTES
from creditgate.domain.limit_batch import WINDOW_ROWS
from creditgate.v1.limit_batch_pb2 import LimitBatch, LimitRowError
from creditgate.v1.limit_feed_service_pb2 import (
    LimitBatchHeader,
    LimitPushProgress,
    LimitUpdate,
    PushLimitsRequest,
    PushLimitsResponse,
)

CHUNK_ROWS: Final = WINDOW_ROWS // 8
"""Rows drawn at once, and sent in one message where it has room for them: chunks that end where the service's windows
do are never sent twice in part."""

AHEAD_ROWS_MAX: Final = 3 * WINDOW_ROWS
"""From how many rows on that are sent and not kept no more are sent: three windows: the service stages one, has the
next, and receives one."""

ATTEMPTS_MAX: Final = 8
"""Streams that may end in a row without getting on; the waits between come to about six seconds, as long as a restart
takes."""

ANSWER_TIMEOUT_S: Final = 120.0
"""How long the service may take for its next answer: it measures a large batch before it goes on."""

PushedRow: TypeAlias = LimitUpdate | LimitRowError
"""A row: an update, or what could not be read of one."""

# ABORTED: a stream that has broken is still being ended by the server that had it. DEADLINE_EXCEEDED: no row came for
# long.
_PASSING_CODES: Final = REPEATED_CODES | {grpc.StatusCode.ABORTED, grpc.StatusCode.DEADLINE_EXCEEDED}


class LimitPush:
    """One batch on its way.

    Args:
        header: what the batch is.
        on_progress: is told each answer about how far it is.

    Attributes:
        batch: the batch as it has ended up; None until then.

    """

    def __init__(self, header: LimitBatchHeader, on_progress: Callable[[LimitPushProgress], object] | None) -> None:
        self._header = header
        self._on_progress = on_progress
        self._chunks: deque[PushLimitsRequest] = deque()
        self._unsent = 0
        self._drawn_rows = 0
        self._kept_rows = 0
        self._progress = (0, 0)
        self._greeted = False
        self._repeats = Repeats(ATTEMPTS_MAX, _PASSING_CODES)
        self.batch: LimitBatch | None = None

    def begin_stream(self) -> PushLimitsRequest:
        """Return what a new stream begins with. Chunks wait for its first answer."""
        self._greeted = False
        return PushLimitsRequest(header=self._header)

    @property
    def wants_chunk(self) -> bool:
        """Whether another chunk is to be drawn before the next one can be sent."""
        return not self._unsent

    def add_chunk(self, rows: list[PushedRow]) -> None:
        """Take in the next rows of the batch, at most `CHUNK_ROWS`."""
        chunks = chunks_of(self._drawn_rows + 1, rows)
        self._chunks.extend(chunks)
        self._drawn_rows += len(rows)
        self._unsent += len(chunks)

    @property
    def may_send(self) -> bool:
        """Whether the service has answered the header and is not too far behind."""
        sent_rows = self._chunks[-self._unsent].updates.first_row - 1 if self._unsent else self._drawn_rows
        return self.batch is not None or (self._greeted and sent_rows - self._kept_rows < AHEAD_ROWS_MAX)

    def send_next(self) -> PushLimitsRequest:
        """Return the oldest chunk that the present stream does not have; now it has."""
        chunk = self._chunks[-self._unsent]
        self._unsent -= 1
        self._drop_kept()
        return chunk

    def answered(self, response: PushLimitsResponse) -> None:
        """Take note of an answer.

        Raises:
            CreditCallError: the service lacks rows that it had kept.

        """
        if response.HasField("batch"):
            self.batch = response.batch
            return
        progress = response.progress
        if not self._greeted:
            self._begin_behind(progress.received_rows)
        self._kept_rows = progress.received_rows
        self._drop_kept()
        if (progress.received_rows, progress.applied_rows) > self._progress:
            self._progress = (progress.received_rows, progress.applied_rows)
            self._repeats.succeeded()
        if self._on_progress is not None:
            self._on_progress(progress)

    def wait_after(self, error: CreditCallError) -> float:
        """Return how many seconds to wait before another stream; raise the error when there is to be none.

        A stream that the service has ended because no row came is begun again. One on which the service has not
        answered is not: that has been waited for long enough.
        """
        if error.code is grpc.StatusCode.DEADLINE_EXCEEDED and not error.reason:
            raise error
        return self._repeats.wait_after(error)

    def _begin_behind(self, kept_rows: int) -> None:
        """Let a new stream begin with the oldest chunk that is not kept.

        The first one begins with the first row, even where an earlier sender has brought it: so the service sees
        whether it is the same batch.
        """
        first_row = self._chunks[0].updates.first_row if self._chunks else self._drawn_rows + 1
        if kept_rows < first_row - 1:
            raise _rows_lost_error(kept_rows, first_row)
        self._greeted = True
        self._kept_rows = kept_rows
        self._unsent = 0
        self._drop_kept()
        self._unsent = len(self._chunks)

    def _drop_kept(self) -> None:
        """Drop the chunks that are sent and kept."""
        while len(self._chunks) > self._unsent and _last_row(self._chunks[0]) <= self._kept_rows:
            self._chunks.popleft()


def chunks_of(first_row: int, rows: list[PushedRow]) -> list[PushLimitsRequest]:
    """Return rows as messages that the service takes: as one, or half of them and the other half likewise.

    So the last message ends where the rows do. A row that is too long for a message by itself is one that can't be
    read.
    """
    chunk = _chunk_of(first_row, rows)
    size_bytes = chunk.ByteSize()
    if size_bytes <= MESSAGE_SIZE_MAX_BYTES:
        return [chunk]
    if len(rows) == 1:
        message = f"is {size_bytes:,} bytes long, and a message takes {MESSAGE_SIZE_MAX_BYTES:,}"
        return [_chunk_of(first_row, [LimitRowError(message=message)])]
    half = len(rows) // 2
    return [*chunks_of(first_row, rows[:half]), *chunks_of(first_row + half, rows[half:])]


def _chunk_of(first_row: int, rows: list[PushedRow]) -> PushLimitsRequest:
    """Return rows as one message; those that could not be read get their number."""
    updates = [row for row in rows if isinstance(row, LimitUpdate)]
    request = PushLimitsRequest()
    chunk = request.updates
    chunk.first_row = first_row
    chunk.updates.extend(updates)
    if len(updates) < len(rows):
        for number, row in enumerate(rows, start=first_row):
            if isinstance(row, LimitRowError):
                row.row = number
                chunk.unreadable_rows.append(row)
    return request


def push_ended_error() -> CreditCallError:
    """Return the error of a stream that was ended in order before the batch was answered."""
    message = "the stream ended before the batch was answered; pushing it again is safe"
    return CreditCallError(grpc.StatusCode.UNAVAILABLE, "", message)


def _last_row(request: PushLimitsRequest) -> int:
    chunk = request.updates
    return chunk.first_row + len(chunk.updates) + len(chunk.unreadable_rows) - 1


def _rows_lost_error(kept_rows: int, first_row: int) -> CreditCallError:
    message = (
        f"the service has only the first {kept_rows:,} rows of {first_row - 1:,} that it had kept;"
        " push the batch again from its first row"
    )
    return CreditCallError(grpc.StatusCode.DATA_LOSS, "", message)
