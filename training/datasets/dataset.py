"""Labelled pictures from any format: pictures, boxes, classes, and where and when each picture was taken."""

from collections import Counter
from pathlib import Path

from msgspec import Struct

#: Pictures of one dataset, and what is wrong with it that is told at once.
MOST_PICTURES, MOST_PROBLEMS = 1_000_000, 100


class LabelledBox(Struct, frozen=True):
    """x1, y1, x2, y2: corners in pixels from the picture's top left corner, within the picture."""

    label: str
    x1: float
    y1: float
    x2: float
    y2: float


class LabelledPicture(Struct, frozen=True):
    """`file` is relative to the dataset's folder. `source` names what took it (a camera, a video, a lot); `time_s` is
    when in that source, seconds; None where nobody knows."""

    file: str
    width: int
    height: int
    boxes: tuple[LabelledBox, ...]
    source: str
    time_s: float | None


class Dataset(Struct, frozen=True):
    """Pictures in the order of their files' names."""

    folder: Path
    format: str
    classes: tuple[str, ...]
    pictures: tuple[LabelledPicture, ...]

    def boxes_by_class(self) -> dict[str, int]:
        """How many boxes each class has, 0 included."""
        counted = Counter(box.label for picture in self.pictures for box in picture.boxes)
        return {name: counted[name] for name in self.classes}


class Problem(Struct, frozen=True, order=True):
    """One thing that is wrong: in which file (relative to the folder), at which line (0: the file as a whole), in
    which field ("" where none is to blame), and what."""

    file: str
    line: int
    field: str
    what: str

    def __str__(self) -> str:
        place = self.file + (f", line {self.line}" if self.line else "") + (f", {self.field}" if self.field else "")
        return f"{place}: {self.what}"


class DatasetError(ValueError):
    """The folder cannot be used as a dataset; `problems` says why, each with its place."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("; ".join(str(problem) for problem in self.problems[:3]))


class Findings:
    """Collects problems while a folder is read, up to `MOST_PROBLEMS`: the rest would say the same."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def add(self, file: str, line: int, field: str, what: str) -> None:
        self._found.append(Problem(file, line, field, what))
        if len(self._found) >= MOST_PROBLEMS:
            self.check()

    def check(self) -> None:
        """Raises DatasetError if there was anything."""
        if self._found:
            raise DatasetError(self._found)
