"""The names of a detector's classes, one per line, in the order of the network's columns."""

from pathlib import Path

from training.contract import ModelError

COCO = Path(__file__).with_name("coco_labels.txt")
"""the 80 classes of the COCO detection task"""


def read_labels(path: Path) -> tuple[str, ...]:
    """Raises ModelError for a file that can't be read, or for labels that could not be told apart later."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"labels {path}: {error}") from None
    while lines and not lines[-1].strip():
        lines.pop()
    labels = tuple(line.strip() for line in lines)
    if not labels:
        raise ModelError(f"labels {path}: the file is empty")
    for number, label in enumerate(labels, 1):
        # the served model lists its labels separated by commas
        if not label or "," in label or not label.isprintable():
            raise ModelError(f"labels {path}, line {number}: {label!r} is not a label")
    if len(set(labels)) != len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise ModelError(f"labels {path}: {twice!r} is there twice")
    return labels
