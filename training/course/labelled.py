"""A folder of labelled pictures made ready to learn from: split, checked for leaks, brought to the network's size."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from msgspec import Struct

from training.datasets.dataset import Dataset, DatasetError, LabelledPicture, Problem
from training.datasets.leaks import check_leaks
from training.datasets.origin import NAME as SOURCES
from training.datasets.picture_file import read_picture
from training.datasets.reading import format_of, read_dataset
from training.datasets.split import NAME, PARTS, Part, Split, read_split, split
from training.samples import Sample, SampleSet, read_samples, write_samples
from vision.letterbox import Letterbox

PAD: Final = 114
_STRIDE: Final = 32
_AREA: Final = 448 * 256
"""pixels; as the bundled detector takes"""


class Labelled(Struct, frozen=True):
    """A dataset and its split. `sha256` is of the pictures' bytes, their boxes, classes and parts."""

    dataset: Dataset
    split: Split
    sha256: str

    def boxes(self, part: Part) -> dict[str, int]:
        """How many boxes of each class are in a part, 0 included."""
        files = set(self.split.part(part))
        own = [picture for picture in self.dataset.pictures if picture.file in files]
        counted = Counter(box.label for picture in own for box in picture.boxes)
        return {name: counted[name] for name in self.dataset.classes}


def read_labelled(folder: Path, format_name: str | None, seed: int) -> Labelled:
    """Split as split.json in the folder says, or else 7:2:1 by source and time.

    Raises DatasetError, SplitError, LeakError or PictureError for what cannot be learnt from.
    """
    dataset = read_dataset(folder, format_name or format_of(folder))
    given = folder / NAME
    made = read_split(given.read_bytes(), dataset) if given.is_file() else split(dataset, seed)
    labelled = Labelled(dataset, made, _digest(dataset, made))
    _check_classes(labelled)
    check_leaks(dataset, made)
    return labelled


def size_for(dataset: Dataset) -> tuple[int, int]:
    """Width and height in the pictures' usual proportions, as large as the bundled detector's at most, and no larger
    than the pictures need."""
    wide, high = (float(np.median([getattr(p, side) for p in dataset.pictures])) for side in ("width", "height"))
    scale = min(1.0, (_AREA / (wide * high)) ** 0.5)
    width, height = (max(2, round(side * scale / _STRIDE + 0.2)) * _STRIDE for side in (wide, high))
    return width, height


def samples_of(labelled: Labelled, part: Part, classes: Sequence[str], size: tuple[int, int], work: Path) -> SampleSet:
    """One part, letterboxed; kept in `work` for the next time. `classes` holds all labels that occur."""
    told = f"{labelled.sha256} {part} {size} {tuple(classes)}"
    folder = work / f"{part}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    if not (folder / "facts.json").exists():
        by_file = {picture.file: picture for picture in labelled.dataset.pictures}
        pictures = [by_file[file] for file in labelled.split.part(part)]
        write_samples(folder, _letterboxed(labelled.dataset.folder, pictures, classes, size), len(pictures))
    return read_samples(folder)


def _letterboxed(
    folder: Path, pictures: Sequence[LabelledPicture], classes: Sequence[str], size: tuple[int, int]
) -> Iterator[Sample]:
    box = Letterbox(*size, "top_left", PAD)
    for picture in pictures:
        rgb = np.asarray(cv2.cvtColor(read_picture(folder / picture.file), cv2.COLOR_BGR2RGB), np.uint8)
        left, top, width, height = box.placement(picture.width, picture.height)
        scale = np.array([width / picture.width, height / picture.height] * 2)
        corners = np.array([[b.x1, b.y1, b.x2, b.y2] for b in picture.boxes]).reshape(-1, 4) * scale
        moved = (corners + np.array([left, top, left, top])).astype(np.float32)
        labels = np.array([classes.index(b.label) for b in picture.boxes], np.int64)
        yield Sample(box.from_rgb(rgb), moved, labels, picture.source)


def _check_classes(labelled: Labelled) -> None:
    """A class that is only judged was never learnt; the figure would say nothing."""
    problems = []
    learnt, folder = labelled.boxes("train"), str(labelled.dataset.folder)
    parted = f"the split goes by source: does the files' naming say what belongs together? {SOURCES} or {NAME} can"
    for name, count in labelled.dataset.boxes_by_class().items():
        if "," in name or not name.isprintable():
            problems.append(Problem(folder, 0, "", f"the class {name!r} cannot be served: no commas, no line breaks"))
        elif count and not learnt[name]:
            problems.append(Problem(folder, 0, "", f"no box of the class {name!r} is in the part train; {parted}"))
    for part in PARTS:
        if not any(labelled.boxes(part).values()):
            problems.append(Problem(folder, 0, "", f"there is no box in the part {part}; {parted}"))
    if problems:
        raise DatasetError(problems)


def _digest(dataset: Dataset, made: Split) -> str:
    hashed = hashlib.sha256(repr(dataset.classes).encode())
    by_file = {picture.file: picture for picture in dataset.pictures}
    for part in PARTS:
        for file in made.part(part):
            content = hashlib.sha256((dataset.folder / file).read_bytes()).hexdigest()
            hashed.update(repr((part, file, content, by_file[file].boxes)).encode())
    return hashed.hexdigest()
