"""How a command ends when it can't do what it was asked, and the exit codes of every command."""

import json
import sys
from dataclasses import dataclass
from enum import IntEnum, unique

USAGE_CODE = "USAGE"


@unique
class ExitCode(IntEnum):
    """What a command says to the program that called it."""

    DONE = 0
    REFUSED = 1
    """The gate answered, and the order may not be sold on credit (or not yet); the library is not usable; rows were not
    taken over; a batch of limits is held back; a sum differed."""
    FAILED = 2
    """The command line is wrong, the service can't be reached, or the call failed."""
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    """Whoever read the output stopped reading; as if ended by SIGPIPE."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A field that is wrong, and the bound it breaks; in a file, with its line from 1."""

    field: str
    description: str
    line: int = 0

    def as_json(self) -> dict[str, str | int]:
        """Return it as a document; without a line where there is none."""
        document: dict[str, str | int] = {"line": self.line} if self.line else {}
        return document | {"field": self.field, "description": self.description}


class CommandFailure(Exception):  # noqa: N818 - the end of a command, with what to say about it
    """A fault that was expected: it is told in one sentence, without a traceback.

    Attributes:
        message: what is wrong, for people, without a full stop.
        next_step: what to do next, or empty.
        code: name of the gRPC status code, USAGE for a wrong command line, or empty.
        reason: short name of the `creditgate.v1.ErrorReason`, or empty.
        violations: the fields of the request, or of a file, that are wrong.
        exit_code: what the command ends with.

    """

    def __init__(
        self,
        message: str,
        next_step: str = "",
        *,
        code: str = "",
        reason: str = "",
        violations: tuple[Violation, ...] = (),
        exit_code: ExitCode = ExitCode.FAILED,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.code = code
        self.reason = reason
        self.violations = violations
        self.exit_code = exit_code

    def __str__(self) -> str:
        if self.message.endswith("?"):
            return self.message
        return "; ".join(filter(None, (self.message.rstrip("."), self.next_step)))


def usage_failure(message: str) -> CommandFailure:
    """Return the failure of a command line that can't be understood."""
    return CommandFailure(message, "see the command's --help", code=USAGE_CODE)


def print_failure(failure: CommandFailure, *, as_json: bool) -> None:
    """Write the failure to standard error: one line for people, or one JSON document."""
    if not as_json:
        sys.stderr.write(f"creditgate: {failure}\n")
        return
    document = {
        "code": failure.code,
        "reason": failure.reason,
        "message": str(failure),
        "violations": [each.as_json() for each in failure.violations],
    }
    sys.stderr.write(json.dumps({"error": document}, indent=2) + "\n")
