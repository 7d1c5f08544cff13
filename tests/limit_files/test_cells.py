"""What the cells of a row become."""

from datetime import UTC, datetime

import pytest

from creditgate.client import PushedRow
from creditgate.csv_rows.rows import Row, read_table
from creditgate.limit_files.cells import RowReader, unreadable
from creditgate.limit_files.layout import REQUIRED_FIELDS, parse_layout
from creditgate.v1.limit_batch_pb2 import LimitRowError
from creditgate.v1.limit_feed_service_pb2 import LimitUpdate

LAYOUT = parse_layout([], "USD", None, 7)


def read(*lines: str) -> list[PushedRow]:
    table = read_table(lines, LAYOUT.columns, REQUIRED_FIELDS, None, LAYOUT.optional)
    reader = RowReader(LAYOUT, lines[0].split(","))
    return [reader.read(row) if isinstance(row, Row) else unreadable(row) for row in table]


def update(header: str, row: str) -> LimitUpdate:
    (pushed,) = read(header, row)
    assert isinstance(pushed, LimitUpdate), pushed
    return pushed


def test_every_field_is_read() -> None:
    row = update(
        "account,limit,unlimited,currency,risk_class,score,version,effective,expire,reasons",
        "acme,1250.00,no,kwd,low,0.93,12,2026-06-01T02:00+02:00,2026-12-31T00:00Z,pays early| long customer |",
    )
    assert (row.account_id, row.limit_minor, row.unlimited, row.currency_code) == ("acme", 1_250_000, False, "KWD")
    assert (row.risk_class, row.score, row.version) == ("low", 0.93, 12)
    assert row.effective_time.ToDatetime(UTC) == datetime(2026, 6, 1, tzinfo=UTC)
    assert row.expire_time.ToDatetime(UTC) == datetime(2026, 12, 31, tzinfo=UTC)
    assert list(row.reasons) == ["pays early", "long customer"]


def test_what_a_file_leaves_out_comes_from_the_options_or_stays_absent() -> None:
    row = update("account,limit_minor", "acme,0")
    assert (row.currency_code, row.version) == ("USD", 7)
    assert row.HasField("limit_minor")
    assert (
        row.ListFields() == LimitUpdate(account_id="acme", limit_minor=0, currency_code="USD", version=7).ListFields()
    )


def test_what_the_service_can_judge_is_left_to_it() -> None:
    row = update("account,limit,unlimited", "not an id!,,true")
    assert (row.account_id, row.HasField("limit_minor"), row.unlimited) == ("not an id!", False, True)
    assert update("account,limit", "acme,-1").limit_minor == -100


@pytest.mark.parametrize(
    ("header", "row", "field", "says"),
    [
        ("account,limit", "acme,abc", "limit_minor", "'abc' is not an amount such as 1250.00"),
        ("account,limit", "acme,1.001", "limit_minor", "'1.001' has more than the 2 decimals of USD"),
        ("account,limit,currency", "acme,1,ZZZ", "currency_code", "'ZZZ' is not an ISO 4217 currency code"),
        ("account,limit_minor", "acme,1.5", "limit_minor", "'1.5' is not a whole number"),
        ("account,limit_minor", "acme,10000000000000000000", "limit_minor", "is not a whole number"),
        ("account,limit,version", "acme,1,v2", "version", "'v2' is not a whole number"),
        ("account,limit,unlimited", "acme,1,maybe", "unlimited", "'maybe' is neither true nor false"),
        ("account,limit,score", "acme,1,high", "score", "'high' is not a number"),
        ("account,limit,effective", "acme,1,soon", "effective_time", "'soon' is not an instant such as"),
        ("account,limit,expire", "acme,1,31.12.2026", "expire_time", "'31.12.2026' is not an instant"),
        ("account,limit", "acme", "", "has 1 fields where the header has 2"),
    ],
)
def test_what_can_not_be_read_is_told_by_field_and_reason(header: str, row: str, field: str, says: str) -> None:
    (pushed,) = read(header, row)
    assert isinstance(pushed, LimitRowError)
    assert pushed.field == field
    assert says in pushed.message
    assert len(pushed.message) <= 200
