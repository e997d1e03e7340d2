"""How well keypoints of single people are found in their crops; pure figures, no network."""

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from training.keypoint_precision import FROM_18, Labelled, similarity
from training.matching import THRESHOLDS
from training.pose.crop_set import CropSet
from vision.pose import KEYPOINTS

Array = NDArray[np.float64]
_OUTLINE: Final = 0.5
"""of a box a person's outline fills about so much: OKS wants the outline's area"""
_NEAR: Final = 0.1
"""of the box's diagonal: a keypoint within is right"""


class PoseFigures(Struct, frozen=True):
    """`oks`: mean over the thresholds .50 to .95 of the share of people whose similarity reaches it (COCO's 17
    keypoints, hidden ones too); `oks50`, `oks75` at one of them; `pixels`: the median distance in pixels of the crop;
    `near`: the share of keypoints within a tenth of the box's diagonal; `near_seen`: of those that are seen."""

    oks: float
    oks50: float
    oks75: float
    pixels: float
    near: float
    near_seen: float


class PoseReport(Struct, frozen=True):
    """`baseline`: the mean pose of what was learnt from, placed into the box. `seen`: the share of keypoints of which
    it is said rightly whether they are seen; `seen_baseline`: by what is commoner for each. `by_keypoint`: `near`."""

    people: int
    network: PoseFigures
    baseline: PoseFigures
    seen: float
    seen_baseline: float
    by_keypoint: dict[str, float]
    milliseconds: float


def figures(places: Array, crops: CropSet) -> PoseFigures:
    """Of places [n, 18, 2] in the crops' pixels."""
    truth = crops.keypoints.astype(np.float64)
    reached = np.array(
        [_alike(place, rows, area) for place, rows, area in zip(places, truth, crops.areas, strict=True)]
    )
    shares = (reached[:, None] >= THRESHOLDS).mean(axis=0)
    away, near = _distances(places, crops)
    inside, seen = truth[..., 2] > 0, truth[..., 2] == 2
    return PoseFigures(
        oks=round(float(shares.mean()), 4),
        oks50=round(float(shares[0]), 4),
        oks75=round(float(shares[5]), 4),
        pixels=round(float(np.median(away[inside])), 3),
        near=round(float(near[inside].mean()), 4),
        near_seen=round(float(near[seen].mean()), 4),
    )


def by_keypoint(places: Array, crops: CropSet) -> dict[str, float]:
    """The share of each keypoint, where it lies in the picture, within a tenth of the diagonal."""
    _, near = _distances(places, crops)
    inside = crops.keypoints[..., 2] > 0
    return {name: round(float(near[inside[:, k], k].mean()), 4) for k, name in enumerate(KEYPOINTS)}


def _distances(places: Array, crops: CropSet) -> tuple[Array, NDArray[np.bool_]]:
    away = np.linalg.norm(places - crops.keypoints[..., :2], axis=2)
    # of a box twice as tall as wide the diagonal is the root of two and a half times its area
    diagonal = np.sqrt(2.5 * crops.areas.astype(np.float64))
    return away, away <= _NEAR * diagonal[:, None]


def _alike(places: Array, truth: Array, area: float) -> float:
    order = list(FROM_18)
    people = Labelled(truth[None, order], np.zeros((1, 4)), np.array([area * _OUTLINE]), np.zeros(1, bool))
    return float(similarity(places[None, order], people)[0, 0])
