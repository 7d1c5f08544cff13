"""What is measured: each function returns the rows of one group."""

import asyncio
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final, TypeVar

from redis import Redis as RedisClient

from benchmarks.fcall_run import FcallRun, run_fcall
from benchmarks.grpc_run import GrpcRun, run_grpc
from benchmarks.orders import LIMIT_MINOR, Orders, account_id
from benchmarks.postgres import find_postgres, started_postgres
from benchmarks.processes import Server, interrupts_ignored, started_empty_handler, started_gate
from benchmarks.rows import Row, Target, against, row_of
from benchmarks.sampling import Contender, Sample, next_run, take_turns
from benchmarks.sizes import Size
from benchmarks.store_run import WATCH_LIMIT_FIELD, StoreRun, Way, run_store, watch_key
from benchmarks.stores import Durability, Redis, opened_store, put_accounts, started_redis
from creditgate.domain.bounds import CALL_OPERATIONS_MAX

T = TypeVar("T")
Spec = TypeVar("Spec")

_IN_FLIGHT: Final = (1, 16, 64)
_BATCH_SIZES: Final = (10, 100, 500)
BATCH: Final = 100
_BATCHES_IN_FLIGHT: Final = 4
_STORE_IN_FLIGHT: Final = 16
_CALLS: Final = "calls/s"
_DECISIONS: Final = "decisions/s"
_PIPELINE_OPERATIONS: Final = 1000
_US_PER_S: Final = 1_000_000


class Gate:
    """A service with its Redis and accounts."""

    def __init__(self, bench: "Bench", redis: Redis, server: Server, accounts: int) -> None:
        self._bench = bench
        self.redis = redis
        self.server = server
        self.accounts = accounts

    async def reserve(self, run: int, count: int, *, in_flight: int) -> Sample:
        """Place orders by ReserveCredit."""
        return await self._call(Orders(run, count, self.accounts), in_flight, batch_size=0)

    async def reserve_in_batches(self, run: int, count: int, *, batch_size: int = BATCH, hot: bool = False) -> Sample:
        """Place orders by BatchReserveCredit; `hot`: all on one account, another one in each run."""
        batches = max(1, count // batch_size)
        spread = (1, run % self.accounts) if hot else (self.accounts, 0)
        return await self._call(Orders(run, batches * batch_size, *spread), _BATCHES_IN_FLIGHT, batch_size)

    async def reserve_on_each(self) -> None:
        """Place an order on each account: from then on the service knows where it lives, as in the course of a day."""
        await self._call(Orders(next_run(), self.accounts, self.accounts, in_turn=True), _BATCHES_IN_FLIGHT, BATCH)

    async def _call(self, orders: Orders, in_flight: int, batch_size: int) -> Sample:
        server, redis = self.server, self.redis
        run = GrpcRun(
            server.address, orders, in_flight, batch_size, decides=True, server_pid=server.pid, redis_pid=redis.pid
        )
        return await self._bench.in_load_process(run_grpc, run)


class Bench:
    """The servers of one benchmark, and the process that makes the calls."""

    def __init__(self, size: Size, data_dir: Path, load: ProcessPoolExecutor) -> None:
        self.size = size
        self.data_dir = data_dir
        self._load = load
        self._redis_count = 0

    async def in_load_process(self, function: Callable[[Spec], T], spec: Spec) -> T:
        """Return what the function returns in the process that makes the calls."""
        return await asyncio.get_running_loop().run_in_executor(self._load, function, spec)

    def new_data_dir(self) -> Path:
        """Return a folder for a server of its own."""
        self._redis_count += 1
        return self.data_dir / f"redis-{self._redis_count}"

    async def start_gate(self, stack: AsyncExitStack, durability: Durability, accounts: int) -> Gate:
        """Start a Redis with accounts and a service on it, both until the stack is left."""
        redis = await stack.enter_async_context(started_redis(self.new_data_dir(), durability))
        async with opened_store(redis.url) as store:
            await put_accounts(store, accounts)
        server = await stack.enter_async_context(started_gate(redis.url))
        return Gate(self, redis, server, accounts)

    async def take_turns(self, contenders: list[Contender], parts: int = 1) -> dict[str, list[Sample]]:
        """Measure contenders in turns, as many and as long as the size says; each in so many parts.

        A ratio of short turns suffers less from a machine that is faster and slower by turns of its own.
        """
        return await take_turns(contenders, self.size.rounds * parts, self.size.seconds / parts)


@contextmanager
def load_process() -> Iterator[ProcessPoolExecutor]:
    """Provide the process that makes the calls."""
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawning) as load:
        with interrupts_ignored():
            load.submit(int).result()  # starts the process
        yield load


