"""Dockerfile, .dockerignore and the image's health check."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROBE = ROOT / "deploy" / "healthcheck.py"
HADOLINT = Path(sys.executable).parent / "hadolint"
INSTRUCTIONS = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")


def run_probe(listen: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", PROBE],
        env={"CREDITGATE_METRICS_LISTEN": listen},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def http_server(status: int, body: bytes) -> Iterator[tuple[int, list[str]]]:
    """Answer every GET in the same way; yields the port and the paths that were asked for."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
            """Keep the tests' output clean."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server.server_address[1], paths
    server.shutdown()
    thread.join()
    server.server_close()


def values_of(instruction: str) -> list[str]:
    """The arguments of each use of an instruction in the Dockerfile."""
    return [" ".join(found.split()) for found in re.findall(rf"^{instruction} (.+)$", INSTRUCTIONS, re.MULTILINE)]


def environment_of_the_image() -> dict[str, str]:
    return dict(word.split("=", 1) for word in values_of("ENV")[-1].split())


def copied_from_the_tree() -> list[str]:
    return [source for line in values_of("COPY") if not line.startswith("--from") for source in line.split()[:-1]]


def needed_by(package: str) -> set[str]:
    """The package and all that its installation requires here."""
    names: set[str] = set()
    waiting = [package]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in names:
            names.add(name)
            needed = [Requirement(line) for line in requires(name) or ()]
            waiting += [each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    return names


@pytest.mark.parametrize("listen_host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 - the probe replaces it by loopback
def test_a_ready_service_is_healthy(listen_host: str) -> None:
    with http_server(200, b"ok\n") as (port, paths):
        probe = run_probe(f"{listen_host}:{port}")
    assert (probe.returncode, probe.stdout, probe.stderr) == (0, "", "")
    assert paths == ["/readyz"]


def test_a_service_that_is_not_ready_is_unhealthy_and_says_why() -> None:
    with http_server(503, b"connecting to Redis\n") as (port, _):
        probe = run_probe(f"127.0.0.1:{port}")
    assert (probe.returncode, probe.stdout) == (1, "/readyz answers 503: connecting to Redis\n")


def test_nothing_listening_is_unhealthy() -> None:
    with http_server(200, b"") as (port, _):
        """Taken and given back, so that nobody listens there."""
    probe = run_probe(f"127.0.0.1:{port}")
    assert probe.returncode == 1
    assert probe.stdout.startswith(f"no answer from 127.0.0.1:{port}: ")
    assert probe.stderr == ""


def test_hadolint_finds_nothing() -> None:
    lint = subprocess.run(
        [HADOLINT, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (lint.returncode, lint.stdout + lint.stderr) == (0, "")


def test_base_images_are_pinned_to_a_patch_version() -> None:
    (image,) = values_of("ARG")
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.\d+\.\d+-slim-[a-z]+", image)
    assert [source.split()[0] for source in values_of("FROM")] == ["${PYTHON_IMAGE}"] * 2


def test_the_service_runs_as_a_numeric_user_and_is_told_to_stop_gently() -> None:
    (user,) = values_of("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    uid = user.partition(":")[0]
    assert f"--uid {uid} " in INSTRUCTIONS
    assert values_of("STOPSIGNAL") == ["SIGTERM"]
    assert (values_of("ENTRYPOINT"), values_of("CMD")) == (['["creditgate"]'], ['["serve"]'])


def test_the_exposed_ports_are_those_the_service_listens_on() -> None:
    environment = environment_of_the_image()
    listens = [environment["CREDITGATE_LISTEN"], environment["CREDITGATE_METRICS_LISTEN"]]
    assert [listen.rpartition(":")[2] for listen in listens] == values_of("EXPOSE")[0].split()


def test_the_build_backend_is_installed_with_all_it_needs() -> None:
    listed = re.search(r"/\^\((?P<names>[a-z|-]*hatchling[a-z|-]*)\)==/", INSTRUCTIONS)
    assert listed
    assert set(listed["names"].split("|")) == needed_by("hatchling")


def test_the_build_context_holds_what_is_copied_and_nothing_else() -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in ignore if line and not line.startswith("#")]
    let_in = [line.removeprefix("!").rstrip("/") for line in rules if line.startswith("!")]
    assert rules[0] == "*"
    assert sorted(let_in) == sorted(source.rstrip("/") for source in copied_from_the_tree())
    assert [source for source in let_in if not (ROOT / source).exists()] == []


def test_the_probe_of_the_image_is_the_one_tested_here() -> None:
    (check,) = values_of("HEALTHCHECK")
    assert check.endswith('CMD ["python", "-I", "/opt/creditgate/healthcheck.py"]')
    assert f"{os.path.relpath(PROBE, ROOT)} /opt/creditgate/healthcheck.py" in values_of("COPY")
