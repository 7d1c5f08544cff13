import pytest

from creditgate.csv_rows.errors import FileError
from creditgate.limit_files.layout import FIELDS, check_amounts, parse_layout


def test_a_column_is_named_as_its_field_is_unless_a_person_says_otherwise() -> None:
    layout = parse_layout(["account=customer", "score="], "eur", "tab", 7)
    assert layout.columns == {field: field for field in FIELDS} | {"account": "customer", "score": ""}
    assert (layout.currency_code, layout.delimiter, layout.version) == ("EUR", "\t", 7)
    assert layout.optional == set(FIELDS) - {"account", "score"}


def test_who_names_one_column_of_amounts_does_not_mean_the_other() -> None:
    assert parse_layout(["limit=approved"], "USD", None, 1).columns["limit_minor"] == ""
    assert parse_layout(["limit_minor=cents"], "USD", None, 1).columns["limit"] == ""


def test_a_field_of_the_contract_is_told_by_its_column() -> None:
    layout = parse_layout(["limit=approved", "currency="], "USD", None, 1)
    assert layout.column_of("limit_minor") == "approved"
    assert layout.column_of("account_id") == "account"
    assert layout.column_of("currency_code") == "currency_code"


@pytest.mark.parametrize(
    ("present", "says"),
    [
        (["limit", "limit_minor"], "has 'limit', in units of the currency, and 'limit_minor', in minor units"),
        (["unlimited"], "has no column 'limit', in units of the currency, nor 'limit_minor'"),
    ],
)
def test_a_file_has_one_column_of_amounts(present: list[str], says: str) -> None:
    layout = parse_layout([], "USD", None, 1)
    check_amounts(["account", "limit"], layout)
    with pytest.raises(FileError, match=says):
        check_amounts(present, layout)
