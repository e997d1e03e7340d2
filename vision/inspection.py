"""The inspection cascade: a quick screen sees every part, a locator those that the screen does not pass.

Both answer with confidences between 0 and 1, and one threshold is asked of both: a part is defective if the screen and
the locator reach it. So the threshold's miss rate is the whole cascade's.
"""

from collections.abc import Callable
from typing import TypeAlias

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

#: uint8 [H, W, 3] RGB.
Picture: TypeAlias = NDArray[np.uint8]
#: uint8 [H, W]: 255 times each pixel's confidence that it shows a defect.
ConfidenceMap: TypeAlias = NDArray[np.uint8]


class Located(msgspec.Struct, frozen=True):
    """A defect that was found. `box` in pixels (x1, y1, x2, y2; the last two just outside), `centre_mm` from the
    picture's top left corner, `length_mm` and `width_mm` its longest extent and its area by that."""

    confidence: float
    box: tuple[int, int, int, int]
    centre_mm: tuple[float, float]
    length_mm: float
    width_mm: float


class Verdict(msgspec.Struct, frozen=True):
    """What became of a part. `screened_out`: it never came before the locator. Good parts have no defects."""

    screen: float
    screened_out: bool
    defects: tuple[Located, ...]

    @property
    def good(self) -> bool:
        """Nothing was found."""
        return not self.defects


def inspect(
    picture: Picture,
    screen: Callable[[Picture], float],
    locate: Callable[[Picture], ConfidenceMap],
    threshold: float,
    pixels_per_mm: float,
) -> Verdict:
    """One part through the cascade; `locate` is called only if the screen's confidence reaches the threshold."""
    confidence = screen(picture)
    if confidence < threshold:
        return Verdict(confidence, True, ())
    return Verdict(confidence, False, located(locate(picture), threshold, pixels_per_mm))


def located(confidences: ConfidenceMap, threshold: float, pixels_per_mm: float) -> tuple[Located, ...]:
    """The defects of a map, the surest first.

    One is a stretch of touching pixels that reach the threshold; of it, what has half of its best pixel's confidence.
    """
    least = max(1, int(np.ceil(threshold * 255 - 1e-9)))
    count, labels, stats, _ = cv2.connectedComponentsWithStats((confidences >= least).astype(np.uint8), connectivity=8)
    found = []
    for label in range(1, count):
        x, y, width, height = (int(stats[label, column]) for column in range(4))
        area = confidences[y : y + height, x : x + width].astype(np.int64)
        own = np.where(labels[y : y + height, x : x + width] == label, area, 0)
        best = int(own.max())
        rows, columns = np.nonzero(own * 2 >= best)
        points = np.stack([columns + x, rows + y], axis=1).astype(np.float32)
        sides = cv2.minAreaRect(points)[1]
        length = max(sides) + 1
        left, top = (int(v) for v in points.min(axis=0))
        right, bottom = (int(v) + 1 for v in points.max(axis=0))
        middle = (points.mean(axis=0) + 0.5) / pixels_per_mm
        found.append(
            Located(
                confidence=round(best / 255, 3),
                box=(left, top, right, bottom),
                centre_mm=(round(float(middle[0]), 3), round(float(middle[1]), 3)),
                length_mm=round(length / pixels_per_mm, 3),
                width_mm=round(len(points) / length / pixels_per_mm, 3),
            )
        )
    return tuple(sorted(found, key=lambda one: (-one.confidence, one.box)))


def located_pixels(confidences: ConfidenceMap, threshold: float) -> NDArray[np.bool_]:
    """The pixels [H, W] of all that `located` finds."""
    least = max(1, int(np.ceil(threshold * 255 - 1e-9)))
    count, labels = cv2.connectedComponents((confidences >= least).astype(np.uint8), connectivity=8)
    best = np.array([confidences[labels == label].max(initial=0) for label in range(count)], np.int64)
    return np.asarray((labels > 0) & (confidences.astype(np.int64) * 2 >= best[labels]))
