"""The cascade before photographs of surfaces that it has not learnt from, labelled with boxes."""

from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np
import onnxruntime
from msgspec import Struct
from numpy.typing import NDArray

from simulator.line.design import SIDE
from training.contract import ModelError
from training.datasets.dataset import Dataset, LabelledPicture
from training.datasets.picture_file import read_picture
from training.inspection.contract import INPUT

TILES: Final = 3
"""a side of each picture"""
_ENOUGH: Final = 0.02
"""of a tile within boxes, from which on it must be found defective; with less of one it is left out"""


class Report(Struct, frozen=True):
    """Shares that are found defective: of whole pictures with a box; of tiles with a box, and without any. `ranked`:
    how often the screen gives a tile with a box more than one without (the area under the ROC curve), 0.5 by chance."""

    pictures: int
    found: float
    tiles: tuple[int, int]
    """with and without a box"""
    tiles_found: float
    alarms: float
    ranked: float


def judge(
    screen: onnxruntime.InferenceSession, locator: onnxruntime.InferenceSession, threshold: float, photographs: Dataset
) -> Report:
    """Raises ModelError for photographs that are all without boxes, or show nothing but boxes."""
    pictures, tiles, covered = [], [], []
    for labelled in photographs.pictures:
        whole = read_picture(photographs.folder / labelled.file)[..., ::-1]
        if labelled.boxes:
            pictures.append(_resized(whole, SIDE))
        for tile, share in _tiles(_resized(whole, TILES * SIDE), labelled):
            tiles.append(tile)
            covered.append(share)
    bad, good = np.array(covered) >= _ENOUGH, np.array(covered) == 0
    if not bad.any() or not good.any():
        raise ModelError(f"{photographs.folder}: {bad.sum()} tiles with boxes, {good.sum()} without: both are needed")
    scores = [_asked(screen, locator, tile) for tile in tiles]
    first, both = (np.array(each) for each in zip(*scores, strict=True))
    above = first[bad][:, None] - first[good]
    return Report(
        pictures=len(pictures),
        found=_share([_asked(screen, locator, picture)[1] >= threshold for picture in pictures]),
        tiles=(int(bad.sum()), int(good.sum())),
        tiles_found=_share(both[bad] >= threshold),
        alarms=_share(both[good] >= threshold),
        ranked=_share((above > 0) + 0.5 * (above == 0)),
    )


def _asked(
    screen: onnxruntime.InferenceSession, locator: onnxruntime.InferenceSession, picture: NDArray[np.uint8]
) -> tuple[float, float]:
    """The screen's score, and the cascade's: the lower of both."""
    score = float(np.asarray(screen.run(None, {INPUT: picture[None]})[0])[0, 0])
    return score, min(score, float(np.asarray(locator.run(None, {INPUT: picture[None]})[0]).max()) / 255)


def _tiles(picture: NDArray[np.uint8], labelled: LabelledPicture) -> Iterator[tuple[NDArray[np.uint8], float]]:
    """Each with the share of it that lies in boxes."""
    inside = np.zeros(picture.shape[:2], bool)
    wide, high = picture.shape[1] / labelled.width, picture.shape[0] / labelled.height
    for box in labelled.boxes:
        left, top = int(box.x1 * wide), int(box.y1 * high)
        inside[top : int(np.ceil(box.y2 * high)), left : int(np.ceil(box.x2 * wide))] = True
    for row in range(0, len(picture), SIDE):
        for column in range(0, picture.shape[1], SIDE):
            place = np.s_[row : row + SIDE, column : column + SIDE]
            yield np.ascontiguousarray(picture[place]), float(inside[place].mean())


def _resized(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _share(of: object) -> float:
    return round(float(np.mean(np.asarray(of, np.float64))), 4)
