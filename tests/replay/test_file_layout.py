import pytest

from creditgate.replay.errors import ReplayError
from creditgate.replay.file_layout import (
    ColumnNames,
    parse_columns,
    parse_currency,
    parse_date_format,
    parse_delimiter,
)


def test_named_columns_change_the_defaults() -> None:
    named = parse_columns(["account = Customer No", "settled="])
    assert named == ColumnNames(account="Customer No", settled="")


@pytest.mark.parametrize("assignment", ["account", "customer=x", "=x", "account=", "amount= "])
def test_a_column_that_names_no_field_is_refused(assignment: str) -> None:
    with pytest.raises(ReplayError, match="--column"):
        parse_columns([assignment])


@pytest.mark.parametrize("text", ["%m/%d/%Y", "%Y-%m-%d", "%d.%m.%y", "%Y-%m-%dT%H:%M:%S%z", "%d %b %Y"])
def test_a_date_format_names_the_day(text: str) -> None:
    assert parse_date_format(text) == text


@pytest.mark.parametrize("text", ["", "%m/%Y", "%H:%M", "m/d/Y", "%Y%m%d%d", "%", "%Q-%m-%d"])
def test_a_date_format_that_does_not_is_refused(text: str) -> None:
    with pytest.raises(ReplayError, match="--date-format"):
        parse_date_format(text)


def test_currencies_and_delimiters() -> None:
    assert parse_currency(" eur ") == "EUR"
    assert [parse_delimiter(text) for text in (None, ";", "tab", "PIPE")] == [None, ";", "\t", "|"]


@pytest.mark.parametrize("text", ["", "::", "a", '"', " ", "\n"])
def test_a_delimiter_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ReplayError, match="--delimiter"):
        parse_delimiter(text)


def test_a_currency_that_is_none_is_refused() -> None:
    with pytest.raises(ReplayError, match="--currency"):
        parse_currency("US")
