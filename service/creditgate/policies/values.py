"""Values of the policy file: each is read from what YAML makes of it, and written as people write it."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Final, Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from creditgate.domain.bounds import HOLD_MAX_S, PAYMENT_TERMS_DAYS_MAX, RISK_CLASS_LENGTH_MAX
from creditgate.domain.money import MoneyFormatError, format_amount, minor_digits, parse_amount
from creditgate.domain.policy import BASIS_POINTS

DAYS_MAX: Final = 3650
WINDOW_MIN_S: Final = 24
_SHOWN_LENGTH_MAX: Final = 40

_BPS_PER_PERCENT: Final = BASIS_POINTS // 100
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_match_duration: Final = re.compile(r"([0-9]{1,9})([smhd])").fullmatch
_match_percent: Final = re.compile(r"([0-9]{1,4}(\.[0-9]{1,2})?)%?").fullmatch
_is_class_name: Final = re.compile(f"[a-z0-9_-]{{1,{RISK_CLASS_LENGTH_MAX}}}").fullmatch
_is_number: Final = re.compile(r"[0-9.]+").fullmatch
OFF: Final = "off"
DEFAULT_NAME: Final = "default"
"""What the file calls the class that judges accounts whose own class it does not name."""


class ErrorsBelow(ValueError):  # noqa: N818 - what is wrong, and where below the value that is read
    """What is wrong with values under keys of the value that is read, by key."""

    def __init__(self, found: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{key} {what}" for key, what in found.items()))
        self.found = found


def was(value: object) -> str:
    """Return a value as a sentence ends with it."""
    match value:
        case None:
            return "was left empty"
        case bool():
            return f"was {str(value).lower()}"
        case str():
            return f"was {value[:_SHOWN_LENGTH_MAX]!r}" + ("…" if len(value) > _SHOWN_LENGTH_MAX else "")
        case list():
            return "was a list"
        case Mapping():
            return "had keys under it"
        case _:
            return f"was {value}"


def _duration(least_s: int, most_s: int) -> BeforeValidator:
    def read(value: object) -> int:
        match = _match_duration(value) if isinstance(value, str) else None
        read_s = int(match[1]) * _UNITS_S[match[2]] if match else -1
        if not least_s <= read_s <= most_s:
            bounds = f"{write_duration(least_s)} to {write_duration(most_s)}"
            raise ValueError(f"must be a time from {bounds}, such as 30d, 12h, 90m or 45s, {was(value)}")
        return read_s

    return BeforeValidator(read)


def write_duration(value_s: int) -> str:
    """Return seconds in the largest unit that leaves no rest."""
    unit = next(unit for unit in ("d", "h", "m", "s") if value_s % _UNITS_S[unit] == 0)
    return f"{value_s // _UNITS_S[unit]}{unit}"


def percent(most_bps: int, *, or_off: bool = False) -> BeforeValidator:
    """Return a reader of basis points; `off` is None where it is allowed."""
    off = f", or {OFF}" if or_off else ""

    def read(value: object) -> int | None:
        if or_off and value == OFF:
            return None
        match = _match_percent(str(value)) if not isinstance(value, bool) else None
        read_bps = int(Decimal(match[1]) * _BPS_PER_PERCENT) if match else -1
        if not 0 <= read_bps <= most_bps:
            most = write_percent(most_bps)
            raise ValueError(
                f"must be a percentage from 0 to {most} with at most two decimals, such as 2.5{off}, {was(value)}"
            )
        return read_bps

    return BeforeValidator(read)


def write_percent(value_bps: int) -> float | int:
    """Return basis points as a percentage."""
    whole, rest = divmod(value_bps, _BPS_PER_PERCENT)
    return whole if not rest else float(Decimal(value_bps) / _BPS_PER_PERCENT)


def _days(most: int) -> BeforeValidator:
    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise ValueError(f"must be a whole number of days from 0 to {most}, {was(value)}")
        return value

    return BeforeValidator(read)


def _read_amounts(value: object) -> Mapping[str, int]:
    """Return minor units by currency."""
    if not isinstance(value, Mapping):
        raise ValueError(f"must name an amount for each currency, such as {{USD: 500.00, JPY: 80000}}, {was(value)}")  # noqa: TRY004 - pydantic reports ValueError
    amounts, wrong = {}, {}
    for currency_code, amount in value.items():
        try:
            amounts[currency_code] = _read_amount(currency_code, amount)
        except ValueError as error:
            wrong[currency_code] = str(error)
    if wrong:
        raise ErrorsBelow(wrong)
    return amounts


def _read_amount(currency_code: str, value: object) -> int:
    if minor_digits(currency_code) is None:
        raise ValueError(f"is not an ISO 4217 currency code such as USD{_advice_on(currency_code)}")
    allowed = f"must be an amount in {currency_code} from 0, such as {format_amount(100_000, currency_code)}"
    if value is None or isinstance(value, bool | list | Mapping):
        raise ValueError(f"{allowed}, {was(value)}")
    try:
        amount = parse_amount(str(value), currency_code)
    except MoneyFormatError as error:
        raise ValueError(f"{allowed}: {error}") from None
    if amount < 0:
        raise ValueError(f"{allowed}, {was(value)}")
    return amount


def _advice_on(currency_code: str) -> str:
    if minor_digits(currency_code.upper()) is not None:
        return f"; write {currency_code.upper()}"
    return "; write amounts without a comma, or in quotes" if _is_number(currency_code) else ""


def _write_amounts(value: Mapping[str, int]) -> dict[str, str]:
    return {code: format_amount(amount, code).replace(",", "") for code, amount in sorted(value.items())}


def read_time_zone(value: object) -> str:
    """Return the name of a time zone; raise ValueError for what is none."""
    try:
        return ZoneInfo(value if isinstance(value, str) else "").key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"must be an IANA time zone such as Europe/Berlin, {was(value)}") from None


def read_action(value: object) -> object:
    """Return the name of an action; raise ValueError for what is none."""
    if value not in _ACTIONS:
        raise ValueError(f"must be {ACTIONS_ALLOWED}, {was(value)}")
    return value


def _read_switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, {was(value)}")  # noqa: TRY004 - pydantic reports ValueError
    return value


def empty_if_absent(value: object) -> object:
    """A key with nothing under it, as when all is commented out, says nothing."""
    return {} if value is None else value


def check_class_name(value: str) -> str:
    """Return the name of a risk class; raise ValueError for what can't be one."""
    if not _is_class_name(value):
        raise ValueError(f"must be named by 1 to {RISK_CLASS_LENGTH_MAX} characters of [a-z0-9_-]")
    if value == DEFAULT_NAME:
        what = "at the top level is what judges accounts whose class is not named"
        raise ValueError(f"must have another name: {DEFAULT_NAME} {what}")
    return value


