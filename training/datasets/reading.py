"""A dataset folder of any of the formats."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from training.datasets.coco import read_coco
from training.datasets.dataset import Dataset, DatasetError, Problem
from training.datasets.split import NAME
from training.datasets.voc import read_voc
from training.datasets.yolo import read_yolo

READERS: Final[dict[str, Callable[[Path], Dataset]]] = {"coco": read_coco, "yolo": read_yolo, "voc": read_voc}


def format_of(folder: Path) -> str:
    """What a folder looks like. Raises DatasetError where that is nothing, or several."""
    if not folder.is_dir():
        raise DatasetError([Problem(str(folder), 0, "", "there is no such folder")])
    annotations = [path for where in (folder, folder / "annotations") for path in where.glob("*.json")]
    signs = {
        "coco": any(path.name != NAME for path in annotations),
        "yolo": (folder / "images").is_dir() and (folder / "labels").is_dir(),
        "voc": next(folder.rglob("*.xml"), None) is not None,
    }
    likely = [name for name, found in signs.items() if found]
    if len(likely) != 1:
        seen = f"may be {' or '.join(likely)}" if likely else "holds no labels"
        what = f"{seen}: annotations/*.json (coco), images/ beside labels/ (yolo) or *.xml (voc) are known"
        raise DatasetError([Problem(str(folder), 0, "", what)])
    return likely[0]


def read_dataset(folder: Path, format_name: str) -> Dataset:
    """Raises DatasetError; KeyError for a format that is none of `READERS`."""
    return READERS[format_name](folder)