async def measure_unary(bench: Bench, gate: Gate) -> list[Row]:
    """ReserveCredit against handlers that do nothing, at the same number in flight."""
    rows = []
    async with AsyncExitStack() as stack:
        bare = await stack.enter_async_context(started_empty_handler(intercepted=False))
        intercepted = await stack.enter_async_context(started_empty_handler(intercepted=True))
        for in_flight in _IN_FLIGHT:
            names = [
                f"{what}, {in_flight} in flight"
                for what in ("empty handler, grpc.aio alone", "empty handler behind interceptors", "ReserveCredit")
            ]
            samples = await bench.take_turns(
                [
                    Contender(names[0], partial(_call_empty, bench, bare, in_flight)),
                    Contender(names[1], partial(_call_empty, bench, intercepted, in_flight)),
                    Contender(names[2], partial(gate.reserve, in_flight=in_flight)),
                ]
            )
            alone, behind, reserve = (row_of("unary", name, _CALLS, samples[name]) for name in names)
            rows += [alone, against(behind, alone), against(reserve, behind, Target("ratio", "at least", 0.65))]
    return rows


async def _call_empty(bench: Bench, server: Server, in_flight: int, run: int, count: int) -> Sample:
    orders = Orders(run, count, bench.size.accounts)
    spec = GrpcRun(server.address, orders, in_flight, 0, decides=False, server_pid=server.pid, redis_pid=None)
    return await bench.in_load_process(run_grpc, spec)


async def measure_batches(bench: Bench, gate: Gate) -> list[Row]:
    """BatchReserveCredit against the same packed calls of the library's function, sent straight to Redis."""
    rows = []
    for batch_size in _BATCH_SIZES:
        call_size = min(batch_size, CALL_OPERATIONS_MAX)
        fcall, batch = f"FCALL of {call_size}, pipelined", f"BatchReserveCredit of {batch_size}"
        samples = await bench.take_turns(
            [
                Contender(fcall, partial(_call_function, bench, gate, call_size)),
                Contender(batch, partial(gate.reserve_in_batches, batch_size=batch_size)),
            ]
        )
        direct = row_of("batch", fcall, _DECISIONS, samples[fcall])
        targets = (Target("figure", "at least", 50_000), Target("ratio", "at least", 0.7))
        reserve = row_of("batch", batch, _DECISIONS, samples[batch])
        rows += [direct, against(reserve, direct, *(targets if batch_size == BATCH else ()))]
    return rows


