"""Our images: linted, and made of exactly what the project is made of."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.rules.repository import HOUSES, ROOT, files

DOCKERFILES = [path for path in files() if path.name == "Dockerfile"]
IMAGE = (ROOT / "deploy" / "Dockerfile").read_text()


def test_there_are_dockerfiles() -> None:
    assert Path("deploy/Dockerfile") in DOCKERFILES
    assert Path("deploy/triton/Dockerfile") in DOCKERFILES


@pytest.mark.parametrize("path", DOCKERFILES, ids=str)
def test_hadolint_finds_nothing(path: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([str(hadolint), str(ROOT / path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", DOCKERFILES, ids=str)
def test_an_image_is_pinned_healthy_and_not_root(path: Path) -> None:
    content = (ROOT / path).read_text()
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", content, re.MULTILINE))
    for base in re.findall(r"^FROM (\S+)", content, re.MULTILINE):
        image = re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], base)
        assert re.search(r":[0-9]+\.[0-9]+", image), f"{image} is not pinned to a version"
    users = re.findall(r"^USER (\S+)$", content, re.MULTILINE)
    assert users, "an image without USER runs as root"
    assert not users[-1].startswith(("0", "root"))
    assert "HEALTHCHECK" in content


def test_the_image_holds_every_package_of_the_project() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    packages = {pattern.rstrip("*") for pattern in patterns}
    assert packages == set(HOUSES)
    assert set(re.findall(r"^COPY (\w+) \./\1$", IMAGE, re.MULTILINE)) == packages


def test_the_builder_is_sent_what_the_images_copy_and_nothing_private() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines, "leave everything out, then name what is wanted"
    sent = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = set()
    for path in DOCKERFILES:
        for sources in re.findall(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", (ROOT / path).read_text(), re.MULTILINE):
            copied |= set(sources.split())
    assert copied == sent
    assert all((ROOT / name).exists() for name in sent)


def test_python_is_the_same_everywhere() -> None:
    version = re.search(r"python:(3\.\d+)", IMAGE)
    assert version is not None
    assert version[1] == f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_what_the_image_installs_is_complete(tmp_path: Path) -> None:
    """The image installs a wheel, not the checkout: data files beside the code must be in it."""
    for name in ("LICENSE", "README.md", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    for path in files():
        if path.parts[0] in HOUSES:
            target = tmp_path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / path).read_bytes())
    installed = tmp_path / "installed"
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(installed), str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    missing = [str(path) for path in files() if path.parts[0] in HOUSES and not (installed / path).is_file()]
    assert not missing, "name them under [tool.setuptools.package-data]"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for command in ("ingest", "worker", "recorder", "replayer", "gateway", "topics", "cameras"):
        done = subprocess.run(
            [sys.executable, "-c", "from cli.main import main; main()", command, "--help"],
            cwd=elsewhere, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(installed)}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stderr[-2000:]}"
