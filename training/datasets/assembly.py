"""What the three readers share: from a picture's name and its raw boxes to a labelled picture, or to problems."""

import math
from pathlib import Path
from typing import Final

from training.datasets.dataset import (
    MOST_PICTURES,
    Dataset,
    DatasetError,
    Findings,
    LabelledBox,
    LabelledPicture,
    Problem,
)
from training.datasets.origin import NAME, from_name, read_origins
from training.datasets.picture_file import PictureError, match, picture_files, read_picture

_SLACK: Final = 1.0
"""pixels by which a box may leave the picture: some tools round outwards. It is cut then"""


class Assembly:
    """Gathers one dataset. Problems are collected; `finished` raises them together."""

    def __init__(self, folder: Path, format_name: str) -> None:
        if not folder.is_dir():
            raise DatasetError([Problem(str(folder), 0, "", "there is no such folder")])
        self.folder, self.findings = folder, Findings()
        self.files = picture_files(folder)
        if len(self.files) > MOST_PICTURES:
            raise DatasetError([Problem(str(folder), 0, "", f"more than {MOST_PICTURES} pictures")])
        self._format = format_name
        self._origins = read_origins(folder, self.findings)
        self._pictures: dict[str, LabelledPicture] = {}
        self._boxes: dict[str, list[LabelledBox]] = {}

    def find(self, name: str, file: str, line: int, field: str) -> str | None:
        """The picture that the annotation `file` calls `name`; None, and a problem, where there is none."""
        try:
            found = match(name, self.files)
        except PictureError as error:
            self.findings.add(file, line, field, str(error))
            return None
        if found is None:
            self.findings.add(file, line, field, f"the picture {name!r} is missing")
        return found

    def open(self, picture: str) -> tuple[int, int] | None:
        """Width and height of a picture that belongs to the dataset; None, and a problem, if it is corrupt."""
        if picture not in self._pictures:
            try:
                height, width = read_picture(self.files[picture]).shape[:2]
            except PictureError as error:
                self.findings.add(picture, 0, "", str(error))
                return None
            origin = self._origins.get(picture) or from_name(picture)
            self._pictures[picture] = LabelledPicture(picture, width, height, (), origin.source, origin.time_s)
            self._boxes[picture] = []
        known = self._pictures[picture]
        return known.width, known.height

    def add(self, picture: str, box: LabelledBox, file: str, line: int, field: str) -> None:
        """A box of an opened picture, as `field` of the annotation `file` has it."""
        corners = (box.x1, box.y1, box.x2, box.y2)
        known = self._pictures[picture]
        wide, high = known.width, known.height
        shown = ", ".join(f"{value:g}" for value in corners)
        if not all(math.isfinite(value) for value in corners) or box.x2 <= box.x1 or box.y2 <= box.y1:
            self.findings.add(file, line, field, f"the box {shown} is empty or no box")
        elif min(box.x1, box.y1) < -_SLACK or box.x2 > wide + _SLACK or box.y2 > high + _SLACK:
            self.findings.add(file, line, field, f"the box {shown} lies outside of {picture}, {wide}x{high} pixels")
        else:
            cut = LabelledBox(box.label, max(0, box.x1), max(0, box.y1), min(wide, box.x2), min(high, box.y2))
            self._boxes[picture].append(cut)

    def finished(self, classes: tuple[str, ...]) -> Dataset:
        """Raises DatasetError for anything that was wrong, and for a dataset without pictures."""
        for name in self._origins.keys() - self.files.keys():
            self.findings.add(NAME, 0, "file", f"the picture {name!r} is missing")
        self.findings.check()
        if not self._pictures:
            raise DatasetError([Problem(str(self.folder), 0, "", "the dataset is empty: no picture belongs to it")])
        pictures = []
        for name in sorted(self._pictures):
            known = self._pictures[name]
            boxes = tuple(self._boxes[name])
            pictures.append(LabelledPicture(known.file, known.width, known.height, boxes, known.source, known.time_s))
        return Dataset(self.folder, self._format, classes, tuple(pictures))
