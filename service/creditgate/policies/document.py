"""The schema of the policy file, and its compilation.

Field names are those that a credit manager writes; `docs/policy.md` explains each with an example.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import combinations
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, NamedTuple, Self, TypeAlias, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from creditgate.domain.bounds import HOLD_DEFAULT_S, HOLD_MAX_S, PAYMENT_TERMS_DAYS_MAX, RISK_CLASS_LENGTH_MAX
from creditgate.domain.decision import Action, ReasonCode
from creditgate.domain.money import MoneyFormatError, format_amount, minor_digits, parse_amount
from creditgate.domain.policy import (
    BASIS_POINTS,
    DEFAULT_CLASS,
    DEFAULT_GUARD_RAILS,
    AccountsCut,
    ClassPolicy,
    GuardRails,
    Policy,
    RuleSetting,
)
from creditgate.policies.version import version_of
from creditgate.policies.yaml_lines import LinedYaml, Path, YamlError
from creditgate.store.policy_blob import POLICY_SIZE_MAX_BYTES, pack_policy

DAYS_MAX: Final = 3650
WINDOW_MIN_S: Final = 24
RISK_CLASSES_MAX: Final = 100

_MISTAKES_MAX: Final = 20
_SHOWN_LENGTH_MAX: Final = 40
_BY_EXPOSURE: Final = ("near_limit", "within_tolerance", "limit_exceeded")
"""The rules that look at the exposure, in the order in which a growing order meets them."""

_KEY_ITSELF: Final = "[key]"
"""What pydantic puts behind a key when it is not the value that is wrong."""

_BPS_PER_PERCENT: Final = BASIS_POINTS // 100
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_match_duration: Final = re.compile(r"([0-9]{1,9})([smhd])").fullmatch
_match_percent: Final = re.compile(r"([0-9]{1,4}(\.[0-9]{1,2})?)%?").fullmatch
_is_class_name: Final = re.compile(f"[a-z0-9_-]{{1,{RISK_CLASS_LENGTH_MAX}}}").fullmatch
_is_number: Final = re.compile(r"[0-9.]+").fullmatch
_OFF: Final = "off"


class PolicyError(ValueError):
    """The policy can't be used. Each sentence begins with the line and names the key and what is allowed."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


class _ErrorBelow(ValueError):  # noqa: N818 - what is wrong, and where below the value that is read
    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


# --- values: each is read from what YAML makes of it, and written as people write it


def _was(value: object) -> str:
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
            bounds = f"{_write_duration(least_s)} to {_write_duration(most_s)}"
            raise ValueError(f"must be a time from {bounds}, such as 30d, 12h, 90m or 45s, {_was(value)}")
        return read_s

    return BeforeValidator(read)


def _write_duration(value_s: int) -> str:
    unit = next(unit for unit in ("d", "h", "m", "s") if value_s % _UNITS_S[unit] == 0)
    return f"{value_s // _UNITS_S[unit]}{unit}"


def _percent(most_bps: int, *, or_off: bool = False) -> BeforeValidator:
    """Return a reader of basis points; `off` is None where it is allowed."""
    off = f", or {_OFF}" if or_off else ""

    def read(value: object) -> int | None:
        if or_off and value == _OFF:
            return None
        match = _match_percent(str(value)) if not isinstance(value, bool) else None
        read_bps = int(Decimal(match[1]) * _BPS_PER_PERCENT) if match else -1
        if not 0 <= read_bps <= most_bps:
            most = _write_percent(most_bps)
            raise ValueError(
                f"must be a percentage from 0 to {most} with at most two decimals, such as 2.5{off}, {_was(value)}"
            )
        return read_bps

    return BeforeValidator(read)


def _write_percent(value_bps: int) -> float | int:
    whole, rest = divmod(value_bps, _BPS_PER_PERCENT)
    return whole if not rest else float(Decimal(value_bps) / _BPS_PER_PERCENT)


def _days(most: int) -> BeforeValidator:
    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise ValueError(f"must be a whole number of days from 0 to {most}, {_was(value)}")
        return value

    return BeforeValidator(read)


