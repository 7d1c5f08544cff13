"""Parquet files: every type that a scorer may write, read as the cells of a CSV file."""

import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from creditgate.client import PushedRow
from creditgate.csv_rows.errors import FileError
from creditgate.limit_files.cells import RowReader
from creditgate.limit_files.layout import FIELDS, LimitLayout, parse_layout
from creditgate.limit_files.parquet_source import count_rows, read_rows
from creditgate.limit_files.push import read_content
from creditgate.v1.limit_feed_service_pb2 import LimitUpdate

LAYOUT = parse_layout([], "USD", None, 7)
AS_OF = datetime(2026, 5, 31, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "limits.parquet"


def write(file: Path, **columns: pa.Array | list[object]) -> Path:
    parquet.write_table(pa.table(columns), file, row_group_size=2)
    return file


def read(file: Path, layout: LimitLayout = LAYOUT) -> list[PushedRow]:
    first, *others = read_rows(file, layout)
    reader = RowReader(layout, [field for field in FIELDS if first.has(field)])
    return [reader.read(row) for row in (first, *others)]


def test_columns_of_every_type_are_read_exactly(file: Path) -> None:
    write(
        file,
        account=pa.array(["acme", "bolt", "coal"]).dictionary_encode(),
        limit=pa.array([Decimal("1250.01"), None, Decimal("90071992547409.91")], pa.decimal128(20, 2)),
        unlimited=pa.array([False, True, None]),
        version=pa.array([1, 2, None], pa.int64()),
        score=pa.array([0.5, None, 1.0]),
        effective=pa.array([datetime(2026, 6, 1, 12, tzinfo=UTC), None, None], pa.timestamp("us", "UTC")),
        expire=pa.array([date(2026, 12, 31), None, None]),
        reasons=pa.array([["pays early", "old customer"], [], None]),
    )
    first, second, third = read(file)
    assert isinstance(first, LimitUpdate)
    assert isinstance(second, LimitUpdate)
    assert isinstance(third, LimitUpdate)
    assert (first.account_id, first.limit_minor, first.version, first.score) == ("acme", 125_001, 1, 0.5)
    assert first.effective_time.ToDatetime(UTC) == datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert first.HasField("expire_time")
    assert list(first.reasons) == ["pays early", "old customer"]
    assert (second.HasField("limit_minor"), second.unlimited, second.HasField("score")) == (False, True, False)
    assert (third.limit_minor, third.version, list(third.reasons)) == (2**53 - 1, 7, [])
    assert count_rows(file) == 3


def test_whole_numbers_are_minor_units_where_a_person_says_so(file: Path) -> None:
    write(file, customer=["acme"], cents=[125_000], extra=[[1]])
    (row,) = read(file, parse_layout(["account=customer", "limit_minor=cents"], "USD", None, 7))
    assert isinstance(row, LimitUpdate)
    assert (row.account_id, row.limit_minor) == ("acme", 125_000)


@pytest.mark.parametrize("field", ["limit", "limit_minor", "version"])
def test_floating_point_numbers_are_no_amounts(file: Path, field: str) -> None:
    write(file, account=["acme"], **{field: [1250.5]})
    with pytest.raises(FileError, match=f"column '{field}' holds floating-point numbers"):
        read(file)


def test_a_column_that_can_not_be_text_is_told(file: Path) -> None:
    write(file, account=["acme"], limit=["1"], risk_class=[{"name": "low"}])
    with pytest.raises(FileError, match=r"can't read .* behind row 0"):
        read(file)


def test_a_missing_column_and_a_file_of_another_kind_are_told(file: Path) -> None:
    with pytest.raises(FileError, match="has no column 'account'"):
        read(write(file, customer=["acme"], limit=["1"]))
    file.write_text("account,limit\n")
    with pytest.raises(FileError, match="is no Parquet file"):
        count_rows(file)
    file.unlink()
    with pytest.raises(FileError, match="can't read"):
        count_rows(file)


def test_without_pyarrow_it_is_told_what_to_install(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(file, account=["acme"], limit=["1"])
    monkeypatch.setitem(sys.modules, "creditgate.limit_files.parquet_source", None)
    monkeypatch.delattr("creditgate.limit_files.parquet_source")
    with pytest.raises(FileError, match=r"pip install 'creditgate\[parquet\]'"):
        read_content(file, LAYOUT, AS_OF)
