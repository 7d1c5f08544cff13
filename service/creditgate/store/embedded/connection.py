"""Talking to one redis-server over its socket: is it there, end, has it gone. Every call is bounded."""

import asyncio
import contextlib
from pathlib import Path
from typing import NamedTuple

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError


class ServerAnswer(NamedTuple):
    """What a server says about itself."""

    pid: int
    directory: Path
    """Where it writes its data."""
    is_loading: bool
    loaded_percent: float
    """How much of the data is read; 100 when it is not loading."""


async def ask(socket: Path, *, timeout_s: float) -> ServerAnswer | None:
    """Return what the server behind the socket answers; None when there is none, or no answer in time."""
    client = _client(socket)
    try:
        async with asyncio.timeout(timeout_s), client.pipeline(transaction=False) as questions:
            questions.info("server", "persistence")
            questions.config_get("dir")
            said, settings = await questions.execute()
    except (RedisError, TimeoutError):
        return None
    finally:
        await client.aclose()
    return ServerAnswer(
        pid=int(said["process_id"]),
        directory=Path(settings["dir"]),
        is_loading=bool(said["loading"]),
        loaded_percent=float(said.get("loading_loaded_perc", 100)),
    )


async def ask_to_end(socket: Path, *, timeout_s: float) -> None:
    """Ask the server to end without a snapshot, the append-only file has everything; its end is not awaited."""
    client = _client(socket)
    try:
        with contextlib.suppress(RedisError, TimeoutError):  # the caller watches the process, whatever is answered
            async with asyncio.timeout(timeout_s):
                await client.shutdown(nosave=True)
    finally:
        await client.aclose()


async def connection_lost(socket: Path) -> None:
    """Return when a connection to the server ends, as it does with the server, or cannot be made."""
    try:
        reader, writer = await asyncio.open_unix_connection(socket)
    except OSError:
        return
    try:
        with contextlib.suppress(ConnectionError):
            await reader.read()  # nothing was asked, so nothing comes but the end
    finally:
        writer.close()


def _client(socket: Path) -> Redis:
    """Return a client without a handshake: a server that is loading answers seldom, each round trip counts."""
    return Redis(
        unix_socket_path=str(socket),
        socket_timeout=None,
        socket_connect_timeout=None,
        protocol=2,
        driver_info=None,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        encoding_errors="surrogateescape",
    )
