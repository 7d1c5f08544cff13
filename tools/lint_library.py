"""Run luacheck on the library of Redis Functions as Redis loads it, and report by the file that each line comes from.

The files of store/lua/ share one chunk, so that only the whole shows a wrong name, a name used before its declaration,
or one local too many. Exit code 1 means that luacheck complained, or that a file is not part of the library.
"""

import re
import subprocess
import sys
from pathlib import Path

from creditgate.store.library import render_library, source_parts

ROOT = Path(__file__).resolve().parent.parent
LUA = ROOT / "service" / "creditgate" / "store" / "lua"
LUACHECK = (str(ROOT / "tools" / "luacheck.sh"), "--formatter", "plain", "--codes", "-")
COMPLAINT = re.compile(r"^stdin:(?P<line>\d+):(?P<column>\d+): (?P<message>.*)$", re.MULTILINE)
WARNINGS_ONLY = 1  # luacheck's exit code; above it, luacheck did not understand the source or did not run
TOO_LONG = "(W631)"
LINE_LENGTH_MAX = 120


def main() -> int:
    """Return the exit code: 0 when luacheck has nothing to say."""
    parts = source_parts()
    left_out = sorted({path.name for path in LUA.glob("*.lua")} - {name for name, _ in parts})
    complaints = [f"{LUA.relative_to(ROOT) / name}: not part of the library" for name in left_out]
    complaints += [place for name, source in parts for place in too_long(name, source)]
    checked = subprocess.run(LUACHECK, input=render_library(), stdout=subprocess.PIPE, text=True, check=False)
    found = [match for match in COMPLAINT.finditer(checked.stdout) if TOO_LONG not in match["message"]]
    for match in found:
        name, line = locate(int(match["line"]), parts)
        place = LUA.relative_to(ROOT) / name if name.endswith(".lua") else name
        complaints.append(f"{place}:{line}:{match['column']}: {match['message']}")
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints or checked.returncode > WARNINGS_ONLY else 0


def too_long(name: str, source: str) -> list[str]:
    """Return the places of lines that are too long as they are written: spelled out, constants make them longer."""
    return [
        f"{LUA.relative_to(ROOT) / name}:{number}: longer than {LINE_LENGTH_MAX} columns"
        for number, line in enumerate(source.splitlines(), 1)
        if len(line) > LINE_LENGTH_MAX
    ]


def locate(library_line: int, parts: list[tuple[str, str]]) -> tuple[str, int]:
    """Return the part that a line of the library comes from, and the number of the line there."""
    line = library_line
    for name, source in parts:
        lines = source.count("\n") + 1
        if line <= lines:
            return name, line
        line -= lines
    return "library", library_line


if __name__ == "__main__":
    sys.exit(main())
