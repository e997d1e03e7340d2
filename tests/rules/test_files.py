"""What a look at names and sizes can tell."""

import re

import pytest

from tests.rules.repository import ROOT, files, python_files, text

MAX_LINES = 400
VAGUE = {"util", "utils", "common", "helper", "helpers", "manager", "managers", "misc"}

# Spelled in two halves, or this file would break its own rule.
_HOSTS = "|".join(
    (
        "pypi" + r"\.org", "python" + r"hosted\.org", "repo1?" + r"\.maven", "(?<!apache\\.)maven" + r"\.org",
        "registry" + r"\.npmjs", "proxy" + r"\.golang", "sum" + r"\.golang", "deb" + r"\.debian",
        "static" + r"\.crates", "index" + r"\.crates",
    )
)  # fmt: skip
REGISTRY = re.compile(_HOSTS)
MACHINE_PATH = re.compile(r"(?<![A-Za-z0-9_.$}~-])/(?:wor" + r"k|far" + r"m|hom" + r"e|Use" + r"rs|roo" + r"t)/")


def test_a_python_file_holds_one_noun() -> None:
    long = {str(path): lines for path in python_files() if (lines := len(text(path).splitlines())) > MAX_LINES}
    assert not long, "what wants to move out?"


def test_no_module_is_named_vaguely() -> None:
    vague = [path for path in python_files() if VAGUE & {path.stem, *path.parent.parts}]
    assert not vague, "name the noun that these hold"


def test_package_markers_are_empty() -> None:
    filled = [path for path in python_files() if path.name == "__init__.py" and text(path).strip()]
    assert not filled, "import from the module that defines the name"


def test_no_file_names_a_package_registry() -> None:
    found = [f"{path}: {match[0]}" for path in files() if (match := REGISTRY.search(text(path)))]
    assert not found, "which registry to use is the machine's configuration"


def test_no_file_carries_a_path_of_one_machine() -> None:
    found = [f"{path}: {match[0]}" for path in files() if (match := MACHINE_PATH.search(text(path)))]
    assert not found


def test_nothing_large_is_committed() -> None:
    large = [path for path in files() if (ROOT / path).stat().st_size > 10_000_000]
    assert not large, "bundled weights stay under 10 MB"


@pytest.mark.parametrize(
    ("line", "bad"),
    [("--index-url https://pypi" + ".org/simple", True), ("xmlns='http://maven.apache" + ".org/POM/4.0.0'", False)],
)
def test_the_registry_rule_knows_a_host_from_a_namespace(line: str, bad: bool) -> None:
    assert bool(REGISTRY.search(line)) is bad


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("cd /wor" + "k/main", True), ("open('/hom" + "e/ann/x')", True), ("../shared/data", False),
        ("~/.cache/rewatch", False), ("a.com/hom" + "e/x", False), ("$HOME/x", False),
    ],
)  # fmt: skip
def test_the_path_rule_knows_a_machine_from_a_relative_path(line: str, bad: bool) -> None:
    assert bool(MACHINE_PATH.search(line)) is bad
