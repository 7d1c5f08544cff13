"""Pushes a file: reads it, names its batch after it, and tells which of its lines a wrong row stands on."""

import hashlib
import re
from array import array
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

from creditgate.client import AsyncCreditClient, PushedRow
from creditgate.client.limit_push import ANSWER_TIMEOUT_S
from creditgate.csv_rows.errors import FileError
from creditgate.csv_rows.rows import BadRow, Row, column_sentence, positions_of, read_header, read_lines, read_table
from creditgate.limit_files.cells import RowReader, unreadable
from creditgate.limit_files.layout import FIELDS, REQUIRED_FIELDS, LimitLayout
from creditgate.progress import Progress
from creditgate.v1.limit_batch_pb2 import LIMIT_BATCH_STATE_ACTIVATING, LimitBatch, LimitRowError
from creditgate.v1.limit_feed_service_pb2 import LimitBatchHeader, LimitPushProgress

_PARQUET_SUFFIXES: Final = (".parquet", ".pq")
_READ_AT_ONCE_BYTES: Final = 1024 * 1024
_NAME_LENGTH_MAX: Final = 64
_DIGEST_LENGTH: Final = 12
_NOT_IN_IDS: Final = re.compile(r"[^A-Za-z0-9._-]")


class FileContent(NamedTuple):
    """What a file holds: a digest that tells it apart from others, and about how many rows."""

    digest: str
    rows: int


def read_content(path: Path, layout: LimitLayout, as_of: datetime) -> FileContent:
    """Read a file once through. How it is read, and what instant it is about, are a part of the digest, too.

    Raises:
        FileError: the file can't be read.

    """
    read_as = (sorted(layout.columns.items()), layout.currency_code, layout.delimiter, layout.version)
    digest = hashlib.sha256(repr((*read_as, as_of.timestamp())).encode())
    lines, last = 0, b"\n"
    try:
        with path.open("rb") as source:
            for block in iter(lambda: source.read(_READ_AT_ONCE_BYTES), b""):
                digest.update(block)
                lines += block.count(b"\n")
                last = block[-1:]
    except OSError as error:
        raise FileError(f"can't read {path}: {error.strerror}") from None
    if is_parquet(path):
        return FileContent(digest.hexdigest(), _parquet_source(path).count_rows(path))
    headers, unended = 1, last != b"\n"
    return FileContent(digest.hexdigest(), max(0, lines + unended - headers))


def unread_columns(path: Path, layout: LimitLayout) -> list[str]:
    """Return the headers of a file from which no field is read.

    Raises:
        FileError: the file can't be read, is empty, or lacks a column.

    """
    if is_parquet(path):
        headers = _parquet_source(path).read_headers(path)
    else:
        with closing(read_lines(path)) as lines:
            headers, _ = read_header(lines, layout.columns, REQUIRED_FIELDS, layout.delimiter)
    read = positions_of(headers, layout.columns, REQUIRED_FIELDS, layout.optional).values()
    return [header for position, header in enumerate(headers) if header and position not in read]


def batch_id_of(path: Path, content: FileContent) -> str:
    """Return the id of the batch that a file is: the same file again is the same batch."""
    name = _NOT_IN_IDS.sub("-", path.name)[:_NAME_LENGTH_MAX]
    return f"{name}-{content.digest[:_DIGEST_LENGTH]}"


def is_parquet(path: Path) -> bool:
    """Return whether a file's name says that it is a Parquet file."""
    return path.suffix.lower() in _PARQUET_SUFFIXES


def _parquet_source(path: Path) -> ModuleType:
    try:
        from creditgate.limit_files import parquet_source  # noqa: PLC0415 - needs an optional dependency
    except ImportError:
        raise FileError(
            f"reading {path.name} takes the package pyarrow: pip install 'creditgate[parquet]', or push a CSV file"
        ) from None
    return parquet_source


class LimitFilePush:
    """One file on its way into one service.

    Args:
        path: the file.
        layout: how to read it.
        rows: about how many rows it has.

    Attributes:
        progress: the service's last answer about how far it is; None before the first.

    """

    def __init__(self, path: Path, layout: LimitLayout, rows: int) -> None:
        self._path = path
        self._layout = layout
        self._rows = rows
        self._lines = array("q")
        self._shown = 0
        self._activating = False
        self.progress: LimitPushProgress | None = None

    async def run(
        self,
        client: AsyncCreditClient,
        header: LimitBatchHeader,
        progress: Progress,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> LimitBatch:
        """Push the file; return its batch. The service may take so long for each answer.

        Raises:
            FileError: the file can't be read or used, or has no rows.
            CreditCallError: the service stays away, or refuses the batch; pushing the file again goes on.

        """
        rows = self._pushed_rows()
        first = next(rows, None)  # before the batch is begun: a file that can't be used begins none
        if first is None:
            raise FileError(f"{self._path} has no rows")
        progress.begin(self._rows)
        return await client.push_limits(
            chain((first,), rows),
            header,
            on_progress=lambda so_far: self._show(so_far, progress),
            answer_timeout_s=answer_timeout_s,
        )

    def fault(self, error: LimitRowError) -> str:
        """Return a sentence about a wrong row; it names the line where this push has read it, else the row."""
        column = self._layout.column_of(error.field) if error.field else ""
        if 0 < error.row <= len(self._lines):
            return str(BadRow(self._lines[error.row - 1], column, error.message))
        return f"row {error.row}: {column_sentence(column, error.message)}"

    def _pushed_rows(self) -> Iterator[PushedRow]:
        reader: RowReader | None = None
        for row in self._read():
            self._lines.append(row.line)
            if isinstance(row, BadRow):
                yield unreadable(row)
                continue
            if reader is None:
                reader = RowReader(self._layout, [field for field in FIELDS if row.has(field)])
            yield reader.read(row)

    def _read(self) -> Iterator[Row | BadRow]:
        layout = self._layout
        if is_parquet(self._path):
            rows: Iterator[Row] = _parquet_source(self._path).read_rows(self._path, layout)
            return rows
        return read_table(read_lines(self._path), layout.columns, REQUIRED_FIELDS, layout.delimiter, layout.optional)

    def _show(self, so_far: LimitPushProgress, progress: Progress) -> None:
        self.progress = so_far
        activating = so_far.state == LIMIT_BATCH_STATE_ACTIVATING
        if activating and not self._activating:
            self._activating, self._shown = True, 0
            progress.begin(so_far.received_rows, "Putting in force")
        done = so_far.applied_rows if activating else so_far.received_rows
        progress.advance(done - self._shown)
        self._shown = done
