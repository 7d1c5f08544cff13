import csv
import io
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.csv_rows.errors import FileError
from creditgate.csv_rows.rows import BadRow, read_lines
from creditgate.replay.csv_source import Invoice, RepeatedRow, read_rows
from creditgate.replay.file_layout import ColumnNames, FileLayout
from tests.replay.invoices import HEADER, csv_text, invoice, row

DEFAULT_LAYOUT = FileLayout()
GOOD = "acme,0001,1/2/2013,2/1/2013,55.94,1/15/2013"


def read(text: str, layout: FileLayout = DEFAULT_LAYOUT) -> list[Invoice | BadRow | RepeatedRow]:
    return list(read_rows(io.StringIO(text, newline=""), layout))


def read_row(text: str) -> Invoice | BadRow | RepeatedRow:
    (only,) = read(f"{HEADER}\n{text}\n")
    return only


def test_a_row_is_read_field_by_field() -> None:
    assert read_row(GOOD) == Invoice(
        line=2,
        account_id="acme",
        invoice_id="0001",
        amount_minor=5594,
        currency_code="USD",
        invoice_time=datetime(2013, 1, 2),  # noqa: DTZ001 - as a file has it
        payment_terms_days=30,
        settle_time=datetime(2013, 1, 15),  # noqa: DTZ001 - as a file has it
    )


def test_an_unsettled_invoice_is_never_paid() -> None:
    read_back = read_row("acme,0001,1/2/2013,2/1/2013,55.94,")
    assert isinstance(read_back, Invoice)
    assert read_back.settle_time is None


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + HEADER + "\r\n" + GOOD + "\r\n",
        HEADER.replace(",", ";") + "\n" + GOOD.replace(",", ";"),
        HEADER.replace(",", "\t") + "\n\n" + GOOD.replace(",", "\t") + "\n   \n",
        HEADER.replace(",", " | ") + "\n" + GOOD.replace(",", " | "),
        HEADER.replace(",", '","').join('""') + "\n" + GOOD.replace(",", '","').join('""'),
    ],
    ids=["byte order mark and CRLF", "semicolons", "tabs and blank lines", "pipes and spaces", "quoted"],
)
def test_the_dialect_does_not_matter(text: str) -> None:
    (only,) = read(text)
    assert isinstance(only, Invoice)
    assert (only.account_id, only.invoice_id, only.amount_minor) == ("acme", "0001", 5594)


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        (",0001,1/2/2013,2/1/2013,55.94,", "customerID", "is missing"),
        ("a b,0001,1/2/2013,2/1/2013,55.94,", "customerID", "'a b' is not an id"),
        (f"{'a' * 129},0001,1/2/2013,2/1/2013,55.94,", "customerID", "is not an id: 1 to 128"),
        ("acme,,1/2/2013,2/1/2013,55.94,", "invoiceNumber", "is missing"),
        ("acme,0001,,2/1/2013,55.94,", "InvoiceDate", "is missing"),
        ("acme,0001,2013-01-02,2/1/2013,55.94,", "InvoiceDate", "'2013-01-02' is not a date as %m/%d/%Y"),
        ("acme,0001,2/30/2013,2/1/2013,55.94,", "InvoiceDate", "is not a date"),
        ("acme,0001,1/2/2013,soon,55.94,", "DueDate", "'soon' is not a date"),
        ("acme,0001,1/2/2013,1/1/2013,55.94,", "DueDate", "is before the invoice date"),
        ("acme,0001,1/2/2013,1/2/2033,55.94,", "DueDate", "is more than 3650 days after"),
        ("acme,0001,1/2/2013,2/1/2013,55.94,1/1/2013", "SettledDate", "is before the invoice date"),
        ("acme,0001,1/2/2013,2/1/2013,,", "InvoiceAmount", "is missing"),
        ("acme,0001,1/2/2013,2/1/2013,much,", "InvoiceAmount", "'much' is not an amount"),
        ("acme,0001,1/2/2013,2/1/2013,-5,", "InvoiceAmount", "'-5' is not above 0"),
        ("acme,0001,1/2/2013,2/1/2013,0.00,", "InvoiceAmount", "'0.00' is not above 0"),
        ("acme,0001,1/2/2013,2/1/2013,5.945,", "InvoiceAmount", "more than the 2 decimals"),
        ("acme,0001,1/2/2013,2/1/2013,90071992547409.92,", "InvoiceAmount", "is beyond"),
        ("acme,0001,1/2/2013,2/1/2013,55.94,,", "", "has 7 fields where the header has 6"),
        ("acme,0001", "", "has 2 fields where the header has 6"),
        ('"acme"x,0001,1/2/2013,2/1/2013,55.94,', "", "is not CSV"),
        ('acme,0001,1/2/2013,2/1/2013,55.94,"', "", "is not CSV"),
    ],
)
def test_a_bad_row_is_told_by_line_column_and_reason(text: str, column: str, reason: str) -> None:
    bad = read_row(text)
    assert isinstance(bad, BadRow)
    assert (bad.line, bad.column) == (2, column)
    assert reason in bad.reason


