"""A service with workers in processes of its own, as people run it, with what it logs and shows."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

from tests.killable import has_ended
from tests.patience import PATIENCE_S, PATIENT_SETTINGS
from tests.waiting import wait_until

WORKERS: Final = 2
_PREFIX: Final = "CREDITGATE_"


class ServedWorkers:
    """`creditgate serve --workers 2`. Settings are keywords: `redis_url=` is CREDITGATE_REDIS_URL.

    Attributes:
        address: where it serves.

    """

    def __init__(self, directory: Path, **settings: str) -> None:
        self.log = directory / "service.log"
        self.address = ""
        self._metrics_address = ""
        self._process: subprocess.Popen[bytes] | None = None
        fixed = {"listen": "127.0.0.1:0", "metrics_listen": "127.0.0.1:0", "log_format": "json", "stop_wait": "0"}
        given = fixed | {"data_dir": str(directory / "data")} | PATIENT_SETTINGS | settings
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_PREFIX)}
        self._environment = inherited | {_PREFIX + name.upper(): value for name, value in given.items()}

    def start(self, *, wait: bool = True) -> None:
        """Start the service; wait until all workers answer calls."""
        program = str(Path(sys.executable).with_name("creditgate"))
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [program, "serve", "--workers", str(WORKERS)],
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if not wait:
            return
        self.wait_for("serving")
        (serving,) = self.logged("serving")
        self.address, self._metrics_address = serving["address"], serving["metrics_address"]
        self.wait_ready()

    # --- what it says

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of the log that tell an event."""
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
        return [entry for entry in map(json.loads, lines) if entry["event"] == event]

    def wait_for(self, event: str, times: int = 1) -> None:
        """Wait until the log tells an event so many times."""
        wait_until(lambda: len(self.logged(event)) >= times or self.exit_code is not None, self.log.read_text)
        assert len(self.logged(event)) >= times, self.log.read_text()

    def page(self, path: str) -> tuple[int, str]:
        """Return the status and the text of a page for operators."""
        try:
            with urllib.request.urlopen(f"http://{self._metrics_address}{path}", timeout=PATIENCE_S) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def wait_ready(self) -> None:
        """Wait until all workers answer calls."""
        all_ready = (200, f"{WORKERS} of {WORKERS} workers answer calls\n")
        wait_until(lambda: self.page("/readyz") == all_ready, self.log.read_text)

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's values that carry some labels."""
        found = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", self.page("/metrics")[1], re.MULTILINE)
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(float(value) for told, value in found if all(each in told for each in wanted))

    # --- its processes

    @property
    def pid(self) -> int:
        """The parent."""
        assert self._process is not None
        return self._process.pid

    @property
    def worker_pids(self) -> dict[int, int]:
        """The latest process of each worker, by its number."""
        return {entry["worker"]: entry["pid"] for entry in self.logged("started a worker")}

    @property
    def exit_code(self) -> int | None:
        """The parent's, None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def wait_exit(self) -> int:
        """Wait for the end of the parent and return its exit code."""
        assert self._process is not None
        return self._process.wait(PATIENCE_S)

    def send(self, what: signal.Signals) -> None:
        """Send the parent a signal."""
        assert self._process is not None
        self._process.send_signal(what)

    def stop(self) -> int:
        """Stop the service and return its exit code."""
        self.send(signal.SIGTERM)
        return self.wait_exit()

    def close(self) -> None:
        """End what is left."""
        if self._process is None or self._process.poll() is not None:
            return
        pids = self.worker_pids.values()
        self.send(signal.SIGTERM)
        try:
            self.wait_exit()
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(PATIENCE_S)
            for pid in pids:
                if not has_ended(pid):
                    os.kill(pid, signal.SIGKILL)
            raise
