"""Programs and renderings that several tests look at."""

import importlib.util
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.config import Settings
from tests.deploy import toolbox
from tests.rules.repository import ROOT

Run = Callable[..., subprocess.CompletedProcess[str]]


def _schemas() -> Path:
    """The schemas of every version of Kubernetes, which a package of the index carries along."""
    found = importlib.util.find_spec("kubernetes_validate")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).with_name("kubernetes-json-schema")


SCHEMAS = _schemas()


def settings(given: dict[str, str], secrets: Path) -> Settings:
    """Settings from these values and the secrets in a folder, as a container would read them."""
    make: Any = Settings
    made: Settings = make(_secrets_dir=secrets, **given)
    return made


@pytest.fixture(scope="session")
def tool() -> Run:
    """Runs one of the toolbox's programs; the caller looks at its exit status."""
    folder = toolbox.build()

    def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        argv = [str(folder / name), *map(str, arguments)]
        return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)

    return run


@pytest.fixture(scope="session")
def manifests(tool: Run, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[dict[str, Any]]]:
    """What kustomize makes of a folder under k8s/, with secrets filled in as the README says."""
    copy = tmp_path_factory.mktemp("kubernetes") / "k8s"
    shutil.copytree(ROOT / "k8s", copy, ignore=shutil.ignore_patterns("secrets.env"))
    for example in copy.rglob("secrets.env.example"):
        filled = [f"{line}filled-in" if line.endswith("=") else line for line in example.read_text().splitlines()]
        example.with_name("secrets.env").write_text("\n".join(filled))

    def render(folder: str) -> list[dict[str, Any]]:
        done = tool("kustomize", "build", copy / folder)
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    return render
