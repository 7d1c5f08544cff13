"""A service in a process of its own, started by `creditgate serve`."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any

from tests.patience import PATIENCE_S, PATIENT_REDIS_S

CREDITGATE = Path(sys.executable).with_name("creditgate")


def environment(**settings: str) -> Mapping[str, str]:
    """Return the environment without the settings of whoever runs the tests, and with those given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CREDITGATE_")}
    return {**inherited, **{f"CREDITGATE_{name}": value for name, value in settings.items()}}


@contextmanager
def running(*words: str | Path, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """Run `creditgate`, with pipes for what it writes; whatever happens in the block, it has ended afterwards."""
    command, variables = [CREDITGATE, *words], environment(**settings)
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()  # first, since it may have a Redis of its own
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE_S)
            process.kill()


class ServedService:
    """Serves on a free port from `start` to `stop`. Settings are keywords without their prefix.

    Attributes:
        address: where it serves.

    """

    def __init__(self, redis_url: str, log: Path, **settings: str) -> None:
        self.address = ""
        self._log = log
        fixed = {
            "REDIS_URL": redis_url,
            "REDIS_TIMEOUT": str(PATIENT_REDIS_S),
            "LISTEN": "127.0.0.1:0",
            "METRICS_LISTEN": "127.0.0.1:0",
            "LOG_FORMAT": "json",
            "STOP_WAIT": "0",
        }
        self._environment = environment(**(fixed | settings))

    def start(self) -> None:
        with self._log.open("w") as output:
            self._process = subprocess.Popen([CREDITGATE, "serve"], env=self._environment, stdout=output, stderr=output)
        self.address = self._wait_for("serving")["address"]
        self._wait_for("calls are answered")

    def stop(self, stop_signal: signal.Signals = signal.SIGTERM) -> int:
        """Return the exit code."""
        self._process.send_signal(stop_signal)
        return self._process.wait(PATIENCE_S)

    def _wait_for(self, event: str) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self._process.poll() is None:
            for line in self._log.read_text().splitlines():
                if line.startswith("{") and line.endswith("}") and (entry := json.loads(line))["event"] == event:
                    return dict(entry)
            Event().wait(0.02)
        self._process.kill()
        raise AssertionError(f"no {event!r} from creditgate serve:\n{self._log.read_text()}")
