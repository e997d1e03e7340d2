"""The repository as its rules see it: tracked files and those about to be tracked, parsed once."""

import ast
import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOUSES = (
    "schemas", "vision", "runtime", "ingest", "processors", "simulator", "experiments", "replay", "gateway", "training",
    "devstack", "cli",
)  # fmt: skip


@functools.cache
def files() -> tuple[Path, ...]:
    """Every file that git tracks or would, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return tuple(sorted(Path(name) for name in set(listed.stdout.split("\0")) if name and (ROOT / name).is_file()))


def python_files(*houses: str) -> list[Path]:
    """Python files of these top-level folders; of all folders when none is named."""
    return [path for path in files() if path.suffix == ".py" and (not houses or path.parts[0] in houses)]


@functools.cache
def text(path: Path) -> str:
    """Empty for what is not text."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(text(path), filename=str(path))


def dotted(node: ast.expr) -> str:
    """`os.environ.get` for the expression that says so; empty for anything but names and attributes."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        left = dotted(node.value)
        return f"{left}.{node.attr}" if left else ""
    return ""
