"""Lists bad rows in a CSV file of their own: line, column, reason."""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from creditgate.csv_rows.errors import FileError
from creditgate.csv_rows.rows import BadRow


@contextmanager
def bad_row_listing(path: Path | None, source: Path) -> Iterator[Callable[[BadRow], object]]:
    """Give a function that lists a bad row in a file; without a path, nowhere.

    Raises:
        FileError: the file can't be written, or is the one that is being read.

    """
    if path is None:
        yield lambda _: None
        return
    if path.resolve() == source.resolve():
        raise FileError(f"the bad rows can't be written to {path}: it is the file being read")
    try:
        with path.open("w", encoding="utf-8", newline="") as listing:
            writer = csv.writer(listing)
            writer.writerow(BadRow._fields)
            yield writer.writerow
    except OSError as error:
        raise FileError(f"can't write {path}: {error.strerror}") from None
