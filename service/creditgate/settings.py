"""Settings of the service: environment variables, read once."""

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Self, get_args, get_origin

import annotated_types
from pydantic import AfterValidator, ByteSize, Field, PlainValidator, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from creditgate.domain.bounds import HOLD_MAX_S, RETENTION_DEFAULT_S, SECONDS_PER_HOUR
from creditgate.ops.listen_address import ListenAddress
from creditgate.ops.logs import LogFormat, LogLevel
from creditgate.store import PARTITIONS_DEFAULT, PARTITIONS_MAX, REPLICA_ACKS_MAX, parse_location
from creditgate.store.embedded.configuration import MEMORY_MIN_BYTES

PREFIX: Final = "CREDITGATE_"
WORKERS_MAX: Final = 64

_UNITS: Final = re.compile("_(s|bytes)$")
_MASK: Final = "***"
_PASSWORD_IN_QUERY: Final = re.compile(r"([?&]\w*password=)[^&]*")

_SET_BY_KUBERNETES: Final = re.compile(
    PREFIX + r"(SERVICE_(HOST|PORT\w*)=.*|PORT=\w+://.*|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=.*)"
)
"""What Kubernetes puts into the environment of every pod beside a Service named `creditgate`, as NAME=value."""


class SettingsError(Exception):
    """Settings that the service can't start with; the message has a sentence for each of them."""


def variable_of(field_name: str) -> str:
    """Return the environment variable of a field: `redis_timeout_s` is CREDITGATE_REDIS_TIMEOUT."""
    return PREFIX + _UNITS.sub("", field_name).upper()


def _check_redis_url(url: str | None) -> str | None:
    if url is not None:
        parse_location(url)
    return url


def _parse_listen(value: object) -> ListenAddress:
    return value if isinstance(value, ListenAddress) else ListenAddress.parse(str(value))


def _parse_port_listen(value: object) -> ListenAddress:
    address = _parse_listen(value)
    if address.unix_path is not None:
        raise ValueError("must be host:port or [ipv6]:port")
    return address


def _default_data_dir() -> Path:
    """Return where the XDG base directory specification puts a program's data."""
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "share") / "creditgate"


Mode = Literal["enforce", "shadow"]
_Seconds = Annotated[float, Field(allow_inf_nan=False)]


