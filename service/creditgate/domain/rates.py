"""Exchange rates: exact decimal numbers, never floats."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from creditgate.domain.bounds import RATE_DECIMALS_MAX, RATE_DIGITS_MAX
from creditgate.domain.money import minor_digits

_RATE_PATTERN: Final = re.compile(r"[0-9]+(\.[0-9]+)?")


class RateFormatError(ValueError):
    """A rate that can't be read; the text says what is allowed."""


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """Units of one currency for one unit of another: `mantissa` times 10 to the power of minus `scale`."""

    from_currency_code: str
    to_currency_code: str
    mantissa: int
    scale: int

    @property
    def shift(self) -> int:
        """How many decimals more the converted currency's minor unit has than the one it is converted into."""
        return (minor_digits(self.from_currency_code) or 0) - (minor_digits(self.to_currency_code) or 0)


def parse_rate(from_currency_code: str, to_currency_code: str, text: str) -> ExchangeRate:
    """Return the rate that a decimal number such as `1.0842` says.

    Raises:
        RateFormatError: it is no number above 0, or has too many digits.

    """
    whole, _, decimals = text.partition(".")
    if not _RATE_PATTERN.fullmatch(text) or len(whole) + len(decimals) > 2 * RATE_DIGITS_MAX:
        raise RateFormatError("must be a decimal number such as 1.0842")
    decimals = decimals.rstrip("0")
    mantissa = int(whole + decimals)
    if not 0 < mantissa < 10**RATE_DIGITS_MAX or len(decimals) > RATE_DECIMALS_MAX:
        raise RateFormatError(
            f"must be above 0, with at most {RATE_DIGITS_MAX} digits, {RATE_DECIMALS_MAX} of them behind the point"
        )
    return ExchangeRate(from_currency_code, to_currency_code, mantissa, len(decimals))


def format_rate(mantissa: int, scale: int) -> str:
    """Return a rate as people write it."""
    return f"{Decimal(mantissa).scaleb(-scale):f}"
