"""Documents point at what is there."""

import re
from pathlib import Path

import pytest

from runtime.config import Settings
from schemas.topics import HOUR_MS, TOPICS
from tests.rules.repository import HOUSES, ROOT, files, text

DOCUMENTS = [path for path in files() if path.suffix == ".md"]
DECISIONS = sorted(path for path in DOCUMENTS if path.parent == Path("docs/adr") and path.name != "README.md")
_LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_relative_links_lead_somewhere(document: Path) -> None:
    for target in _LINK.findall(text(document)):
        if "://" not in target:
            assert (ROOT / document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_files_named_in_code_spans_exist(document: Path) -> None:
    """`schemas/codec.py`: spans that begin with one of our folders and carry no placeholder."""
    folders = "|".join((*HOUSES, "deploy", "docs", "k8s", "tests", "triton_models", "benchmarks", "requirements"))
    for span in re.findall(rf"`((?:{folders})/[A-Za-z0-9_./-]+)`", text(document)):
        assert (ROOT / span).exists(), span


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_settings_that_are_named_exist(document: Path) -> None:
    for name in re.findall(r"\bREWATCH_([A-Z0-9_]+)\b", text(document)):
        assert name.lower() in Settings.model_fields, name


def test_documents_that_code_points_at_exist() -> None:
    for path in files():
        if path.suffix in {".py", ".yml", ".yaml"}:
            for document in re.findall(r"\bdocs/[a-z0-9/_-]+\.md", text(path)):
                assert (ROOT / document).is_file(), f"{document} in {path}"


def test_decisions_are_numbered_and_listed() -> None:
    numbers = [int(path.name[:4]) for path in DECISIONS]
    assert numbers == list(range(1, len(DECISIONS) + 1))
    listed = re.findall(r"^(\d+)\. \[([^\]]+)\]\(([^)]+)\)$", text(Path("docs/adr/README.md")), re.MULTILINE)
    assert [(int(number), name) for number, _, name in listed] == [
        (number, path.name) for number, path in zip(numbers, DECISIONS, strict=True)
    ]
    for number, title, name in listed:
        assert text(Path("docs/adr", name)).startswith(f"# {number}. {title}\n"), name


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_says_what_a_decision_must(path: Path) -> None:
    headings = re.findall(r"^## (.+)$", text(path), re.MULTILINE)
    for wanted in ("Context", "Decision", "Measured", "Consequences"):
        assert wanted in headings


def test_the_tour_visits_every_folder() -> None:
    visited = set(re.findall(r"\[(\w+)/\]\(\1\)", text(Path("README.md"))))
    folders = {path.parts[0] for path in files() if len(path.parts) > 1 and not path.parts[0].startswith(".")}
    assert folders - {"requirements"} <= visited
    assert all((ROOT / folder).is_dir() for folder in visited)


def test_the_table_of_topics_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d+) \| ([^|]+) \|", text(Path("docs/architecture.md")), re.MULTILINE)
    assert {(name, int(partitions), kept.strip()) for name, partitions, kept in rows} == {
        (topic.name, topic.partitions, _kept(topic.retention_ms)) for topic in TOPICS
    }


def _kept(retention_ms: int | None) -> str:
    if retention_ms is None:
        return "compacted"
    hours = retention_ms // HOUR_MS
    count, unit = (hours, "hour") if hours < 24 else (hours // 24, "day")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def test_the_wire_format_s_headers_are_those_of_the_codec() -> None:
    document = text(Path("docs/adr/0001-wire-format.md"))
    rows = re.findall(r"^\| (`[^|]+) \| (?:all|au|gap|end|keyframes)", document, re.MULTILINE)
    described = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    codec = text(Path("schemas/codec.py"))
    written = set(re.findall(r'_put\(headers, "(\w+)"', codec)) | set(re.findall(r'headers\.append\(\("(\w+)"', codec))
    assert described == written | {"v"}
