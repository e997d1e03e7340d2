"""The classes that a YOLO or VOC folder says it has."""

from pathlib import Path
from typing import Any

import yaml

from training.contract import ModelError
from training.datasets.assembly import Assembly
from training.label_file import read_labels

_DESCRIPTIONS = ("data.yaml", "data.yml", "dataset.yaml")


def listed_classes(assembly: Assembly) -> tuple[str, ...] | None:
    """From `names` in data.yaml, or from labels.txt or classes.txt; None where there is none of them."""
    for name in _DESCRIPTIONS:
        path = assembly.folder / name
        if path.is_file():
            return _names(path, name, assembly)
    for name in ("labels.txt", "classes.txt"):
        path = assembly.folder / name
        if path.is_file():
            try:
                return read_labels(path)
            except ModelError as error:
                assembly.findings.add(name, 0, "", str(error))
                return ()
    return None


def _names(path: Path, file: str, assembly: Assembly) -> tuple[str, ...]:
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        assembly.findings.add(file, line, "", str(error.problem))
        return ()
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        assembly.findings.add(file, 0, "", f"cannot be read: {error}")
        return ()
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict) and sorted(names) == list(range(len(names))):
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        assembly.findings.add(file, 0, "names", "a list of names is wanted, or one by number from 0 on")
        return ()
    if len(set(names)) != len(names):
        assembly.findings.add(file, 0, "names", "a name is there twice")
        return ()
    return tuple(names)
