"""Requests of LimitFeedService.

A batch may have a million rows, so a row that is right is found to be so by a few comparisons; only one that is not is
looked at field by field.
"""

import time
from typing import Final, NamedTuple

from creditgate.api.parse.fields import (
    Violations,
    check_id,
    check_page_token,
    check_required_text,
    check_source,
    check_text,
    raise_violations,
    read_page_size,
    read_time_ms,
    was,
)
from creditgate.api.parse.limit_rows import ROW_MESSAGE_LENGTH_MAX, parse_plain, parse_update
from creditgate.api.parse.said_fields import said_fields
from creditgate.domain.bounds import (
    AS_OF_AHEAD_MAX_S,
    BATCH_ACTOR_LENGTH_MAX,
    BATCH_COMMENT_LENGTH_MAX,
    ID_LENGTH_MAX,
    LIMIT_UPDATES_MAX,
    MODEL_VERSION_LENGTH_MAX,
)
from creditgate.domain.errors import CreditError, FieldViolation
from creditgate.domain.limit_batch import (
    LimitBatchHeader,
    LimitBatchMode,
    LimitBatchState,
    LimitRow,
    LimitRowError,
    LimitRowErrorReason,
)
from creditgate.limit_feed import Activation, ParsedRows, RowsContent
from creditgate.v1.limit_batch_pb2 import LimitRowError as LimitRowErrorMessage
from creditgate.v1.limit_feed_service_pb2 import (
    ActivateLimitBatchRequest,
    CancelLimitBatchRequest,
    GetLimitBatchRequest,
    LimitUpdates,
    ListLimitBatchesRequest,
    RollbackLimitBatchRequest,
)
from creditgate.v1.limit_feed_service_pb2 import LimitBatchHeader as LimitBatchHeaderMessage

ROW_FIELD_LENGTH_MAX: Final = 64
ROW_NUMBER_MAX: Final = 1_000_000_000
"""The last row that a batch may have."""

_MODES: Final = {mode.value: mode for mode in LimitBatchMode}
_STATES: Final = {state.value: state for state in LimitBatchState}
_STATE_UNSPECIFIED: Final = 0
_MS_PER_SECOND: Final = 1000
_SENT_TEXT_LENGTH_MAX: Final = 1000


def parse_header(header: LimitBatchHeaderMessage) -> LimitBatchHeader:
    """Return what a batch is, or raise INVALID_FIELD."""
    found: Violations = []
    check_id(found, "header.batch_id", header.batch_id)
    check_source(found, "header.source", header.source)
    check_text(found, "header.model_version", header.model_version, MODEL_VERSION_LENGTH_MAX)
    as_of_ms = read_time_ms(found, "header.as_of", header.as_of if header.HasField("as_of") else None)
    if as_of_ms > (time.time() + AS_OF_AHEAD_MAX_S) * _MS_PER_SECOND:
        found.append(FieldViolation("header.as_of", "must be at most a day ahead of the clock"))
    mode = _MODES.get(header.mode)
    if mode is None:
        names = ", ".join(each.name for each in LimitBatchMode)
        found.append(FieldViolation("header.mode", f"must be one of {names}, {was(header.mode)}"))
    raise_violations(found)
    return LimitBatchHeader(
        header.batch_id,
        header.source,
        header.model_version,
        as_of_ms,
        mode or LimitBatchMode.STAGE,
        header.all_or_nothing,
        header.create_accounts,
    )


