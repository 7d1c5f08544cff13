"""The same decision as a function of PostgreSQL, driven by its own pgbench, in a cluster made for the run.

It inserts the order, which makes it repeatable, and updates the account where there is room. It knows no expiry, no
decision to replay and no journal.
"""

import asyncio
import os
import pwd
import re
import shutil
import tempfile
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.orders import AMOUNT_MINOR, LIMIT_MINOR
from benchmarks.sampling import FailedRunError, Sample

_DEBIAN: Final = Path("/usr/lib/postgresql")
_PROGRAMS: Final = ("initdb", "pg_ctl", "pgbench", "psql")
_PROGRAM_TIMEOUT_S: Final = 120.0
_UNPRIVILEGED: Final = ("postgres", "nobody")
_RATE: Final = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)
_FAILED: Final = re.compile(r"^number of failed transactions: (\d+)", re.MULTILINE)

_SCHEMA: Final = """
CREATE TABLE account (
    account_id text PRIMARY KEY, limit_minor bigint NOT NULL, reserved_minor bigint NOT NULL DEFAULT 0
);
CREATE TABLE hold (
    account_id text, order_id text, amount_minor bigint NOT NULL, expire_time timestamptz NOT NULL,
    PRIMARY KEY (account_id, order_id)
);
CREATE FUNCTION reserve(buyer text, order_number text, total bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO hold VALUES (buyer, order_number, total, now() + interval '30 days') ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN 'REPLAYED';
    END IF;
    UPDATE account SET reserved_minor = reserved_minor + total
        WHERE account_id = buyer AND reserved_minor + total <= limit_minor;
    IF NOT FOUND THEN
        DELETE FROM hold WHERE account_id = buyer AND order_id = order_number;
        RETURN 'REJECTED';
    END IF;
    RETURN 'APPROVED';
END $$;
INSERT INTO account SELECT 'customer-' || lpad(number::text, 8, '0'), :limit
    FROM generate_series(0, :accounts - 1) AS number;
VACUUM ANALYZE account;
"""
_SCRIPT: Final = """
\\set account random(0, :accounts - 1)
\\set order random(1, 1000000000000000)
SELECT reserve('customer-' || lpad(:account::text, 8, '0'), 'order-' || :order, CAST(:amount AS bigint));
"""


class PostgresError(Exception):
    """A program of PostgreSQL failed; the text has what it said."""


class Postgres(NamedTuple):
    """A running cluster with the accounts in it."""

    binaries: Path
    directory: Path
    user: str | None
    accounts: int

    async def place(self, count: int, in_flight: int) -> Sample:
        """Place about `count` orders over so many connections; single calls are not timed. Raises FailedRunError."""
        each = max(1, count // in_flight)
        said = await _run(
            self,
            "pgbench",
            *("-h", str(self.directory), "-U", "postgres", "-n", "-M", "prepared"),
            *("-c", str(in_flight), "-j", "1", "-t", str(each)),
            *("-D", f"accounts={self.accounts}", "-D", f"amount={AMOUNT_MINOR}"),
            *("-f", "reserve.sql", "postgres"),
        )
        rate, failed = _RATE.search(said), _FAILED.search(said)
        if rate is None or (failed is not None and int(failed[1])):
            raise FailedRunError(f"pgbench did not place the orders: {said}")
        placed = each * in_flight
        return Sample(placed, placed / float(rate[1]), None, None, 0.0, 0.0, 0.0, 0.0)


def find_postgres() -> Path | None:
    """Return the folder with PostgreSQL's programs, the newest that Debian's packages have installed, else of PATH."""
    versions = sorted((path for path in _DEBIAN.glob("*/bin")), key=lambda path: float(path.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    candidates = [*versions, *([Path(on_path).resolve().parent] if on_path else [])]
    return next((path for path in candidates if all((path / name).exists() for name in _PROGRAMS)), None)


@asynccontextmanager
async def started_postgres(binaries: Path, accounts: int) -> AsyncIterator[Postgres]:
    """Make a cluster with the accounts in it and run it until the context ends; its settings are the defaults.

    Raises:
        PostgresError: a program failed.

    """
    directory = Path(tempfile.mkdtemp(prefix="creditgate-bench-"))
    postgres = Postgres(binaries, directory, _unprivileged_user(), accounts)
    try:
        if postgres.user is not None:
            shutil.chown(directory, postgres.user)
        cluster = directory / "cluster"
        await _run(postgres, "initdb", "-D", str(cluster), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale")
        async with _serving(postgres, cluster):
            (directory / "schema.sql").write_text(_SCHEMA, encoding="utf-8")
            (directory / "reserve.sql").write_text(_SCRIPT, encoding="utf-8")
            await _run(
                postgres,
                "psql",
                *("-X", "-q", "-h", str(directory), "-U", "postgres", "-d", "postgres", "-v", "ON_ERROR_STOP=1"),
                *("-v", f"accounts={accounts}", "-v", f"limit={LIMIT_MINOR}", "-f", "schema.sql"),
            )
            yield postgres
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _unprivileged_user() -> str | None:
    """Return whom to run PostgreSQL as, which refuses to run as root; None: as oneself."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name for user in pwd.getpwall()}
    return next(name for name in _UNPRIVILEGED if name in known)


@asynccontextmanager
async def _serving(postgres: Postgres, cluster: Path) -> AsyncIterator[None]:
    control = ("-D", str(cluster), "-s", "-w")
    listening = f"-k {postgres.directory} -c listen_addresses="
    await _run(postgres, "pg_ctl", "start", *control, "-l", str(postgres.directory / "server.log"), "-o", listening)
    try:
        yield
    finally:
        await _run(postgres, "pg_ctl", "stop", *control, "-m", "fast")


async def _run(postgres: Postgres, program: str, *arguments: str) -> str:
    """Run one of PostgreSQL's programs and return what it printed. Raises PostgresError.

    What it prints goes through a file: a server that it starts keeps its output open.
    """
    printed = postgres.directory / "printed.log"
    with printed.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            postgres.binaries / program,
            *arguments,
            user=postgres.user,
            cwd=postgres.directory,
            stdin=DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        async with asyncio.timeout(_PROGRAM_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise PostgresError(f"{program} did not end within {_PROGRAM_TIMEOUT_S:g} s") from None
    said = printed.read_text(encoding="utf-8", errors="replace")
    if process.returncode:
        raise PostgresError(f"{program} failed: {said}")
    return said
