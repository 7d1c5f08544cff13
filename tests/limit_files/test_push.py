"""What a file's batch is called, and which line a wrong row stands on."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from creditgate.csv_rows.errors import FileError
from creditgate.limit_files.layout import LimitLayout, parse_layout
from creditgate.limit_files.push import LimitFilePush, batch_id_of, read_content, unread_columns
from creditgate.v1.limit_batch_pb2 import LimitRowError

LAYOUT = parse_layout([], "USD", None, 7)
AS_OF = datetime(2026, 5, 31, tzinfo=UTC)
CONTENT = "account,limit\nacme,1\nbolt,2\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "limits of May.csv"
    path.write_text(CONTENT)
    return path


def batch_id(file: Path, layout: LimitLayout = LAYOUT, as_of: datetime = AS_OF) -> str:
    return batch_id_of(file, read_content(file, layout, as_of))


def test_the_same_file_is_the_same_batch(file: Path) -> None:
    first = batch_id(file)
    assert first.startswith("limits-of-May.csv-")
    file.write_text(CONTENT)
    assert batch_id(file) == first


def test_another_content_or_another_way_to_read_it_is_another_batch(file: Path) -> None:
    ids = {
        batch_id(file),
        batch_id(file, parse_layout([], "EUR", None, 7)),
        batch_id(file, parse_layout(["score="], "USD", None, 7)),
        batch_id(file, parse_layout([], "USD", None, 8)),
        batch_id(file, as_of=datetime(2026, 6, 1, tzinfo=UTC)),
    }
    file.write_text(CONTENT + "coal,3\n")
    ids.add(batch_id(file))
    assert len(ids) == 6


@pytest.mark.parametrize(
    ("text", "rows"), [("", 0), ("account,limit\n", 0), ("account,limit\na,1", 1), (CONTENT, 2), (CONTENT + "c,3", 3)]
)
def test_rows_are_counted_without_the_header(file: Path, text: str, rows: int) -> None:
    file.write_text(text)
    assert read_content(file, LAYOUT, AS_OF).rows == rows


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="can't read"):
        read_content(tmp_path / "none.csv", LAYOUT, AS_OF)


@pytest.mark.parametrize(
    ("header", "columns", "unread"),
    [
        ("account,limit", [], []),
        ("account;limit;expires; note ;", [], ["expires", "note"]),
        ("account,limit,limit_minor", ["limit_minor="], ["limit_minor"]),
        ("account,amount,expires", ["limit=amount", "expire=expires"], []),
    ],
)
def test_columns_that_are_not_read_are_told(file: Path, header: str, columns: list[str], unread: list[str]) -> None:
    file.write_text(f"\ufeff{header}\n")
    assert unread_columns(file, parse_layout(columns, "USD", None, 7)) == unread


def test_columns_of_a_parquet_file_that_are_not_read_are_told(tmp_path: Path) -> None:
    file = tmp_path / "limits.parquet"
    parquet.write_table(pa.table({"account": ["acme"], "limit_minor": [500], "expires": [""]}), file)
    assert unread_columns(file, LAYOUT) == ["expires"]


def test_a_wrong_row_that_was_not_read_is_told_by_its_number(file: Path) -> None:
    error = LimitRowError(row=5, field="limit_minor", message="must be at least 0")
    assert LimitFilePush(file, LAYOUT, 2).fault(error) == "row 5: limit must be at least 0"
