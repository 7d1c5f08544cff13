"""How a file of limits is laid out: which column holds what, and what its rows leave out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from creditgate.csv_rows.errors import FileError
from creditgate.csv_rows.layout import parse_columns, parse_currency, parse_delimiter

FIELDS: Final = {
    "account": "account_id",
    "limit": "limit_minor",
    "limit_minor": "limit_minor",
    "unlimited": "unlimited",
    "currency": "currency_code",
    "risk_class": "risk_class",
    "score": "score",
    "version": "version",
    "effective": "effective_time",
    "expire": "expire_time",
    "reasons": "reasons",
}
"""The fields of a file, each with the field of the contract that it becomes. A column is named as its field is, unless
a person names another; a file may lack all but the account and an amount."""

REQUIRED_FIELDS: Final = ("account",)

AMOUNT_FIELDS: Final = ("limit", "limit_minor")
"""The limit in units of its currency (1250.00), or in minor units (125000)."""


@dataclass(frozen=True, slots=True)
class LimitLayout:
    """How to read a file.

    Attributes:
        columns: the header of each field; empty: the field is not read.
        named: fields whose column a person has named, so that the file must have it.
        currency_code: the currency of rows that name none.
        delimiter: what separates the cells of a CSV file; None: found from its first line.
        version: the version of rows that name none.

    """

    columns: dict[str, str]
    named: frozenset[str]
    currency_code: str
    delimiter: str | None
    version: int

    @property
    def optional(self) -> frozenset[str]:
        """The fields whose column the file may lack."""
        return frozenset(FIELDS) - self.named - set(REQUIRED_FIELDS)

    def column_of(self, contract_field: str) -> str:
        """Return the header of what became a field of the contract; that field where no column did."""
        headers = (self.columns[field] for field, each in FIELDS.items() if each == contract_field)
        return next(filter(None, headers), contract_field)


def parse_layout(columns: Iterable[str], currency: str, delimiter: str | None, version: int) -> LimitLayout:
    """Return the layout that options say.

    Raises:
        FileError: one of them is wrong.

    """
    named = parse_columns(columns, tuple(FIELDS), REQUIRED_FIELDS)
    # Who names the column of one kind of amount does not mean the other.
    for field, other in (AMOUNT_FIELDS, AMOUNT_FIELDS[::-1]):
        if named.get(field):
            named.setdefault(other, "")
    headers = {field: field for field in FIELDS} | named
    return LimitLayout(headers, frozenset(named), parse_currency(currency), parse_delimiter(delimiter), version)


def check_amounts(present: Iterable[str], layout: LimitLayout) -> None:
    """Make sure that a file has one column of amounts; raise `FileError` when it has none or both."""
    found = [field for field in AMOUNT_FIELDS if field in present]
    if len(found) > 1:
        limit, limit_minor = (repr(layout.columns[field]) for field in AMOUNT_FIELDS)
        raise FileError(
            f"the file has {limit}, in units of the currency, and {limit_minor}, in minor units;"
            " leave one out with --column limit= or --column limit_minor="
        )
    if not found:
        raise FileError(
            "the file has no column 'limit', in units of the currency, nor 'limit_minor', in minor units;"
            " name yours with --column limit=HEADER or --column limit_minor=HEADER"
        )
