"""The service as its own process, as people run it: started, stopped and killed by pid, on a unix socket."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from tests.killable import Killable
from tests.patience import PATIENCE_S, PATIENT_SETTINGS

_POLL_S: Final = 0.02
_PREFIX: Final = "CREDITGATE_"
_NEVER: Final = threading.Event()
_STATUSES: Final = {value: name for name, value in HealthCheckResponse.ServingStatus.items()}
_CHANNEL_OPTIONS: Final = (
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.min_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 50),
    ("grpc.use_local_subchannel_pool", 1),
)


class ServiceProcess(Killable):
    """`creditgate serve`. Settings are keywords: `redis_url=` is CREDITGATE_REDIS_URL."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self.target = f"unix://{directory / 's.sock'}"
        self.log = directory / "service.log"
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith(_PREFIX)}
        fixed = {"listen": self.target, "metrics_listen": "127.0.0.1:0", "log_format": "json", "stop_wait": "0"}
        for name, value in (fixed | {"data_dir": str(directory / "data")} | PATIENT_SETTINGS | settings).items():
            self._environment[_PREFIX + name.upper()] = value
        self._channel = grpc.insecure_channel(self.target, options=_CHANNEL_OPTIONS)
        self._check_health = self._channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )

    def start(self) -> None:
        """Start the service and wait until it serves."""
        program = Path(sys.executable).with_name("creditgate")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(program), "serve"], env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        self.wait_health("SERVING")

    def health(self) -> str:
        """Return what the health service says, or the status code of a call that fails."""
        try:
            answer = self._check_health(HealthCheckRequest(), timeout=1)
        except grpc.RpcError as error:
            return str(error.code().name)
        return _STATUSES[answer.status]

    def rpcs_in_flight(self) -> int:
        """Return how many calls the service is serving, by its metrics."""
        return self.metric("creditgate_rpcs_in_flight{")

    def metric(self, beginning: str) -> int:
        """Return the sum of the metrics whose name and labels begin so."""
        with urllib.request.urlopen(f"http://{self._metrics_address()}/metrics", timeout=PATIENCE_S) as response:
            lines = response.read().decode().splitlines()
        return int(sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(beginning)))

    def wait_health(self, wanted: str) -> None:
        """Wait until the health service says so."""
        give_up = time.monotonic() + PATIENCE_S
        while (seen := self.health()) != wanted:
            assert time.monotonic() < give_up, f"{seen} instead of {wanted}\n{self.log.read_text()}"
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text()
            _NEVER.wait(_POLL_S)

    def terminate(self) -> None:
        """Ask the process to stop."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def wait_exit(self) -> int:
        """Wait for the end of the process and return its exit code."""
        assert self._process is not None
        code = self._process.wait(PATIENCE_S)
        self._process = None
        return code

    def _metrics_address(self) -> str:
        lines = self.log.read_text().splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return str([entry["metrics_address"] for entry in entries if "metrics_address" in entry][-1])

    def close(self) -> None:
        """End what is left of the process, and with it an embedded Redis: a stop in order takes that along."""
        if self._process is not None:
            self.terminate()
            try:
                self.wait_exit()
            except subprocess.TimeoutExpired:
                self.kill()
        self._channel.close()
