"""Reads the rows of a Parquet file, as those of a CSV file: each cell as text. Needs pyarrow, an optional dependency.

A column of floating-point numbers is no column of amounts: what they lack was lost when the file was written.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.parquet import ParquetFile

from creditgate.csv_rows.errors import FileError
from creditgate.csv_rows.rows import Row, positions_of
from creditgate.limit_files.cells import REASON_DELIMITER
from creditgate.limit_files.layout import REQUIRED_FIELDS, LimitLayout

_READ_AT_ONCE_ROWS: Final = 10_000
_EXACT_FIELDS: Final = ("limit", "limit_minor", "version")


def count_rows(path: Path) -> int:
    """Return how many rows a file has, or raise `FileError`."""
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def read_headers(path: Path) -> list[str]:
    """Return the names of a file's columns, or raise `FileError`."""
    with _opened(path) as file:
        return list(file.schema_arrow.names)


def read_rows(path: Path, layout: LimitLayout) -> Iterator[Row]:
    """Yield every row, in the order of the file; lines are counted from 1, as its rows.

    Raises:
        FileError: the file can't be read, lacks a column, or a column is of a type that can't be used.

    """
    with _opened(path) as file:
        schema = file.schema_arrow
        positions = positions_of(schema.names, layout.columns, REQUIRED_FIELDS, layout.optional)
        for field in _EXACT_FIELDS:
            if field in positions:
                _check_exact(schema.field(positions[field]))
        cell_of = {field: index for index, field in enumerate(positions)}
        headers = [layout.columns[field] for field in positions]
        line = 0
        try:
            for batch in file.iter_batches(_READ_AT_ONCE_ROWS, columns=headers):
                texts = [_texts(batch.column(header)) for header in headers]
                for cells in zip(*texts, strict=True):
                    line += 1
                    yield Row(line, cells, layout.columns, cell_of)
        except (pa.ArrowException, OSError) as error:
            raise FileError(f"can't read {path} behind row {line:,}: {error}") from None


def _opened(path: Path) -> ParquetFile:
    try:
        return ParquetFile(path)
    except OSError as error:
        raise FileError(f"can't read {path}: {error.strerror or error}") from None
    except pa.ArrowException as error:
        raise FileError(f"{path} is no Parquet file: {error}") from None


def _check_exact(column: pa.Field) -> None:
    if pa.types.is_floating(column.type):
        raise FileError(
            f"column {column.name!r} holds floating-point numbers, which are no amounts: write it as decimals,"
            " or as whole numbers of minor units with --column limit_minor=HEADER"
        )


def _texts(column: pa.Array) -> list[str]:
    """Return the cells of a column as text, empty where there is none."""
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        column = pc.binary_join(column.cast(pa.list_(pa.string())), REASON_DELIMITER)
    return [text or "" for text in column.cast(pa.string()).to_pylist()]
