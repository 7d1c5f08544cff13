"""How a row that can't be used is told."""

import pytest

from creditgate.csv_rows.rows import BadRow


@pytest.mark.parametrize(
    ("column", "reason", "told"),
    [
        ("amount", "is 0: nothing is open", "line 4: amount is 0: nothing is open"),
        ("amount", "'x' is not an amount such as 1250.00", "line 4: amount 'x' is not an amount such as 1250.00"),
        ("account", "there is no such account", "line 4: account: there is no such account"),
        ("", "has 2 fields where the header has 3", "line 4: has 2 fields where the header has 3"),
        ("account", "issued twice", "line 4: account: issued twice"),
    ],
)
def test_the_column_is_the_subject_of_a_reason_or_stands_before_it(column: str, reason: str, told: str) -> None:
    assert str(BadRow(4, column, reason)) == told
