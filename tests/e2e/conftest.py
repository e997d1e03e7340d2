"""The whole system, for the tests that need all of it. To start it takes half a minute of a core, and idle it takes a
sixth of one: it is started once, and ends with this folder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.system import System
from training.importing import import_detector

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository with the bundled detector, and with YOLOX-nano where the shared folder has it."""
    repository = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "triton_models" / "junction-yolo", repository / "junction-yolo")
    public = ROOT.parent / "shared" / "data" / "models" / "yolox_nano_416.onnx"
    if public.exists():
        import_detector(public, "yolox-nano", "yolox", repository)
    return repository


@pytest.fixture(scope="package")
def system(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    directory = tmp_path_factory.mktemp("system")
    loaded = sorted(folder.name for folder in models.iterdir() if folder.is_dir())
    with System(directory, models=loaded, model_repository=models) as running:
        yield running
