"""The library of Redis Functions: its source, its version, and putting it into a Redis.

A deploy loads the library (`creditgate library load`, or the start of an embedded Redis); a server never does, so that
an older one can't take it back. `LIBRARY_VERSION` is generation * 1000 + revision: within a generation a newer library
serves older servers too.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from importlib.resources import files
from typing import Final, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from creditgate.domain.bounds import AMOUNT_MAX_MINOR, GROUP_CURRENCIES_MAX
from creditgate.domain.decision import Action, Outcome, ReasonCode
from creditgate.domain.errors import ErrorReason
from creditgate.domain.reservation import ReservationState
from creditgate.store import constants
from creditgate.store.lane import LaneBrokenError
from creditgate.store.layouts import EFFECT_HEADS, LAYOUTS
from creditgate.store.location import RedisKind, parse_location
from creditgate.store.sentinel import Sentinels
from creditgate.store.slot_map import ask_seeds

LIBRARY_NAME: Final = "creditgate"
LIBRARY_VERSION: Final = 2002
_GENERATION: Final = 1000
_ASK_TIMEOUT_S: Final = 5.0
"""How long a sentinel, or a node of a cluster, may take to tell where the primaries are."""

_SHARED: Final = (
    "keys",
    "failures",
    "policy",
    "due",
    "rates",
    "groups",
    "velocity",
    "accounts",
    "membership",
    "call",
    "ledger",
    "reservations",
    "decide",
    "reviews",
    "paging",
)
"""Files under `lua/` that others use, in an order in which what is used stands before what uses it."""

_OWN: Final = (
    "check_credit",
    "reserve_credit",
    "amend_reservation",
    "commit_reservation",
    "release_reservation",
    "record_payment",
    "post_receivable",
    "record_credit_note",
    "import_open_item",
    "update_aging",
    "put_account",
    "set_manual_limit",
    "set_temporary_limit",
    "set_block",
    "put_group",
    "get_group",
    "close_account",
    "get_account",
    "get_reservation",
    "list_reservations",
    "list_accounts",
    "list_groups",
    "put_rates",
    "move",
    "sweep",
    "retire",
    "audit",
    "repair",
    "audit_group",
    "register",
)
"""Files that keep their names to themselves: each is a block of its own, since Lua allows a chunk 200 local names."""

_ENUMS: Final[tuple[tuple[str, type[Enum]], ...]] = (
    ("OPERATION", constants.OperationCode),
    ("STATE", ReservationState),
    ("OUTCOME", Outcome),
    ("ACTION", Action),
    ("REASON", ReasonCode),
    ("ERROR", ErrorReason),
    ("ACCOUNT_FLAG", constants.AccountFlag),
    ("EXPOSURE_FLAG", constants.ExposureFlag),
    ("ANSWER_FLAG", constants.AnswerFlag),
    ("PUT_MASK", constants.PutMask),
    ("ORDER_FLAG", constants.OrderFlag),
    ("LEDGER_KIND", constants.LedgerKind),
    ("LEDGER_FLAG", constants.LedgerFlag),
    ("EFFECT", constants.EffectKind),
)


def _table(members: dict[str, str]) -> str:
    return "{ " + ", ".join(f"{name} = {value}" for name, value in members.items()) + " }"


def _codes(codes: tuple[constants.OperationCode, ...]) -> str:
    return "{ " + ", ".join(str(code.value) for code in codes) + " }"


def render_prelude() -> str:
    """Return the Lua declarations of every constant that Python and Lua share."""
    lines = [
        f"local LIBRARY_VERSION = {LIBRARY_VERSION}",
        f"local AMOUNT_MAX = {AMOUNT_MAX_MINOR}",
        f"local JOURNAL_ENTRIES_MAX = {constants.JOURNAL_ENTRIES_MAX}",
        f"local SHADOW_BIT = {constants.SHADOW_BIT}",
        f"local ACCOUNT_MOVED = {constants.ACCOUNT_MOVED}",
        f"local VELOCITY_BUCKETS = {constants.VELOCITY_BUCKETS}",
        f"local GROUP_CURRENCIES_MAX = {GROUP_CURRENCIES_MAX}",
        f"local DUE_PENDING = '{constants.DUE_PENDING}'",
        f"local SHIFT_ZERO = {constants.SHIFT_ZERO}",
        f"local NO_EXPOSURE = {constants.NO_EXPOSURE}",
        f"local RETENTION_STEP_S = {constants.RETENTION_STEP_S}",
        f"local AGING_AHEAD_MAX_S = {constants.AGING_AHEAD_MAX_S}",
        f"local OPERATIONS_APPLY = {_codes(constants.OPERATIONS_APPLY)}",
        f"local OPERATIONS_SETTLE = {_codes(constants.OPERATIONS_SETTLE)}",
        f"local OPERATIONS_READ = {_codes(constants.OPERATIONS_READ)}",
        "local operations = {}",
        "local functions = {}",
    ]
    lines += [f"local {name} = {_table({member.name: str(member.value) for member in enum})}" for name, enum in _ENUMS]
    heads = {name: str(layout.size + layout.text_count) for name, layout in EFFECT_HEADS.items()}
    lines.append(f"local EFFECT_HEAD = {_table(heads)}")
    lines.append(
        f"local SIZE = {_table({layout.name: str(layout.size) for layout in LAYOUTS if not layout.text_count})}"
    )
    lines.append(f"local LAYOUT = {_table({layout.name: repr(layout.lua_format) for layout in LAYOUTS})}")
    return "\n".join(lines) + "\n"


def render_parts() -> list[tuple[str, str]]:
    """Return the library's parts as (name, source) in order; the first is the prelude."""
    directory = files("creditgate.store") / "lua"
    parts = [("prelude", f"#!lua name={LIBRARY_NAME}\n{render_prelude()}")]
    parts += [(f"{name}.lua", (directory / f"{name}.lua").read_text()) for name in _SHARED]
    for name in _OWN:
        parts += [("block", "do"), (f"{name}.lua", (directory / f"{name}.lua").read_text()), ("block", "end")]
    return parts


