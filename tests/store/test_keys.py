"""The two places that spell keys, and the layouts and headers that Python and Lua share."""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from itertools import count, takewhile

import pytest

from creditgate.domain.account import Block
from creditgate.domain.decision import Action, ReasonCode
from creditgate.domain.errors import ErrorReason
from creditgate.domain.limit_batch import LimitRowError, LimitRowErrorReason
from creditgate.domain.operations import (
    BlockSetting,
    CheckCredit,
    CommitReservation,
    LimitSetting,
    PutAccount,
    PutGroup,
    RecordPayment,
    ReserveCredit,
)
from creditgate.domain.policy import DEFAULT_CLASS, DEFAULT_RULES, ClassPolicy, Policy, RuleSetting
from creditgate.domain.rates import ExchangeRate
from creditgate.domain.reservation import ReservationState
from creditgate.store import RedisCreditStore, keys, layouts
from creditgate.store.constants import LIMIT_BATCHES_MAX, RETENTION_STEP_S, Aging, GroupSum, OperationCode
from creditgate.store.library import lua_constants, render_library, source_parts
from tests.private_redis import PrivateRedis
from tests.store.batches import Batch, put_accounts, rows_of
from tests.store.clocked import clocked_store

LUA = {name: source for name, source in source_parts() if name.endswith(".lua")}
OPERATION_FILES = {code.name.lower(): LUA[f"{code.name.lower()}.lua"] for code in OperationCode}

ANSWER_MAKERS = {
    "ORDER_ANSWER": {"order_answer", "record_answer"},
    "ACCOUNT_ANSWER": {"account_answer", "account_changed", "record_entry"},
    "GROUP_ANSWER": {"group_answer"},
}

IMPLIED = {"ACCOUNT_MOVING"}
"""Errors that no header names: `absent` may always answer them beside ACCOUNT_NOT_FOUND."""

UNANSWERED = {"limit_changed"}
"""Functions whose errors nobody is answered: what they can't do is left as it was."""

_shared = {
    name: body
    for source in LUA.values()
    if source not in OPERATION_FILES.values()
    for name, body in re.findall(r"^local function (\w+)\(.*?\)$(.*?)^end$", source, re.MULTILINE | re.DOTALL)
}


def header_of(source: str) -> str:
    """The comment that a Lua file begins with, on one line."""
    lines = takewhile(lambda line: line.startswith("--"), source.splitlines())
    return " ".join(line.removeprefix("--").strip() for line in lines)


def called_by(source: str) -> set[str]:
    """The functions that shared files define and a piece of Lua calls, directly or by one another."""
    called: set[str] = set()
    pieces = [source]
    while pieces:
        names = set(re.findall(r"\b(\w+)\(", pieces.pop())) & _shared.keys() - called - UNANSWERED
        called |= names
        pieces += [_shared[name] for name in names]
    return called


def errors_of(source: str) -> set[str]:
    """The errors that a piece of Lua may answer, by itself or by the functions that it calls."""
    pieces = [source, *(_shared[name] for name in called_by(source))]
    return {error for piece in pieces for error in re.findall(r"\bERROR\.(\w+)", piece)} - IMPLIED


