"""Every command in the documents can be typed as it stands there."""

import json
import re
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.exceptions import TyperException

from cli.main import build
from gateway import moment
from gateway.api import ReplayWanted
from gateway.app import build_app
from gateway.experiment_api import ExperimentWanted
from runtime.config import Settings
from schemas.topics import TOPICS
from tests.docs.commands import Command, commands
from tests.rules.repository import ROOT, files, text

REWATCH = commands("rewatch")
MAKE = commands("make")
DOCKER = [command for command in commands("docker") if command.argv[1:2] == ("compose",)]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def parse(words: tuple[str, ...]) -> None:
    """Parse as the shell command would, and call nothing. Raises TyperException for what cannot be typed."""
    command: Any = typer.main.get_command(build(words[0] if words else ""))
    context, rest = None, list(words)
    while rest and hasattr(command, "resolve_command"):
        context = command.context_class(command, info_name="rewatch", parent=context)
        _, command, rest = command.resolve_command(context, rest)
    names_it_only = not rest and any(parameter.required for parameter in getattr(command, "params", ()))
    if not hasattr(command, "resolve_command") and not names_it_only:
        command.make_context("rewatch", rest, parent=context)


def test_documents_name_commands() -> None:
    assert len(REWATCH) > 10
    assert len(MAKE) > 4
    assert len(DOCKER) > 4


@pytest.mark.parametrize("command", REWATCH, ids=str)
def test_the_command_line_understands(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # file arguments need not exist here
    for name in ("clip.mp4", "yolov8n.onnx"):
        (tmp_path / name).touch()
    words = command.argv[1:]
    if any(word == "..." or word == "…" for word in words):
        pytest.fail("write commands that can be typed")
    parse(words)


@pytest.mark.parametrize(
    "words", [("nosuch",), ("cameras", "nosuch"), ("cameras", "list", "--nosuch"), ("analyze", "a", "b")], ids=str
)
def test_the_check_itself_finds_mistakes(words: tuple[str, ...]) -> None:
    with pytest.raises(TyperException):
        parse(words)


@pytest.mark.parametrize("command", MAKE, ids=str)
def test_the_makefile_has_the_target(command: Command) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    variables = set(re.findall(r"^([A-Z_]+) \?=", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for word in command.argv[1:]:
        name, assigned, _ = word.partition("=")
        assert name in (variables if assigned else targets), word


@pytest.mark.parametrize("command", DOCKER, ids=str)
def test_compose_has_the_services_profiles_and_files(command: Command) -> None:
    words = list(command.argv[2:])
    while words and words[0].startswith("-"):
        option, value = words.pop(0), words.pop(0)
        if option == "-f":
            assert (ROOT / value).is_file()
        else:
            assert option == "--profile"
            assert any(value in service.get("profiles", []) for service in SERVICES.values())
    if not words:
        return
    assert words[0] in {"up", "down", "run", "exec"}
    named = [word for word in words[1:] if not word.startswith("-")]
    if words[0] in {"run", "exec"}:
        assert named[0] in SERVICES
        inside = words[words.index(named[0]) + 1 :]
        # the image's entry point is `rewatch`; exec knows nothing of entry points
        assert words[0] == "run" or inside.pop(0) == "rewatch"
        parse(tuple(inside))
    else:
        assert set(named) <= set(SERVICES)


@pytest.mark.parametrize("command", commands("kcat"), ids=str)
def test_kcat_is_told_a_topic_that_exists(command: Command) -> None:
    assert command.argv[command.argv.index("-t") + 1] in {topic.name for topic in TOPICS}


def _paths() -> dict[str, dict[str, Any]]:
    paths: dict[str, dict[str, Any]] = build_app(Settings()).openapi()["paths"]
    return paths


@pytest.mark.parametrize("command", commands("curl"), ids=str)
def test_the_gateway_has_what_curl_asks_for(command: Command) -> None:
    address = urllib.parse.urlsplit(command.argv[-1])
    method = "post" if {"-F", "-d"} & set(command.argv) else "delete" if "DELETE" in command.argv else "get"
    path = address.path.replace("/trial", "/{name}")
    operation = _paths()[path][method]
    known = {parameter["name"] for parameter in operation.get("parameters", [])}
    assert set(urllib.parse.parse_qs(address.query)) <= known
    if "-d" in command.argv and path == "/experiments":
        ExperimentWanted.model_validate_json(command.argv[command.argv.index("-d") + 1])
    elif "-d" in command.argv:
        wanted = ReplayWanted.model_validate_json(command.argv[command.argv.index("-d") + 1])
        assert moment.parse(wanted.from_, 0, "from") < moment.parse(wanted.to, 0, "to")
    elif method == "post":
        form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
        given = {command.argv[at + 1].partition("=")[0] for at, word in enumerate(command.argv) if word == "-F"}
        assert given <= set(form)


def test_python_in_the_readme_is_python_and_asks_for_a_feed_that_exists() -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", text(Path("README.md")), re.DOTALL)
    compile(snippet, "README.md", "exec")
    (address,) = re.findall(r'"(ws://[^"]+)"', snippet)
    routes = "".join(text(path) for path in files() if path.parent == Path("gateway/routes"))
    assert urllib.parse.urlsplit(address).path in re.findall(r'\.websocket\("([^"]+)"', routes)


def test_the_camera_file_of_the_readme_is_taken() -> None:
    from ingest.camera_file import load_cameras

    named = re.findall(r"cameras apply (\S+)", text(Path("README.md")))
    assert named
    for file in named:
        assert json.dumps([camera.id for camera in load_cameras(ROOT / file)])
