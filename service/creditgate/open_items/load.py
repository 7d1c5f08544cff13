"""Sends the items of a file, and counts what became of its rows."""

import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from creditgate.client import AsyncCreditClient, ImportSummary, OpenItemFailure, open_item
from creditgate.csv_rows.errors import FileError
from creditgate.csv_rows.listing import bad_row_listing
from creditgate.csv_rows.rows import BadRow, read_lines
from creditgate.domain.money import say_money
from creditgate.open_items.csv_source import Item, ItemLayout, read_items
from creditgate.open_items.open_sum import OpenSum
from creditgate.progress import Progress
from creditgate.v1.receivables_service_pb2 import OpenItem

FAULTS_KEPT_MAX: Final = 20

_FAULTS_WAITING_MAX: Final = 100_000
"""Faults that wait for the answer about earlier rows, to be listed behind them; more of them are listed at once."""

_DETAILS: Final = "(amount_minor, order_id, final, or the other sign)"
"""What the service names of a document that differs: fields of several calls."""

_COUNT_AT_ONCE_BYTES: Final = 1024 * 1024
_FIELDS: Final = {
    "account_id": "account",
    "document_id": "document",
    "amount_minor": "amount",
    "currency_code": "currency",
}
"""Which field of a row a field of the contract comes from."""


@dataclass(slots=True)
class LoadSummary:
    """What became of the rows of a file so far.

    Attributes:
        complete: whether all of the file was sent.
        elapsed_s: how long it took.
        read: rows read.
        bad: rows that could not be read.
        imported: items recorded now.
        replayed: items that had been recorded before.
        failed: items that the service did not take.
        faults: the first of the rows that are bad or failed.
        open: what was sent and not failed, each document once.

    """

    complete: bool = False
    elapsed_s: float = 0.0
    read: int = 0
    bad: int = 0
    imported: int = 0
    replayed: int = 0
    failed: int = 0
    faults: list[BadRow] = field(default_factory=list)
    open: OpenSum = field(default_factory=OpenSum)

    def document(self) -> dict[str, Any]:
        """Return the summary as JSON values. Money is in minor units."""
        return {
            "complete": self.complete,
            "elapsed_s": round(self.elapsed_s, 3),
            "rows": {"read": self.read, "bad": self.bad},
            "imported": self.imported,
            "replayed": self.replayed,
            "repeated": self.open.repeated,
            "failed": self.failed,
            "open": [
                {"currency_code": currency_code, "amount_minor": amount_minor}
                for currency_code, amount_minor in sorted(self.open.minor.items())
            ],
            "faults": [fault._asdict() for fault in self.faults],
        }


class OpenItemLoad:
    """One file on its way into one service. The summary is there at any time, also after an interrupt.

    Args:
        path: the file.
        layout: how to read it.
        faults_path: where to list every row that is bad or failed; None: nowhere.

    """

    def __init__(self, path: Path, layout: ItemLayout, faults_path: Path | None) -> None:
        self._path = path
        self._layout = layout
        self._faults_path = faults_path
        self._lines = array("q")
        self._waiting: list[BadRow] = []
        self._received = 0
        self._done = 0
        self.summary = LoadSummary()

    async def run(self, client: AsyncCreditClient, progress: Progress) -> None:
        """Send everything.

        Raises:
            FileError: the file can't be read or has no rows, or the faults can't be written.
            CreditCallError: the service or its store stays away; what was imported stands.

        """
        begin_s = time.monotonic()
        progress.begin(_count_rows(self._path))

        try:
            with bad_row_listing(self._faults_path, self._path) as list_fault:
                await self._send(client, progress, list_fault)
        finally:
            self.summary.elapsed_s = time.monotonic() - begin_s
        if not self.summary.read:
            raise FileError(f"{self._path} has no rows")
        self.summary.complete = True

    async def _send(
        self, client: AsyncCreditClient, progress: Progress, list_fault: Callable[[BadRow], object]
    ) -> None:
        def show(so_far: ImportSummary) -> None:
            self._take_over(so_far)
            self._list_faults(list_fault)
            progress.advance(so_far.received + self.summary.bad - self._done)
            self._done = so_far.received + self.summary.bad

        try:
            await client.import_open_items(self._items(list_fault), on_progress=show, on_failure=self._add_failure)
        finally:
            self._list_faults(list_fault, all_of_them=True)

    def _items(self, list_fault: Callable[[BadRow], object]) -> Iterator[OpenItem]:
        summary = self.summary
        for row in read_items(read_lines(self._path), self._layout):
            summary.read += 1
            if isinstance(row, BadRow):
                summary.bad += 1
                self._waiting.append(row)
                self._list_faults(list_fault)
                continue
            summary.open.add(len(self._lines), row)
            self._lines.append(row.line)
            yield open_item(
                row.account_id, row.document_id, amount_minor=row.amount_minor, currency_code=row.currency_code
            )

    def _take_over(self, so_far: ImportSummary) -> None:
        self._received = so_far.received
        self.summary.imported = so_far.imported
        self.summary.replayed = so_far.replayed
        self.summary.failed = so_far.failed

    def _add_failure(self, failure: OpenItemFailure) -> None:
        line, item, violations = self._lines[failure.position], failure.item, failure.error.violations
        refused = Item(line, item.account_id, item.document_id, item.amount_minor, item.currency_code)
        self.summary.open.take_back(failure.position, refused)
        column, reason = "", _in_words_of_the_file(failure.error.message, item.currency_code)
        if violations and violations[0].field in _FIELDS:
            name = _FIELDS[violations[0].field]
            column, reason = self._layout.columns[name] or name, violations[0].description
        self._waiting.append(BadRow(line, column, reason))

    def _list_faults(self, list_fault: Callable[[BadRow], object], *, all_of_them: bool = False) -> None:
        """List the faults so far in the order of the file, unless an answer may tell of one before them."""
        if self._received < len(self._lines) and len(self._waiting) < _FAULTS_WAITING_MAX and not all_of_them:
            return
        self._waiting.sort()
        self.summary.faults += self._waiting[: FAULTS_KEPT_MAX - len(self.summary.faults)]
        for fault in self._waiting:
            list_fault(fault)
        self._waiting.clear()


def _in_words_of_the_file(message: str, currency_code: str) -> str:
    return say_money(message.replace(_DETAILS, "(another amount, or a document of an order)"), currency_code)


def _count_rows(path: Path) -> int:
    """Return about how many rows a file has: its lines without the header."""
    try:
        with path.open("rb") as source:
            lines = sum(block.count(b"\n") for block in iter(lambda: source.read(_COUNT_AT_ONCE_BYTES), b""))
    except OSError as error:
        raise FileError(f"can't read {path}: {error.strerror}") from None
    return max(0, lines - 1)