ActionName: TypeAlias = Literal["off", "shadow", "flag", "review", "reject"]
_ACTIONS: Final = get_args(ActionName)
ACTIONS_ALLOWED: Final = f"{', '.join(_ACTIONS[:-1])} or {_ACTIONS[-1]}"

_percent_writer: Final = PlainSerializer(write_percent)
_duration_writer: Final = PlainSerializer(write_duration)

Days: TypeAlias = Annotated[int, _days(DAYS_MAX)]
Terms: TypeAlias = Annotated[int, _days(PAYMENT_TERMS_DAYS_MAX)]
Share: TypeAlias = Annotated[int, percent(BASIS_POINTS), _percent_writer]
ShareBelowWhole: TypeAlias = Annotated[int, percent(BASIS_POINTS - 1), _percent_writer]
Multiple: TypeAlias = Annotated[int, percent(10 * BASIS_POINTS), _percent_writer]
Amounts: TypeAlias = Annotated[dict[str, int], BeforeValidator(_read_amounts), PlainSerializer(_write_amounts)]
HoldTime: TypeAlias = Annotated[int, _duration(1, HOLD_MAX_S), _duration_writer]
Window: TypeAlias = Annotated[int, _duration(WINDOW_MIN_S, HOLD_MAX_S), _duration_writer]
Switch: TypeAlias = Annotated[bool, BeforeValidator(_read_switch)]


class Part(BaseModel):
    """A part of the policy file: a key that is not known in it is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)