def _read_amounts(value: object) -> Mapping[str, int]:
    """Return minor units by currency."""
    if not isinstance(value, Mapping):
        raise ValueError(f"must name an amount for each currency, such as {{USD: 500.00, JPY: 80000}}, {_was(value)}")  # noqa: TRY004 - pydantic reports ValueError
    return {currency_code: _read_amount(currency_code, amount) for currency_code, amount in value.items()}


def _read_amount(currency_code: str, value: object) -> int:
    if minor_digits(currency_code) is None:
        raise _ErrorBelow(currency_code, f"is not an ISO 4217 currency code such as USD{_advice_on(currency_code)}")
    allowed = f"must be an amount in {currency_code} from 0, such as {format_amount(100_000, currency_code)}"
    if value is None or isinstance(value, bool | list | Mapping):
        raise _ErrorBelow(currency_code, f"{allowed}, {_was(value)}")
    try:
        amount = parse_amount(str(value), currency_code)
    except MoneyFormatError as error:
        raise _ErrorBelow(currency_code, f"{allowed}: {error}") from None
    if amount < 0:
        raise _ErrorBelow(currency_code, f"{allowed}, {_was(value)}")
    return amount


def _advice_on(currency_code: str) -> str:
    if minor_digits(currency_code.upper()) is not None:
        return f"; write {currency_code.upper()}"
    return "; write amounts without a comma, or in quotes" if _is_number(currency_code) else ""


def _write_amounts(value: Mapping[str, int]) -> dict[str, str]:
    return {code: format_amount(amount, code).replace(",", "") for code, amount in sorted(value.items())}


def _read_time_zone(value: object) -> str:
    try:
        return ZoneInfo(value if isinstance(value, str) else "").key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"must be an IANA time zone such as Europe/Berlin, {_was(value)}") from None


def _read_action(value: object) -> object:
    if value not in _ACTIONS:
        raise ValueError(f"must be {_ACTIONS_ALLOWED}, {_was(value)}")
    return value


def _read_switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, {_was(value)}")  # noqa: TRY004 - pydantic reports ValueError
    return value


def _empty_if_absent(value: object) -> object:
    """A key with nothing under it, as when all is commented out, says nothing."""
    return {} if value is None else value


def _check_class_name(value: str) -> str:
    if not _is_class_name(value):
        raise ValueError(f"must be named by 1 to {RISK_CLASS_LENGTH_MAX} characters of [a-z0-9_-]")
    return value


ActionName: TypeAlias = Literal["off", "shadow", "flag", "review", "reject"]
_ACTIONS: Final = get_args(ActionName)
_ACTIONS_ALLOWED: Final = f"{', '.join(_ACTIONS[:-1])} or {_ACTIONS[-1]}"

_percent_writer: Final = PlainSerializer(_write_percent)
_duration_writer: Final = PlainSerializer(_write_duration)

Days: TypeAlias = Annotated[int, _days(DAYS_MAX)]
Terms: TypeAlias = Annotated[int, _days(PAYMENT_TERMS_DAYS_MAX)]
Share: TypeAlias = Annotated[int, _percent(BASIS_POINTS), _percent_writer]
ShareBelowWhole: TypeAlias = Annotated[int, _percent(BASIS_POINTS - 1), _percent_writer]
Multiple: TypeAlias = Annotated[int, _percent(10 * BASIS_POINTS), _percent_writer]
Amounts: TypeAlias = Annotated[dict[str, int], BeforeValidator(_read_amounts), PlainSerializer(_write_amounts)]
HoldTime: TypeAlias = Annotated[int, _duration(1, HOLD_MAX_S), _duration_writer]
Window: TypeAlias = Annotated[int, _duration(WINDOW_MIN_S, HOLD_MAX_S), _duration_writer]
Switch: TypeAlias = Annotated[bool, BeforeValidator(_read_switch)]


