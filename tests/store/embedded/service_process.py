"""A service cut down to its embedded Redis: runs until it is interrupted, then shows that Redis was not."""

import asyncio
import signal
import sys
from pathlib import Path

from redis.asyncio import Redis

from creditgate.store.embedded import EmbeddedRedis


async def main(data_dir: Path) -> None:
    interrupted = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted.set)
    async with EmbeddedRedis(data_dir) as redis, Redis.from_url(redis.url, decode_responses=True) as client:
        await client.set("started_by", str(redis.pid))
        sys.stdout.write(f"{redis.pid}\n")
        sys.stdout.flush()
        await interrupted.wait()
        await client.blpop(["nothing"], timeout=0.5)  # within this time an interrupted Redis would end
        started_by = int(await client.get("started_by") or 0)
        sys.stdout.write(f"started by {started_by}, pid {redis.pid}, restarts {redis.restarts}\n")


asyncio.run(main(Path(sys.argv[1])))
