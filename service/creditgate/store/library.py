"""The library of Redis Functions: its source, its version, and putting it into a Redis.

A deploy loads the library (`creditgate library load`, or the start of an embedded Redis); a server never does, so that
an older one can't take it back. `LIBRARY_VERSION` is generation * 1000 + revision: within a generation a newer library
serves older servers too.
"""

import re
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
from creditgate.domain.limit_batch import ROW_ERRORS_MAX, UNDO_BATCHES_MAX, LimitBatchState, RowStanding
from creditgate.domain.policy import BASIS_POINTS
from creditgate.domain.reservation import ReservationState
from creditgate.store import constants
from creditgate.store.lane import LaneBrokenError
from creditgate.store.layouts import EFFECT_HEADS, LAYOUTS, LIMIT_ROW
from creditgate.store.location import RedisKind, parse_location
from creditgate.store.sentinel import Sentinels
from creditgate.store.slot_map import ask_seeds

LIBRARY_NAME: Final = "creditgate"
LIBRARY_VERSION: Final = 2011
_GENERATION: Final = 1000
_ASK_TIMEOUT_S: Final = 5.0
"""How long a sentinel, or a node of a cluster, may take to tell where the primaries are."""

_SHARED: Final = (
    "globals",
    "keys",
    "failures",
    "writing",
    "policy",
    "unsorted_due",
    "due",
    "rates",
    "groups",
    "velocity",
    "account_record",
    "accounts",
    "membership",
    "call",
    "ledger",
    "reservations",
    "decide",
    "reviews",
    "paging",
    "limit_rows",
    "batch_states",
    "limit_effects",
)
"""Files under `lua/` that others use, in an order in which what is used stands before what uses it."""

_OWN: Final = (
    "rules",
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
    "judge_waiting",
    "retire",
    "audit",
    "repair",
    "audit_group",
    "put_limit_batch",
    "get_limit_batch",
    "list_limit_batches",
    "gone_batches",
    "stage_rows",
    "measure_rows",
    "apply_rows",
    "restore_rows",
    "limit_chunks",
    "drop_rows",
    "read_clock",
    "note_orders",
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
    ("SCHEDULE_FLAG", constants.ScheduleFlag),
    ("GROUP_FLAG", constants.GroupFlag),
    ("GROUP_SUM", constants.GroupSum),
    ("AGING", constants.Aging),
    ("EXPOSURE_FLAG", constants.ExposureFlag),
    ("ANSWER_FLAG", constants.AnswerFlag),
    ("PUT_MASK", constants.PutMask),
    ("ORDER_FLAG", constants.OrderFlag),
    ("LEDGER_KIND", constants.LedgerKind),
    ("LEDGER_FLAG", constants.LedgerFlag),
    ("EFFECT", constants.EffectKind),
    ("BATCH_STATE", LimitBatchState),
    ("LIMIT_ROW_FLAG", constants.LimitRowFlag),
    ("ROW_FATE", constants.RowFate),
    ("ROW_STANDING", RowStanding),
    ("ROW_EFFECT_FLAG", constants.RowEffectFlag),
)


_CODES: Final = {
    "OPERATIONS_APPLY": constants.OPERATIONS_APPLY,
    "OPERATIONS_SETTLE": constants.OPERATIONS_SETTLE,
    "OPERATIONS_READ": constants.OPERATIONS_READ,
}
"""What each entry of the library carries out."""

_NUMBERS: Final = {
    "LIBRARY_VERSION": LIBRARY_VERSION,
    "AMOUNT_MAX": AMOUNT_MAX_MINOR,
    "BASIS_POINTS": BASIS_POINTS,
    "GROUP_CURRENCIES_MAX": GROUP_CURRENCIES_MAX,
    "ROW_ERRORS_MAX": ROW_ERRORS_MAX,
    "LIMIT_ROW_NUMBERS": LIMIT_ROW.size,
    "JOURNAL_ENTRIES_MAX": constants.JOURNAL_ENTRIES_MAX,
    "SHADOW_BIT": constants.SHADOW_BIT,
    "ACCOUNT_MOVED": constants.ACCOUNT_MOVED,
    "VELOCITY_BUCKETS": constants.VELOCITY_BUCKETS,
    "GROUP_SUMS_STEP": constants.GROUP_SUMS_STEP,
    "UNSORTED_MAX": constants.UNSORTED_MAX,
    "SHIFT_ZERO": constants.SHIFT_ZERO,
    "NO_EXPOSURE": constants.NO_EXPOSURE,
    "RETENTION_STEP_S": constants.RETENTION_STEP_S,
    "AGING_AHEAD_MAX_S": constants.AGING_AHEAD_MAX_S,
    "MOVE_PATIENCE_S": constants.MOVE_PATIENCE_S,
    "UNDO_BATCHES_MAX": UNDO_BATCHES_MAX,
    "LIMIT_BATCHES_MAX": constants.LIMIT_BATCHES_MAX,
    "LIMIT_BATCHES_BYTES_MAX": constants.LIMIT_BATCHES_BYTES_MAX,
}

_CONSTANT: Final = re.compile(r"\b[A-Z][A-Z_]+(?:\.[A-Z_]+)?")


@cache
def lua_constants() -> dict[str, str]:
    """Return every constant that Python and Lua share: the name it has in Lua, and its literal."""
    literals = {name: str(number) for name, number in _NUMBERS.items()}
    literals["DUE_PENDING"] = repr(constants.DUE_PENDING)
    literals["REFUSAL_CODE"] = repr(constants.REFUSAL_CODE)
    for name, enum in _ENUMS:
        literals |= {f"{name}.{member.name}": str(member.value) for member in enum}
    for layout in LAYOUTS:
        literals[f"LAYOUT.{layout.name}"] = repr(layout.lua_format)
        if not layout.text_count:
            literals[f"SIZE.{layout.name}"] = str(layout.size)
    for name, layout in EFFECT_HEADS.items():
        literals[f"EFFECT_HEAD.{name}"] = str(layout.size + layout.text_count)
    for name, codes in _CODES.items():
        literals[name] = "{ " + ", ".join(str(code.value) for code in codes) + " }"
    return literals


def _render_line(line: str) -> str:
    """Return a line of Lua with its constants spelled out; in a comment their names tell more."""
    if line.lstrip().startswith("--"):
        return line
    return _CONSTANT.sub(lambda name: lua_constants().get(name[0], name[0]), line)


def source_parts() -> list[tuple[str, str]]:
    """Return the library's parts as (name, source) in order, as they are written."""
    directory = files("creditgate.store") / "lua"
    parts = [("prelude", f"#!lua name={LIBRARY_NAME}\nlocal operations = {{}}\nlocal functions = {{}}")]
    parts += [(f"{name}.lua", (directory / f"{name}.lua").read_text()) for name in _SHARED]
    for name in _OWN:
        parts += [("block", "do"), (f"{name}.lua", (directory / f"{name}.lua").read_text()), ("block", "end")]
    return parts


@cache
def render_library() -> str:
    """Return the library's source as `FUNCTION LOAD` takes it.

    Constants are spelled out, line by line: a chunk of Lua has room for 200 local names, and a number costs a decision
    less than a name.
    """
    source = "\n".join(source for _, source in source_parts())
    return "\n".join(map(_render_line, source.split("\n")))


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
