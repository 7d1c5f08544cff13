import pytest

from creditgate.csv_rows.errors import FileError
from creditgate.csv_rows.layout import parse_columns, parse_currency, parse_delimiter


def test_columns_are_named_field_by_field() -> None:
    named = parse_columns([" a = The A ", "b="], ("a", "b", "c"), ("a",))
    assert named == {"a": "The A", "b": ""}


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("a", "is not FIELD=HEADER; the fields are a, b"),
        ("x=y", "is not FIELD=HEADER; the fields are a, b"),
        ("=y", "is not FIELD=HEADER"),
        ("a= ", "a is required and needs a header"),
    ],
)
def test_a_column_that_names_no_field_is_refused(assignment: str, says: str) -> None:
    with pytest.raises(FileError) as refused:
        parse_columns([assignment], ("a", "b"), ("a",))
    assert says in str(refused.value)


def test_currencies_and_delimiters() -> None:
    assert parse_currency(" eur ") == "EUR"
    assert [parse_delimiter(text) for text in (None, ";", "tab", "PIPE")] == [None, ";", "\t", "|"]


@pytest.mark.parametrize("text", ["", "::", "a", '"', " ", "\n"])
def test_a_delimiter_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(FileError, match="--delimiter"):
        parse_delimiter(text)


def test_a_currency_that_is_none_is_refused() -> None:
    with pytest.raises(FileError, match="--currency"):
        parse_currency("US")
