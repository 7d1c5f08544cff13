"""Timed runs of the limit feed, and of redis-cli writing the same fields, made by a process of its own."""

import resource
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.meter import Meter
from benchmarks.orders import CURRENCY_CODE, LIMIT_MINOR, account_id
from benchmarks.sampling import FailedRunError, Sample
from creditgate.client import CreditCallError, CreditClient, PushedRow, limit_batch_header, limit_update
from creditgate.v1.limit_batch_pb2 import (
    LIMIT_BATCH_MODE_APPLY,
    LIMIT_BATCH_MODE_STAGE,
    LIMIT_BATCH_STATE_ACTIVE,
    LIMIT_BATCH_STATE_STAGED,
    LimitBatchState,
)

_SOURCE: Final = "benchmark"
_PUSH_TIMEOUT_S: Final = 60.0
_STRIDE: Final = 7919
"""How far apart the accounts of two rows are where they come in no order: prime, so that each comes once."""


class PushRun(NamedTuple):
    """What to push.

    Attributes:
        address: of the service.
        run: makes the batch and its version unlike those of every other run.
        updates: how many rows, each for another account.
        apply: put the limits in force; False: stage them.
        in_order: send the rows in the order of their accounts; False: in none.
        server_pid: whose CPU time is the service's.
        redis_pid: whose CPU time is that of Redis.

    """

    address: tuple[str, int]
    run: int
    updates: int
    apply: bool
    in_order: bool
    server_pid: int
    redis_pid: int

    @property
    def batch_id(self) -> str:
        """The batch's id."""
        return f"benchmark-{self.run}"


class PipeRun(NamedTuple):
    """What to write with redis-cli: the fields of so many updates, into the Redis at a socket.

    With `in_order`, in the order of their accounts; without, in none, as `PushRun` does.
    """

    program: Path
    socket_path: str
    run: int
    updates: int
    in_order: bool
    file: Path
    redis_pid: int


def run_push(push: PushRun) -> Sample:
    """Push a batch, from its first row until its limits are in force (or staged), and return what that took.

    Raises:
        FailedRunError: the batch did not end up so, or a row was not taken.

    """
    state = LIMIT_BATCH_STATE_ACTIVE if push.apply else LIMIT_BATCH_STATE_STAGED
    header = limit_batch_header(
        push.batch_id,
        source=_SOURCE,
        model_version="1",
        as_of=datetime.now(UTC),
        mode=LIMIT_BATCH_MODE_APPLY if push.apply else LIMIT_BATCH_MODE_STAGE,
    )
    target = f"{push.address[0]}:{push.address[1]}"
    with CreditClient(target, timeout_s=_PUSH_TIMEOUT_S) as client, Meter(push.server_pid, push.redis_pid) as meter:
        try:
            batch = client.push_limits(_rows(push), header)
        except CreditCallError as error:
            raise FailedRunError(f"a batch of {push.updates} limits broke off: {error}") from error
    applied = push.updates if push.apply else 0
    if (batch.state, batch.applied_rows, batch.rejected_rows) != (state, applied, 0):
        rails = "; ".join(report.message for report in batch.guard_rails)
        ended = f"{LimitBatchState.Name(batch.state)} with {batch.applied_rows} rows in force"
        raise FailedRunError(f"a batch of {push.updates} limits ended as {ended}: {rails}")
    return _sample(push.updates, meter)


def _rows(push: PushRun) -> Iterator[PushedRow]:
    for account in _accounts(push.updates, in_order=push.in_order):
        yield limit_update(account, limit_minor=LIMIT_MINOR + push.run, currency_code=CURRENCY_CODE, version=push.run)


def _accounts(count: int, *, in_order: bool) -> Iterator[str]:
    return map(account_id, range(count) if in_order else (number * _STRIDE % count for number in range(count)))


def run_pipe(pipe: PipeRun) -> Sample:
    """Write the fields of a batch with `redis-cli --pipe`, from a file that is there before the clock starts.

    Raises:
        FailedRunError: redis-cli failed, or not every command was answered.

    """
    with pipe.file.open("wb") as commands:
        commands.writelines(_command(name, pipe.run) for name in _accounts(pipe.updates, in_order=pipe.in_order))
    before_s = _children_cpu_s()
    with pipe.file.open("rb") as commands, Meter(None, pipe.redis_pid) as meter:
        ended = subprocess.run(  # noqa: S603 - a program of this machine
            [pipe.program, "-s", pipe.socket_path, "--pipe"],
            stdin=commands,
            capture_output=True,
            text=True,
            check=False,
        )
    pipe.file.unlink()
    if ended.returncode or f"errors: 0, replies: {pipe.updates}" not in ended.stdout:
        raise FailedRunError(f"redis-cli --pipe failed: {ended.stdout}{ended.stderr}")
    sample, used_s = _sample(pipe.updates, meter), _children_cpu_s() - before_s
    return replace(sample, load_cpu_s=used_s, elsewhere_cpu_s=max(0.0, sample.elsewhere_cpu_s - used_s))


def _command(account: str, run: int) -> bytes:
    words = (
        *("HSET", f"limit:{account}"),
        *("limit_minor", str(LIMIT_MINOR + run), "currency_code", CURRENCY_CODE, "version", str(run)),
    )
    return b"".join((b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)))


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _sample(count: int, meter: Meter) -> Sample:
    return Sample(
        count=count,
        wall_s=meter.wall_s,
        p50_ms=None,
        p99_ms=None,
        load_cpu_s=meter.load_cpu_s,
        server_cpu_s=meter.server_cpu_s,
        redis_cpu_s=meter.redis_cpu_s,
        elsewhere_cpu_s=meter.elsewhere_cpu_s,
    )
