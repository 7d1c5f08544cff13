"""The command `creditgate demo`: a service of its own with sample customers and orders, to look at and to try."""

import asyncio
import os
import shlex
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from creditgate.cli.deferred import bootstrap, settings
from creditgate.cli.failures import CommandFailure, ExitCode
from creditgate.cli.options import ADDRESS_DEFAULT, TIMEOUT_DEFAULT_S, reachable_address
from creditgate.cli.replay import end_play
from creditgate.domain.bounds import HOLD_MAX_S

if TYPE_CHECKING:
    from creditgate.bootstrap import RunningService
    from creditgate.replay.session import Session
    from creditgate.samples import SampleAccount
    from creditgate.settings import Settings

_READY_TIMEOUT_S: Final = 30.0
_DATA_FOLDER: Final = "demo"

_IN_FLIGHT: Final = 4
"""Client and service share one process here: more calls at a time would wait longer and take as long."""


def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="Stop after the summary instead of serving on.")] = False,
) -> ExitCode:
    """Start the service with sample customers and orders, then serve on.

    It is set up as `creditgate serve` is (see `creditgate config`), and keeps
    its data in a folder of its own: started again, it finds everything played
    and serves on from there. Ctrl-C stops it.
    """
    try:
        return _Demo(_demo_settings(), once=once).run()
    except (settings.SettingsError, bootstrap.ServiceStartError) as error:
        next_step = "`creditgate config` lists the settings; each is an environment variable"
        raise CommandFailure("; ".join(str(error).splitlines()), next_step) from None


class _Demo:
    """One run of the demonstration."""

    def __init__(self, configured: "Settings", *, once: bool) -> None:
        self._settings = configured
        self._once = once
        self._exit_code = ExitCode.INTERRUPTED
        self._accounts, self._session = _sample_session()

    def run(self) -> ExitCode:
        """Play and serve until a signal; return 130 when it came before the summary was there."""
        import uvloop  # noqa: PLC0415 - help comes without what it imports

        from creditgate.ops.logs import configure_logs  # noqa: PLC0415 - as above

        configure_logs(self._settings.log_format, self._settings.log_level)
        try:
            uvloop.run(self._serve())
        except (KeyboardInterrupt, asyncio.CancelledError):
            sys.stdout.write("\nStopped.\n")
        return self._exit_code

    async def _serve(self) -> None:
        serving = asyncio.current_task()
        if serving is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
        no_stop_wait = asyncio.Event()
        no_stop_wait.set()
        async with bootstrap.running_service(self._settings, no_stop_wait) as service:
            sys.stdout.write(_where(service, self._settings))
            sys.stdout.flush()
            if not await service.store.wait_ready(_READY_TIMEOUT_S):
                raise bootstrap.ServiceStartError(f"the store is not ready: {service.store.unready_reason}")
            await self._play(reachable_address(str(service.address)))
            if not self._once:
                sys.stdout.write(_what_to_try(service, self._accounts))
                sys.stdout.flush()
                await asyncio.Event().wait()

    async def _play(self, address: str) -> None:
        complete = False
        try:
            await self._session.run(address, "Playing sample orders")
            complete = True
        finally:
            exit_code = end_play(self._session.summary(), as_json=False)
            if complete:
                self._exit_code = exit_code


def _demo_settings() -> "Settings":
    """Return the settings with a data folder of the demo's own, and quiet logs unless a level is asked for.

    What was played is remembered as long as can be, so that a start months later still finds it.
    """
    configured = settings.read_settings()
    changes: dict[str, object] = {"data_dir": configured.data_dir / _DATA_FOLDER}
    if "log_level" not in configured.model_fields_set:
        changes["log_level"] = "error"
    if "idempotency_retention_s" not in configured.model_fields_set:
        changes["idempotency_retention_s"] = HOLD_MAX_S
    return configured.model_copy(update=changes)


def _sample_session() -> "tuple[tuple[SampleAccount, ...], Session]":
    from creditgate.replay.schedule import Event, Play, TimedBatch  # noqa: PLC0415 - help comes without what they import
    from creditgate.replay.session import PlayOptions, Session  # noqa: PLC0415 - as above
    from creditgate.samples import sample_accounts, sample_batches, sample_steps  # noqa: PLC0415 - as above

    accounts = sample_accounts()
    events = tuple(Event(*step) for step in sample_steps(accounts))
    batches = tuple(TimedBatch(*batch) for batch in sample_batches(accounts))
    play = Play(tuple(account.settings for account in accounts), events, batches)
    return accounts, Session(play, None, PlayOptions(TIMEOUT_DEFAULT_S, _IN_FLIGHT, speed=None))


def _where(service: "RunningService", configured: "Settings") -> str:
    """Return where the service is and where its data are."""
    data = "a Redis of yours (CREDITGATE_REDIS_URL)" if configured.redis_url else str(configured.data_dir)
    return (
        "creditgate: a credit check in front of order confirmation, with sample customers\n\n"
        f"  gRPC     {service.address}\n"
        f"  metrics  http://{reachable_address(str(service.metrics_address))}/metrics\n"
        f"  data     {data}\n\n"
    )


def _what_to_try(service: "RunningService", accounts: "tuple[SampleAccount, ...]") -> str:
    """Return first commands for another terminal: orders, an account, what the scorer sent."""
    from creditgate.domain.money import format_money  # noqa: PLC0415 - help comes without what it imports

    blocked, ordinary = accounts[0], accounts[-1]
    program = _program()
    address = reachable_address(str(service.address))
    elsewhere = "" if address == ADDRESS_DEFAULT else f" --address {address}"
    checks = (
        (account.settings.account_id, format_money(account.order_median_minor, account.settings.currency_code))
        for account in (ordinary, blocked)
    )
    lines = [f"check {account_id} {amount.replace(',', '')}" for account_id, amount in checks]
    lines += [f"account show {ordinary.settings.account_id}", "limits batches", "account list"]
    commands = "".join(f"  {program} {line}{elsewhere}\n" for line in lines)
    return f"\nServing until Ctrl-C. In another terminal, try:\n\n{commands}\n"


def _program() -> str:
    """Return how this program is called from here: by its name if it is on the PATH, else by its path."""
    path = Path(sys.argv[0])
    on_path = shutil.which(path.name)
    if on_path is not None and Path(on_path).resolve() == path.resolve():
        return path.name
    return shlex.quote(os.path.relpath(path)) if path.exists() else "creditgate"