async def _call_function(bench: Bench, gate: Gate, call_size: int, run: int, count: int) -> Sample:
    calls = max(1, count // call_size)
    socket_path = gate.redis.url.removeprefix("unix://")
    orders = Orders(run, calls * call_size, gate.accounts)
    spec = FcallRun(socket_path, orders, _BATCHES_IN_FLIGHT, call_size, gate.redis.pid)
    return await bench.in_load_process(run_fcall, spec)


async def measure_redis_cpu(bench: Bench, gate: Gate) -> list[Row]:
    """Redis' own account of the time inside of its functions, by decision, in batches."""
    inside_us: list[float] = []

    async def reserve(run: int, count: int) -> Sample:
        before_us = function_us(gate.redis)
        sample = await gate.reserve_in_batches(run, count)
        inside_us.append((function_us(gate.redis) - before_us) / sample.count)
        return sample

    name = f"Redis, inside the function, batch of {BATCH}"
    (samples,) = (await bench.take_turns([Contender(name, reserve)])).values()
    counted_us = inside_us[-len(samples) :]
    whole_us = [sample.redis_cpu_s / sample.count * _US_PER_S for sample in samples]
    share = median(sample.elsewhere_cpu_s / sample.wall_s for sample in samples)
    return [
        Row(
            group="Redis CPU",
            name=name,
            unit="us/decision",
            figure=median(counted_us),
            samples=tuple(counted_us),
            targets=(Target("figure", "at most", 20),),
            elsewhere_share=share,
            note="by INFO commandstats: wall time",
        ),
        Row(
            group="Redis CPU",
            name=f"Redis, the whole process, batch of {BATCH}",
            unit="us/decision",
            figure=median(whole_us),
            samples=tuple(whole_us),
            elsewhere_share=share,
            note="CPU time, with protocol and sockets",
        ),
    ]


def function_us(redis: Redis) -> float:
    """Return how long all calls of functions that write have taken inside of Redis, in microseconds."""
    with RedisClient.from_url(redis.url) as client:
        return float(client.info("commandstats")["cmdstat_fcall"]["usec"])


async def measure_hot_account(bench: Bench, gate: Gate) -> list[Row]:
    """All orders on one account against orders spread over all."""
    uniform, hot = f"batch of {BATCH}, {gate.accounts:,} accounts", f"batch of {BATCH}, one hot account"
    samples = await bench.take_turns(
        [Contender(uniform, gate.reserve_in_batches), Contender(hot, partial(gate.reserve_in_batches, hot=True))]
    )
    baseline = row_of("hot account", uniform, _DECISIONS, samples[uniform])
    row = row_of("hot account", hot, _DECISIONS, samples[hot])
    return [baseline, against(row, baseline, Target("ratio", "at least", 0.9))]


async def measure_account_counts(bench: Bench) -> list[Row]:
    """Stores with few and with many accounts, each with a Redis and a service of its own."""
    async with AsyncExitStack() as stack:
        gates = {
            f"batch of {BATCH}, a store of {count:,} accounts": await bench.start_gate(stack, "memory", count)
            for count in bench.size.account_counts
        }
        samples = await bench.take_turns([Contender(name, gate.reserve_in_batches) for name, gate in gates.items()])
    baseline, *rows = (row_of("accounts", name, _DECISIONS, samples[name]) for name in gates)
    return [baseline, *(against(row, baseline, Target("ratio", "at least", 0.9)) for row in rows)]


async def measure_durability(bench: Bench) -> list[Row]:
    """Every change on disk before its answer, against memory alone."""
    memory, always = f"batch of {BATCH}, in memory", f"batch of {BATCH}, appendfsync always"
    async with AsyncExitStack() as stack:
        in_memory = await bench.start_gate(stack, "memory", bench.size.accounts)
        on_disk = await bench.start_gate(stack, "always", bench.size.accounts)
        samples = await bench.take_turns(
            [Contender(memory, in_memory.reserve_in_batches), Contender(always, on_disk.reserve_in_batches)]
        )
    baseline = row_of("durability", memory, _DECISIONS, samples[memory])
    row = row_of("durability", always, _DECISIONS, samples[always])
    return [baseline, against(row, baseline, Target("ratio", "at least", 0.6))]


async def measure_optimistic(bench: Bench) -> list[Row]:
    """The store without gRPC against an optimistic transaction, in memory: spread accounts, then one hot account."""
    rows = []
    accounts = bench.size.accounts
    async with started_redis(bench.new_data_dir(), "memory") as redis:
        async with opened_store(redis.url) as store:
            await put_accounts(store, accounts)
        _put_watched_accounts(redis, accounts)
        for where, hot in ((f"{accounts:,} accounts", False), ("one hot account", True)):
            names = [f"{what}, {where}" for what in ("WATCH/MULTI by redis-py", "store without gRPC")]
            ways: tuple[Way, Way] = ("watch", "store")
            samples = await bench.take_turns(
                [
                    Contender(name, partial(_reserve_in_store, bench, redis, way, hot=hot))
                    for name, way in zip(names, ways, strict=True)
                ]
            )
            watch, store_row = (row_of("optimistic", name, _DECISIONS, samples[name]) for name in names)
            rows += [watch, against(store_row, watch)]
    return rows


def _put_watched_accounts(redis: Redis, accounts: int) -> None:
    with RedisClient.from_url(redis.url) as client:
        for start in range(0, accounts, _PIPELINE_OPERATIONS):
            with client.pipeline(transaction=False) as pipe:
                for number in range(start, min(start + _PIPELINE_OPERATIONS, accounts)):
                    pipe.hset(watch_key(account_id(number)), WATCH_LIMIT_FIELD, LIMIT_MINOR)
                pipe.execute()


async def _reserve_in_store(bench: Bench, redis: Redis, way: Way, run: int, count: int, *, hot: bool = False) -> Sample:
    spread = (1, run % bench.size.accounts) if hot else (bench.size.accounts, 0)
    spec = StoreRun(way, redis.url, Orders(run, count, *spread), _STORE_IN_FLIGHT, redis.pid)
    return await bench.in_load_process(run_store, spec)


async def measure_postgres(bench: Bench) -> list[Row]:
    """The store without gRPC against a function of PostgreSQL, both with every change on disk before its answer."""
    theirs, ours = "PostgreSQL function", "store without gRPC, appendfsync always"
    binaries = find_postgres()
    if binaries is None:
        return [Row(group="PostgreSQL", name=theirs, unit=_DECISIONS, note="not installed")]
    accounts = bench.size.accounts
    async with (
        started_postgres(binaries, accounts) as postgres,
        started_redis(bench.new_data_dir(), "always") as redis,
    ):
        async with opened_store(redis.url) as store:
            await put_accounts(store, accounts)
        samples = await bench.take_turns(
            [
                Contender(theirs, lambda _run, count: postgres.place(count, _STORE_IN_FLIGHT)),
                Contender(ours, partial(_reserve_in_store, bench, redis, "store")),
            ]
        )
    baseline = row_of("PostgreSQL", theirs, _DECISIONS, samples[theirs])
    return [baseline, against(row_of("PostgreSQL", ours, _DECISIONS, samples[ours]), baseline)]