# --- rules


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Rule(_Part):
    """A rule that looks at a state."""

    action: Annotated[ActionName, BeforeValidator(_read_action)]

    def setting(self) -> RuleSetting:
        """Return the rule as the domain knows it; thresholds of a rule that is off say nothing."""
        action = Action[self.action.upper()]
        return self._with_thresholds(action) if action else RuleSetting(action)

    def _with_thresholds(self, action: Action) -> RuleSetting:
        return RuleSetting(action)

    def _missing(self) -> str:
        """Return which thresholds have to be there for the rule to fire at all, if they are not."""
        return ""

    @model_validator(mode="after")
    def _check_can_fire(self) -> Self:
        missing = self._missing()
        if self.action != "off" and missing:
            raise ValueError(f"must have {missing}, or it never fires; to switch it off, write action: off")
        return self


class _LimitExpired(_Rule):
    grace_days: Days = 0

    def _with_thresholds(self, action: Action) -> RuleSetting:
        return RuleSetting(action, number=self.grace_days)


class _LimitStale(_Rule):
    days: Days = 30

    def _with_thresholds(self, action: Action) -> RuleSetting:
        return RuleSetting(action, number=self.days)


class _WithinTolerance(_Rule):
    percent: Share = 0
    amount: Amounts = Field(default_factory=dict)

    def _with_thresholds(self, action: Action) -> RuleSetting:
        return RuleSetting(action, share_bps=self.percent, amounts=self.amount)

    def _missing(self) -> str:
        return "" if self.percent or self.amount else "a percent above 0, an amount, or both"


class _NearLimit(_Rule):
    percent: ShareBelowWhole = 9000

    def _with_thresholds(self, action: Action) -> RuleSetting:
        return RuleSetting(action, share_bps=self.percent)


class _GroupLimitExceeded(_Rule):
    tolerance_percent: Share = 0

    def _with_thresholds(self, action: Action) -> RuleSetting:
        return RuleSetting(action, share_bps=self.tolerance_percent)


class _OrderTooLarge(_Rule):
    amount: Amounts = Field(default_factory=dict)

    def _with_thresholds(self, action: Action) -> RuleSetting:
        return RuleSetting(action, amounts=self.amount)

    def _missing(self) -> str:
        return "" if self.amount else "an amount"


class _OverdueAmount(_Rule):
    amount: Amounts = Field(default_factory=dict)
    above_percent_used: Share = 0

    def _with_thresholds(self, action: Action) -> RuleSetting:
        return RuleSetting(action, share_bps=self.above_percent_used, amounts=self.amount)

    def _missing(self) -> str:
        return "" if self.amount else "an amount"


class _OverdueDays(_Rule):
    days: Days = 0
    amount: Amounts = Field(default_factory=dict)

    def _with_thresholds(self, action: Action) -> RuleSetting:
        return RuleSetting(action, number=self.days, amounts=self.amount)


class _VelocityExceeded(_Rule):
    window: Window = 86_400
    amount: Amounts = Field(default_factory=dict)
    percent: Multiple = 0

    def _with_thresholds(self, action: Action) -> RuleSetting:
        return RuleSetting(action, number=self.window, share_bps=self.percent, amounts=self.amount)

    def _missing(self) -> str:
        return "" if self.percent or self.amount else "an amount, a percent above 0, or both"


class _TermsTooLong(_Rule):
    days: Terms = 90

    def _with_thresholds(self, action: Action) -> RuleSetting:
        return RuleSetting(action, number=self.days)


class _Rules(_Part):
    """A field for each rule, named as its code is, in lower case."""

    account_blocked: _Rule = _Rule(action="reject")
    account_closed: _Rule = _Rule(action="reject")
    limit_not_set: _Rule = _Rule(action="reject")
    limit_expired: _LimitExpired = _LimitExpired(action="reject")
    limit_stale: _LimitStale = _LimitStale(action="off")
    limit_exceeded: _Rule = _Rule(action="reject")
    within_tolerance: _WithinTolerance = _WithinTolerance(action="off")
    near_limit: _NearLimit = _NearLimit(action="off")
    group_limit_exceeded: _GroupLimitExceeded = _GroupLimitExceeded(action="reject")
    order_too_large: _OrderTooLarge = _OrderTooLarge(action="off")
    overdue_amount: _OverdueAmount = _OverdueAmount(action="off")
    overdue_days: _OverdueDays = _OverdueDays(action="off")
    velocity_exceeded: _VelocityExceeded = _VelocityExceeded(action="off")
    terms_too_long: _TermsTooLong = _TermsTooLong(action="off")

    def settings(self) -> Mapping[ReasonCode, RuleSetting]:
        """Return the setting of every rule."""
        return MappingProxyType({code: getattr(self, code.name.lower()).setting() for code in ReasonCode})


