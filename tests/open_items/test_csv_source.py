import io

import pytest

from creditgate.csv_rows.errors import FileError
from creditgate.csv_rows.rows import BadRow
from creditgate.open_items.csv_source import Item, parse_layout, read_items

HEADER = "account,document,amount"


def read(text: str, *columns: str, currency: str = "USD", delimiter: str | None = None) -> list[Item | BadRow]:
    return list(read_items(io.StringIO(text, newline=""), parse_layout(columns, currency, delimiter)))


def test_a_row_is_read_field_by_field() -> None:
    assert read(f'{HEADER}\nacme,inv-1,"1,250.50"\nacme,note-1,-20\n') == [
        Item(2, "acme", "inv-1", 125_050, "USD"),
        Item(3, "acme", "note-1", -2_000, "USD"),
    ]


def test_columns_are_named_and_a_row_may_have_its_own_currency() -> None:
    columns = ("account=Buyer", "document=No", "amount=Open", "currency=Cur")
    text = "No;Buyer;Text;Open;Cur\nd-1;acme;x;1500;jpy\nd-2;acme;y;15.00;\n"
    assert read(text, *columns, currency="eur") == [
        Item(2, "acme", "d-1", 1500, "JPY"),
        Item(3, "acme", "d-2", 1500, "EUR"),
    ]


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        (",d,5", "account", "is missing"),
        ("a b,d,5", "account", "'a b' is not an id: 1 to 128 characters"),
        ("a,,5", "document", "is missing"),
        ("a,d,", "amount", "is missing"),
        ("a,d,much", "amount", "'much' is not an amount such as 1250.00"),
        ("a,d,5.001", "amount", "'5.001' has more than the 2 decimals of USD"),
        ("a,d,0.00", "amount", "is 0: nothing is open"),
        ("a,d", "", "has 2 fields where the header has 3"),
        ('"a"x,d,5', "", "is not CSV"),
    ],
)
def test_a_bad_row_is_told_by_line_column_and_reason(row: str, column: str, reason: str) -> None:
    bad, good = read(f"{HEADER}\n{row}\na,d,5\n")
    assert isinstance(bad, BadRow)
    assert (bad.line, bad.column) == (2, column)
    assert bad.reason.startswith(reason)
    assert good == Item(3, "a", "d", 500, "USD")


def test_a_currency_that_is_none_makes_a_bad_row() -> None:
    assert read(f"{HEADER},cur\na,d,5,XXQ\n", "currency=cur") == [
        BadRow(2, "cur", "'XXQ' is not an ISO 4217 currency code")
    ]


@pytest.mark.parametrize("column", ["buyer=x", "account=", "account"])
def test_a_column_that_can_not_be_is_refused(column: str) -> None:
    with pytest.raises(FileError, match="--column"):
        parse_layout((column,), "USD", None)
