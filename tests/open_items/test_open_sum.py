"""What a file has open: each document once, whichever of its rows the service refuses."""

import pytest

from creditgate.open_items.csv_source import Item
from creditgate.open_items.open_sum import OpenSum

Row = tuple[str, int]


@pytest.mark.parametrize(
    ("rows", "refused", "minor", "repeated"),
    [
        ([("x1", 1000)], [], 1000, 0),
        ([("x1", 1000), ("x2", -300)], [], 700, 0),
        ([("x1", 1000), ("x1", 1000)], [], 1000, 1),
        ([("x1", 1000), ("x1", 1000), ("x1", 1000)], [], 1000, 2),
        ([("x1", 1000), ("x1", 2000)], [1], 1000, 0),
        ([("x1", 1000), ("x1", 2000)], [0], 2000, 0),
        ([("x1", 1000), ("x1", 2000), ("x1", 1000)], [1], 1000, 1),
        ([("x1", 1000), ("x1", 2000)], [0, 1], 0, 0),
        ([("x1", 1000), ("x1", 2000)], [1, 0], 0, 0),
        ([("x1", 1000)], [0], 0, 0),
    ],
)
def test_a_document_counts_once(rows: list[Row], refused: list[int], minor: int, repeated: int) -> None:
    total = OpenSum()
    items = [
        Item(line, "acme", document_id, amount_minor, "USD") for line, (document_id, amount_minor) in enumerate(rows, 2)
    ]
    for position, item in enumerate(items):
        total.add(position, item)
    for position in refused:
        total.take_back(position, items[position])
    assert (total.minor["USD"], total.repeated) == (minor, repeated)


def test_a_document_that_was_refused_counts_when_it_comes_again() -> None:
    total = OpenSum()
    item = Item(2, "acme", "x1", 1000, "USD")
    total.add(0, item)
    total.take_back(0, item)
    total.add(1, item)
    assert (total.minor["USD"], total.repeated) == (1000, 0)


def test_documents_of_two_accounts_are_two() -> None:
    total = OpenSum()
    total.add(0, Item(2, "acme", "x1", 1000, "USD"))
    total.add(1, Item(3, "other", "x1", 1000, "USD"))
    assert (total.minor["USD"], total.repeated) == (2000, 0)