class Settings(BaseSettings):
    """What the service is told from outside. `read_settings` gives clearer errors than constructing it does."""

    model_config = SettingsConfigDict(
        alias_generator=variable_of,
        validate_by_alias=True,
        validate_by_name=True,
        case_sensitive=True,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
    )

    redis_url: Annotated[str | None, AfterValidator(_check_redis_url)] = Field(
        None,
        description="The Redis to use: redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://; absent: an "
        "embedded one.",
        repr=False,
    )
    data_dir: Path = Field(default_factory=_default_data_dir, description="Where the embedded Redis keeps its data.")
    listen: Annotated[ListenAddress, NoDecode, PlainValidator(_parse_listen)] = Field(
        ListenAddress("127.0.0.1", 50051), description="Where gRPC is served: host:port or unix:///path; port 0: any."
    )
    metrics_listen: Annotated[ListenAddress, NoDecode, PlainValidator(_parse_port_listen)] = Field(
        ListenAddress("127.0.0.1", 9464), description="Where /metrics, /healthz and /readyz are served: host:port."
    )
    workers: int = Field(
        1, ge=1, le=WORKERS_MAX, description="Processes that answer calls, on one port; above 1 a parent watches them."
    )
    partitions: int = Field(
        PARTITIONS_DEFAULT, ge=1, le=PARTITIONS_MAX, description="Partitions of the store; fixed once it has data."
    )
    redis_timeout_s: _Seconds = Field(
        2.0, ge=0.05, le=60, description="Seconds that Redis may take to answer before it counts as down."
    )
    replica_acks: int = Field(
        0, ge=0, le=REPLICA_ACKS_MAX, description="Replicas that must have a change before it is answered; 0: none."
    )
    replica_timeout_s: _Seconds = Field(
        0.5, ge=0.01, le=30, description="Seconds that those replicas get; less than CREDITGATE_REDIS_TIMEOUT."
    )
    queue_max: int = Field(
        10_000, ge=128, le=1_000_000, description="Operations that may wait for Redis; further ones are refused."
    )
    deadline_default_s: _Seconds = Field(
        2.0, ge=0.01, le=3600, description="Seconds that a call may take whose client sets no deadline."
    )
    deadline_max_s: _Seconds = Field(
        60.0, ge=0.01, le=3600, description="Seconds that a call may take at most, whatever its client says."
    )
    concurrency_max: int = Field(
        2000, ge=1, le=1_000_000, description="Calls served at once; further ones are refused."
    )
    stop_wait_s: _Seconds = Field(
        0.5, ge=0, le=300, description="Seconds between saying NOT_SERVING and taking no more calls, when stopping."
    )
    drain_grace_s: _Seconds = Field(
        10.0, ge=0, le=3600, description="Seconds that calls under way get to end, when stopping."
    )
    sweep_interval_s: _Seconds = Field(
        1.0, ge=0.1, le=3600, description="Seconds between two rounds that settle holds whose time is over."
    )
    policy_file: Path | None = Field(
        None, description="The YAML file that says how orders are judged; absent: over limit is rejected."
    )
    mode: Mode = Field(
        "enforce",
        description="enforce: decisions count; shadow: every order is approved, and what would be is reported.",
    )
    idempotency_retention_s: int = Field(
        RETENTION_DEFAULT_S,
        ge=SECONDS_PER_HOUR,
        le=HOLD_MAX_S,
        description="Seconds that ended orders, and the ids that make calls repeatable, are kept; longer while their "
        "order is open.",
    )
    embedded_maxmemory_bytes: ByteSize | None = Field(
        None,
        ge=MEMORY_MIN_BYTES,
        description="Memory from which the embedded Redis takes no new orders; absent: unbounded.",
    )
    slow_call_s: _Seconds = Field(1.0, ge=0, le=3600, description="Seconds above which a call is logged as slow.")
    log_format: LogFormat = Field("auto", description="Shape of the log lines; auto: console on a terminal, else json.")
    log_level: LogLevel = Field("info", description="Least severe log lines that are written.")

    @model_validator(mode="after")
    def _check_deadlines(self) -> Self:
        if self.deadline_default_s > self.deadline_max_s:
            raise ValueError(
                f"{variable_of('deadline_default_s')} ({self.deadline_default_s:g}) must not be above "
                f"{variable_of('deadline_max_s')} ({self.deadline_max_s:g})"
            )
        return self

    @model_validator(mode="after")
    def _check_replica_timeout(self) -> Self:
        if self.replica_acks and self.replica_timeout_s >= self.redis_timeout_s:
            raise ValueError(
                f"{variable_of('replica_timeout_s')} ({self.replica_timeout_s:g}) must be below "
                f"{variable_of('redis_timeout_s')} ({self.redis_timeout_s:g})"
            )
        return self


def read_settings(**instead: Any) -> Settings:  # noqa: ANN401 - the fields of Settings have types of their own
    """Return the settings from the environment; raise SettingsError for a wrong value or an unknown variable.

    Fields given by name stand instead of what the environment says of them.
    """
    sentences = [_unknown(name) for name in sorted(os.environ) if _is_unknown(name)]
    try:
        settings = Settings(**{variable_of(name): value for name, value in instead.items()})
    except ValidationError as error:
        sentences += [_sentence(dict(problem)) for problem in error.errors()]
        raise SettingsError("\n".join(sentences)) from None
    if sentences:
        raise SettingsError("\n".join(sentences))
    return settings


