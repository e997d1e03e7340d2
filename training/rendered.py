"""What is rendered to learn from is kept in a folder: rendered once, read ever after."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

import simulator
from training.provenance import commit_of


class Facts(Struct, frozen=True):
    commit: str
    """of the simulator that rendered it"""
    sha256: str
    """of what the weights depend on"""


F = TypeVar("F", bound=Facts)


def rendered(home: Path, render: Callable[[Path], F], kind: type[F]) -> F:
    """What there is to say about the folder, which `render` fills if that wasn't done before. `facts.json` comes last:
    a folder without it is unfinished, and rendered again."""
    file = home / "facts.json"
    if not file.is_file():
        home.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.encode(render(home)))
    return msgspec.json.decode(file.read_bytes(), type=kind)


def simulator_commit() -> str:
    return commit_of(Path(simulator.__file__).parent)
