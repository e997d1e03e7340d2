"""Which code made something."""

import subprocess
from pathlib import Path


def commit_of(folder: Path) -> str:
    """The last commit that changed a folder, "+" where files differ from it; "unknown" outside a checkout."""
    command = ["git", "log", "-1", "--format=%h", "--abbrev=12", "--", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    changed = ["git", "status", "--porcelain", "--", str(folder)]
    dirty = subprocess.run(changed, capture_output=True, text=True, check=False, cwd=folder).stdout.strip()
    return (done.stdout.strip() or "unknown") + ("+" if dirty else "")
