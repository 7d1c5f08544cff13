"""The commands `creditgate library ...`: load and check the Redis Functions of a Redis that is not embedded."""

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from creditgate.cli.command_group import CommandGroup
from creditgate.cli.failures import CommandFailure, ExitCode
from creditgate.cli.options import TIMEOUT_DEFAULT_S, JsonOption

if TYPE_CHECKING:
    from creditgate.store.library import LibraryStatus

app = typer.Typer(cls=CommandGroup, help="Load or check the function library of a Redis.")

RedisUrlOption = Annotated[
    str,
    typer.Option("--redis-url", envvar="CREDITGATE_REDIS_URL", help="The Redis, as CREDITGATE_REDIS_URL says it."),
]
RedisTimeoutOption = Annotated[
    float, typer.Option("--timeout", min=0.1, max=600, help="How many seconds to wait for Redis.")
]


@app.command(epilog="Example: creditgate library load --redis-url redis://127.0.0.1:6379")
def load(
    *, redis_url: RedisUrlOption = "", timeout_s: RedisTimeoutOption = TIMEOUT_DEFAULT_S, as_json: JsonOption = False
) -> ExitCode:
    """Load the library, as a deploy does before it starts servers.

    An older or equal library is replaced, a newer one never. An embedded Redis gets it when the service starts.
    """
    return _show(_ask(redis_url, timeout_s, loading=True), as_json=as_json)


@app.command(epilog="Exit code: 0 usable, 1 absent or not usable, 2 error.")
def check(
    *, redis_url: RedisUrlOption = "", timeout_s: RedisTimeoutOption = TIMEOUT_DEFAULT_S, as_json: JsonOption = False
) -> ExitCode:
    """Say whether this version of creditgate can work with the library that is loaded."""
    return _show(_ask(redis_url, timeout_s, loading=False), as_json=as_json)


def _ask(redis_url: str, timeout_s: float, *, loading: bool) -> "LibraryStatus":
    from creditgate.settings import mask_url  # noqa: PLC0415 - Redis and the store take long to import
    from creditgate.store.library import (  # noqa: PLC0415 - as above
        LibraryNewerError,
        RedisUnusableError,
        check_library,
        load_library,
    )

    if not redis_url:
        raise CommandFailure(
            "no Redis is named", "set CREDITGATE_REDIS_URL or --redis-url; an embedded Redis needs neither command"
        )
    asked = load_library if loading else check_library
    try:
        return asyncio.run(asyncio.wait_for(asked(redis_url), timeout_s))
    except TimeoutError:
        message = f"no answer from Redis at {mask_url(redis_url)} within {timeout_s:g} s"
    except RedisUnusableError as error:
        message = f"Redis at {mask_url(redis_url)} can't be used: {error}"
    except ValueError as error:
        message = f"--redis-url: {error}"
    except LibraryNewerError as error:
        message = str(error)
    raise CommandFailure(message)


def _show(status: "LibraryStatus", *, as_json: bool) -> ExitCode:
    if as_json:
        document = {
            "loaded_version": status.loaded_version,
            "needed_version": status.needed_version,
            "usable": status.usable,
            "servers": status.servers,
        }
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        sys.stdout.write(f"{status}\n")
    return ExitCode.DONE if status.usable else ExitCode.REFUSED
