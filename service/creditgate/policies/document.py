"""The schema of the policy file, and its compilation.

Field names are those that a credit manager writes; `docs/policy.md` explains each with an example.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from creditgate.domain.bounds import HOLD_DEFAULT_S, HOLD_MAX_S, PAYMENT_TERMS_DAYS_MAX, RISK_CLASS_LENGTH_MAX
from creditgate.domain.decision import Action, ReasonCode
from creditgate.domain.money import MoneyFormatError, format_amount, minor_digits, parse_amount
from creditgate.domain.policy import (
    BASIS_POINTS,
    DEFAULT_CLASS,
    ClassPolicy,
    Policy,
    RuleSetting,
)
from creditgate.policies.yaml_lines import LinedYaml, Path, YamlError

DAYS_MAX: Final = 3650
WINDOW_MIN_S: Final = 24
_VERSION_DIGITS: Final = 12
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_match_duration: Final = re.compile(r"([0-9]{1,9})([smhd])").fullmatch
_is_class_name: Final = re.compile(f"[a-z0-9_-]{{1,{RISK_CLASS_LENGTH_MAX}}}").fullmatch


class PolicyError(ValueError):
    """The policy can't be used. Each sentence begins with the line and names the key and what is allowed."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


def _read_duration(value: object) -> object:
    match = _match_duration(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a duration such as 30d, 12h, 90m or 45s")
    return int(match[1]) * _UNITS_S[match[2]]


def _write_duration(value_s: int) -> str:
    unit = next(unit for unit in ("d", "h", "m", "s") if value_s % _UNITS_S[unit] == 0)
    return f"{value_s // _UNITS_S[unit]}{unit}"


def _read_percent(value: object) -> object:
    """Return basis points; a percentage may have two decimals."""
    try:
        points = Decimal(str(value)) * 100 if not isinstance(value, bool) else None
    except InvalidOperation:
        points = None
    if points is None or not points.is_finite() or points != points.to_integral_value():
        raise ValueError("must be a percentage with at most two decimals, such as 2.5")
    return int(points)


def _write_percent(value_bps: int) -> float | int:
    whole, rest = divmod(value_bps, 100)
    return whole if not rest else float(Decimal(value_bps).scaleb(-2))


def _read_amounts(value: object) -> object:
    """Return minor units by currency."""
    if not isinstance(value, Mapping):
        raise ValueError("must name an amount for each currency, such as {USD: 500.00, JPY: 80000}")  # noqa: TRY004 - pydantic reports ValueError
    amounts = {}
    for currency_code, amount in value.items():
        if minor_digits(currency_code) is None:
            raise ValueError(f"{currency_code} is not an ISO 4217 currency code")
        try:
            amounts[currency_code] = parse_amount(str(amount), currency_code)
        except MoneyFormatError as error:
            raise ValueError(str(error)) from None
        if amounts[currency_code] < 0:
            raise ValueError(f"{currency_code}: {amount} must not be below 0")
    return amounts


def _write_amounts(value: Mapping[str, int]) -> dict[str, str]:
    return {code: format_amount(amount, code).replace(",", "") for code, amount in value.items()}


def _check_time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"must be an IANA time zone such as Europe/Berlin, was {value}") from None
    return value


