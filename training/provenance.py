"""Which code made something, and by which practice."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_PRACTICE: Final = {"recipes": "recipe", "steps": "step", "ends": "ends"}


def commit_of(folder: Path) -> str:
    """The last commit that changed a folder, "+" where files differ from it; "unknown" outside a checkout."""
    command = ["git", "log", "-1", "--format=%h", "--abbrev=12", "--", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    changed = ["git", "status", "--porcelain", "--", str(folder)]
    dirty = subprocess.run(changed, capture_output=True, text=True, check=False, cwd=folder).stdout.strip()
    return (done.stdout.strip() or "unknown") + ("+" if dirty else "")


def practice_of(states: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """For a card: what several networks' checkpoints, by name, say of how they learnt."""
    return {fact: {part: state[key] for part, state in states.items()} for fact, key in _PRACTICE.items()}
