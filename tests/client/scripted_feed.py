"""A limit feed that keeps what is sent to it, and breaks off where a test says."""

from collections.abc import Iterator

from google.protobuf.message import Message

from creditgate.domain.bounds import LIMIT_UPDATES_MAX, MESSAGE_SIZE_MAX_BYTES
from creditgate.domain.limit_batch import WINDOW_ROWS
from creditgate.v1.limit_batch_pb2 import LIMIT_BATCH_STATE_ACTIVE, LIMIT_BATCH_STATE_RECEIVING, LimitBatch
from creditgate.v1.limit_feed_service_pb2 import LimitPushProgress, PushLimitsRequest, PushLimitsResponse
from tests.client.scripted_service import Failure, StreamAnswer, Wait


class ScriptedFeed:
    """Keeps rows by windows, as the service does.

    Attributes:
        received: the account of each row that is kept, or what is wrong with it.
        first_rows: the first row of each chunk that came, by stream.
        most_ahead: most rows that came and were not kept yet.

    """

    def __init__(self, *, received_rows: int = 0, window_rows: int = WINDOW_ROWS) -> None:
        self.received = [""] * received_rows
        self.first_rows: list[list[int]] = []
        self.most_ahead = 0
        self._window_rows = window_rows
        self._came: list[str] = []

    def answer(self, *, break_at: int | None = None, end: Failure | Wait | None = None) -> StreamAnswer:
        """Return what answers a stream; with `break_at` it ends when so many rows have come."""

        def answer(requests: Iterator[Message]) -> Iterator[Message | Failure | Wait]:
            self.first_rows.append([])
            self._came = list(self.received)
            next(requests)
            yield self._progress()
            for request in requests:
                assert isinstance(request, PushLimitsRequest)
                self._take(request)
                if break_at is not None and len(self._came) >= break_at:
                    assert end is not None
                    yield end
                if self._keep_windows():
                    yield self._progress()
            if end is not None:
                yield end
            self.received = self._came
            yield PushLimitsResponse(batch=self.batch())

        return answer

    def batch(self) -> LimitBatch:
        return LimitBatch(batch_id="b-1", state=LIMIT_BATCH_STATE_ACTIVE, received_rows=len(self.received))

    def _take(self, request: PushLimitsRequest) -> None:
        chunk = request.updates
        self.first_rows[-1].append(chunk.first_row)
        assert len(chunk.updates) + len(chunk.unreadable_rows) <= LIMIT_UPDATES_MAX
        assert request.ByteSize() <= MESSAGE_SIZE_MAX_BYTES
        assert chunk.first_row <= len(self._came) + 1, "a gap"
        unreadable = {error.row: f"{error.field} {error.message}" for error in chunk.unreadable_rows}
        updates = iter(chunk.updates)
        rows = range(chunk.first_row, chunk.first_row + len(chunk.updates) + len(unreadable))
        came = [unreadable[row] if row in unreadable else next(updates).account_id for row in rows]
        self._came[chunk.first_row - 1 :] = came + self._came[rows.stop - 1 :]
        self.most_ahead = max(self.most_ahead, len(self._came) - len(self.received))

    def _keep_windows(self) -> bool:
        kept = len(self._came) // self._window_rows * self._window_rows
        if kept <= len(self.received):
            return False
        self.received = self._came[:kept]
        return True

    def _progress(self) -> PushLimitsResponse:
        return PushLimitsResponse(
            progress=LimitPushProgress(received_rows=len(self.received), state=LIMIT_BATCH_STATE_RECEIVING)
        )