def environment_of(settings: Settings) -> dict[str, str]:
    """Return variables from which `read_settings` makes the same settings."""
    values = {variable_of(name): getattr(settings, name) for name in Settings.model_fields}
    return {
        name: str(int(value)) if isinstance(value, ByteSize) else str(value)
        for name, value in values.items()
        if value is not None
    }


def _known() -> dict[str, FieldInfo]:
    return {variable_of(name): field for name, field in Settings.model_fields.items()}


def _is_unknown(name: str) -> bool:
    if not name.startswith(PREFIX) or name in _known():
        return False
    return not _SET_BY_KUBERNETES.fullmatch(f"{name}={os.environ[name]}")


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name.removeprefix(PREFIX), [known.removeprefix(PREFIX) for known in _known()], n=1)
    return f"{name} is not a setting" + (f"; did you mean {PREFIX}{near[0]}?" if near else "")


def _sentence(problem: dict[str, Any]) -> str:
    """Return what is wrong with one setting, and what is allowed."""
    location = problem["loc"]
    if not location:
        return str(problem["ctx"]["error"])
    name = str(location[0])
    value = _shown(name, problem["input"])
    if problem["type"] == "value_error":
        return f"{name} {problem['ctx']['error']}, was {value!r}"
    return f"{name} must be {_allowed(_known()[name])}, was {value!r}"


def _allowed(field: FieldInfo) -> str:
    """Return what values a setting takes, as they end a sentence."""
    annotation = field.annotation
    if get_origin(annotation) is Literal:
        return f"one of {', '.join(get_args(annotation))}"
    least = next((bound.ge for bound in field.metadata if isinstance(bound, annotated_types.Ge)), None)
    most = next((bound.le for bound in field.metadata if isinstance(bound, annotated_types.Le)), None)
    if annotation is int:
        return f"a whole number from {least} to {most}"
    if annotation is float:
        return f"a number of seconds from {least:g} to {most:g}"
    if ByteSize in get_args(annotation):
        return f"a size such as 512MiB, at least {ByteSize(MEMORY_MIN_BYTES).human_readable()}"
    return "a text"


class SettingDescription(NamedTuple):
    """One setting, with its values as text and secrets masked; an absent value is empty."""

    name: str
    value: str
    default: str
    description: str


def describe_settings(settings: Settings) -> tuple[SettingDescription, ...]:
    """Return every setting with its present value, its default and what it does."""
    return tuple(
        SettingDescription(
            name=variable_of(field_name),
            value=_shown(variable_of(field_name), getattr(settings, field_name)),
            default=_shown(variable_of(field_name), field.get_default(call_default_factory=True)),
            description=field.description or "",
        )
        for field_name, field in Settings.model_fields.items()
    )


def describe_environment() -> tuple[SettingDescription, ...]:
    """Return every setting as `describe_settings` does, with the values of the environment, right or wrong."""
    return tuple(
        SettingDescription(
            name=name,
            value=_shown(name, os.environ.get(name) or field.get_default(call_default_factory=True)),
            default=_shown(name, field.get_default(call_default_factory=True)),
            description=field.description or "",
        )
        for name, field in _known().items()
    )


def _shown(name: str, value: object) -> str:
    """Return a value as people may see it."""
    if value is None:
        return ""
    if name == variable_of("redis_url"):
        return mask_url(str(value))
    if isinstance(value, ByteSize):
        return value.human_readable()
    return f"{value:g}" if isinstance(value, float) else str(value)


def mask_url(url: str) -> str:
    """Return a URL without its password. Of a malformed one it hides too much rather than too little."""
    scheme, separator, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    user, colon, _ = credentials.partition(":")
    password = _MASK if colon else ""
    masked_place = _PASSWORD_IN_QUERY.sub(rf"\g<1>{_MASK}", place)
    return f"{scheme}{separator}{user}{colon}{password}{at}{masked_place}"
