"""Measures creditgate on servers of its own, prints one table, and writes it as JSON to benchmarks/results/."""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.bench import (
    Bench,
    load_process,
    measure_account_counts,
    measure_batches,
    measure_durability,
    measure_hot_account,
    measure_optimistic,
    measure_postgres,
    measure_redis_cpu,
    measure_unary,
)
from benchmarks.feed import measure_limit_feed
from benchmarks.feed_memory import measure_limit_batch_memory
from benchmarks.machine import UnsupportedSystemError, describe_machine, loop_ns, require_linux
from benchmarks.memory import measure_memory
from benchmarks.policy import measure_policy
from benchmarks.postgres import PostgresError
from benchmarks.processes import ServerStartError
from benchmarks.report import Result, render_table, write_json
from benchmarks.rows import Row
from benchmarks.sampling import FailedRunError
from benchmarks.sizes import SIZES
from creditgate.store.embedded import EmbeddedRedisError, find_redis_server

_RESULTS: Final = Path(__file__).parent / "results"
_FAILURES: Final = (
    EmbeddedRedisError,
    FailedRunError,
    PostgresError,
    ServerStartError,
    UnsupportedSystemError,
)


def main() -> int:
    """Return the exit code: 0 when everything was measured, whatever the figures; 1 when something failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full", help="how much is measured (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=_RESULTS, help="folder of the JSON file")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        require_linux()
        result = asyncio.run(_measure(options.size))
    except _FAILURES as error:
        print(f"The benchmark failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    written = write_json(result, options.results)
    Console(width=None if sys.stdout.isatty() else 200).print(render_table(result))
    print(f"Written to {written}")
    return 0


async def _measure(size_name: str) -> Result:
    started = time.monotonic()
    size = SIZES[size_name]
    with tempfile.TemporaryDirectory(prefix="creditgate-bench-") as directory, load_process() as load:
        machine = describe_machine(find_redis_server(), Path(directory))
        bench = Bench(size, Path(directory), load)
        rows: list[Row] = []
        speeds_ns: list[float] = []

        async def take(group: Callable[[], Awaitable[list[Row]]]) -> None:
            speeds_ns.append(loop_ns())
            rows.extend(await group())
            print(f"{len(rows)} rows after {time.monotonic() - started:.0f} s", file=sys.stderr)

        async with AsyncExitStack() as stack:
            gate = await bench.start_gate(stack, "memory", size.accounts)
            for measure in (measure_unary, measure_batches, measure_redis_cpu, measure_hot_account):
                await take(partial(measure, bench, gate))
        for measure_alone in (
            measure_policy,
            measure_account_counts,
            measure_durability,
            measure_optimistic,
            measure_postgres,
        ):
            await take(partial(measure_alone, bench))
        await take(partial(measure_limit_feed, bench))
        await take(partial(measure_memory, size, bench.new_data_dir()))
        await take(partial(measure_limit_batch_memory, bench))
    return Result(size_name, time.monotonic() - started, machine, tuple(speeds_ns), tuple(rows))


if __name__ == "__main__":
    sys.exit(main())
