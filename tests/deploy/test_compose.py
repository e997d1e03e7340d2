"""docker-compose.yml, loaded as Compose loads it, and held against the code."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.demo.clips import VIEWS
from ingest.camera_file import load_cameras
from runtime.config import Settings
from schemas.analysis import Analysis
from schemas.topics import MAX_FRAME_BYTES, TOPICS
from tests.deploy import demo_cameras
from tests.deploy.conftest import Run, settings
from tests.rules.repository import ROOT

COMPOSE = ROOT / "docker-compose.yml"
OVERRIDES = sorted((ROOT / "deploy" / "compose").glob("*.yml"))
RAW: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
SERVICES: dict[str, dict[str, Any]] = RAW["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("rewatch:")}
PROFILES = sorted({profile for service in SERVICES.values() for profile in service.get("profiles", [])})


def _environment(service: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in service.get("environment", {}).items()}


def _default(value: str) -> str:
    """`${NAME:-default}` without a .env."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def _load(tool: Run, *arguments: str | Path) -> dict[str, Any]:
    profiles = [argument for name in PROFILES for argument in ("-profile", name)]
    done = tool("composecheck", *profiles, *arguments)
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded


@pytest.mark.integration
@pytest.mark.timeout(900)
def test_compose_loads_the_file_without_any_env_file(tool: Run) -> None:
    assert set(_load(tool, COMPOSE)["services"]) == set(SERVICES)


@pytest.mark.integration
@pytest.mark.timeout(900)
@pytest.mark.parametrize("override", OVERRIDES, ids=lambda path: path.stem)
def test_compose_loads_the_overrides(tool: Run, override: Path) -> None:
    assert _load(tool, COMPOSE, override)["services"] != _load(tool, COMPOSE)["services"]


@pytest.mark.integration
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda c: c["services"]["worker"].update(imagee="x"), "imagee"),
        (lambda c: c["services"]["worker"].update(depends_on=["nobody"]), "nobody"),
        (lambda c: c["services"]["worker"].update(volumes=["unknown:/x"]), "unknown"),
        (lambda c: c["services"]["worker"].update(environment={"X": "${MISSING:?say it}"}), "say it"),
    ],
    ids=["key", "service", "volume", "variable"],
)
def test_the_check_itself_finds_mistakes(tool: Run, tmp_path: Path, change: Any, complaint: str) -> None:
    broken = yaml.safe_load(COMPOSE.read_text())
    change(broken)
    (tmp_path / "docker-compose.yml").write_text(yaml.safe_dump(broken))
    done = tool("composecheck", tmp_path / "docker-compose.yml")
    assert done.returncode == 1
    assert complaint in done.stderr


def test_every_image_is_pinned_to_an_exact_version() -> None:
    for name, service in SERVICES.items():
        tag = service["image"].rpartition(":")[2]
        assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?(-[a-z0-9.]+)?", tag), f"{name}: {service['image']}"


def test_our_image_has_the_projects_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {service["image"] for service in OURS.values()} == {f"rewatch:{version}"}


def test_the_broker_is_the_one_that_the_tests_use() -> None:
    pom = (ROOT / "devstack" / "kafka" / "pom.xml").read_text()
    found = re.search(r"<artifactId>kafka_2.13</artifactId>\s*<version>([^<]+)<", pom)
    assert found is not None
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{found[1]}"


def test_every_setting_exists_and_its_value_is_taken(tmp_path: Path) -> None:
    fields = set(Settings.model_fields)
    for name, service in OURS.items():
        values = {key: _default(value) for key, value in _environment(service).items()}
        assert all(key.startswith("REWATCH_") for key in values), name
        given = {key.removeprefix("REWATCH_").lower(): value for key, value in values.items()}
        assert set(given) <= fields, f"{name}: {set(given) - fields}"
        settings(given, tmp_path)


def test_the_images_own_settings_exist() -> None:
    named = set(re.findall(r"\bREWATCH_(\w+)=", (ROOT / "deploy" / "Dockerfile").read_text()))
    assert named
    assert {name.lower() for name in named} <= set(Settings.model_fields)


def test_settings_lead_to_services_that_exist() -> None:
    for name, service in OURS.items():
        for key, value in _environment(service).items():
            address = re.fullmatch(r"(?:\w+://)?([a-z][a-z-]*):(\d+)(?:/\d+)?", _default(value))
            if address:
                assert address[1] in SERVICES, f"{name}: {key}={value}"


def test_both_lanes_have_a_worker() -> None:
    served = {
        _environment(service)["REWATCH_WORKER_TOPIC"]
        for service in OURS.values()
        if service.get("command") == ["worker"]
    }
    assert served == {topic.name for topic in TOPICS if topic.name.startswith("frames")}


