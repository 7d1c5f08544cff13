"""Pushes a file of limits for a command, and tells what became of it."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import grpc

from creditgate.cli.connection import Connection
from creditgate.cli.failures import USAGE_CODE, CommandFailure, ExitCode
from creditgate.cli.options import parse_instant
from creditgate.cli.tables import counted
from creditgate.client import CreditCallError, limit_batch_header
from creditgate.client.limit_push import ANSWER_TIMEOUT_S
from creditgate.csv_rows.errors import FileError
from creditgate.csv_rows.rows import shown
from creditgate.domain.limit_batch import LimitBatchMode
from creditgate.limit_files.layout import parse_layout
from creditgate.limit_files.push import LimitFilePush, batch_id_of, read_content, unread_columns
from creditgate.progress import show_progress
from creditgate.v1.limit_batch_pb2 import (
    LIMIT_BATCH_MODE_PREVIEW,
    LIMIT_BATCH_MODE_STAGE,
    LIMIT_BATCH_STATE_QUARANTINED,
    LIMIT_BATCH_STATE_STAGED,
    LimitBatch,
)
from creditgate.v1.limit_batch_pb2 import LimitBatchMode as LimitBatchModeNumber
from creditgate.v1.limit_feed_service_pb2 import LimitBatchHeader, PushLimitsResponse

_FAULTS_SHOWN_MAX: Final = 20
_HEADERS_SHOWN_MAX: Final = 30
_BATCH_DETAILS: Final = ("source", "model_version", "as_of", "all_or_nothing", "create_accounts")
"""What a header says of its batch, but for the mode."""

_PASSING_CODES: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)
"""Codes of faults that pass by themselves: pushing the same file again carries it on."""


class ReadAs(NamedTuple):
    """What options say about a file. No version: the seconds from 1970 to `as_of`."""

    columns: Sequence[str]
    delimiter: str | None
    currency: str
    version: int | None
    as_of: datetime


class About(NamedTuple):
    """What options say about a batch. No id: from the file."""

    batch_id: str
    mode: LimitBatchMode
    source: str
    model_version: str
    all_or_nothing: bool = False
    create_accounts: bool = False


def parse_as_of(file: Path, text: str | None) -> datetime:
    """Return the instant that a person wrote, else the second in which the file was last changed.

    Raises:
        CommandFailure: it is written otherwise, or the file can't be read.

    """
    if text is not None:
        return parse_instant("--as-of", text)
    try:
        return datetime.fromtimestamp(int(file.stat().st_mtime), UTC)
    except OSError as error:
        raise CommandFailure(f"can't read {file}: {error.strerror}", code=USAGE_CODE) from None


def push_file(service: Connection, file: Path, read_as: ReadAs, about: About) -> ExitCode:
    """Push a file and print its batch, and on standard error the first wrong rows; return what it means.

    Raises:
        CommandFailure: the file can't be read or used, or the batch is there in another mode.
        CreditCallError: the service stays away, or refuses the batch.

    """
    try:
        version = int(read_as.as_of.timestamp()) if read_as.version is None else read_as.version
        layout = parse_layout(read_as.columns, read_as.currency, read_as.delimiter, version)
        content = read_content(file, layout, read_as.as_of)
        pushed = LimitFilePush(file, layout, content.rows)
        header = _header(about, read_as.as_of, batch_id_of(file, content))
        next(service.client.list_limit_batches(page_size=1), None)  # a service that is not there is told at once
        _print_unread(unread_columns(file, layout))
        with (
            _with_the_way_on(service, pushed, header),
            show_progress(f"Sending {file.name}", "rows", with_pace=True) as progress,
        ):
            batch = service.run(lambda client: pushed.run(client, header, progress, ANSWER_TIMEOUT_S))
    except FileError as error:
        raise CommandFailure(str(error), code=USAGE_CODE) from None
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    exit_code = service.show(PushLimitsResponse(batch=batch))
    _print_faults(pushed, batch)
    return exit_code


def _print_unread(headers: Sequence[str]) -> None:
    """Say which columns of a file are not read: a field whose column is misspelt would be missed by nobody."""
    if headers:
        told = ", ".join(shown(header) for header in headers[:_HEADERS_SHOWN_MAX])
        more = f" and {len(headers) - _HEADERS_SHOWN_MAX} more" if len(headers) > _HEADERS_SHOWN_MAX else ""
        way_on = "--column FIELD=HEADER says which column a field is read from"
        sys.stderr.write(f"columns not read: {told}{more} ({way_on})\n")


def _header(about: About, as_of: datetime, file_id: str) -> LimitBatchHeader:
    """Return a file's header. Each preview is a batch of its own: the accounts have changed since the last one."""
    if about.mode is LimitBatchMode.PREVIEW:
        file_id = f"{file_id}-preview-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
    return limit_batch_header(
        about.batch_id or file_id,
        source=about.source,
        model_version=about.model_version,
        as_of=as_of,
        mode=LimitBatchModeNumber.Value(f"LIMIT_BATCH_MODE_{about.mode.name}"),
        all_or_nothing=about.all_or_nothing,
        create_accounts=about.create_accounts,
    )