class SentUpdates:
    """The rows of one message, as `creditgate.limit_feed.SentRows`. Only rows that are asked for are read."""

    def __init__(self, updates: LimitUpdates) -> None:
        """Take a message, and keep it. Raises INVALID_FIELD when its rows are too many or their numbers are wrong."""
        self._updates = updates
        self._unreadable = updates.unreadable_rows
        self.first_row = updates.first_row
        count = len(updates.updates) + len(self._unreadable)
        self.last_row = self.first_row + count - 1
        if not 1 <= count <= LIMIT_UPDATES_MAX:
            raise CreditError.of_field("updates", f"must have 1 to {LIMIT_UPDATES_MAX} rows, had {count}")
        if not 1 <= self.first_row <= ROW_NUMBER_MAX - count:
            bound = f"must be from 1 to {ROW_NUMBER_MAX - count}"
            raise CreditError.of_field("updates.first_row", f"{bound}, {was(self.first_row)}")
        self._unreadable_numbers = self._read_numbers()
        updates.ClearField("first_row")  # what is left is the rows alone, the same in every message
        self._serialized = updates.SerializeToString()
        self._said = said_fields(self._serialized)

    def content(self, first_row: int, last_row: int) -> RowsContent:
        """Return what the sender said of some rows: fields that repeat are written one after another."""
        if not self._unreadable and first_row == self.first_row and last_row == self.last_row:
            return RowsContent(self._serialized, b"")
        start, end = self._place_of(first_row), self._place_of(last_row + 1)
        readable = LimitUpdates(updates=self._updates.updates[start:end]).SerializeToString()
        unreadable = [each for each in self._unreadable if first_row <= each.row <= last_row]
        return RowsContent(readable, LimitUpdates(unreadable_rows=unreadable).SerializeToString())

    def parse(self, first_row: int, last_row: int, now_s: int) -> ParsedRows:
        """Return some rows; a limit that has ended at `now_s`, in seconds since 1970, is wrong."""
        start, end = self._place_of(first_row), self._place_of(last_row + 1)
        errors = [_unreadable(each) for each in self._unreadable if first_row <= each.row <= last_row]
        updates = self._updates.updates[start:end]
        plain = parse_plain(first_row, updates, self._said, now_s) if updates and not errors else None
        if plain is not None:
            return ParsedRows(plain, errors)
        rows: list[LimitRow] = []
        if errors:
            numbers = (row for row in range(first_row, last_row + 1) if row not in self._unreadable_numbers)
            numbered = zip(numbers, updates, strict=True)
        else:
            numbered = zip(range(first_row, last_row + 1), updates, strict=True)
        for row, update in numbered:
            parsed = parse_update(row, update, now_s)
            if type(parsed) is LimitRow:
                rows.append(parsed)
            elif isinstance(parsed, LimitRowError):
                errors.append(parsed)
        return ParsedRows(rows, errors)

    def _place_of(self, row: int) -> int:
        """Return how many readable rows are before a row."""
        return row - self.first_row - sum(number < row for number in self._unreadable_numbers)

    def _read_numbers(self) -> frozenset[int]:
        numbers = [each.row for each in self._unreadable]
        for index, number in enumerate(numbers):
            if not self.first_row <= number <= self.last_row:
                bound = f"must be from {self.first_row} to {self.last_row}, the rows of the message"
                raise CreditError.of_field(f"updates.unreadable_rows[{index}].row", f"{bound}, {was(number)}")
        unique = frozenset(numbers)
        if len(unique) < len(numbers):
            raise CreditError.of_field("updates.unreadable_rows", "must have each row once")
        return unique


def _unreadable(row: LimitRowErrorMessage) -> LimitRowError:
    """Return what a sender says of a row that it could not read, cut to its bounds."""
    return LimitRowError(
        row.row,
        row.account_id[:ID_LENGTH_MAX],
        _on_one_line(row.field)[:ROW_FIELD_LENGTH_MAX],
        LimitRowErrorReason.UNREADABLE,
        _on_one_line(row.message)[:ROW_MESSAGE_LENGTH_MAX],
    )


def _on_one_line(text: str) -> str:
    return " ".join(text[:_SENT_TEXT_LENGTH_MAX].split())


def parse_get_limit_batch(request: GetLimitBatchRequest) -> str:
    """Return the batch's id, or raise INVALID_FIELD."""
    found: Violations = []
    check_id(found, "batch_id", request.batch_id)
    raise_violations(found)
    return request.batch_id


class BatchListing(NamedTuple):
    """Which page of the batches is asked for; no states mean all."""

    states: frozenset[LimitBatchState]
    page_size: int
    page_token: str


def parse_list_limit_batches(request: ListLimitBatchesRequest) -> BatchListing:
    """Return what to list, or raise INVALID_FIELD. The unspecified state stands for all of them."""
    found: Violations = []
    states = set()
    for index, number in enumerate(request.states):
        state = _STATES.get(number)
        if state is not None:
            states.add(state)
        elif number != _STATE_UNSPECIFIED:
            found.append(FieldViolation(f"states[{index}]", f"must be a value of LimitBatchState, {was(number)}"))
    page_size = read_page_size(found, request.page_size)
    check_page_token(found, request.page_token)
    raise_violations(found)
    all_states = _STATE_UNSPECIFIED in request.states
    return BatchListing(frozenset() if all_states else frozenset(states), page_size, request.page_token)


def parse_activate_limit_batch(request: ActivateLimitBatchRequest) -> Activation:
    """Return what a person wants, or raise INVALID_FIELD; with force, who and why are required."""
    found: Violations = []
    check_id(found, "batch_id", request.batch_id)
    check = check_required_text if request.force else check_text
    check(found, "actor", request.actor, BATCH_ACTOR_LENGTH_MAX)
    check(found, "comment", request.comment, BATCH_COMMENT_LENGTH_MAX)
    raise_violations(found)
    return Activation(request.actor, request.comment, request.force)


def check_cancel_limit_batch(request: CancelLimitBatchRequest) -> None:
    """Raise INVALID_FIELD for what is wrong."""
    found: Violations = []
    check_id(found, "batch_id", request.batch_id)
    check_required_text(found, "actor", request.actor, BATCH_ACTOR_LENGTH_MAX)
    check_text(found, "comment", request.comment, BATCH_COMMENT_LENGTH_MAX)
    raise_violations(found)


def check_rollback_limit_batch(request: RollbackLimitBatchRequest) -> None:
    """Raise INVALID_FIELD for what is wrong."""
    found: Violations = []
    check_id(found, "batch_id", request.batch_id)
    check_required_text(found, "actor", request.actor, BATCH_ACTOR_LENGTH_MAX)
    check_required_text(found, "comment", request.comment, BATCH_COMMENT_LENGTH_MAX)
    raise_violations(found)