def test_topics_come_from_the_code_alone() -> None:
    assert SERVICES["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert SERVICES["topics"]["command"] == ["topics", "create"]
    for name, service in OURS.items():
        if service.get("command", [""])[0] in {"ingest", "worker", "recorder", "replayer", "gateway"}:
            assert service["depends_on"]["topics"]["condition"] == "service_completed_successfully", name


def test_the_broker_takes_the_largest_record() -> None:
    environment = SERVICES["kafka"]["environment"]
    assert int(environment["KAFKA_MESSAGE_MAX_BYTES"]) >= MAX_FRAME_BYTES
    assert int(environment["KAFKA_REPLICA_FETCH_MAX_BYTES"]) >= MAX_FRAME_BYTES
    assert all(topic.max_message_bytes <= MAX_FRAME_BYTES for topic in TOPICS)


def test_the_default_model_is_loaded() -> None:
    assert f"--load-model={Analysis().model}" in SERVICES["triton"]["command"]


def test_ports_are_published_on_the_loopback_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert all("network_mode" not in service or service["network_mode"] == "none" for service in SERVICES.values())


def test_gateway_and_ingest_share_the_uploads() -> None:
    folder = re.search(r"REWATCH_UPLOADS_DIR=(\S+)", (ROOT / "deploy" / "Dockerfile").read_text())
    assert folder is not None
    for name in ("gateway", "ingest"):
        assert f"uploads:{folder[1]}" in SERVICES[name]["volumes"]


def test_our_containers_may_do_little() -> None:
    for name, service in OURS.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name


def test_everything_that_stays_up_has_a_health_check() -> None:
    """Ours have the image's; the RTSP server's image has neither a shell nor a client."""
    for name, service in SERVICES.items():
        if service.get("restart") == "unless-stopped" and name not in {*OURS, "rtsp"}:
            assert "test" in service["healthcheck"], name


def test_no_secret_has_a_default() -> None:
    content = COMPOSE.read_text()
    for name in re.findall(r"\$\{(\w*(?:TOKEN|PASSWORD)\w*)", content):
        assert f"${{{name}:-}}" in content, f"{name} must default to nothing"


def test_the_example_env_file_names_every_variable() -> None:
    named = set(re.findall(r"(?<!\$)\$\{(\w+)", COMPOSE.read_text()))
    lines = (ROOT / ".env.example").read_text().splitlines()
    offered = {match[1]: match[2] for line in lines if (match := re.fullmatch(r"#?(\w+)=(.*)", line))}
    assert set(offered) - {"COMPOSE_FILE"} == named
    for name, value in offered.items():
        if name != "COMPOSE_FILE":
            assert f"${{{name}:-{value}}}" in COMPOSE.read_text(), f"{name}: the example shows the default"
    for file in offered["COMPOSE_FILE"].split(":"):
        assert (ROOT / file).is_file()


def test_the_simulated_cameras_are_configured_as_they_are_simulated() -> None:
    """After a change of the simulator: python -m tests.deploy.demo_cameras > deploy/demo/cameras.yml"""
    file = ROOT / "deploy" / "demo" / "cameras.yml"
    assert file.read_text() == demo_cameras.text()
    for view, camera in zip(VIEWS, load_cameras(file), strict=True):
        service = SERVICES[view.camera]
        assert camera.id == view.camera
        assert service["profiles"] == ["demo"]
        assert service["command"] == [
            "simulate", "--out", camera.source.url, "--seed", str(view.seed), "--variant", view.variant,
            "--seconds", "86400", "--realtime",
        ]  # fmt: skip
    assert "./deploy/demo/cameras.yml:/etc/rewatch/cameras.yml:ro" in SERVICES["demo-cameras"]["volumes"]


def _prepare(folder: Path, **given: str) -> None:
    """What the service `prepare` runs, on a folder of ours; only who owns what is left out."""
    (script,) = SERVICES["prepare"]["command"]
    script = script.replace("$$", "$").replace("/run/secrets", str(folder))
    script = "\n".join(line for line in script.splitlines() if not line.startswith("chown"))
    environment = {"PATH": os.defpath, "INFLUXDB_PASSWORD": "", "INFLUXDB_TOKEN": "", **given}
    subprocess.run([*SERVICES["prepare"]["entrypoint"], script], check=True, env=environment)


def test_secrets_are_made_at_random_and_kept(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        _prepare(folder)
    made = {path.name: path.read_text() for path in one.iterdir()}
    assert set(made) == {"influxdb_password", "rewatch_influxdb_token"}
    assert all(re.fullmatch(r"[A-Za-z0-9]{32,}", secret) for secret in made.values())
    assert not set(made.values()) & {path.read_text() for path in other.iterdir()}
    _prepare(one, INFLUXDB_TOKEN="another")
    assert {path.name: path.read_text() for path in one.iterdir()} == made


def test_secrets_named_in_the_env_file_are_used(tmp_path: Path) -> None:
    _prepare(tmp_path, INFLUXDB_TOKEN="my token", INFLUXDB_PASSWORD="$(touch x)")
    assert (tmp_path / "rewatch_influxdb_token").read_text() == "my token"
    assert (tmp_path / "influxdb_password").read_text() == "$(touch x)"


def test_our_processes_find_the_secret_where_it_is_put(tmp_path: Path) -> None:
    _prepare(tmp_path)
    read = settings({}, tmp_path)
    assert read.influxdb_token.get_secret_value() == (tmp_path / "rewatch_influxdb_token").read_text()
    assert "secrets:/run/secrets:ro" in SERVICES["recorder"]["volumes"]
    token = SERVICES["influxdb"]["environment"]["DOCKER_INFLUXDB_INIT_ADMIN_TOKEN_FILE"]
    assert token == "/run/secrets/rewatch_influxdb_token"