@cache
def render_library() -> str:
    """Return the library's source as `FUNCTION LOAD` takes it."""
    return "\n".join(source for _, source in render_parts())


@dataclass(frozen=True, slots=True)
class LibraryStatus:
    """What library a Redis has, against the one that this program needs.

    `loaded_version` is None when there is none; of the primaries of a cluster, `servers` in number, it is that of the
    one which is least fit.
    """

    loaded_version: int | None
    needed_version: int
    servers: int = 1

    @property
    def usable(self) -> bool:
        """Whether this program can work with the loaded library: the same generation, and not older."""
        loaded = self.loaded_version
        return (
            loaded is not None
            and loaded // _GENERATION == self.needed_version // _GENERATION
            and loaded >= self.needed_version
        )

    def __str__(self) -> str:
        where = ""
        if self.servers > 1:
            where = f" on {'all' if self.usable else 'some or all'} of {self.servers} primaries"
        if self.loaded_version is None:
            return f"function library {LIBRARY_NAME} is not loaded{where} (version {self.needed_version} is needed)"
        state = "usable" if self.usable else f"not usable, version {self.needed_version} is needed"
        return f"function library {LIBRARY_NAME} has version {self.loaded_version}{where} ({state})"


class RedisUnusableError(Exception):
    """The Redis does not answer, or refuses to be asked."""


class LibraryNewerError(Exception):
    """The Redis has a library of a newer generation, which this program neither replaces nor can work with."""


async def read_status(client: Redis) -> LibraryStatus:
    """Return what library the connected Redis has. Raises redis.exceptions.RedisError when it can't be asked."""
    try:
        version = await cast("Awaitable[int]", client.fcall_ro("creditgate_library_version", 0))
    except ResponseError as error:
        if "Function not found" not in str(error):
            raise
        return LibraryStatus(None, LIBRARY_VERSION)
    return LibraryStatus(version, LIBRARY_VERSION)


async def load(client: Redis) -> LibraryStatus:
    """Load the library into the connected Redis, in place of an older or equal one, and return the status afterwards.

    A newer library is left in place: within its generation it serves this program too.

    Raises:
        LibraryNewerError: a library of a newer generation is there; nothing is changed.
        redis.exceptions.RedisError: the Redis can't be asked, or refuses.

    """
    status = await read_status(client)
    if status.loaded_version is not None and status.loaded_version > LIBRARY_VERSION:
        if status.usable:
            return status
        msg = f"{status}; a newer library is never replaced"
        raise LibraryNewerError(msg)
    await cast("Awaitable[bytes]", client.function_load(render_library(), replace=True))
    return await read_status(client)


async def check_library(url: str) -> LibraryStatus:
    """Return what library the Redis at a URL has. Raises `RedisUnusableError` when it can't be asked."""
    return await _each_primary(url, read_status)


async def load_library(url: str) -> LibraryStatus:
    """Load the library into the Redis at a URL, in place of an older or equal one, and return the status afterwards.

    On a cluster this is done on every primary that serves slots; replicas have it from their primaries.

    Raises:
        LibraryNewerError: a library of a newer generation is there; that server is not changed.
        RedisUnusableError: the Redis can't be asked, or refuses.

    """
    return await _each_primary(url, load)


async def _each_primary(url: str, ask: Callable[[Redis], Awaitable[LibraryStatus]]) -> LibraryStatus:
    """Ask every primary, and return the status of the one that is least fit."""
    try:
        statuses = []
        for primary_url in await _primary_urls(url):
            async with Redis.from_url(primary_url) as client:
                statuses.append(await ask(client))
    except (RedisError, LaneBrokenError) as error:
        raise RedisUnusableError(str(error)) from error
    worst = min(statuses, key=lambda status: (status.usable, status.loaded_version or 0))
    return replace(worst, servers=len(statuses))


async def _primary_urls(url: str) -> list[str]:
    location = parse_location(url)
    if location.kind is RedisKind.CLUSTER:
        slot_map = await ask_seeds(location, (), _ASK_TIMEOUT_S)
        return [location.url_of(address) for address in slot_map.primaries]
    if location.kind is RedisKind.SENTINEL:
        sentinels = Sentinels(location, _ASK_TIMEOUT_S)
        try:
            return [await sentinels.find_primary()]
        finally:
            await sentinels.close()
    return [url]
