"""Lock files: names, versions and hashes, and in step with pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.rules.repository import ROOT, files, text

LOCKS = [path for path in files() if path.parent.name == "requirements" and path.suffix == ".txt"]
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    return {
        canonicalize_name(found[1]): found[2] for found in _PIN.finditer((ROOT / "requirements" / name).read_text())
    }


def project() -> dict[str, list[str]]:
    described = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {"": described["dependencies"], **described["optional-dependencies"]}


def test_there_are_lock_files() -> None:
    assert {"dev.txt", "run.txt"} <= {path.name for path in LOCKS}


@pytest.mark.parametrize("path", LOCKS, ids=str)
def test_a_lock_carries_hashes_and_no_addresses(path: Path) -> None:
    content = text(path)
    assert "://" not in content
    assert not re.search(r"^-", content, re.MULTILINE), "options belong to the command that uses the lock"
    for block in re.split(r"\n(?=[A-Za-z0-9])", content):
        if "==" in block.partition("\n")[0]:
            assert "--hash=sha256:" in block, block.partition("\n")[0]


@pytest.mark.parametrize(("lock", "extras"), [("run.txt", [""]), ("dev.txt", ["", "dev"])])
def test_a_lock_satisfies_the_project(lock: str, extras: list[str]) -> None:
    pinned = pins(lock)
    for extra in extras:
        for line in project()[extra]:
            wanted = Requirement(line)
            version = pinned.get(canonicalize_name(wanted.name))
            assert version is not None, f"{line} is not in {lock}: compile it again"
            assert version in wanted.specifier, f"{line}, but {lock} has {version}"


def test_the_image_runs_what_the_tests_ran() -> None:
    tested = pins("dev.txt")
    assert {name: tested.get(name) for name in pins("run.txt")} == pins("run.txt")