# --- the file


class _Class(_Part):
    """How one risk class is judged."""

    rules: Annotated[_Rules, BeforeValidator(_empty_if_absent)] = _Rules()
    credit_balance_raises_headroom: Switch = False
    limit_rise_releases_reviews: Switch = False

    def compiled(self) -> ClassPolicy:
        """Return the class as the domain knows it."""
        return ClassPolicy(self.rules.settings(), self.credit_balance_raises_headroom, self.limit_rise_releases_reviews)

    def over(self, default: Self) -> Self:
        """Return the class with all that it does not name as the default says; a rule that it names is its own."""
        own_rules = {name: getattr(self.rules, name) for name in self.rules.model_fields_set}
        own = {name: getattr(self, name) for name in self.model_fields_set}
        return default.model_copy(update={**own, "rules": default.rules.model_copy(update=own_rules)})


class _Hold(_Part):
    """How long orders are held."""

    default: HoldTime = HOLD_DEFAULT_S
    longest: HoldTime = HOLD_MAX_S


# --- guard rails: each is off, or says from where on a batch of limits waits for a person

FACTOR_MIN: Final = 2
FACTOR_MAX: Final = 1_000_000
DUPLICATES_MAX: Final = 1_000_000_000


def _count_or_off(least: int, most: int) -> BeforeValidator:
    def read(value: object) -> int | None:
        if value == _OFF:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"must be a whole number from {least} to {most}, or {_OFF}, {_was(value)}")
        return value

    return BeforeValidator(read)


def _read_rail_switch(value: object) -> bool:
    if value == _OFF:
        return False
    if not isinstance(value, bool):
        raise ValueError(f"must be true or off, {_was(value)}")  # noqa: TRY004 - pydantic reports ValueError
    return value


def _none_if_off(value: object) -> object:
    return None if value == _OFF else _empty_if_absent(value)


def _write_cut(value: "_AccountsCut | None") -> object:
    return _OFF if value is None else value.model_dump(mode="json")


_percent_or_off_writer: Final = PlainSerializer(lambda value: _OFF if value is None else _write_percent(value))
_count_or_off_writer: Final = PlainSerializer(lambda value: _OFF if value is None else value)

_OffOrMultiple: TypeAlias = Annotated[int | None, _percent(10 * BASIS_POINTS, or_off=True), _percent_or_off_writer]
_OffOrShare: TypeAlias = Annotated[int | None, _percent(BASIS_POINTS, or_off=True), _percent_or_off_writer]
_OffOrFactor: TypeAlias = Annotated[int | None, _count_or_off(FACTOR_MIN, FACTOR_MAX), _count_or_off_writer]
_OffOrCount: TypeAlias = Annotated[int | None, _count_or_off(0, DUPLICATES_MAX), _count_or_off_writer]
_RailSwitch: TypeAlias = Annotated[
    bool, BeforeValidator(_read_rail_switch), PlainSerializer(lambda value: value or _OFF)
]


class _AccountsCut(_Part):
    """The share of the accounts that may be cut by more than a share of their limit."""

    cut_over: Share = AccountsCut().cut_over_bps
    share: Share = AccountsCut().share_bps


