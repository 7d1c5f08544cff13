"""Where the policy comes from: the default, or a file that is read again when it changes."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import structlog

from creditgate.domain.background import Background
from creditgate.domain.policy import DEFAULT_POLICY, Policy
from creditgate.policies.document import PolicyDocument, PolicyError, PolicyMistake, parse_policy, render_policy

LOOK_INTERVAL_S: Final = 1.0
"""How often the file is looked at: a change that two looks have seen decides within three seconds."""

_FILE_SIZE_MAX_BYTES: Final = 64 * 1024

_log = structlog.get_logger(__name__)


class OnRead(Protocol):
    """Is told of each version of a policy file that was read."""

    def __call__(self, *, usable: bool) -> None:
        """Learn whether a version could be used."""


def _tell_nobody(*, usable: bool) -> None:
    """Whoever only asks for the policy."""


class FixedPolicy:
    """The default policy, which does not change."""

    problem = ""

    def __init__(self, *, shadow: bool = False) -> None:
        document = PolicyDocument()
        self.policy = document.compiled(shadow=True) if shadow else DEFAULT_POLICY
        self.document = render_policy(document)
        self.text = ""

    def start(self, use: Callable[[Policy], None]) -> None:
        """Tell the policy once."""
        use(self.policy)

    async def stop(self) -> None:
        """Nothing goes on."""


class _Seen(NamedTuple):
    """What a look at the file found: its text, or why it can't be read."""

    text: str
    problem: PolicyMistake | None = None


class PolicyFile:
    """A policy file. What can't be used is told, and the last good one goes on deciding.

    Attributes:
        policy: what decides now.
        text: the same as its author wrote it.
        document: the same as YAML, with every default written out.
        problem: why the file as it is now is not used; empty when it is.

    """

    def __init__(
        self,
        path: Path,
        *,
        shadow: bool,
        on_read: OnRead = _tell_nobody,
        last_good: str | None = None,
        look_interval_s: float = LOOK_INTERVAL_S,
    ) -> None:
        """Read the file.

        Args:
            path: the file.
            shadow: whether the whole gate only says what it would do.
            on_read: told whether each version of the file could be used, once started.
            last_good: a policy that decides while the file can't be used.
            look_interval_s: how often to look at the file, once started.

        Raises:
            PolicyError: neither the file nor `last_good` can be used.

        """
        self._path = path
        self._shadow = shadow
        self._on_read = on_read
        self._look_interval_s = look_interval_s
        self._use: Callable[[Policy], None] = lambda _: None
        self._background = Background("look at the policy file", self._watch)
        self._seen = self._tried = self._read()
        self.problem = ""
        try:
            self._take(*self._parse(self._seen))
        except PolicyError as error:
            if last_good is None:
                raise
            self._take(*self._parse(_Seen(last_good)))
            self.problem = str(error)

    def start(self, use: Callable[[Policy], None]) -> None:
        """Tell the policy, and each later one until stopped."""
        self._use = use
        use(self.policy)
        if self.problem:
            self._complain(self.problem)
        else:
            self._on_read(usable=True)
        self._background.start()

    async def stop(self) -> None:
        """Look at the file no more."""
        await self._background.stop()

    async def look(self) -> None:
        """Look at the file once; use what is new in it and was the same at the look before.

        So a file that is just being written does not decide with its first half.
        """
        before, self._seen = self._seen, await asyncio.to_thread(self._read)
        if self._seen != before or self._seen == self._tried:
            return
        self._tried = self._seen
        try:
            self._take(*await asyncio.to_thread(self._parse, self._seen))
        except PolicyError as error:
            self._complain(str(error))
            return
        self.problem = ""
        self._use(self.policy)
        self._on_read(usable=True)
        _log.info("the policy file is used as it is now", file=str(self._path), policy_version=self.policy.version)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._look_interval_s)
            await self.look()

    def _complain(self, problem: str) -> None:
        self.problem = problem
        self._on_read(usable=False)
        _log.error(
            "the policy file can't be used; the last good policy goes on deciding",
            file=str(self._path),
            problem=problem,
            policy_version=self.policy.version,
        )

    def _read(self) -> _Seen:
        try:
            with self._path.open("rb") as file:
                content = file.read(_FILE_SIZE_MAX_BYTES + 1)
        except OSError as error:
            return _Seen("", PolicyMistake(0, "", f"the file can't be read: {error.strerror}"))
        if len(content) > _FILE_SIZE_MAX_BYTES:
            return _Seen("", PolicyMistake(0, "", f"the file must be at most {_FILE_SIZE_MAX_BYTES} bytes"))
        try:
            return _Seen(content.decode())
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            return _Seen("", PolicyMistake(line, "", "the file must be text in UTF-8"))

    def _parse(self, seen: _Seen) -> tuple[Policy, str, str]:
        if seen.problem is not None:
            raise PolicyError([seen.problem])
        document = parse_policy(seen.text)
        return document.compiled(shadow=self._shadow), seen.text, render_policy(document)

    def _take(self, policy: Policy, text: str, document: str) -> None:
        self.policy = policy
        self.text = text
        self.document = document