Duration: TypeAlias = Annotated[int, BeforeValidator(_read_duration), PlainSerializer(_write_duration)]
Percent: TypeAlias = Annotated[int, BeforeValidator(_read_percent), PlainSerializer(_write_percent)]
Amounts: TypeAlias = Annotated[dict[str, int], BeforeValidator(_read_amounts), PlainSerializer(_write_amounts)]
ActionName: TypeAlias = Literal["off", "shadow", "flag", "review", "reject"]
Days: TypeAlias = Annotated[int, Field(ge=0, le=DAYS_MAX, strict=True)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Rule(_Part):
    """A rule that looks at a state."""

    action: ActionName

    def setting(self) -> RuleSetting:
        """Return the rule as the domain knows it."""
        return RuleSetting(Action[self.action.upper()])


class _LimitExpired(_Rule):
    grace_days: Days = 0

    def setting(self) -> RuleSetting:
        return RuleSetting(Action[self.action.upper()], number=self.grace_days)


class _LimitStale(_Rule):
    days: Days = 30

    def setting(self) -> RuleSetting:
        return RuleSetting(Action[self.action.upper()], number=self.days)


class _WithinTolerance(_Rule):
    percent: Annotated[Percent, Field(ge=0, le=BASIS_POINTS)] = 0
    amount: Amounts = Field(default_factory=dict)

    def setting(self) -> RuleSetting:
        return RuleSetting(Action[self.action.upper()], share_bps=self.percent, amounts=self.amount)


class _NearLimit(_Rule):
    percent: Annotated[Percent, Field(ge=0, le=BASIS_POINTS)] = 9000

    def setting(self) -> RuleSetting:
        return RuleSetting(Action[self.action.upper()], share_bps=self.percent)


class _GroupLimitExceeded(_Rule):
    tolerance_percent: Annotated[Percent, Field(ge=0, le=BASIS_POINTS)] = 0

    def setting(self) -> RuleSetting:
        return RuleSetting(Action[self.action.upper()], share_bps=self.tolerance_percent)


class _OrderTooLarge(_Rule):
    amount: Amounts = Field(default_factory=dict)

    def setting(self) -> RuleSetting:
        return RuleSetting(Action[self.action.upper()], amounts=self.amount)


class _OverdueAmount(_Rule):
    amount: Amounts = Field(default_factory=dict)
    above_percent_used: Annotated[Percent, Field(ge=0, le=BASIS_POINTS)] = 0

    def setting(self) -> RuleSetting:
        return RuleSetting(Action[self.action.upper()], share_bps=self.above_percent_used, amounts=self.amount)


class _OverdueDays(_Rule):
    days: Days = 0
    amount: Amounts = Field(default_factory=dict)

    def setting(self) -> RuleSetting:
        return RuleSetting(Action[self.action.upper()], number=self.days, amounts=self.amount)


class _VelocityExceeded(_Rule):
    window: Annotated[Duration, Field(ge=WINDOW_MIN_S, le=HOLD_MAX_S)] = 86_400
    amount: Amounts = Field(default_factory=dict)
    percent: Annotated[Percent, Field(ge=0, le=10 * BASIS_POINTS)] = 0

    def setting(self) -> RuleSetting:
        return RuleSetting(Action[self.action.upper()], number=self.window, share_bps=self.percent, amounts=self.amount)


class _TermsTooLong(_Rule):
    days: Annotated[int, Field(ge=0, le=PAYMENT_TERMS_DAYS_MAX, strict=True)] = 90

    def setting(self) -> RuleSetting:
        return RuleSetting(Action[self.action.upper()], number=self.days)


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


class _Class(_Part):
    """How one risk class is judged."""

    rules: _Rules = _Rules()
    credit_balance_raises_headroom: bool = False
    limit_rise_releases_reviews: bool = False

    def compiled(self) -> ClassPolicy:
        """Return the class as the domain knows it."""
        return ClassPolicy(self.rules.settings(), self.credit_balance_raises_headroom, self.limit_rise_releases_reviews)


class _Hold(_Part):
    """How long orders are held."""

    default: Annotated[Duration, Field(ge=1, le=HOLD_MAX_S)] = HOLD_DEFAULT_S
    longest: Annotated[Duration, Field(ge=1, le=HOLD_MAX_S)] = HOLD_MAX_S


class PolicyDocument(_Part):
    """The whole file. What a risk class does not name is as the default says."""

    time_zone: Annotated[str, AfterValidator(_check_time_zone)] = "UTC"
    hold: _Hold = _Hold()
    default: _Class = _Class()
    risk_classes: dict[str, _Class] = Field(default_factory=dict)

    def compiled(self, *, shadow: bool) -> Policy:
        """Return the policy as the domain knows it; its version is made of all that it says."""
        classes = {name: each.compiled() for name, each in self.risk_classes.items()}
        content = json.dumps([self.model_dump(mode="json"), shadow], sort_keys=True)
        return Policy(
            hashlib.sha256(content.encode()).hexdigest()[:_VERSION_DIGITS],
            MappingProxyType({DEFAULT_CLASS: self.default.compiled(), **classes}),
            self.hold.default,
            self.hold.longest,
            self.time_zone,
            shadow,
        )


def parse_policy(text: str) -> PolicyDocument:
    """Return the policy that a YAML document says.

    Raises:
        PolicyError: it can't be used; every mistake is named with its line, its key and what is allowed.

    """
    try:
        lined = LinedYaml(text)
    except YamlError as error:
        raise PolicyError([str(error)]) from None
    content = lined.content if lined.content is not None else {}
    if not isinstance(content, dict):
        raise PolicyError(["line 1: the policy must have keys: time_zone, hold, default, risk_classes"])
    try:
        document = PolicyDocument.model_validate(_with_defaults(content))
    except ValidationError as error:
        sentences = {_sentence(lined, problem) for problem in error.errors()}
        raise PolicyError(sorted(sentences, key=_line_number)) from None
    problems = list(_inconsistencies(lined, document))
    if problems:
        raise PolicyError(problems)
    return document


def render_policy(document: PolicyDocument) -> str:
    """Return the policy as a YAML document with every default written out."""
    return yaml.safe_dump(document.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _with_defaults(content: dict[str, Any]) -> dict[str, Any]:
    """Return the document in which each risk class says what it takes over from the default."""
    default, classes = content.get("default") or {}, content.get("risk_classes") or {}
    if not isinstance(default, dict) or not isinstance(classes, dict):
        return content
    merged = {name: _merged(default, each) if isinstance(each, dict) else each for name, each in classes.items()}
    return {**content, "risk_classes": merged} if "risk_classes" in content else content


def _merged(default: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return a class over the default: rule by rule, a rule that is named at all is the class's own."""
    rules, own_rules = default.get("rules") or {}, own.get("rules") or {}
    if isinstance(rules, dict) and isinstance(own_rules, dict):
        return {**default, **own, "rules": {**rules, **own_rules}}
    return {**default, **own}


def _inconsistencies(lined: LinedYaml, document: PolicyDocument) -> Iterator[str]:
    if document.hold.default > document.hold.longest:
        yield f"line {lined.line_of(('hold', 'default'))}: hold.default must not be longer than hold.longest"
    yield from _inversions(lined, document.default, ("default",))
    for name, each in document.risk_classes.items():
        yield from _inversions(lined, each, ("risk_classes", name))
        if not _is_class_name(name):
            line = lined.line_of(("risk_classes", name))
            yield f"line {line}: risk_classes.{name} must be 1 to {RISK_CLASS_LENGTH_MAX} characters of [a-z0-9_-]"


def _inversions(lined: LinedYaml, each: _Class, path: Path) -> Iterator[str]:
    """Yield what would refuse an order and approve a larger one."""
    rules = each.rules
    milder = Action[rules.limit_exceeded.action.upper()]
    tolerance = Action[rules.within_tolerance.action.upper()]
    near = Action[rules.near_limit.action.upper()]
    named = [("within_tolerance", tolerance, "limit_exceeded", milder), ("near_limit", near, "limit_exceeded", milder)]
    if tolerance > Action.SHADOW:
        named.append(("near_limit", near, "within_tolerance", tolerance))
    for rule, action, beyond, beyond_action in named:
        if action >= Action.REVIEW and action > beyond_action:
            place = (*path, "rules", rule, "action")
            name = ".".join(map(str, place))
            yield (
                f"line {lined.line_of(place)}: {name} must not be severer than {beyond}: a smaller order would be "
                f"refused where a larger one is not"
            )


def _sentence(lined: LinedYaml, problem: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    path = tuple(problem["loc"])
    name = ".".join(map(str, path))
    line = lined.line_of(path)
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "extra_forbidden":
        return f"line {line}: {name} is not known; {_known_at(path)}"
    if kind == "value_error":
        return f"line {line}: {name} {context['error']}"
    message = problem["msg"].removeprefix("Input ").replace("should ", "must ")
    return f"line {line}: {name} {message[:1].lower()}{message[1:]}, was {problem['input']!r}"


def _known_at(path: tuple[str | int, ...]) -> str:
    """Return what may stand in the place of an unknown key."""
    model: Any = PolicyDocument
    for key in path[:-1]:
        annotation = model.model_fields[key].annotation if key in getattr(model, "model_fields", {}) else None
        model = _Class if key == "risk_classes" or annotation is None else annotation
    return f"known are {', '.join(model.model_fields)}" if hasattr(model, "model_fields") else "remove it"


def _line_number(sentence: str) -> int:
    return int(sentence.removeprefix("line ").partition(":")[0])