def test_a_bad_row_does_not_stop_the_next() -> None:
    rows = read("\n".join([HEADER, "acme", "", 'b"ad,', '"two\nlines",x', row(invoice(9, 100, 0))]))
    assert [(each.line, type(each)) for each in rows] == [(2, BadRow), (4, BadRow), (5, BadRow), (7, Invoice)]


def test_an_invoice_number_names_one_invoice() -> None:
    other = row(replace(invoice(1, 5594, 1), account_id="other"))
    rows = read("\n".join([HEADER, GOOD, GOOD, other, GOOD.replace("55.94", "55.95")]))
    assert isinstance(rows[0], Invoice)
    assert rows[1] == RepeatedRow(3)
    assert rows[2:] == [
        BadRow(line, "invoiceNumber", "'0001' stands on line 2 already, with other details") for line in (4, 5)
    ]


def test_an_account_has_one_currency() -> None:
    layout = FileLayout(ColumnNames(due="", settled="", currency="cur"))
    text = "customerID,invoiceNumber,InvoiceDate,InvoiceAmount,cur\n"
    rows = read(text + "a,1,1/2/2013,1000,jpy\na,2,1/2/2013,5,EUR\nb,3,1/2/2013,5,\nb,4,1/2/2013,5,XXQ\n", layout)
    assert isinstance(rows[0], Invoice)
    assert (rows[0].currency_code, rows[0].amount_minor) == ("JPY", 1000)
    assert rows[1] == BadRow(3, "cur", "EUR, but 'a' is in JPY since line 2")
    assert isinstance(rows[2], Invoice)
    assert (rows[2].currency_code, rows[2].amount_minor) == ("USD", 500)
    assert rows[3] == BadRow(5, "cur", "'XXQ' is not an ISO 4217 currency code")


@pytest.mark.parametrize("text", ["", "\n", "\ufeff"])
def test_an_empty_file_is_refused(text: str) -> None:
    with pytest.raises(FileError, match="the file is empty"):
        read(text)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (
            "customerID,x",
            "has no column 'invoiceNumber', but 'customerID', 'x'; name yours with --column invoice=HEADER",
        ),
        (HEADER.replace("SettledDate", "x"), "or leave it out with --column settled="),
        (HEADER + ",customerID", "has 2 columns named 'customerID'"),
    ],
)
def test_a_header_without_a_wanted_column_is_refused(header: str, says: str) -> None:
    with pytest.raises(FileError) as refused:
        read(f"{header}\n")
    assert says in str(refused.value)


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("creditgate.replay.csv_source.ROWS_MAX", 2)
    invoices = [invoice(number, 100, 0) for number in range(3)]
    assert len(read(csv_text(invoices[:2]))) == 2
    with pytest.raises(FileError, match="more than 2 rows"):
        read(csv_text(invoices))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="No such file"):
        list(read_lines(tmp_path / "none.csv"))


def test_bytes_that_are_not_utf8_make_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "invoices.csv"
    path.write_bytes(f"{HEADER}\n{GOOD}\n".encode().replace(b"acme", b"acm\xe9"))
    (bad,) = read_rows(read_lines(path), DEFAULT_LAYOUT)
    assert isinstance(bad, BadRow)
    assert bad.column == "customerID"


def test_a_line_without_end_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("creditgate.csv_rows.rows.LINE_LENGTH_MAX", 100)
    path = tmp_path / "invoices.csv"
    path.write_text(f"{HEADER}\n{'x' * 1000}\n{GOOD}\n")
    rows = list(read_rows(read_lines(path), DEFAULT_LAYOUT))
    assert {type(each) for each in rows[:-1]} == {BadRow}
    assert isinstance(rows[-1], Invoice)


@given(st.lists(st.lists(st.text(max_size=12), max_size=8), max_size=8))
def test_any_cells_become_rows_or_faults_on_growing_lines(cells: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(cells)
    rows = read(f"{HEADER}\n{text.getvalue()}")
    lines = [each.line for each in rows]
    assert lines == sorted(set(lines))
