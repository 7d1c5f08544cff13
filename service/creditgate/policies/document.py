"""The schema of the policy file, and its compilation.

Field names are those that a credit manager writes; `docs/policy.md` explains each with an example.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, combinations
from types import MappingProxyType
from typing import Annotated, Any, Final, NamedTuple, Self, get_args

import yaml
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)

from creditgate.domain.bounds import HOLD_DEFAULT_S, HOLD_MAX_S
from creditgate.domain.decision import Action, ReasonCode
from creditgate.domain.policy import (
    DEFAULT_CLASS,
    ClassPolicy,
    Policy,
    RuleSetting,
)
from creditgate.policies.guard_rails import GuardRailsPart
from creditgate.policies.values import (
    ACTIONS_ALLOWED,
    ActionName,
    Amounts,
    Days,
    ErrorsBelow,
    HoldTime,
    Multiple,
    Part,
    Share,
    ShareBelowWhole,
    Switch,
    Terms,
    Window,
    check_class_name,
    empty_if_absent,
    read_action,
    read_time_zone,
    was,
    write_duration,
)
from creditgate.policies.version import version_of
from creditgate.policies.yaml_lines import LinedYaml, Path, YamlError
from creditgate.store.policy_blob import POLICY_SIZE_MAX_BYTES, pack_policy

RISK_CLASSES_MAX: Final = 100

_MISTAKES_MAX: Final = 20
_BY_EXPOSURE: Final = ("near_limit", "within_tolerance", "limit_exceeded")
"""The rules that look at the exposure, in the order in which a growing order meets them."""

_KEY_ITSELF: Final = "[key]"
"""What pydantic puts behind a key when it is not the value that is wrong."""


class PolicyMistake(NamedTuple):
    """What is wrong in a policy file, and where.

    Attributes:
        line: from 1; 0 when the file can't be read.
        key: the key as a path such as `default.rules.near_limit`; empty when it is no key that is wrong.
        what: what is wrong with it and what is allowed, for people.

    """

    line: int
    key: str
    what: str

    def __str__(self) -> str:
        sentence = f"{self.key} {self.what}".strip()
        return f"line {self.line}: {sentence}" if self.line else sentence


class PolicyError(ValueError):
    """The policy can't be used. Each sentence begins with the line and names the key and what is allowed.

    Attributes:
        mistakes: all that were found, in the order of lines.
        sentences: what is said of them; of very many, the first ones and how many there are more.

    """

    def __init__(self, mistakes: Iterable[PolicyMistake]) -> None:
        self.mistakes = sorted(set(mistakes))
        more = len(self.mistakes) - _MISTAKES_MAX
        told = [str(mistake) for mistake in self.mistakes[:_MISTAKES_MAX]]
        self.sentences = [*told, f"and {more} more"] if more > 0 else told
        super().__init__("\n".join(self.sentences))


# --- rules


class _Rule(Part):
    """A rule that looks at a state."""

    action: Annotated[ActionName, BeforeValidator(read_action)]

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


class _Rules(Part):
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


class _Class(Part):
    """How one risk class is judged."""

    rules: Annotated[_Rules, BeforeValidator(empty_if_absent)] = _Rules()
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


class _Hold(Part):
    """How long orders are held."""

    default: HoldTime = HOLD_DEFAULT_S
    longest: HoldTime = HOLD_MAX_S


class PolicyDocument(Part):
    """The whole file, with what a risk class does not name taken over from the default."""

    time_zone: Annotated[str, BeforeValidator(read_time_zone)] = "UTC"
    hold: Annotated[_Hold, BeforeValidator(empty_if_absent)] = _Hold()
    default: Annotated[_Class, BeforeValidator(empty_if_absent)] = _Class()
    risk_classes: Annotated[
        dict[Annotated[str, AfterValidator(check_class_name)], Annotated[_Class, BeforeValidator(empty_if_absent)]],
        BeforeValidator(empty_if_absent),
    ] = Field(default_factory=dict)
    guard_rails: Annotated[GuardRailsPart, BeforeValidator(empty_if_absent)] = GuardRailsPart()

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
        PolicyError: it can't be used; every mistake is named with its line, its key and what is allowed. A document
            that says nothing at all can't: what was emptied by accident must not decide.

    """
    try:
        lined = LinedYaml(text)
    except YamlError as error:
        raise PolicyError([PolicyMistake(error.line, error.key, error.what)]) from None
    if lined.content is None:
        what = "says nothing; write what `creditgate policy show` prints, or {} for what decides without a file"
        raise PolicyError([PolicyMistake(1, _name_of(()), what)])
    try:
        document = PolicyDocument.model_validate(lined.content)
    except ValidationError as error:
        raise PolicyError(chain.from_iterable(_mistakes(lined, problem) for problem in error.errors())) from None
    mistakes = list(_inconsistencies(lined, document))
    if mistakes:
        raise PolicyError(mistakes)
    document = document.merged()
    size_bytes = len(pack_policy(document.compiled(shadow=False)))
    if size_bytes > POLICY_SIZE_MAX_BYTES:
        most = f"takes {size_bytes} bytes of each call, at most {POLICY_SIZE_MAX_BYTES} are allowed"
        what = f"{most}: name fewer risk classes, or fewer currencies"
        raise PolicyError([PolicyMistake(lined.line_of(("risk_classes",)), _name_of(()), what)])
    return document


