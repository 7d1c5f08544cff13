import pytest

from creditgate.csv_rows.errors import FileError
from creditgate.replay.errors import ReplayError
from creditgate.replay.file_layout import ColumnNames, parse_column_names, parse_date_format


def test_named_columns_change_the_defaults() -> None:
    named = parse_column_names(["account = Customer No", "settled="])
    assert named == ColumnNames(account="Customer No", settled="")


@pytest.mark.parametrize("assignment", ["account", "customer=x", "=x", "account=", "amount= "])
def test_a_column_that_names_no_field_is_refused(assignment: str) -> None:
    with pytest.raises(FileError, match="--column"):
        parse_column_names([assignment])


@pytest.mark.parametrize("text", ["%m/%d/%Y", "%Y-%m-%d", "%d.%m.%y", "%Y-%m-%dT%H:%M:%S%z", "%d %b %Y"])
def test_a_date_format_names_the_day(text: str) -> None:
    assert parse_date_format(text) == text


@pytest.mark.parametrize("text", ["", "%m/%Y", "%H:%M", "m/d/Y", "%Y%m%d%d", "%", "%Q-%m-%d"])
def test_a_date_format_that_does_not_is_refused(text: str) -> None:
    with pytest.raises(ReplayError, match="--date-format"):
        parse_date_format(text)
