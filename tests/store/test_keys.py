"""The two places that spell keys, and the layouts and headers that Python and Lua share."""

import re
import time
from importlib.resources import files

import pytest

from creditgate.domain.operations import (
    CheckCredit,
    CommitReservation,
    LimitSetting,
    PutAccount,
    RecordPayment,
    ReserveCredit,
)
from creditgate.store import RedisCreditStore, keys, layouts
from creditgate.store.constants import RETENTION_STEP_S, OperationCode
from creditgate.store.library import render_parts, render_prelude
from tests.private_redis import PrivateRedis

LUA = {name: source for name, source in render_parts() if name.endswith(".lua")}
OPERATION_FILES = {code.name.lower(): LUA[f"{code.name.lower()}.lua"] for code in OperationCode}


async def test_python_and_lua_spell_the_same_keys(
    store: RedisCreditStore, private_redis: PrivateRedis, account_id: str
) -> None:
    deadline = time.monotonic() + 10
    partition = keys.partition_of(account_id, store.partitions)
    with private_redis.client() as client:
        before = set(client.keys(f"{keys.prefix(partition)}:*"))
        put = PutAccount(account_id, "USD", base_limit=LimitSetting(10), display_name="Name")
        await store.run(put, deadline)
        reserved = await store.run(ReserveCredit(account_id, "o1", 5, "USD", 3600), deadline)
        assert reserved.reservation is not None
        await store.run(CommitReservation(account_id, "o1", 1, "USD", "d1"), deadline)
        now_s = int(client.get(keys.clock(partition)) or 0)
        spelled = {
            keys.account(partition, account_id),
            keys.orders(partition, account_id),
            keys.due(partition, account_id),
            keys.ledger(partition, account_id),
            keys.names(partition),
            keys.sweep_seconds(partition),
            keys.sweep_list(partition, reserved.reservation.expire_time_s),
            keys.retention_steps(partition),
            keys.retention_list(partition, now_s // RETENTION_STEP_S),
            keys.journal(partition),
            keys.clock(partition),
        }
        assert all(client.exists(key) for key in spelled)
        made = {key.decode() for key in set(client.keys(f"{keys.prefix(partition)}:*")) - before}
        assert made <= spelled


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
    header = "\n".join(line for line in source.splitlines() if line.startswith("--"))
    taken = set(re.findall(r"struct\.unpack\(LAYOUT\.(\w+), blob\)", source))
    assert taken == set(re.findall(r"Takes LAYOUT\.(\w+)", header))
    answers = {
        "ORDER_ANSWER": "order_answer(" in source or "record_answer(" in source,
        "ACCOUNT_ANSWER": any(f"{name}(" in source for name in ("account_answer", "account_changed", "record_entry")),
    }
    assert {name for name, used in answers.items() if used} == set(re.findall(r"(ORDER_ANSWER|ACCOUNT_ANSWER)", header))
    errors = set(re.findall(r"ERROR\.(\w+)", source))
    for file, shared in (("ledger.lua", "record_entry"), ("decide.lua", "unjudgeable")):
        if f"{shared}(" in source:
            errors |= set(re.findall(r"ERROR\.(\w+)", LUA[file]))
    assert errors, code
    for error in errors:
        assert error in header, f"{code.name}: {error} is not in the header"


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


def test_the_prelude_holds_every_layout_and_number() -> None:
    prelude = render_prelude()
    for layout in layouts.LAYOUTS:
        assert f"{layout.name} = '{layout.lua_format}'" in prelude
    for code in OperationCode:
        assert f"{code.name} = {code.value}" in prelude


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
