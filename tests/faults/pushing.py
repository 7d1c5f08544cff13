"""A scorer as a program of its own: `python -m tests.faults.pushing TARGET BATCH VERSION ACCOUNTS`.

It goes on with its batch through every fault until it is told how that has ended, and then prints the end as JSON. Each
account's limit follows from its number and the version, so that a test knows what must be in force. Rows of odd
versions come sorted by account; those of even ones do up to a tenth before their end, and then name some accounts
again, with limits that must not count.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from typing import Final

import grpc

from creditgate.v1.limit_batch_pb2 import LIMIT_BATCH_MODE_APPLY, LimitBatch, LimitBatchState
from creditgate.v1.limit_feed_service_pb2 import (
    LimitBatchHeader,
    LimitPushProgress,
    LimitUpdate,
    LimitUpdates,
    PushLimitsRequest,
)
from creditgate.v1.limit_feed_service_pb2_grpc import LimitFeedServiceStub

_CHUNK: Final = 500
_CALL_S: Final = 120.0
_PAUSE_S: Final = 0.05
_GIVE_UP_S: Final = 600.0
_NEVER: Final = threading.Event()
AGAIN: Final = 40
AGAIN_STEP: Final = 197
_GO_ON: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
    }
)
"""UNKNOWN is how gRPC tells of some streams whose server was killed."""


def account_of(number: int) -> str:
    return f"acc-{number:06d}"


def limit_of(number: int, version: int) -> int:
    return 1000 * version + number % 1000


def again_of(version: int) -> int:
    """Return how many rows of a version's batch name an account again."""
    return 0 if version % 2 else AGAIN


class Pushing:
    """One batch with a row for each account."""

    def __init__(self, target: str, batch_id: str, version: int, accounts: int) -> None:
        options = (("grpc.max_reconnect_backoff_ms", 100), ("grpc.initial_reconnect_backoff_ms", 20))
        self._stub = LimitFeedServiceStub(grpc.insecure_channel(target, options=options))
        self._header = LimitBatchHeader(
            batch_id=batch_id, source="scorer", mode=LIMIT_BATCH_MODE_APPLY, create_accounts=version == 1
        )
        self._header.as_of.seconds = 1_700_000_000 + version
        self._version = version
        self._accounts = accounts
        self._count = accounts + again_of(version)

    def until_ended(self) -> LimitBatch:
        """Push until the batch has come to its end, and return it."""
        give_up = time.monotonic() + _GIVE_UP_S
        while True:
            try:
                return self._push()
            except grpc.RpcError as error:
                if error.code() not in _GO_ON or time.monotonic() > give_up:
                    raise
                _NEVER.wait(_PAUSE_S)

    def _push(self) -> LimitBatch:
        first_row = threading.Event()
        told: list[LimitPushProgress] = []

        def messages() -> Iterator[PushLimitsRequest]:
            yield PushLimitsRequest(header=self._header)
            first_row.wait(_CALL_S)
            begin = told[0].received_rows if told else self._count
            for start in range(begin, self._count, _CHUNK):
                yield PushLimitsRequest(updates=self._rows(start))

        try:
            for answer in self._stub.PushLimits(messages(), timeout=_CALL_S):
                if answer.HasField("batch"):
                    return answer.batch
                told.append(answer.progress)
                first_row.set()
        finally:
            first_row.set()
        raise AssertionError("the push had no last answer")

    def _rows(self, start: int) -> LimitUpdates:
        rows = LimitUpdates(first_row=start + 1)
        first = 0 if self._version % 2 else self._accounts // 10
        for index in range(start, min(start + _CHUNK, self._count)):
            is_again = index >= self._accounts
            number = (first + index * (AGAIN_STEP if is_again else 1)) % self._accounts
            rows.updates.append(
                LimitUpdate(
                    account_id=account_of(number),
                    limit_minor=1 if is_again else limit_of(number, self._version),
                    currency_code="USD",
                    version=self._version,
                )
            )
        return rows


def main() -> None:
    """Push, and print how it has ended."""
    target, batch_id, version, accounts = sys.argv[1:]
    batch = Pushing(target, batch_id, int(version), int(accounts)).until_ended()
    ended = {
        "state": LimitBatchState.Name(batch.state),
        "applied_rows": batch.applied_rows,
        "skipped_rows": batch.skipped_rows,
        "rejected_rows": batch.rejected_rows,
    }
    sys.stdout.write(json.dumps(ended))


if __name__ == "__main__":
    main()
