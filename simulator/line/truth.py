"""What is true of a line's pictures: parts, their defects, and the very pixels that a defect has changed."""

from typing import Final

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from simulator.line.defect import Kind
from simulator.line.design import Material

#: A pixel belongs to a defect where it differs, in any channel, by so much from the part without that defect (of
#: 255). Below it only the lens's blur is left, which the sensor's noise hides.
LEAST_CHANGE: Final = 4

#: x1, y1, x2, y2 in whole pixels; x2 and y2 lie just outside.
PixelBox = tuple[int, int, int, int]


class DefectTruth(msgspec.Struct, frozen=True):
    """One defect. `size_mm`: a scratch's width, the others' diameter; `length_mm`: the longest extent.

    `box` is the extent of its mask; `mask` the mask's runs within the box, row by row, beginning with unchanged
    pixels.
    """

    kind: Kind
    size_mm: float
    length_mm: float
    box: PixelBox
    mask: tuple[int, ...]


class PartTruth(msgspec.Struct, frozen=True):
    """One part. `box`: its extent in the picture; `inside`: the whole of it can be seen."""

    id: int
    good: bool
    box: PixelBox
    inside: bool
    defects: tuple[DefectTruth, ...]


class LineTruth(msgspec.Struct, frozen=True):
    """One frame. `gain` is the lamps' brightness; `pts` the presentation time in the clip."""

    frame: int
    time_s: float
    gain: float
    parts: tuple[PartTruth, ...]
    pts: int = 0


class LineGeometry(msgspec.Struct, frozen=True):
    """What does not change: the camera's scale, the belt, and the product's nominal measures (millimetres)."""

    seed: int
    width: int
    height: int
    fps: float
    pixels_per_mm: float
    pixels_per_frame: int
    lanes: int
    material: Material
    part_width_mm: float
    part_height_mm: float


def changed(
    with_it: npt.NDArray[np.uint8], without: npt.NDArray[np.uint8], least: int = LEAST_CHANGE
) -> npt.NDArray[np.bool_]:
    """Which pixels [H, W] differ by at least `least` in some channel between two pictures [H, W, 3]."""
    return np.asarray(cv2.absdiff(with_it, without).max(axis=2) >= least)


def extent(mask: npt.NDArray[np.bool_]) -> PixelBox | None:
    """The box around a mask's pixels; None for an empty one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def runs(mask: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """Lengths of alternating runs, row by row, the first of them False (0 if it begins with True)."""
    flat = mask.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff(np.concatenate([[0], edges, [flat.size]]))
    return (0, *lengths.tolist()) if flat.size and flat[0] else tuple(lengths.tolist())


def filled(defect: DefectTruth, height: int, width: int) -> npt.NDArray[np.bool_]:
    """A defect's mask in a picture [height, width]. Raises ValueError for runs that do not fill their box."""
    left, top, right, bottom = defect.box
    values = np.arange(len(defect.mask)) % 2 == 1
    flat = np.repeat(values, defect.mask)
    picture = np.zeros((height, width), bool)
    picture[top:bottom, left:right] = flat.reshape(bottom - top, right - left)
    return picture