def render_policy(document: PolicyDocument) -> str:
    """Return the policy as a YAML document with every default written out."""
    return yaml.safe_dump(document.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


# --- what is wrong, in words


def _inconsistencies(lined: LinedYaml, document: PolicyDocument) -> Iterator[PolicyMistake]:
    hold = document.hold
    if hold.default > hold.longest:
        path: Path = ("hold", "default" if lined.has(("hold", "default")) else "longest")
        yield PolicyMistake(
            lined.line_of(path),
            "hold.default",
            f"({write_duration(hold.default)}) must not be longer than hold.longest ({write_duration(hold.longest)})",
        )
    count = len(document.risk_classes)
    if count > RISK_CLASSES_MAX:
        line = lined.line_of(("risk_classes",))
        yield PolicyMistake(line, "risk_classes", f"must be at most {RISK_CLASSES_MAX}, had {count}")
    yield from _inversions(lined, document.default, ("default",))
    for name, each in document.risk_classes.items():
        yield from _inversions(lined, each.over(document.default), ("risk_classes", name))


def _inversions(lined: LinedYaml, each: _Class, path: Path) -> Iterator[PolicyMistake]:
    """Yield what would refuse an order and approve a larger one, where one of the two rules is named."""
    actions = {name: Action[getattr(each.rules, name).action.upper()] for name in _BY_EXPOSURE}
    if actions["within_tolerance"] <= Action.SHADOW:
        del actions["within_tolerance"]  # without an effect, there is no tolerance
    for (rule, action), (beyond, beyond_action) in combinations(actions.items(), 2):
        place = next((found for name in (rule, beyond) if lined.has(found := (*path, "rules", name))), None)
        if place is not None and action >= Action.REVIEW and action > beyond_action:
            yield PolicyMistake(
                lined.line_of((*place, "action")),
                _name_of((*path, "rules", rule)),
                f"({action.name.lower()}) must not be severer than {beyond} ({beyond_action.name.lower()}), "
                "or an order would be stopped that may be sold when it is larger",
            )


def _mistakes(lined: LinedYaml, problem: Any) -> Iterator[PolicyMistake]:  # noqa: ANN401 - pydantic's ErrorDetails
    path = tuple(key for key in problem["loc"] if key != _KEY_ITSELF)
    cause = problem.get("ctx", {}).get("error")
    below = cause.found.items() if isinstance(cause, ErrorsBelow) else ()
    for key, what in below:
        yield PolicyMistake(lined.line_of((*path, key)), _name_of((*path, key)), what)
    if not below:
        yield _mistake(lined, problem, path)


def _mistake(lined: LinedYaml, problem: Any, path: Path) -> PolicyMistake:  # noqa: ANN401 - as above
    match problem["type"]:
        case "value_error":
            what = str(problem["ctx"]["error"])
        case "extra_forbidden":
            what = f"is not known here{_meant(str(path[-1]), path[:-1])}"
        case "missing":
            path = path[:-1]
            what = f"must have an action: {ACTIONS_ALLOWED}"
        case _:
            what = f"must have keys under it{_keys_under(path)}, {was(problem['input'])}"
    return PolicyMistake(lined.line_of(path), _name_of(path), what)


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
    judged = path[:2] if path[:1] == ("risk_classes",) else ("default",)
    places: Sequence[Path] = (judged, (*judged, "rules"), ("hold",), ("guard_rails",), ("guard_rails", "accounts_cut"))
    place = next((each for each in places if key in _known_under(each)), None)
    if place is not None:
        return f"; write it under {_name_of(place)}"
    if key in _known_under(()):
        return "; write it at the top level"
    known = _known_under(path)
    near = difflib.get_close_matches(key.lower(), known, n=1)
    suggestion = f"did you mean {near[0]}? Known" if near else "known"
    return f"; {suggestion} are {', '.join(known)}"


def _keys_under(path: Path) -> str:
    known = _known_under(path)
    return f" ({', '.join(known)})" if known else ""
