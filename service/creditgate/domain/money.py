"""Money: an integer count of minor units of an ISO 4217 currency, never a float."""

import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final, NamedTuple

from iso4217 import Currency

from creditgate.domain.bounds import AMOUNT_MAX_MINOR

_AMOUNT_PATTERN: Final = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?")

_MINOR_UNITS: Final = re.compile(r"(-?\b\d{1,16}) minor units\b")


class MoneyFormatError(ValueError):
    """An amount as a person wrote it that can't be read; the text says why."""


class Money(NamedTuple):
    """An amount in minor units of a currency."""

    amount_minor: int
    currency_code: str

    def __str__(self) -> str:
        return format_money(self.amount_minor, self.currency_code)


@lru_cache(maxsize=512)
def minor_digits(currency_code: str) -> int | None:
    """Return how many decimals the currency's minor unit has (USD 2, JPY 0, KWD 3), or None for an unknown code.

    Codes without a minor unit (precious metals, test codes) are no currencies of a sale and count as unknown.
    """
    try:
        return Currency(currency_code).exponent
    except ValueError:
        return None


def format_amount(amount_minor: int, currency_code: str) -> str:
    """Return the amount in major units with thousands separated: 125000, USD → `1,250.00`."""
    digits = minor_digits(currency_code) or 0
    return f"{Decimal(amount_minor).scaleb(-digits):,.{digits}f}"


def format_money(amount_minor: int, currency_code: str) -> str:
    """Return the amount as people write it: 125000, USD → `1,250.00 USD`."""
    return f"{format_amount(amount_minor, currency_code)} {currency_code}"


def say_money(sentence: str, currency_code: str) -> str:
    """Return a sentence with its counts of minor units as money: `it has 2000 minor units` → `it has 20.00 USD`."""
    return _MINOR_UNITS.sub(lambda found: format_money(int(found[1]), currency_code), sentence)


def parse_amount(text: str, currency_code: str) -> int:
    """Return the minor units of an amount in major units (`1250.00`, `1,250`).

    Raises:
        MoneyFormatError: not a number, unknown currency, more decimals than the currency has, or beyond ±(2^53-1).

    """
    digits = minor_digits(currency_code)
    if digits is None:
        msg = f"{currency_code!r} is not an ISO 4217 currency code"
        raise MoneyFormatError(msg)
    written = text.strip()
    if not _AMOUNT_PATTERN.fullmatch(written):
        msg = f"{text!r} is not an amount such as 1250.00"
        raise MoneyFormatError(msg)
    try:
        minor = Decimal(written.replace(",", "")).scaleb(digits)
    except InvalidOperation:
        msg = f"{text!r} has too many digits"
        raise MoneyFormatError(msg) from None
    if minor != minor.to_integral_value():
        msg = f"{text!r} has more than the {digits} decimals of {currency_code}"
        raise MoneyFormatError(msg)
    if abs(minor) > AMOUNT_MAX_MINOR:
        msg = f"{text!r} is beyond {format_money(AMOUNT_MAX_MINOR, currency_code)}"
        raise MoneyFormatError(msg)
    return int(minor)


def parse_money(text: str) -> Money:
    """Return the money that a person wrote as `1250.00 USD`.

    Raises:
        MoneyFormatError: there is no amount followed by a currency code, or `parse_amount` refuses it.

    """
    amount, _, currency_code = text.strip().rpartition(" ")
    if not amount:
        msg = f"{text!r} is not an amount with a currency such as '1250.00 USD'"
        raise MoneyFormatError(msg)
    currency_code = currency_code.upper()
    return Money(parse_amount(amount, currency_code), currency_code)
