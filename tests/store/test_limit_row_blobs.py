"""Rows are packed together as each by itself, whatever they say."""

import pytest

from creditgate.domain.limit_batch import LimitRow
from creditgate.store.limit_row_blobs import naming, pack_row, pack_rows

PLAIN = (
    LimitRow(1, "acme", 100, "USD", 1),
    LimitRow(2, "globex", 0, "EUR", 2**53 - 1, effective_time_s=5, expire_time_s=9),
    LimitRow(3, "a" * 128, 2**53 - 1, "JPY", 7),
)
OTHERS = (
    LimitRow(4, "initech", None, "USD", 1),
    LimitRow(4, "initech", 5, "USD", 1, "gold"),
    LimitRow(4, "initech", 5, "USD", 1, score=0.0),
    LimitRow(4, "initech", 5, "USD", 1, reasons="pays late\nGröße"),
)


@pytest.mark.parametrize("rows", [PLAIN, *((*PLAIN, other) for other in OTHERS)])
def test_rows_are_packed_together_as_each_by_itself(rows: tuple[LimitRow, ...]) -> None:
    assert pack_rows(rows) == b"".join(map(pack_row, rows))
    assert list(naming(rows)) == [part for row in rows for part in (row.account_id, row.row)]
