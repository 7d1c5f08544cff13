"""How many bytes of Redis an account, a hold, an ended order and a journaled decision take.

Bytes are differences of what the whole server has in use, so that keys, tables and the allocator's rounding are in
them. The journal, which is bounded, is measured and then removed at each step, so that it is in none of the others.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from redis import Redis as RedisClient

from benchmarks.orders import AMOUNT_MINOR, CURRENCY_CODE, LIMIT_MINOR, account_id, order_id
from benchmarks.rows import Row, Target
from benchmarks.sampling import FailedRunError
from benchmarks.sizes import Size
from benchmarks.stores import deadline_soon, opened_store, plain_account, started_redis
from creditgate.domain.account import Block
from creditgate.domain.bounds import HOLD_DEFAULT_S
from creditgate.domain.errors import CreditError
from creditgate.domain.operations import (
    BlockSetting,
    CommitReservation,
    LimitSetting,
    Operation,
    PutAccount,
    ReleaseReservation,
    ReserveCredit,
)
from creditgate.store import RedisCreditStore, keys

_GROUP: Final = "memory"
_UNIT: Final = "bytes"
_BATCH: Final = 100

R = TypeVar("R")


class _Step(NamedTuple):
    """What a step has added to Redis, the journal apart."""

    bytes_used: int
    journal_bytes: int


class Scale:
    """Weighs what Redis holds, step by step."""

    def __init__(self, client: RedisClient, partitions: int) -> None:
        self._client = client
        self._journals = [keys.journal(partition) for partition in range(partitions)]
        self._used = self._read()

    def weigh(self) -> _Step:
        """Return what has come since the last time, and remove the journal."""
        with_journal = self._read()
        self._client.delete(*self._journals)
        used, before = self._read(), self._used
        self._used = used
        return _Step(used - before, with_journal - used)

    def growth(self) -> int:
        """Return what has come since the last time, with the journal, which stays."""
        return self._read() - self._used

    def _read(self) -> int:
        memory = self._client.info("memory")
        return int(memory["used_memory"]) - int(memory["mem_clients_normal"])


async def measure_memory(size: Size, data_dir: Path) -> list[Row]:
    """Return the rows of the memory that things take. Raises FailedRunError."""
    accounts, per_account = range(size.memory_accounts), size.memory_orders
    count, orders = len(accounts), len(accounts) * per_account
    async with started_redis(data_dir, "memory") as redis, opened_store(redis.url) as store:
        with RedisClient.from_url(redis.url) as client:
            scale = Scale(client, store.partitions)
            await _carry_out(store, [plain_account(number) for number in accounts])
            plain = scale.weigh()
            await _carry_out(store, _reserve_each(accounts, range(1)))
            first_holds = scale.weigh()
            await _carry_out(store, _reserve_each(accounts, range(1, per_account)))
            further_holds = scale.weigh()
            await _carry_out(store, _release_each(accounts, range(per_account)))
            released = scale.weigh()
            await _carry_out(store, _reserve_each(accounts, range(per_account, 2 * per_account)))
            held_again = scale.weigh()
            await _carry_out(store, _commit_each(accounts, range(per_account, 2 * per_account)))
            committed = scale.weigh()
            await _carry_out(store, [_furnished_account(count + number) for number in accounts])
            furnished = scale.weigh()
    holds_bytes = first_holds.bytes_used + further_holds.bytes_used
    return [
        memory_row("account, plain", plain.bytes_used / count, 350),
        memory_row("account, with every setting there is", furnished.bytes_used / count, 650),
        memory_row("open hold, the only one of its account", first_holds.bytes_used / count),
        memory_row(f"open hold, one of {per_account} of its account", holds_bytes / orders, 300),
        memory_row("ended order, released", (holds_bytes + released.bytes_used) / orders, 150),
        memory_row(
            "ended order, committed with its document",
            (held_again.bytes_used + committed.bytes_used) / orders,
            150,
        ),
        memory_row(f"journal, one decision in calls of {_BATCH}", further_holds.journal_bytes / (orders - count)),
    ]


def memory_row(name: str, figure: float, at_most: float | None = None) -> Row:
    """Return a row of this group: so many bytes for one, and how many it may be."""
    targets = () if at_most is None else (Target("figure", "at most", at_most),)
    return Row(group=_GROUP, name=name, unit=_UNIT, figure=figure, samples=(figure,), targets=targets)


async def _carry_out(store: RedisCreditStore, operations: Sequence[Operation[R]]) -> None:
    for start in range(0, len(operations), _BATCH):
        for answer in await store.run_each(operations[start : start + _BATCH], deadline_soon()):
            if isinstance(answer, CreditError):
                raise FailedRunError(f"an operation was refused: {answer.message}")


def _reserve_each(accounts: range, numbers: range) -> list[ReserveCredit]:
    return [
        ReserveCredit(account_id(account), order_id(1, number), AMOUNT_MINOR, CURRENCY_CODE, HOLD_DEFAULT_S)
        for number in numbers
        for account in accounts
    ]


def _release_each(accounts: range, numbers: range) -> list[ReleaseReservation]:
    return [ReleaseReservation(account_id(account), order_id(1, number)) for number in numbers for account in accounts]


def _commit_each(accounts: range, numbers: range) -> list[CommitReservation]:
    return [
        CommitReservation(
            account_id(account), order_id(1, number), AMOUNT_MINOR, CURRENCY_CODE, f"invoice-{number:08d}", final=True
        )
        for number in numbers
        for account in accounts
    ]


def _furnished_account(number: int) -> PutAccount:
    """Return the settings of an account with every text that there is, at a usual length."""
    return PutAccount(
        account_id(number),
        CURRENCY_CODE,
        display_name=f"Consolidated Machine Tools No. {number:08d} Inc.",
        risk_class="standard",
        base_limit=LimitSetting(LIMIT_MINOR),
        block=BlockSetting(Block("Three invoices unpaid, collections informed", "credit-desk")),
    )