async def test_python_and_lua_spell_the_same_keys(
    store: RedisCreditStore, private_redis: PrivateRedis, account_id: str
) -> None:
    partition = keys.partition_of(account_id, store.partitions)
    group_id = next(f"{account_id}.{n}" for n in count() if in_partition(store, f"{account_id}.{n}", partition))
    with private_redis.client() as client:
        before = set(client.keys(f"{keys.prefix(partition)}:*"))
        ends_s = await furnish(store, account_id, group_id)
        frozen = client.fcall("creditgate_move_freeze", 1, keys.prefix(partition), account_id, str(partition), "")
        now_s = int(client.get(keys.clock(partition)) or 0)
        spelled = {
            keys.account(partition, account_id),
            keys.orders(partition, account_id),
            keys.due(partition, account_id),
            keys.ledger(partition, account_id),
            keys.texts(partition, account_id),
            keys.waiting(partition, account_id),
            keys.names(partition),
            keys.group(partition, group_id),
            keys.group_names(partition),
            keys.rates(partition),
            keys.moves(partition),
            keys.waiting_accounts(partition),
            keys.sweep_seconds(partition),
            *(keys.sweep_list(partition, second) for second in ends_s),
            keys.retention_steps(partition),
            keys.retention_list(partition, now_s // RETENTION_STEP_S),
            keys.journal(partition),
            keys.clock(partition),
        }
        assert {key for key in spelled if not client.exists(key)} == set()
        made = {key.decode() for key in set(client.keys(f"{keys.prefix(partition)}:*")) - before}
        assert made <= spelled
        assert client.fcall("creditgate_move_thaw", 1, keys.prefix(partition), account_id, frozen[0]) == 1


async def test_python_and_lua_spell_the_same_keys_of_a_limit_batch(own_redis: Callable[..., PrivateRedis]) -> None:
    server = own_redis()
    wrong = LimitRowError(9, "a9", "limit_minor", LimitRowErrorReason.INVALID_FIELD, "is wrong")
    async with clocked_store(server) as clocked:
        await put_accounts(clocked.store, ["a1", "a2"])
        before = set(clocked.all_keys("cg:{0}:*"))
        batch = Batch(clocked.store, "b1")
        clocked.client.zadd(keys.limit_batches(), {f"gone-{number}": 0.0 for number in range(LIMIT_BATCHES_MAX)})
        batches, deadline = clocked.store.limit_batches, time.monotonic() + 10
        received = await batches.put_batch(replace(batch.record, row_errors=(wrong,)), deadline)
        await batches.put_measured(replace(received, row_errors=(replace(wrong, row=8),)), deadline)
        await batch.put(rows_of(["a1"], 5, 1))
        await batch.restore()
        await batch.stage(rows_of(["a2"], 5, 1), 1)
        await batch.apply()
        await batch.stage(rows_of(["a3"], 5, 1), 2)
        spelled = {
            keys.limit_batches(),
            keys.limit_batch("b1"),
            keys.limit_batch_errors("b1"),
            keys.limit_batch_measured("b1"),
            keys.gone_batches(),
            keys.batch_states(),
            *(
                spell(0, "b1")
                for spell in (
                    keys.staged_rows,
                    keys.staged_accounts,
                    keys.undo_rows,
                    keys.rows_applied,
                    keys.rows_restored,
                )
            ),
        }
        assert set(clocked.all_keys("cg:{0}:*")) - before - {keys.clock(0)} == spelled


def in_partition(store: RedisCreditStore, name: str, partition: int) -> bool:
    return keys.partition_of(name, store.partitions) == partition


async def furnish(store: RedisCreditStore, account_id: str, group_id: str) -> set[int]:
    """Let an account have something under each of its keys; return the seconds at which its orders end."""
    deadline = time.monotonic() + 10
    rules = {
        **DEFAULT_RULES,
        ReasonCode.VELOCITY_EXCEEDED: RuleSetting(Action.FLAG, 3600, amounts={"USD": 10**9}),
        ReasonCode.LIMIT_EXCEEDED: RuleSetting(Action.REVIEW),
    }
    store.use_policy(Policy("counting", {DEFAULT_CLASS: ClassPolicy(rules)}))
    await store.put_rates([ExchangeRate("ISK", "KWD", 2, 0)], 1, 0, deadline)
    await store.run(PutGroup(group_id, "USD", 1000, "Family"), deadline)
    limit, block = LimitSetting(10), BlockSetting(Block("why", "who"))
    put = PutAccount(account_id, "USD", base_limit=limit, display_name="Name", group_id=group_id)
    await store.run(put, deadline)
    asked = [ReserveCredit(account_id, order_id, amount, "USD", 3600) for order_id, amount in (("o1", 5), ("o2", 50))]
    held, waiting = [(await store.run(order, deadline)).reservation for order in asked]
    assert held is not None
    assert waiting is not None
    assert waiting.state is ReservationState.PENDING_REVIEW
    await store.run(CommitReservation(account_id, "o1", 1, "USD", "d1"), deadline)
    await store.run(PutAccount(account_id, block=block), deadline)
    return {held.expire_time_s, waiting.expire_time_s}


def test_every_key_of_lua_is_spelled_in_python() -> None:
    functions = set(re.findall(r"^function key\.(\w+)\(", LUA["keys.lua"], re.MULTILINE))
    assert functions
    for name in functions:
        assert callable(getattr(keys, name)), name
    for name, source in LUA.items():
        if name != "keys.lua":
            assert "cg:" not in source, f"{name} spells a key by itself"
            assert "prefix .." not in source, f"{name} spells a key by itself"


@pytest.mark.parametrize("code", OperationCode)
def test_the_header_of_an_operation_names_what_it_takes_and_answers(code: OperationCode) -> None:
    source = OPERATION_FILES[code.name.lower()]
    header = header_of(source)
    taken = set(re.findall(r"struct\.unpack\(LAYOUT\.(\w+), blob\)", source))
    assert taken == set(re.findall(r"Takes LAYOUT\.(\w+)", header))
    answered = {answer for answer, makers in ANSWER_MAKERS.items() if makers & called_by(source)}
    assert answered == set(re.findall(r"\w+_ANSWER", header))
    errors = errors_of(source)
    assert errors, code
    assert errors == set(re.findall(r"\w+", header)) & set(ErrorReason.__members__)


def test_an_operation_unpacks_as_many_values_as_its_layout_has() -> None:
    unpacking = re.compile(r"local ([\w, \n]+?)\s*= struct\.unpack\(LAYOUT\.(\w+), blob\)")
    by_name = {layout.name: layout for layout in layouts.LAYOUTS}
    found = [match for source in OPERATION_FILES.values() for match in unpacking.findall(source)]
    assert len(found) == len(OPERATION_FILES)
    for names, layout in found:
        assert len(names.split(",")) == len(by_name[layout].fields), layout


def test_every_lua_file_is_part_of_the_library() -> None:
    present = {item.name for item in (files("creditgate.store") / "lua").iterdir() if item.name.endswith(".lua")}
    assert present == set(LUA)


def test_constants_are_those_of_python_and_spelled_out_in_the_library() -> None:
    constants = lua_constants()
    for layout in layouts.LAYOUTS:
        assert constants[f"LAYOUT.{layout.name}"] == f"'{layout.lua_format}'"
    for code in OperationCode:
        assert constants[f"OPERATION.{code.name}"] == str(code.value)
    kinds = {name.split(".")[0] for name in constants}
    code_lines = [line for line in render_library().splitlines() if not line.lstrip().startswith("--")]
    left = {name for line in code_lines for name in re.findall(r"\b([A-Z][A-Z_]+)\b", line) if name in kinds}
    assert not left, "names that no constant has"


STORED = {
    "ACCOUNT": "<I2i8i8i8i8I4i8I4I4i8i8I4c3s",
    "LIMIT_SCORE": "<d",
    "AGING": "<i8i8I4i8i8I4",
    "MANUAL_LIMIT": "<i8I4",
    "TEMPORARY_LIMIT": "<i8I4I4",
    "BLOCK_END": "<I4",
    "MEMBERSHIP": "<s",
    "SCHEDULED_LIMIT": "<Bi8i8I4I4ds",
    "MOVING": "<I2I4B",
    "MOVED_STUB": "<I2I2I4",
    "GROUP": "<BBi8I4I4i8I4c3",
    "SORTED_GROUP": "<BBi8I4I4i8c3",
    "GROUP_SUMS": "<c3i8i8i8",
    "DUE_SUM": "<I4c3i8",
    "VELOCITY": "<I4I4B",
    "VELOCITY_BUCKET": "<Bi8",
    "RATE": "<i8BB",
    "STORED_RATE": "<i8I4",
    "ORDER": "<BBI2I4i8i8i8i8i8I4I4c3",
    "PENDING_AMEND": "<i8i8",
    "DECISION": "<BBBi8i8i8i8i8i8s",
    "REASON": "<BBi8i8c3",
    "LEDGER_ENTRY": "<BBi8i8i8I4i8s",
    "AMEND_MARKER": "<i8I4",
}
"""What data that exist are laid out by."""


def test_the_places_of_numbers_in_a_row_are_those_of_the_layout() -> None:
    rows: list[tuple[type[Aging | GroupSum], layouts.Layout]] = [
        (Aging, layouts.AGING),
        (GroupSum, layouts.GROUP_SUMS),
    ]
    for places, layout in rows:
        names = [name for name, kind in layout.fields if kind is not layouts.FieldType.CODE]
        assert [place.name.lower() for place in places] == names
        assert [place.value for place in places] == list(range(1, len(names) + 1))


def test_data_that_exist_can_still_be_read() -> None:
    formats = {layout.name: layout.lua_format for layout in layouts.LAYOUTS if layout.name in STORED}
    assert formats == STORED, "add a layout behind a flag: a changed one misreads what is stored"


async def test_an_account_stays_small(store: RedisCreditStore, private_redis: PrivateRedis, account_id: str) -> None:
    deadline = time.monotonic() + 10
    put = PutAccount(account_id, "USD", base_limit=LimitSetting(10**15), risk_class="x" * 32, display_name="N" * 200)
    await store.run(put, deadline)
    await store.run(CheckCredit(account_id, 1, "USD"), deadline)
    await store.run(RecordPayment(account_id, "p1", 10**15, "USD"), deadline)
    partition = keys.partition_of(account_id, store.partitions)
    with private_redis.client() as client:
        assert client.object("encoding", keys.ledger(partition, account_id)) == b"listpack"
        assert client.strlen(keys.account(partition, account_id)) <= 128


@pytest.mark.parametrize("partitions", [1, 16, 4096])
def test_accounts_spread_over_all_partitions(partitions: int) -> None:
    count = partitions * 50
    hit = {keys.partition_of(f"C{number:06}", partitions) for number in range(count)}
    assert hit == set(range(partitions))
