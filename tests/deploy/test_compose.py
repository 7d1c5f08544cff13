"""deploy/compose.yaml: valid, complete, and in step with the settings, the image and the other files of deploy/."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from creditgate.ops.listen_address import ListenAddress
from creditgate.settings import Settings, variable_of
from tests.cli.served import CREDITGATE
from tests.deploy.deployed_redis import PASSWORDS
from tests.patience import PATIENCE_S

ROOT: Final = Path(__file__).resolve().parents[2]
DEPLOY: Final = ROOT / "deploy"
COMPOSE: Final = DEPLOY / "compose.yaml"
CHECK_JSONSCHEMA: Final = Path(sys.executable).parent / "check-jsonschema"
SETTINGS: Final = {variable_of(name) for name in Settings.model_fields}

Service = dict[str, Any]


def read(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def default_port(field_name: str) -> int:
    address = Settings.model_fields[field_name].default
    assert isinstance(address, ListenAddress)
    return address.port


def seconds(text: str) -> float:
    number = re.fullmatch(r"(\d+)s", text)
    assert number
    return float(number[1])


@pytest.fixture(scope="module")
def services() -> dict[str, Service]:
    return dict(yaml.safe_load(read("compose.yaml"))["services"])


def test_follows_the_compose_specification() -> None:
    check = subprocess.run(
        [CHECK_JSONSCHEMA, "--builtin-schema", "vendor.compose-spec", COMPOSE],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert check.returncode == 0, check.stdout + check.stderr


def test_the_library_is_loaded_between_redis_and_the_service(services: dict[str, Service]) -> None:
    assert services["library"]["command"] == ["library", "load"]
    assert services["library"]["restart"] == "no"
    assert services["library"]["depends_on"] == {"redis": {"condition": "service_healthy"}}
    assert services["creditgate"]["depends_on"] == {
        "redis": {"condition": "service_healthy"},
        "library": {"condition": "service_completed_successfully"},
    }
    assert services["library"]["image"] == services["creditgate"]["image"]


@pytest.mark.parametrize(("service", "user"), [("creditgate", "creditgate"), ("library", "library")])
def test_each_has_its_own_redis_user(services: dict[str, Service], service: str, user: str) -> None:
    url = services[service]["environment"]["CREDITGATE_REDIS_URL"]
    assert re.fullmatch(rf"redis://{user}:\$\{{REDIS_(SERVICE|LIBRARY)_PASSWORD:\?[^}}]+\}}@redis:6379", url)
    assert f"user {user} on " in read("redis/users.acl.template")


def test_sets_only_what_the_service_knows(services: dict[str, Service]) -> None:
    for service in ("creditgate", "library"):
        assert set(services[service]["environment"]) <= SETTINGS


def test_publishes_the_service_on_loopback_and_redis_nowhere(services: dict[str, Service]) -> None:
    port = default_port("listen")
    assert services["creditgate"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert services["prometheus"]["ports"] == ["127.0.0.1:9090:9090"]
    assert "ports" not in services["redis"]
    assert services["redis"]["networks"] == ["store"]


def test_prometheus_scrapes_the_service_at_its_metrics_port(services: dict[str, Service]) -> None:
    (job,) = yaml.safe_load(read("prometheus/prometheus.yml"))["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"creditgate:{default_port('metrics_listen')}"]}]
    assert set(services["prometheus"]["networks"]) & set(services["creditgate"]["networks"]) == {"metrics"}


def test_the_health_check_asks_where_the_service_listens_by_default() -> None:
    address = Settings.model_fields["metrics_listen"].default
    assert f'ADDRESS_DEFAULT = "{address}"' in read("healthcheck.py")


def test_the_image_listens_at_the_default_ports() -> None:
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for field_name in ("listen", "metrics_listen"):
        assert f"{variable_of(field_name)}=0.0.0.0:{default_port(field_name)}" in image


def test_the_service_has_time_to_drain_before_it_is_killed(services: dict[str, Service]) -> None:
    own_s = Settings.model_fields["stop_wait_s"].default + Settings.model_fields["drain_grace_s"].default
    assert seconds(services["creditgate"]["stop_grace_period"]) > own_s + 5


def test_mounts_what_is_there_and_only_to_read(services: dict[str, Service]) -> None:
    mounts = [mount.split(":") for service in services.values() for mount in service.get("volumes", ())]
    files = [mount for mount in mounts if mount[0].startswith(".")]
    assert sorted(source for source, *_ in files) == ["./policy", "./prometheus", "./redis"]
    for source, _, mode in files:
        assert (DEPLOY / source).is_dir()
        assert mode == "ro"
    volumes = {mount[0] for mount in mounts if not mount[0].startswith(".")}
    assert volumes == set(yaml.safe_load(read("compose.yaml"))["volumes"])


def test_the_policy_is_mounted_and_can_be_used(services: dict[str, Service]) -> None:
    (mount,) = services["creditgate"]["volumes"]
    source, target, _ = mount.split(":")
    path = Path(services["creditgate"]["environment"]["CREDITGATE_POLICY_FILE"])
    assert path.parent == Path(target)
    file = DEPLOY / source / path.name
    check = subprocess.run(
        [CREDITGATE, "policy", "check", file], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert check.returncode == 0, check.stderr
    assert "can be used" in check.stdout


def test_redis_is_started_as_the_tests_start_it(services: dict[str, Service]) -> None:
    redis = services["redis"]
    assert redis["entrypoint"] == ["sh", "/usr/local/etc/redis/start.sh"]
    assert redis["command"] == ["--dir", "/data"]
    assert "./redis:/usr/local/etc/redis:ro" in redis["volumes"]
    assert redis["tmpfs"] == ["/run/redis"]
    assert "${REDIS_ACL_FILE:-/run/redis/users.acl}" in read("redis/start.sh")
    assert set(redis["environment"]) == set(PASSWORDS)


@pytest.mark.parametrize("service", ["creditgate", "library", "redis", "prometheus"])
def test_every_container_is_hardened_and_pinned(services: dict[str, Service], service: str) -> None:
    container = services[service]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert set(container["logging"]["options"]) == {"max-size", "max-file"}
    assert not container["image"].endswith(":latest")


def test_names_every_variable_in_the_example_and_keeps_secrets_out() -> None:
    example = dict(line.split("=", 1) for line in read(".env.example").splitlines() if not line.startswith("#"))
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", read("compose.yaml")))
    assert set(example) == used
    assert set(example.values()) == {""}
    assert "/.env" in read(".gitignore").splitlines()


@pytest.mark.parametrize("page", ["docs/operations.md", "deploy/prometheus/alerts.yml", "deploy/compose.yaml"])
def test_names_settings_that_exist(page: str) -> None:
    named = set(re.findall(r"\bCREDITGATE_[A-Z_]*[A-Z]", (ROOT / page).read_text(encoding="utf-8")))
    assert named
    assert named <= SETTINGS
