"""What the two networks, and the baseline without any, answer to a set of parts."""

import time
from collections.abc import Callable

import cv2
import numpy as np
import onnxruntime
from msgspec import Struct
from numpy.typing import NDArray

from training.inspection.contract import INPUT
from training.inspection.part_set import PartSet


class Answers(Struct, frozen=True):
    """Confidences of n parts: `screen` [n], and the locator's maps [n, H, W] with the best pixel of each, `best` [n];
    all 0..1 but the maps. `differences` [n, H, W] with the largest of each, `plain` [n]: the baseline's, levels of
    255."""

    screen: NDArray[np.float64]
    maps: NDArray[np.uint8]
    differences: NDArray[np.uint8]

    @property
    def best(self) -> NDArray[np.float64]:
        return np.asarray(self.maps.max(axis=(1, 2)) / 255.0)

    @property
    def plain(self) -> NDArray[np.float64]:
        return np.asarray(self.differences.max(axis=(1, 2)), np.float64)

    @property
    def cascade(self) -> NDArray[np.float64]:
        """[n]: a part is defective at every threshold up to this."""
        return np.minimum(self.screen, self.best)


def ask(screen: onnxruntime.InferenceSession, locator: onnxruntime.InferenceSession, parts: PartSet) -> Answers:
    """Every part before both networks, one at a time as they are served."""
    scores, maps, differences = [], [], []
    for index in range(len(parts)):
        picture = np.ascontiguousarray(parts.pixels[index : index + 1])
        scores.append(float(screen.run(None, {INPUT: picture})[0][0, 0]))
        maps.append(locator.run(None, {INPUT: picture})[0][0])
        differences.append(background_difference(picture[0]))
    return Answers(np.round(scores, 6), np.stack(maps), np.stack(differences))


def background_difference(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The classical way: how far each pixel [H, W] of the plate lies from the median of its surroundings (11 pixels).

    The plate is what Otsu's threshold (1979) tells from the belt, less its edge.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    _, plate = cv2.threshold(cv2.medianBlur(grey, 5), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    inside = cv2.erode(plate, np.ones((9, 9), np.uint8))
    difference = cv2.absdiff(cv2.GaussianBlur(grey, (3, 3), 0.7), cv2.medianBlur(grey, 11))
    return np.where(inside > 0, difference, 0).astype(np.uint8)


def milliseconds(answer: Callable[[], object], rounds: int = 200) -> float:
    """Median of processor time: another process on the core makes it no slower."""
    times = []
    for _ in range(rounds):
        started = time.process_time()
        answer()
        times.append(time.process_time() - started)
    return round(1000 * float(np.median(times)), 3)
