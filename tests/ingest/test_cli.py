"""The command line against a real Kafka."""

import json
import uuid
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.ingest import cameras
from devstack.ports import free_port
from ingest.camera_topic import write_cameras
from schemas.analysis import CameraSpec, Experiment, Source

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

run = CliRunner()


@pytest.fixture
def name() -> str:
    return f"cli-{uuid.uuid4().hex[:8]}"


def listed(kafka: str) -> dict[str, dict[str, object]]:
    result = run.invoke(cameras, ["list", "--json", "--kafka", kafka])
    assert result.exit_code == 0, result.output
    return {spec["id"]: spec for spec in json.loads(result.stdout)}


def test_add_list_remove(kafka: str, name: str) -> None:
    url = "rtsp://viewer:secret@10.0.0.7/a"
    added = run.invoke(cameras, ["add", name, url, "--udp", "--model", "m", "--group", name, "--kafka", kafka])
    assert (added.exit_code, added.output) == (0, f"{name} added\n")
    spec = listed(kafka)[name]
    assert spec["source"]["transport"] == "udp"  # type: ignore[index]
    assert spec["labels"] == {"ingest": name}
    shown = run.invoke(cameras, ["list", "--kafka", kafka], env={"COLUMNS": "200"})
    assert name in shown.output
    assert "secret" not in shown.output
    removed = run.invoke(cameras, ["remove", name, "--kafka", kafka])
    assert (removed.exit_code, removed.output) == (0, f"{name} removed\n")
    assert name not in listed(kafka)
    again = run.invoke(cameras, ["remove", name, "--kafka", kafka])
    assert again.exit_code == 1
    assert f"there is no camera {name}" in again.output


def test_apply(kafka: str, name: str, tmp_path: Path) -> None:
    file = tmp_path / "cameras.yaml"
    file.write_text(f"cameras:\n  - {{id: {name}, source: {{url: /x}}, labels: {{ingest: {name}}}}}\n")
    applied = run.invoke(cameras, ["apply", str(file), "--kafka", kafka])
    assert (applied.exit_code, applied.output) == (0, "1 cameras applied, 0 removed\n")
    assert name in listed(kafka)
    before = listed(kafka)
    file.write_text("cameras:\n  - {id: fine, source: {url: /y}}\n  - {id: bad, source: {url: ''}}\n")
    refused = run.invoke(cameras, ["apply", str(file), "--kafka", kafka])
    assert refused.exit_code == 1
    assert f"{file}:3: cameras[1].source.url: " in refused.output
    assert listed(kafka) == before, "with a mistake in the file nothing is changed"
    run.invoke(cameras, ["remove", name, "--kafka", kafka])


def test_a_camera_that_leaves_a_comparison_is_named(kafka: str, name: str, tmp_path: Path) -> None:
    part = CameraSpec(name, Source("/x"), experiment=Experiment("trial", "b", "m", "n"))
    file = tmp_path / "cameras.yaml"
    file.write_text(f"cameras:\n  - {{id: {name}, source: {{url: /x}}}}\n")
    for arguments in (["add", name, "/x"], ["apply", str(file)]):
        write_cameras(kafka, [part], [])
        done = run.invoke(cameras, [*arguments, "--kafka", kafka])
        assert done.exit_code == 0
        assert done.stderr == f"{name} takes no part in the experiment trial any more\n"
        assert run.invoke(cameras, [*arguments, "--kafka", kafka]).stderr == ""
    run.invoke(cameras, ["remove", name, "--kafka", kafka])


@pytest.mark.parametrize("arguments", [["add", "a b", "/x"], ["add", "x", ""], ["add", "x", "/x", "--pace", "slow"]])
def test_bad_arguments(arguments: list[str]) -> None:
    result = run.invoke(cameras, arguments)
    assert result.exit_code == 1
    assert "Expected" in result.output or "Invalid" in result.output


def test_no_kafka() -> None:
    address = f"127.0.0.1:{free_port()}"
    result = run.invoke(cameras, ["remove", "x", "--kafka", address])
    assert result.exit_code == 1
    assert f"Kafka at {address} did not answer" in result.output
