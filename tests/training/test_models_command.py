"""`rewatch models`, as a person types it."""

import functools
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from cli.models import app
from tests.training.tables import network
from tests.training.web import listening
from training.catalogue import BUNDLED, choose, read_catalogue
from training.contract import ModelError
from training.families.registry import family
from training.model_card import digest
from training.model_repository import load

RUN = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    onnx.save(network({"output": np.zeros((84, 7), np.float32)}), tmp_path / "network.onnx")
    (tmp_path / "labels.txt").write_text("car\nbus\n")
    return tmp_path / "network.onnx"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path, file: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with listening(handler) as address:
        yield address


def catalogue(folder: Path, address: str, sha256: str) -> Path:
    entry = {
        "name": "tiny",
        "urls": [f"{address}/network.onnx"],
        "sha256": sha256,
        "bytes": (folder / "network.onnx").stat().st_size,
        "family": "yolox",
        "licence": "MIT",
        "labels": "labels.txt",
    }
    path = folder / "catalogue.yaml"
    path.write_bytes(msgspec.yaml.encode([entry]))
    return path


def test_import_list_show(tmp_path: Path, file: Path) -> None:
    repository = ["--repository", str(tmp_path / "models")]
    labels = ["--labels", str(tmp_path / "labels.txt")]
    done = RUN.invoke(app, ["import", str(file), "--name", "tiny", "--family", "yolox", *labels, *repository])
    assert done.exit_code == 0, done.output
    assert "tiny is served from" in done.output
    listed = RUN.invoke(app, ["list", *repository]).output
    assert "tiny" in listed
    assert "64x64" in listed
    assert "to pull" in listed
    shown = RUN.invoke(app, ["show", "tiny", *repository]).output
    assert "uint8 [64, 64, 3] RGB, batches up to 8" in shown
    assert "car, bus" in shown
    assert digest(file) in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--family", "yolox"], "2 classes, but there are 80 labels"),
        (["--family", "nanodet"], "six outputs"),
        (["--family", "other"], "no detector family 'other'"),
        (["--family", "yolox", "--size", "large"], "WIDTHxHEIGHT"),
        (["--family", "yolox", "--size", "32x32"], "takes 64x64 pixels only"),
        (["--family", "yolox", "--letterbox", "left"], "top_left or center"),
    ],
)
def test_errors_are_one_clear_line(tmp_path: Path, file: Path, arguments: list[str], says: str) -> None:
    repository = tmp_path / "models"
    done = RUN.invoke(app, ["import", str(file), "--name", "tiny", *arguments, "--repository", str(repository)])
    assert done.exit_code == 1
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not repository.exists()


@pytest.mark.integration
def test_pull(tmp_path: Path, file: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REWATCH_CACHE", str(tmp_path / "cache"))
    book = ["--catalogue", str(catalogue(tmp_path, address, digest(file)))]
    assert "to pull" in RUN.invoke(app, ["list", *book]).output
    done = RUN.invoke(app, ["pull", "tiny", *book])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "cache" / "models" / "tiny" / "1" / "model.onnx").is_file()
    shown = RUN.invoke(app, ["show", "tiny"]).output
    assert f"{address}/network.onnx" in shown
    assert "MIT" in shown
    again = RUN.invoke(app, ["pull", "tiny", *book])
    assert again.exit_code == 1
    assert "--replace" in again.stderr
    again = RUN.invoke(app, ["pull", "tiny", *book, "--as-version"])
    assert again.exit_code == 0, again.output
    assert "tiny has version 2; live with: rewatch models promote tiny 2" in again.output
    assert load(tmp_path / "cache" / "models" / "tiny").live == 1
    assert RUN.invoke(app, ["pull", "tiny", *book, "--as-version", "--replace"]).exit_code == 2


@pytest.mark.integration
def test_pull_of_other_bytes_than_were_pinned(
    tmp_path: Path, file: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REWATCH_CACHE", str(tmp_path / "cache"))
    done = RUN.invoke(app, ["pull", "tiny", "--catalogue", str(catalogue(tmp_path, address, "0" * 64))])
    assert done.exit_code == 1
    assert "refused" in done.stderr
    assert not (tmp_path / "cache" / "models").exists()


def test_pull_of_a_name_that_is_not_in_the_catalogue() -> None:
    done = RUN.invoke(app, ["pull", "resnet"])
    assert done.exit_code == 1
    assert "no model 'resnet' in the catalogue" in done.stderr


def test_the_bundled_catalogue() -> None:
    entries = read_catalogue(BUNDLED)
    yolox = choose(entries, "yolox-nano")
    assert yolox.sha256 == "d39bee73564e338080378b0ad567fbb40e818b55bbfaf971de82a0267ed16b8a"
    for entry in entries.values():
        family(entry.family)
        assert all(url.startswith("https://") for url in entry.urls)


@pytest.mark.parametrize("content", [b"- name: x\n", b"{{{", b"- 1\n", b"name: x"])
def test_a_broken_catalogue(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "catalogue.yaml").write_bytes(content)
    with pytest.raises(ModelError, match="catalogue"):
        read_catalogue(tmp_path / "catalogue.yaml")
    with pytest.raises(ModelError, match="catalogue"):
        read_catalogue(tmp_path / "none.yaml")