class _GuardRails(_Part):
    """What holds a batch of limits back until a person has looked at it."""

    accounts_cut: Annotated[_AccountsCut | None, BeforeValidator(_none_if_off), PlainSerializer(_write_cut)] = (
        _AccountsCut()
    )
    total_change: _OffOrMultiple = DEFAULT_GUARD_RAILS.total_change_bps
    single_raise_factor: _OffOrFactor = DEFAULT_GUARD_RAILS.single_raise_factor
    row_count_change: _OffOrMultiple = DEFAULT_GUARD_RAILS.row_count_change_bps
    unknown_accounts: _OffOrShare = DEFAULT_GUARD_RAILS.unknown_accounts_bps
    duplicate_rows: _OffOrCount = DEFAULT_GUARD_RAILS.duplicate_rows
    as_of_backwards: _RailSwitch = DEFAULT_GUARD_RAILS.as_of_backwards
    model_version_backwards: _RailSwitch = DEFAULT_GUARD_RAILS.model_version_backwards

    def compiled(self) -> GuardRails:
        """Return the rails as the domain knows them."""
        cut = self.accounts_cut
        return GuardRails(
            accounts_cut=AccountsCut(cut.cut_over, cut.share) if cut is not None else None,
            total_change_bps=self.total_change,
            single_raise_factor=self.single_raise_factor,
            row_count_change_bps=self.row_count_change,
            unknown_accounts_bps=self.unknown_accounts,
            duplicate_rows=self.duplicate_rows,
            as_of_backwards=self.as_of_backwards,
            model_version_backwards=self.model_version_backwards,
        )


class PolicyDocument(_Part):
    """The whole file, with what a risk class does not name taken over from the default."""

    time_zone: Annotated[str, BeforeValidator(_read_time_zone)] = "UTC"
    hold: Annotated[_Hold, BeforeValidator(_empty_if_absent)] = _Hold()
    default: Annotated[_Class, BeforeValidator(_empty_if_absent)] = _Class()
    risk_classes: Annotated[
        dict[Annotated[str, AfterValidator(_check_class_name)], Annotated[_Class, BeforeValidator(_empty_if_absent)]],
        BeforeValidator(_empty_if_absent),
    ] = Field(default_factory=dict)
    guard_rails: Annotated[_GuardRails, BeforeValidator(_empty_if_absent)] = _GuardRails()

    def merged(self) -> Self:
        """Return the document in which each class says what it takes over from the default."""
        merged = {name: each.over(self.default) for name, each in self.risk_classes.items()}
        return self.model_copy(update={"risk_classes": merged})

    def compiled(self, *, shadow: bool) -> Policy:
        """Return the policy as the domain knows it. A class that judges as the default does is left to that."""
        default = self.default.compiled()
        classes = {name: each.compiled() for name, each in self.risk_classes.items()}
        told = {DEFAULT_CLASS: default} | {name: each for name, each in classes.items() if each != default}
        policy = Policy(
            "",
            MappingProxyType(told),
            self.hold.default,
            self.hold.longest,
            self.time_zone,
            shadow,
            self.guard_rails.compiled(),
        )
        return replace(policy, version=version_of(policy))


def parse_policy(text: str) -> PolicyDocument:
    """Return the policy that a YAML document says.

    Raises:
        PolicyError: it can't be used; every mistake is named with its line, its key and what is allowed.

    """
    try:
        lined = LinedYaml(text)
    except YamlError as error:
        raise PolicyError([str(error)]) from None
    try:
        document = PolicyDocument.model_validate(_empty_if_absent(lined.content))
    except ValidationError as error:
        raise _policy_error(_mistake(lined, problem) for problem in error.errors()) from None
    mistakes = list(_inconsistencies(lined, document))
    if mistakes:
        raise _policy_error(mistakes)
    document = document.merged()
    size_bytes = len(pack_policy(document.compiled(shadow=False)))
    if size_bytes > POLICY_SIZE_MAX_BYTES:
        line = lined.line_of(("risk_classes",))
        what = f"takes {size_bytes} bytes of each call, at most {POLICY_SIZE_MAX_BYTES} are allowed"
        raise PolicyError([f"line {line}: the policy {what}: name fewer risk classes, or fewer currencies"])
    return document


