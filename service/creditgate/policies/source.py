"""Where the policy comes from: the default, or a file that is read again when it changes."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import structlog

from creditgate.domain.policy import DEFAULT_POLICY, Policy
from creditgate.policies.document import PolicyDocument, PolicyError, parse_policy, render_policy

_LOOK_INTERVAL_S: Final = 1.0
"""How often the file is looked at: a change decides within seconds."""

_FILE_SIZE_MAX_BYTES: Final = 1024 * 1024

_log = structlog.get_logger(__name__)


class OnRead(Protocol):
    """Is told of each version of a policy file that was read."""

    def __call__(self, *, usable: bool) -> None:
        """Learn whether a version could be used."""


def _tell_nobody(*, usable: bool) -> None:
    """A policy for a test, or for a command."""


class FixedPolicy:
    """A policy that does not change: the default one, or any one for a test."""

    problem = ""

    def __init__(self, *, shadow: bool = False) -> None:
        document = PolicyDocument()
        self.policy = document.compiled(shadow=True) if shadow else DEFAULT_POLICY
        self.document = render_policy(document)

    def start(self, use: Callable[[Policy], None]) -> None:
        """Tell the policy once."""
        use(self.policy)

    async def stop(self) -> None:
        """Nothing goes on."""


class PolicyFile:
    """A policy file. What can't be used is told, and the last good one goes on deciding.

    Attributes:
        policy: what decides now.
        document: the same as YAML, with every default written out.
        problem: why the file as it is now is not used; empty when it is.

    """

    def __init__(self, path: Path, *, shadow: bool, on_read: OnRead = _tell_nobody) -> None:
        """Read the file; raise `PolicyError` if it can't be used. `on_read` is told whether each version could be."""
        self._path = path
        self._shadow = shadow
        self._on_read = on_read
        self._use: Callable[[Policy], None] = lambda _: None
        self._watching: asyncio.Task[None] | None = None
        self._tried: str | None = None
        self.problem = ""
        self._tried = self._read()
        self._take(parse_policy(self._tried))

    def start(self, use: Callable[[Policy], None]) -> None:
        """Tell the policy, and each later one until stopped."""
        self._use = use
        use(self.policy)
        self._on_read(usable=True)
        self._watching = asyncio.create_task(self._watch(), name="creditgate-policy")

    async def stop(self) -> None:
        """Look at the file no more."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_INTERVAL_S)
            await self._look()

    async def _look(self) -> None:
        try:
            text = await asyncio.to_thread(self._read)
            if text == self._tried:
                return
            self._tried = text
            self._take(parse_policy(text))
        except PolicyError as error:
            self._complain(str(error))
            return
        self.problem = ""
        self._use(self.policy)
        self._on_read(usable=True)
        _log.info("the policy has changed", file=str(self._path), policy_version=self.policy.version)

    def _complain(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._on_read(usable=False)
            _log.error(
                "the policy file can't be used; the last good policy goes on deciding",
                file=str(self._path),
                problem=problem,
                policy_version=self.policy.version,
            )

    def _read(self) -> str:
        try:
            if self._path.stat().st_size > _FILE_SIZE_MAX_BYTES:
                raise PolicyError([f"line 1: the file must be at most {_FILE_SIZE_MAX_BYTES} bytes"])
            return self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self._tried = None
            raise PolicyError([f"line 1: the file can't be read: {error}"]) from None

    def _take(self, document: PolicyDocument) -> None:
        self.policy: Policy = document.compiled(shadow=self._shadow)
        self.document: str = render_policy(document)
