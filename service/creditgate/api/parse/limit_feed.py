"""Requests of LimitFeedService.

A batch may have a million rows, so a row that is right is found to be so by a few comparisons; only one that is not is
looked at field by field.
"""

import math
import time
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.api.parse.fields import (
    Violations,
    check_amount,
    check_currency,
    check_id,
    check_page_token,
    check_required_text,
    check_risk_class,
    check_source,
    check_text,
    is_id,
    is_risk_class,
    raise_violations,
    read_page_size,
    read_second,
    read_time_ms,
    was,
)
from creditgate.domain.bounds import (
    AMOUNT_MAX_MINOR,
    AS_OF_AHEAD_MAX_S,
    BATCH_ACTOR_LENGTH_MAX,
    BATCH_COMMENT_LENGTH_MAX,
    ID_LENGTH_MAX,
    LIMIT_REASON_LENGTH_MAX,
    LIMIT_REASONS_MAX,
    LIMIT_UPDATES_MAX,
    MODEL_VERSION_LENGTH_MAX,
    SECOND_MAX,
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
from creditgate.domain.money import minor_digits
from creditgate.limit_feed import Activation, ParsedRows, RowsContent
from creditgate.v1.limit_batch_pb2 import LimitRowError as LimitRowErrorMessage
from creditgate.v1.limit_feed_service_pb2 import (
    ActivateLimitBatchRequest,
    CancelLimitBatchRequest,
    GetLimitBatchRequest,
    LimitUpdate,
    LimitUpdates,
    ListLimitBatchesRequest,
    RollbackLimitBatchRequest,
)
from creditgate.v1.limit_feed_service_pb2 import LimitBatchHeader as LimitBatchHeaderMessage

ROW_MESSAGE_LENGTH_MAX: Final = 200
ROW_FIELD_LENGTH_MAX: Final = 64
ROW_NUMBER_MAX: Final = 1_000_000_000
"""The last row that a batch may have."""

_MODES: Final = {mode.value: mode for mode in LimitBatchMode}
_STATES: Final = {state.value: state for state in LimitBatchState}
_STATE_UNSPECIFIED: Final = 0
_MS_PER_SECOND: Final = 1000
_REASONS_BETWEEN: Final = "\n"
_SENT_TEXT_LENGTH_MAX: Final = 1000
_CURRENCY_CODE_LENGTH: Final = 3
_NO_SECOND: Final = -1
_NEVER_S: Final = SECOND_MAX + 1
_new_row: Final = tuple.__new__
"""Makes a `LimitRow` in half the time that its constructor takes."""


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
    """The rows of one message, as `creditgate.limit_feed.SentRows`. Only what is asked for is read."""

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

    def content(self, first_row: int, last_row: int) -> RowsContent:
        """Return what the sender said of some rows: fields that repeat are written one after another."""
        if not self._unreadable and first_row == self.first_row and last_row == self.last_row:
            return RowsContent(self._updates.SerializeToString(), b"")
        start, end = self._place_of(first_row), self._place_of(last_row + 1)
        readable = LimitUpdates(updates=self._updates.updates[start:end]).SerializeToString()
        unreadable = [each for each in self._unreadable if first_row <= each.row <= last_row]
        return RowsContent(readable, LimitUpdates(unreadable_rows=unreadable).SerializeToString())

    def parse(self, first_row: int, last_row: int, now_s: int) -> ParsedRows:
        """Return some rows; a limit that has ended at `now_s`, in seconds since 1970, is wrong."""
        start, end = self._place_of(first_row), self._place_of(last_row + 1)
        errors = [_unreadable(each) for each in self._unreadable if first_row <= each.row <= last_row]
        rows: list[LimitRow] = []
        updates = islice(self._updates.updates, start, end)
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


@lru_cache(maxsize=512)
def _is_class(risk_class: str) -> bool:
    return is_risk_class(risk_class) is not None


def _second_of(time: Timestamp) -> int:
    """Return a whole second, -1 for what is none."""
    second = time.seconds
    return second if 0 < second <= SECOND_MAX and not time.nanos else _NO_SECOND


def _are_plain(reasons: Sequence[str]) -> bool:
    """Return whether reasons are right at first sight."""
    if len(reasons) > LIMIT_REASONS_MAX:
        return False
    return all(len(each) <= LIMIT_REASON_LENGTH_MAX and each.isprintable() and each.strip() for each in reasons)


def parse_update(row: int, update: LimitUpdate, now_s: int) -> LimitRow | LimitRowError:
    """Return a row, or what is wrong with it; a limit that has ended at `now_s`, in seconds since 1970, is wrong."""
    has = update.HasField
    account_id, limit_minor, currency_code = update.account_id, update.limit_minor, update.currency_code
    version, risk_class, score, reasons = update.version, update.risk_class, update.score, update.reasons
    effective_s = _second_of(update.effective_time) if has("effective_time") else 0
    expire_s = _second_of(update.expire_time) if has("expire_time") else _NEVER_S
    unlimited = update.unlimited
    if (
        is_id(account_id)
        and 0 <= limit_minor <= AMOUNT_MAX_MINOR
        and (not has("limit_minor") if unlimited else limit_minor or has("limit_minor"))
        and len(currency_code) == _CURRENCY_CODE_LENGTH
        and minor_digits(currency_code) is not None
        and 0 < version <= AMOUNT_MAX_MINOR
        and (not risk_class or _is_class(risk_class))
        and score - score == 0  # not so for what is no finite number
        and 0 <= effective_s < expire_s > now_s
        and (not reasons or _are_plain(reasons))
    ) or not _violations_of(update, now_s):
        told_score = score if score or has("score") else None
        return _new_row(
            LimitRow,
            (
                row,
                account_id,
                None if unlimited else limit_minor,
                currency_code,
                version,
                risk_class,
                told_score,
                effective_s,
                0 if expire_s == _NEVER_S else expire_s,
                _REASONS_BETWEEN.join(reasons) if reasons else "",
            ),
        )
    wrong = _violations_of(update, now_s)[0]
    return LimitRowError(
        row,
        account_id[:ID_LENGTH_MAX],
        wrong.field,
        LimitRowErrorReason.INVALID_FIELD,
        wrong.description[:ROW_MESSAGE_LENGTH_MAX],
    )


def _violations_of(update: LimitUpdate, now_s: int) -> Violations:
    found: Violations = []
    check_id(found, "account_id", update.account_id)
    if update.unlimited:
        if update.HasField("limit_minor"):
            found.append(FieldViolation("limit_minor", f"must be absent with unlimited, {was(update.limit_minor)}"))
    elif update.HasField("limit_minor"):
        check_amount(found, "limit_minor", update.limit_minor, least_minor=0)
    else:
        found.append(FieldViolation("limit_minor", "must be set unless unlimited is"))
    check_currency(found, "currency_code", update.currency_code)
    check_risk_class(found, "risk_class", update.risk_class)
    if not math.isfinite(update.score):
        found.append(FieldViolation("score", f"must be a finite number, was {update.score}"))
    if not 0 < update.version <= AMOUNT_MAX_MINOR:
        found.append(FieldViolation("version", f"must be from 1 to {AMOUNT_MAX_MINOR}, {was(update.version)}"))
    _check_times(found, update, now_s)
    if len(update.reasons) > LIMIT_REASONS_MAX:
        found.append(FieldViolation("reasons", f"must be at most {LIMIT_REASONS_MAX}, had {len(update.reasons)}"))
    for index, reason in enumerate(update.reasons[:LIMIT_REASONS_MAX]):
        check_required_text(found, f"reasons[{index}]", reason, LIMIT_REASON_LENGTH_MAX)
    return found


def _check_times(found: Violations, update: LimitUpdate, now_s: int) -> None:
    effective_s = expire_s = 0
    if update.HasField("effective_time"):
        effective_s = read_second(found, "effective_time", update.effective_time)
    if update.HasField("expire_time"):
        expire_s = read_second(found, "expire_time", update.expire_time)
        if 0 < expire_s <= effective_s:
            found.append(FieldViolation("expire_time", "must be later than effective_time"))
        elif 0 < expire_s <= now_s:
            found.append(
                FieldViolation(
                    "expire_time", f"must be later than the batch's begin ({now_s} seconds), {was(expire_s)}"
                )
            )


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