@contextmanager
def _with_the_way_on(service: Connection, pushed: LimitFilePush, header: LimitBatchHeader) -> Iterator[None]:
    """Say what is kept of a push that ends before its batch is answered, and how to go on."""
    try:
        yield
    except (KeyboardInterrupt, CreditCallError) as ended:
        passes = isinstance(ended, KeyboardInterrupt) or ended.code in _PASSING_CODES
        # A preview that is asked for again is another batch.
        if passes and pushed.progress is not None and header.mode != LIMIT_BATCH_MODE_PREVIEW:
            count = pushed.progress.received_rows
            received = f"{counted(count, 'row')} {'is' if count == 1 else 'are'} received"
            sys.stderr.write(f"{received}: push the file again to carry on from here\n")
        raise (ended if isinstance(ended, KeyboardInterrupt) else _failure(service, header, ended)) from None


def _failure(service: Connection, header: LimitBatchHeader, error: CreditCallError) -> CommandFailure | CreditCallError:
    """Return what a push has failed with, in terms of its file; the error itself where there is no more to say."""
    if error.code is grpc.StatusCode.DEADLINE_EXCEEDED and not error.reason:
        message = f"no answer within {ANSWER_TIMEOUT_S:g} s"
        return CommandFailure(message, "it is safe to push the file again", code=error.code.name)
    way_on = _way_on(service, header) if error.reason == "LIMIT_BATCH_EXISTS_WITH_DIFFERENT_DETAILS" else ""
    return CommandFailure(error.message, way_on, code=error.code.name, reason=error.reason) if way_on else error


def _way_on(service: Connection, header: LimitBatchHeader) -> str:
    """Return how to go on with a batch that is there and differs in its mode alone; empty for any other."""
    try:
        there = service.client.get_limit_batch(header.batch_id).batch
    except CreditCallError:
        return ""
    is_staged = there.mode == LIMIT_BATCH_MODE_STAGE
    if there.mode == header.mode or any(getattr(there, name) != getattr(header, name) for name in _BATCH_DETAILS):
        return ""
    if is_staged and there.state in (LIMIT_BATCH_STATE_STAGED, LIMIT_BATCH_STATE_QUARANTINED):
        forced = " --force --comment …" if there.state == LIMIT_BATCH_STATE_QUARANTINED else ""
        return f"put it in force with `creditgate limits activate {there.batch_id}{forced}`"
    return f"push it {'with' if is_staged else 'without'} --stage, as before"


def _print_faults(pushed: LimitFilePush, batch: LimitBatch) -> None:
    sys.stdout.flush()
    faults = batch.row_errors[:_FAULTS_SHOWN_MAX]
    for error in faults:
        sys.stderr.write(f"{pushed.fault(error)}\n")
    more = batch.rejected_rows - len(faults)
    if more > 0:
        tells = f"`creditgate limits show {batch.batch_id} --json` tells the first 10,000"
        sys.stderr.write(f"… and {counted(more, 'more wrong row')}; {tells}\n")