def render_policy(document: PolicyDocument) -> str:
    """Return the policy as a YAML document with every default written out."""
    return yaml.safe_dump(document.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


# --- what is wrong, in words


class _Mistake(NamedTuple):
    line: int
    sentence: str


def _policy_error(mistakes: Iterable[_Mistake]) -> PolicyError:
    found = sorted(set(mistakes))
    sentences = [f"line {line}: {sentence}" for line, sentence in found[:_MISTAKES_MAX]]
    more = len(found) - _MISTAKES_MAX
    return PolicyError([*sentences, f"and {more} more"] if more > 0 else sentences)


def _inconsistencies(lined: LinedYaml, document: PolicyDocument) -> Iterator[_Mistake]:
    hold = document.hold
    if hold.default > hold.longest:
        path: Path = ("hold", "default" if lined.has(("hold", "default")) else "longest")
        yield _Mistake(
            lined.line_of(path),
            f"hold.default ({_write_duration(hold.default)}) must not be longer than hold.longest "
            f"({_write_duration(hold.longest)})",
        )
    count = len(document.risk_classes)
    if count > RISK_CLASSES_MAX:
        line = lined.line_of(("risk_classes",))
        yield _Mistake(line, f"risk_classes must be at most {RISK_CLASSES_MAX}, had {count}")
    yield from _inversions(lined, document.default, ("default",))
    for name, each in document.risk_classes.items():
        yield from _inversions(lined, each.over(document.default), ("risk_classes", name))


def _inversions(lined: LinedYaml, each: _Class, path: Path) -> Iterator[_Mistake]:
    """Yield what would refuse an order and approve a larger one, where one of the two rules is named."""
    actions = {name: Action[getattr(each.rules, name).action.upper()] for name in _BY_EXPOSURE}
    if actions["within_tolerance"] <= Action.SHADOW:
        del actions["within_tolerance"]  # without an effect, there is no tolerance
    for (rule, action), (beyond, beyond_action) in combinations(actions.items(), 2):
        place = next((found for name in (rule, beyond) if lined.has(found := (*path, "rules", name))), None)
        if place is not None and action >= Action.REVIEW and action > beyond_action:
            yield _Mistake(
                lined.line_of((*place, "action")),
                f"{_name_of((*path, 'rules', rule))} ({action.name.lower()}) must not be severer than {beyond} "
                f"({beyond_action.name.lower()}), or an order would be stopped that may be sold when it is larger",
            )


def _mistake(lined: LinedYaml, problem: Any) -> _Mistake:  # noqa: ANN401 - pydantic's ErrorDetails
    path = tuple(key for key in problem["loc"] if key != _KEY_ITSELF)
    match problem["type"]:
        case "value_error":
            cause = problem["ctx"]["error"]
            if isinstance(cause, _ErrorBelow):
                path = (*path, cause.key)
            what = str(cause)
        case "extra_forbidden":
            what = f"is not known here{_meant(str(path[-1]), path[:-1])}"
        case "missing":
            path = path[:-1]
            what = f"must have an action: {_ACTIONS_ALLOWED}"
        case _:
            what = f"must have keys under it{_keys_under(path)}, {_was(problem['input'])}"
    return _Mistake(lined.line_of(path), f"{_name_of(path)} {what}")


def _name_of(path: Path) -> str:
    return ".".join(str(key) or "''" for key in path) or "the policy"


def _known_under(path: Path) -> Sequence[str]:
    """Return the keys that may stand under another; none where they are names that people choose."""
    if path[:1] == ("risk_classes",):
        if len(path) == 1:
            return ()
        path = ("default", *path[2:])
    model: Any = PolicyDocument
    for key in path:
        annotation = model.model_fields[key].annotation
        model = next((each for each in get_args(annotation) if isinstance(each, type)), annotation)
    return tuple(model.model_fields)


def _meant(key: str, path: Path) -> str:
    known = _known_under(path)
    near = difflib.get_close_matches(key.lower(), known, n=1)
    suggestion = f"did you mean {near[0]}? Known" if near else "known"
    return f"; {suggestion} are {', '.join(known)}"


def _keys_under(path: Path) -> str:
    known = _known_under(path)
    return f" ({', '.join(known)})" if known else ""
